"""Nodes put together and run until stopped.

Guarantees: a node asked to end (SIGTERM, SIGINT) notes that it stopped and lets go of its
files; a node that writes `--ready` does so whole, once it answers; a second process on a folder is
refused before it opens anything that the first writes.
Leaves to others: everything that a node does.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import tempfile
from collections.abc import Coroutine
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isogenic import __version__
from isogenic.clock import Clock, DisciplinedClock, ScaledClock, SystemClock
from isogenic.errors import Refusal
from isogenic.ids import RandomMint
from isogenic.records import codec
from isogenic.records.durable import write_whole
from isogenic.shell.accounts import accounts_of
from isogenic.shell.keys import warn_of_expiry

if TYPE_CHECKING:
    from isogenic.network.home import ControlHome
    from isogenic.sites.home import SiteHome

__all__ = ["clock_of", "replay_batch", "run_control", "run_simulated_facility", "run_site", "run_until_stopped", "tell_ready", "warn_alone"]


def _notices(folder: Path) -> list[str]:
    """What the network screen says of the control site's own folder."""
    from isogenic.records.tls import expiry_notice

    notice = expiry_notice(folder, now=SystemClock().now().at)
    return [notice] if notice else []


def run_until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run `work`; SIGTERM and SIGINT cancel it, so that it can end in good order."""

    async def run() -> None:
        task = asyncio.current_task()
        loop = asyncio.get_running_loop()
        assert task is not None
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, task.cancel)
        with contextlib.suppress(asyncio.CancelledError):
            await work

    asyncio.run(run())


def clock_of(spec: str) -> Clock:
    """The machine's clock, measured; or simulated time."""
    return ScaledClock.parse(spec) if spec else DisciplinedClock()


def _scheme(host: str) -> str:
    from isogenic.web.serving import is_loopback

    return "http" if is_loopback(host) else "https"


def tell_ready(path: Path | None, who: str, said: dict[str, str]) -> None:
    """Say where the node answers; to programs, in a file."""
    meanings = {"node_url": "sites call", "screens": "people open", "api": "people open"}
    for key, address in said.items():
        print(f"{who}: {meanings[key]} {address}", flush=True)
    if path is not None:
        write_whole(path, codec.dumps(said))


def warn_alone(site: str, control_url: str) -> None:
    """Say that a site calls nobody; it works, and nothing new reaches it."""
    if not control_url:
        print(f"site {site}: no control site is known (no control_url in node.json, no --control-url): it runs alone", flush=True)


async def run_control(folder: Path, *, clock_spec: str = "", ready: Path | None = None, screens: bool = True) -> None:
    """The control site: the wire for its sites, the page for people."""
    from isogenic.network.control import CONTROL
    from isogenic.network.home import ControlHome
    from isogenic.records.lock import sole_process

    clock = clock_of(clock_spec)
    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL, among_others=home.shared):
        await _run_control(home, clock=clock, ready=ready, screens=screens)


async def _run_control(home: ControlHome, *, clock: Clock, ready: Path | None, screens: bool) -> None:

    from isogenic.network.control import SILENT_S
    from isogenic.network.home import publish_documents
    from isogenic.network.materials import Telling
    from isogenic.network.server import node_server, quiet_server, started
    from isogenic.records.beacon import BEACON_S
    from isogenic.records.scrub import scrub_for_ever
    from isogenic.web.control_api import control_app
    from isogenic.web.serving import screen_config
    from isogenic.web.signin import Keeping

    folder = home.folder
    warn_of_expiry(folder)
    node = home.node(clock=clock, mint=RandomMint(), software=__version__)
    node.start()
    publish_documents(node, home)
    settings = home.settings
    speed = clock.speed if isinstance(clock, ScaledClock) else 1.0
    places = {
        site: (each.latitude, each.longitude)
        for site, each in home.directory.sites.items()
        if each.latitude is not None and each.longitude is not None
    }
    node.notices = partial(_notices, folder)
    accounts = accounts_of(node, folder)
    wire = node_server(node.desk, home=folder, host=settings.host, port=settings.node_port)
    page = quiet_server(
        screen_config(
            control_app(
                node,
                accounts,
                screens=screens,
                places=places,
                silent_s=SILENT_S * speed,
                keeping=Keeping(settings.passkey_domain, settings.session_minutes * 60.0, settings.password_days),
            ),
            home=folder,
            host=settings.host,
            port=settings.screen_port,
        )
    )

    telling = Telling()

    async def watch() -> None:
        since = 0.0
        while True:
            with contextlib.suppress(Refusal):  # a disk that refuses is told where people act; it must not end the node
                node.watch_clock()
                node.note_withheld()
                node.note_silence(clock.now().at, silent_s=SILENT_S * speed)
                telling.look(node)
                node.close_talk()
                since += 1.0
                if since >= BEACON_S:
                    node.keep_beacon()
                    since = 0.0
            await asyncio.sleep(1.0)

    tasks = [asyncio.create_task(wire.serve()), asyncio.create_task(page.serve()), asyncio.create_task(watch())]
    if node.processes is not None:
        tasks.append(asyncio.create_task(node.processes.watch(node.follow, node.catch_up)))
    else:  # a database server looks after its own pages
        tasks.append(asyncio.create_task(scrub_for_ever(node.mending.scrub, node.mending.look, node.mending.mend_once)))
    lane = home.lane(node)
    if lane is not None:
        tasks.append(asyncio.create_task(lane.run()))
    try:
        node_port, screen_port = await started(wire), await started(page)
        tell_ready(
            ready,
            f"control site of {settings.network}",
            {"node_url": f"https://{settings.host}:{node_port}", "screens": f"{_scheme(settings.host)}://{settings.host}:{screen_port}"},
        )
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)  # being asked to end leaves them to end in order
        for task in ended:
            task.result()
    finally:
        wire.should_exit = page.should_exit = True
        for task in tasks[2:]:
            task.cancel()
        node.stop()
        await asyncio.wait(tasks, timeout=5)
        if node.processes is not None:
            node.processes.close()


