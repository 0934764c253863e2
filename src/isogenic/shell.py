"""What each verb of the command line starts: nodes put together, run until stopped.

Guarantees: a node asked to end (SIGTERM, SIGINT) notes that it stopped and lets go of its
files; a node that writes `--ready` does so whole, once it answers; a second process on a folder is
refused before it opens anything that the first writes.
Leaves to others: everything that a node does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from isogenic import __version__
from isogenic.clock import Clock, DisciplinedClock, ScaledClock, SystemClock
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid, Refusal
from isogenic.ids import RandomMint
from isogenic.records import codec
from isogenic.records.durable import write_whole

if TYPE_CHECKING:
    from isogenic.authority.people import Person
    from isogenic.network.control import ControlNode
    from isogenic.network.home import ControlHome
    from isogenic.records.notes import Signer
    from isogenic.sites.home import SiteHome
    from isogenic.vault.acts import Keeper
    from isogenic.web.signin import AccountFolder

__all__ = [
    "admit",
    "back_up_node",
    "certificate_line",
    "disclosure_report",
    "enrol_person",
    "export_statement",
    "migrate_database",
    "new_network",
    "recover_node",
    "replay_batch",
    "restore_node",
    "run_control",
    "run_simulated_facility",
    "run_site",
    "run_until_stopped",
    "shown_keys",
    "vault_session",
    "verify_path",
]

log = logging.getLogger(__name__)


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


def tell_ready(path: Path | None, said: dict[str, str]) -> None:
    """Write where the node answers."""
    if path is not None:
        write_whole(path, codec.dumps(said))


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

    async def watch() -> None:
        since = 0.0
        while True:
            with contextlib.suppress(Refusal):  # a disk that refuses is told where people act; it must not end the node
                node.watch_clock()
                node.note_withheld()
                node.note_silence(clock.now().at, silent_s=SILENT_S * speed)
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
            ready, {"node_url": f"https://{settings.host}:{node_port}", "screens": f"{_scheme(settings.host)}://{settings.host}:{screen_port}"}
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


def accounts_of(node: ControlNode, folder: Path) -> AccountFolder:
    """The accounts of the control site: where several processes serve it, wrong passwords count for all of them together."""
    from isogenic.web.shared_accounts import SharedAccounts
    from isogenic.web.signin import AccountFolder

    if node.processes is None:
        return AccountFolder(folder / "accounts")
    return SharedAccounts(folder / "accounts", node.processes.database)


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
    from isogenic.sites.drivers.opcua import OpcUaDriver
    from isogenic.sites.link import HttpsLink
    from isogenic.web.serving import screen_config
    from isogenic.web.signin import AccountFolder, Keeping
    from isogenic.web.site_api import site_app

    folder, settings = home.folder, home.settings
    warn_of_expiry(folder)
    link = HttpsLink(control_url or home.settings.control_url, home=folder, wait_s=POLL_WAIT_S)
    driver = OpcUaDriver(home.plant, clock=clock, answer_limit_s=home.settings.module_timeout_s)
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
        tell_ready(ready, {"api": f"{_scheme(settings.screen_host)}://{settings.screen_host}:{await started(page)}"})
        await running
    finally:
        page.should_exit = True
        running.cancel()
        await asyncio.wait([serving, running], timeout=5)
        await driver.close()
        await link.close()


async def run_simulated_facility(folder: Path, *, clock_spec: str, seed: int, faults: list[str]) -> None:
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
        )


def replay_batch(file: Path, *, batch: str, batch_column: str, out: Path | None, indicators: list[str]) -> None:
    """A recorded batch through the loop, the monitor and the records of a live site."""
    from isogenic.sim.replay import replay

    with contextlib.ExitStack() as stack:
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isogenic-replay-")))
        print(asyncio.run(replay(file, batch=batch, batch_column=batch_column, out=folder, indicators=indicators)))


def export_statement(folder: Path, kind: str, *, about: str, person: str, password: str, out: Path) -> None:
    """Export a statement from a control site that does not run; the person signs in with the password."""
    from isogenic.network.control import CONTROL
    from isogenic.network.decisions import directory
    from isogenic.network.home import ControlHome
    from isogenic.network.statements import StatementKind
    from isogenic.network.statements import export_statement as export
    from isogenic.records.lock import sole_process
    from isogenic.web.control_api import control_door

    if kind not in list(StatementKind):
        raise NotValid(f"cannot state {kind[:40]!r}", why="no such statement", possible=", ".join(StatementKind))
    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL, among_others=home.shared):
        node = home.node(clock=SystemClock(), mint=RandomMint(), software=__version__)
        node.start()
        try:
            session = asyncio.run(control_door(node, accounts_of(node, folder)).sign_in(person, password))
            data = export(node, directory(node).person(session.person), StatementKind(kind), about=about)
        finally:
            node.stop()
    write_whole(out, data)
    print(f"{out}: {kind} of {about}")


def disclosure_report(folder: Path, *, since: str = "", to: str = "") -> list[str]:
    """What left a node, read from its journal once its signatures and tree are verified."""
    from isogenic.clock import time_of_text
    from isogenic.records.disclosures import disclosures

    if (folder / "directory.json").exists():
        from isogenic.network.home import ControlHome

        journals = ControlHome.open(folder).journals()
    else:
        from isogenic.sites.home import SiteHome

        there = (folder / "disclosures.sqlite").exists()
        journals = [SiteHome.open(folder).journal(SystemClock()).ledger] if there else []
    if not journals:
        raise NotFound(f"no disclosures in {folder}", why="no node of this folder has kept a journal of what leaves")
    lines = []
    for ledger in journals:
        try:
            ledger.check()
            found = disclosures(ledger.facts(), since=time_of_text(since) if since else None, to=to)
            total = sum(each.size for each in found)
            verified = f"the journal of {ledger.size} facts verifies, root {ledger.root.hex()}"
            lines += [*map(str, found), f"{len(found)} disclosures, {total:,} bytes; {verified}"]
        finally:
            ledger.store.close()
    return lines


def migrate_database(folder: Path, *, load: bool = False, unload: Path | None = None) -> list[str]:
    """Bring the database of a control site up to date, and its ledgers in or out where that is asked; says what was done."""
    from isogenic.network.control import CONTROL
    from isogenic.network.home import ControlHome
    from isogenic.records.lock import sole_process
    from isogenic.records.migrations import layout, migrate

    home = ControlHome.open(folder)
    database = home.database()
    if database is None:
        raise NotValid(f"cannot migrate {folder}", why="its ledgers are files in the folder", possible="set store to postgresql://...")
    try:
        steps = migrate(database)
        said = [f"{database.name}: {', '.join(steps)} taken" if steps else f"{database.name}: layout {layout(database)} is up to date"]
        if load:
            with sole_process(folder, who=CONTROL):  # a process that writes these files, or this database, ends first
                said.append(f"{home.load(database)} facts brought from the folder's files, which stay as they are")
        if unload is not None:
            said.append(f"{home.unload(database, unload)} facts written into files in {unload}")
        return said
    finally:
        database.close()


def new_network(network: str, folder: Path, *, hosts: tuple[str, ...], url: str, plants: list[Path], passphrase: str) -> list[str]:
    """A network in a folder; with plant documents, its facilities beside it, by the same steps as from afar."""
    from isogenic.authority.admission import fingerprint_of
    from isogenic.network import admission
    from isogenic.plant.documents import load_plant
    from isogenic.records.folder import read_file
    from isogenic.records.tls import Authority
    from isogenic.sites import joining

    names = hosts or ("localhost", "127.0.0.1")
    now = SystemClock().now().at
    sites = {load_plant(read_file(path), name=path.name).site: read_file(path) for path in plants}
    admission.new_network(network, folder, hosts=names, url=url or f"https://{names[0]}:8443", now=now, passphrase=passphrase)
    control = folder / "CONTROL"
    said = [f"{folder / 'AUTHORITY'}: take it off this machine; it is needed to admit and to renew, and for nothing else"]
    for site, plant in sites.items():
        home = folder / site
        write_whole(home / "plant.yaml", plant)
        asked = joining.request(home, network=network)
        admitted = admission.admit_site(
            Authority.load(folder / "AUTHORITY", passphrase=passphrase), control, asked, fingerprint=fingerprint_of(asked), now=now
        )
        joining.accept(home, codec.dumps(codec.plain(admitted)), fingerprint=network_print(control))
        said.append(f"{home}: admitted")
    return [*said, *shown_keys(control)]


def network_print(control: Path) -> str:
    """The fingerprint of a network, from its control site's folder."""
    from isogenic.authority.admission import network_fingerprint
    from isogenic.authority.people import Directory
    from isogenic.records.folder import read_file

    directory = codec.read(Directory, codec.loads(read_file(control / "directory.json"), what="directory.json"), what="directory.json")
    network = codec.loads(read_file(control / "node.json"), what="node.json")["network"]
    return network_fingerprint(network, read_file(control / "tls" / "authority.crt"), directory.control)


def admit(authority: Path, control: Path, request: bytes, *, fingerprint: str, out: Path | None, passphrase: str) -> list[str]:
    """Admit what asks; without a fingerprint, only show what it is."""
    from isogenic.authority.admission import PersonRequest, fingerprint_of, read_request
    from isogenic.network import admission
    from isogenic.records.tls import Authority

    asked = read_request(request)
    who = f"{asked.person} {asked.printed_name}" if isinstance(asked, PersonRequest) else f"{asked.site} {asked.title}"
    if not fingerprint:
        return [f"{who} asks, with the fingerprint {fingerprint_of(asked)}"]
    if isinstance(asked, PersonRequest):
        admission.admit_person(control, asked, fingerprint=fingerprint)
        return [f"{who} is on file; published when the control site starts next"]
    admitted = admission.admit_site(
        Authority.load(authority, passphrase=passphrase), control, asked, fingerprint=fingerprint, now=SystemClock().now().at
    )
    path = out or control / f"{asked.site}.admission.json"
    write_whole(path, codec.dumps(codec.plain(admitted)))
    return [f"{path}: bring it to {who}, and read this over the telephone:", f"  {network_print(control)}"]


def enrol_person(folder: Path, person: str, password: str, *, printed_name: str, roles: list[str], out: Path | None) -> list[str]:
    """An account in a node's folder; at the control site the person is put on file at once, elsewhere a request is written."""
    import secrets

    from isogenic.authority.admission import fingerprint_of
    from isogenic.authority.people import Role
    from isogenic.ids import PersonId, SiteId
    from isogenic.network.admission import admit_person, enrol
    from isogenic.records.folder import read_file

    if unknown := [role for role in roles if role not in list(Role)]:
        raise NotValid(f"no role {unknown[0][:40]!r}", why="a person is there for one of a few things", possible=", ".join(Role))
    settings = codec.loads(read_file(folder / "node.json"), what="node.json")
    site = SiteId(settings["site"]) if "site" in settings else None
    asked = enrol(
        folder,
        PersonId(person),
        password,
        printed_name=printed_name,
        roles=tuple(Role(role) for role in roles),
        site=site,
        entropy=secrets.token_bytes,
    )
    if site is None:
        admit_person(folder, asked, fingerprint=fingerprint_of(asked))
        return [f"{person} has an account and is on file; published when the control site starts next"]
    path = out or folder / f"{person}.request.json"
    write_whole(path, codec.dumps(codec.plain(asked)))
    return [f"{path}: bring it to the control site, and read it this over the telephone:", f"  {fingerprint_of(asked)}"]