async def run_site(
    folder: Path, *, clock_spec: str = "", ready: Path | None = None, control_url: str = "", port: int = 0, screens: bool = True
) -> None:
    """One facility: its loop, its courier, its own page and API."""
    from isogenic.records.lock import sole_process
    from isogenic.sites.home import SiteHome

    clock = clock_of(clock_spec)
    home = SiteHome.open(folder)
    with sole_process(folder, who=home.settings.site):
        await _run_site(home, clock=clock, ready=ready, control_url=control_url, port=port, screens=screens)


async def _run_site(home: SiteHome, *, clock: Clock, ready: Path | None, control_url: str, port: int, screens: bool) -> None:

    from isogenic.network.server import quiet_server, started
    from isogenic.sites.courier import POLL_WAIT_S
    from isogenic.sites.drivers.several import drivers_for
    from isogenic.sites.link import HttpsLink
    from isogenic.web.serving import screen_config
    from isogenic.web.signin import AccountFolder, Keeping
    from isogenic.web.site_api import site_app

    folder, settings = home.folder, home.settings
    warn_of_expiry(folder)
    warn_alone(str(settings.site), control_url or settings.control_url)
    link = HttpsLink(control_url or home.settings.control_url, home=folder, wait_s=POLL_WAIT_S)
    driver = drivers_for(home.plant, clock=clock, answer_limit_s=home.settings.module_timeout_s, folder=folder)
    await driver.start()
    node = home.node(clock=clock, mint=RandomMint(), equipment=driver, link=link, software=__version__)
    node.start()
    page = quiet_server(
        screen_config(
            site_app(
                node,
                AccountFolder(folder / "accounts"),
                screens=screens,
                keeping=Keeping(settings.passkey_domain, settings.session_minutes * 60.0, settings.password_days),
            ),
            home=folder,
            host=settings.screen_host,
            port=port,
        )
    )
    serving = asyncio.create_task(page.serve())
    running = asyncio.create_task(node.run(scan_s=home.settings.scan_s, heartbeat_s=home.settings.heartbeat_s))
    try:
        tell_ready(ready, f"site {settings.site}", {"api": f"{_scheme(settings.screen_host)}://{settings.screen_host}:{await started(page)}"})
        await running
    finally:
        page.should_exit = True
        running.cancel()
        await asyncio.wait([serving, running], timeout=5)
        await driver.close()
        await link.close()


async def run_simulated_facility(
    folder: Path, *, clock_spec: str, seed: int, faults: list[str], page_port: int = 0, process: str = "antibody"
) -> None:
    """The simulated equipment of one facility."""
    from isogenic.records.folder import read_file
    from isogenic.records.lock import EQUIPMENT_LOCK, sole_process
    from isogenic.sim.servers import run_facility

    plant = read_file(folder / "plant.yaml").decode()
    with sole_process(folder, EQUIPMENT_LOCK, who=f"the equipment of {folder.name or 'this folder'}"):
        await run_facility(
            plant,
            folder / "endpoints.json",
            clock_of(clock_spec),
            seed=seed,
            faults=faults,
            samples=folder / "samples",
            memory=folder / "equipment.json",
            page_port=page_port,
            process=process,
        )


def replay_batch(file: Path, *, batch: str, batch_column: str, out: Path | None, indicators: list[str]) -> None:
    """A recorded batch through the loop, the monitor and the records of a live site."""
    from isogenic.sim.replay import replay

    with contextlib.ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isogenic-replay-")))
        print(asyncio.run(replay(file, batch=batch, batch_column=batch_column, out=folder, indicators=indicators)))