def shown_keys(folder: Path) -> list[str]:
    """A node's keys as people compare them. Of a site whose ledgers have keys of their own: the one that it began with."""
    from isogenic.records.notes import Signer, VerifyingKey

    keys = folder / "keys"
    began = (
        VerifyingKey.parse((keys / "ledger.pub").read_text()) if (keys / "ledger.pub").exists() else Signer.load(keys / "ledger.key").verifying_key
    )
    lines = [f"{'ledger key':12} {began.fingerprint}", f"{'witness key':12} {Signer.load(keys / 'witness.key').verifying_key.fingerprint}"]
    if (folder / "directory.json").exists():
        lines.append(f"{'network':12} {network_print(folder)}")
    return [*lines, certificate_line(folder)] if (folder / "tls" / "node.crt").exists() else lines


def certificate_line(folder: Path) -> str:
    """How long a node's certificate lasts."""
    from isogenic.records.folder import read_file
    from isogenic.records.tls import read_certificate

    return f"{'certificate':12} until {read_certificate(read_file(folder / 'tls' / 'node.crt')).not_valid_after_utc:%Y-%m-%d}"


def warn_of_expiry(folder: Path) -> str:
    """Say it where the node starts, if its certificate ends soon; gives what was said. TLS goes by the machine's own clock."""
    from isogenic.records.tls import expiry_notice

    notice = expiry_notice(folder, now=SystemClock().now().at)
    if notice:
        log.warning("%s", notice)
    return notice


@contextlib.contextmanager
def vault_session(folder: Path, *, person: str, password: str) -> Iterator[tuple[Keeper, Person, Signer]]:
    """The vault of a control site that does not run, for a person who signs in: keeper, person, and the key to sign with."""
    from isogenic.network.control import CONTROL
    from isogenic.network.decisions import directory
    from isogenic.network.home import ControlHome
    from isogenic.records.lock import sole_process
    from isogenic.web.control_api import control_door

    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL):
        node = home.node(clock=SystemClock(), mint=RandomMint(), software=__version__)
        node.start()
        try:
            if node.keeper is None:
                raise NotFound(f"no vault in {folder}", why="it has no vault key", possible="isogenic vault new")
            door = control_door(node, accounts_of(node, folder))

            async def sign_in() -> tuple[Person, Signer]:
                session = await door.sign_in(person, password)
                return directory(node).person(session.person), await door.signer(session, password)

            yield (node.keeper, *asyncio.run(sign_in()))
        finally:
            node.stop()


def revoke_key(folder: Path, *, site: str, key: str, reason: str, person: str, password: str) -> list[str]:
    """Revoke the key of a site at a control site that does not run; gives what was noted and what follows."""
    from isogenic.ids import SiteId
    from isogenic.network.control import CONTROL
    from isogenic.network.decisions import directory
    from isogenic.network.home import ControlHome
    from isogenic.network.revoking import revoke_site_key
    from isogenic.records.lock import sole_process
    from isogenic.web.control_api import control_door
    from isogenic.web.revoking import revocation_line

    home = ControlHome.open(folder)
    with sole_process(folder, who=CONTROL, among_others=home.shared):
        node = home.node(clock=SystemClock(), mint=RandomMint(), software=__version__)
        node.start()
        try:
            door = control_door(node, accounts_of(node, folder))

            async def sign_in() -> tuple[Person, Signer]:
                session = await door.sign_in(person, password)
                return directory(node).person(session.person), await door.signer(session, password)

            who, signer = asyncio.run(sign_in())
            said = revocation_line(revoke_site_key(node, who, signer, site=SiteId(site), key=key, reason=reason))
        finally:
            node.stop()
    return [*(f"{origin}: the old key counts for {size} facts" for origin, size in said.counts_for.items()), said.follows]


def verify_path(path: Path, *, keys: Path | None, as_json: bool = False) -> int:
    """Verify a dossier, a ledger file or a node's folder; prints what was found, gives the exit code."""
    from isogenic.network.inspection import inspect

    try:
        trusted = keys.read_text() if keys else None
    except (OSError, UnicodeDecodeError) as trouble:
        raise NotValid(f"cannot read {keys}", why=str(trouble)) from trouble
    report = inspect(path, keys=trusted)
    print(codec.dumps(report.plain()).decode() if as_json else report)
    return 0 if report.ok else NotTrusted.exit_code


def back_up_node(folder: Path, to: Path, *, passphrase: str = "") -> str:
    """Back a node's folder up, while it runs."""
    import os

    from isogenic.records.backup import back_up

    if (folder / "directory.json").is_file():
        from isogenic.network.home import ControlHome

        if ControlHome.open(folder).shared:  # a backup without the ledgers would be none
            raise NotAllowed(
                f"cannot back {folder} up",
                why="its ledgers are in a database, and this copies files",
                possible="isogenic migrate --unload writes them into files; or the database's own backup, and this folder's files beside it",
            )
    made = back_up(folder, to, moment=SystemClock().now(), passphrase=passphrase, entropy=os.urandom)
    return f"{made}\nin {made.folder}: {made.copied:,} bytes that no earlier backup had" + (
        "" if passphrase else "; without private keys and accounts"
    )


def restore_node(source: Path, folder: Path, *, until: str = "", passphrase: str = "", keys: str = "") -> str:
    """Restore a node to an empty folder, as it was at a time or at a size."""
    from isogenic.clock import time_of_text
    from isogenic.records.backup import restore

    point = None if not until else int(until) if until.isascii() and until.isdigit() and len(until) < 19 else time_of_text(until)
    return str(restore(source, folder, until=point, passphrase=passphrase, keys=keys))


def recover_node(folder: Path, audiences: Sequence[str], *, by: str, why: str) -> list[str]:
    """Lay forked ledgers aside, up to what their witness has cosigned; the node takes the rest back when it is started."""
    from isogenic.errors import NotFound
    from isogenic.ids import PersonId
    from isogenic.network.control import CONTROL
    from isogenic.network.home import ControlHome
    from isogenic.records.aside import LedgerFiles
    from isogenic.records.lock import sole_process
    from isogenic.sites.home import SiteHome

    site = (folder / "plant.yaml").is_file()
    home: SiteHome | ControlHome = SiteHome.open(folder) if site else ControlHome.open(folder)
    person, files, lines = PersonId(by), LedgerFiles(), []
    with sole_process(folder, who="isogenic recover"):
        for audience in audiences:
            path = folder / "ledgers" / f"{audience}.sqlite"
            if not path.is_file() or (site and audience == CONTROL):
                raise NotFound(
                    f"no ledger {audience[:40]} is written in {folder}", why="there is no file of it", possible="HOUSE, a sponsor or a site"
                )
            origin = f"{home.settings.network}/{CONTROL}/{audience}"
            ledger = home.ledger(audience, files) if isinstance(home, SiteHome) else files.ledger(path, origin=origin, signer=home.signer)
            try:
                wound = files.lay_aside(ledger, why=f"{person} gave up a fork: {why}", upto=ledger.witnessed, by=str(person))
                lines.append(
                    f"{ledger.origin}: {wound.kept} witnessed facts kept, {wound.claimed - wound.kept} beyond them are evidence/{wound.evidence}; "
                    "start the node, and its witness returns the rest"
                )
            finally:
                ledger.store.close()
    return lines


def show_watermarks(folder: Path) -> str:
    """What the control site holds twice of a site's ledgers, and what the site may delete for it."""
    from isogenic.records.notes import VerifyingKey
    from isogenic.sites.home import SiteHome
    from isogenic.sites.pruning import prunable

    home = SiteHome.open(folder)
    ledgers = home.ledgers()
    try:
        facts = [fact for ledger in ledgers.values() for fact in ledger.facts()]
    finally:
        for ledger in ledgers.values():
            ledger.store.close()
    found = prunable(facts, by=[VerifyingKey.parse(home.trust.ledger)], keep_days=home.settings.keep_days, now=DisciplinedClock().now().at)
    return "\n".join(str(each) for each in found)


def prepare_key(folder: Path) -> str:
    """Make the ledger key that a site goes on with when the one in use is revoked; gives its public half."""
    from isogenic.sites.home import SiteHome

    return str(SiteHome.open(folder).keyring.prepare())
