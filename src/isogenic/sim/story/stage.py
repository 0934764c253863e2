"""The stage of the story: processes that run the product's own commands, people at screens, a line to cut.

Guarantees: what is started here is ended here; every answer of a node is read, and a
refusal is raised with the node's own words.
Leaves to others: what happens (chapters), in which order (telling).
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console

from isogenic.clock import ScaledClock, SystemClock, monotonic_seconds
from isogenic.ids import PersonId, SiteId
from isogenic.records import codec
from isogenic.sim.faults import parse_fault
from isogenic.sim.proxy import Line
from isogenic.sim.world import PEOPLE, SITES, World, build_world, password_of

__all__ = [
    "BATCH_DAYS",
    "FOUL_SITE",
    "POLL_S",
    "START_OF_STORY",
    "Chapter",
    "NotTold",
    "Person",
    "Site",
    "Story",
    "open_network",
    "start_control",
    "start_site",
    "until",
]

SCAN_S = 1_800.0  # process time between scans: 7 scans a second at the default speed
START_OF_STORY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
BATCH_DAYS = 14.0
FOUL_SITE = SITES[2]  # PORTO
FAULT = "feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6,run=1"
POLL_S = 0.25  # wall seconds between a simulated person's looks at the screen
READY_S = 300.0  # wall seconds within which a process must answer; one that ends is noticed at once


class NotTold(Exception):
    """A chapter did not happen as it should."""


@dataclass(slots=True)
class Chapter:
    """One step of the story."""

    title: str
    told: bool = False
    outcome: str = ""


@dataclass(slots=True)
class Site:
    """One facility of the demonstration, from outside."""

    id: SiteId
    operator: PersonId
    unit: str
    lot: str
    line: Line
    url: str = ""  # of the control site, through the line
    api: str = ""
    batch: str = ""
    hours: float = 0.0
    phase: str = ""
    closed: bool = False
    ended: str = ""  # how the batch ended
    released: bool = False
    run: int = 1  # which batch on its unit

    def next(self) -> None:
        """From here on it is about the next batch, of a lot of its own."""
        self.run += 1
        self.lot = f"{self.lot.removesuffix(f'-{self.run - 1}')}-{self.run}"
        self.batch, self.phase, self.ended, self.hours, self.closed, self.released = "", "", "", 0.0, False, False


@dataclass(slots=True)
class Person:
    """A person at a screen: a signed-in session with one node."""

    id: PersonId
    password: str
    client: httpx2.AsyncClient

    def signs(self, meaning: str) -> dict[str, str]:
        """What a signature takes: who, the password again, and what it means."""
        return {"person": str(self.id), "password": self.password, "meaning": meaning}

    async def get(self, path: str) -> Any:
        """Read something."""
        return await _answer(await self.client.get(path), path)

    async def post(self, path: str, body: dict[str, Any]) -> Any:
        """Do something; a refusal is raised with the node's words."""
        return await _answer(await self.client.post(path, json=body), path)


async def _answer(response: httpx2.Response, path: str) -> Any:
    if response.status_code >= 400:
        try:
            raise NotTold(str(response.json().get("detail", response.text)))
        except ValueError:
            raise NotTold(f"{path}: status {response.status_code}") from None
    kind = response.headers.get("content-type", "")
    return response.json() if "json" in kind else response.content


@dataclass(slots=True)
class Story:
    """The demonstration while it runs."""

    folder: Path
    seed: int
    clock: ScaledClock
    console: Console
    world: World | None = None
    chapters: dict[str, Chapter] = field(default_factory=dict)
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    people: list[httpx2.AsyncClient] = field(default_factory=list)
    sites: dict[SiteId, Site] = field(default_factory=dict)
    screens: str = ""
    where: tuple[SiteId, ...] = SITES  # which facilities take part
    faults: tuple[str, ...] = ()  # beside the story's own, as `isogenic facility --fault` reads them

    def page_of(self, site: SiteId) -> str:
        """Where one can look into a facility's vessels."""
        assert self.world is not None
        file = self.world.home(site) / "page.json"
        return str(codec.loads(file.read_bytes())["page"]) if file.exists() else "not served"

    async def struck(self, site: SiteId) -> list[str]:
        """What others did to a facility's equipment beside the story's own fault: given when it began, injected or taken back on its page."""
        assert self.world is not None
        given = [f"{text} was given" for text in self.faults if parse_fault(text).unit in self.world.plants[site].units]
        try:
            async with httpx2.AsyncClient(base_url=self.page_of(site), timeout=10.0, trust_env=False) as client:
                told = await _answer(await client.get("/api/faults"), "faults")
        except httpx2.HTTPError:
            return given
        done = [each for each in reversed(told["log"]) if each["at"]]  # what was given at the start is told above, the story's own fault nowhere
        return [*given, *(f"{each['fault']} was {each['what']}" for each in done)]

    # ---- processes ----

    async def run(self, *words: str, log: str, environment: Mapping[str, str] | None = None) -> asyncio.subprocess.Process:
        """Start one of the product's own commands; what it prints goes to a file."""
        logs = self.folder / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        with (logs / f"{log}.log").open("ab") as out:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "isogenic.cli", *words),
                stdout=out,
                stderr=out,
                stdin=asyncio.subprocess.DEVNULL,
                env=_environment() | dict(environment or {}),
            )
        self.processes.append(process)
        return process

    async def ready(self, path: Path, process: asyncio.subprocess.Process, what: str) -> dict[str, str]:
        """Wait until a process has said where it answers."""
        until = monotonic_seconds() + READY_S
        while not path.exists():
            if process.returncode is not None or monotonic_seconds() > until:
                raise NotTold(f"{what} did not start; see {self.folder / 'logs'}")
            await asyncio.sleep(0.05)
        said: dict[str, str] = codec.loads(path.read_bytes(), what=path.name)
        return said

    async def sign_in(self, person: PersonId, node: str) -> Person:
        """A person signs in at a node, with their own password."""
        client = httpx2.AsyncClient(base_url=node, timeout=30.0, trust_env=False)
        self.people.append(client)
        password = password_of(person, self.seed)
        said = await _answer(await client.post("/api/sign-in", json={"person": str(person), "password": password}), "sign-in")
        client.headers["authorization"] = f"Bearer {said['token']}"
        return Person(person, password, client)

    async def stop(self) -> None:
        """End what was started, in good order."""
        for client in self.people:
            await client.aclose()
        for process in self.processes:
            if process.returncode is None:
                process.terminate()
        for process in self.processes:
            try:
                async with asyncio.timeout(10):
                    await process.wait()
            except TimeoutError:
                process.kill()
        for site in self.sites.values():
            await site.line.stop()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


async def until(look: Callable[[], Awaitable[Any]], *, what: str, seconds: float = 60.0) -> Any:
    """Look again and again until there is something to see."""
    end = monotonic_seconds() + seconds
    while True:
        try:
            found = await look()
        except httpx2.HTTPError:
            found = None
        if found:
            return found
        if monotonic_seconds() > end:
            raise NotTold(f"waited {seconds:.0f} s in vain for {what}")
        await asyncio.sleep(POLL_S)


async def open_network(story: Story, *, pages: bool = True) -> None:
    """Write the folders, start the control site, the facilities and the sites."""
    story.world = build_world(story.folder, seed=story.seed, now=SystemClock().now(), scan_s=SCAN_S)
    facilities = [(site, await start_equipment(story, site)) for site in story.where]
    node_port = await start_control(story, pages=pages)
    for site, facility in facilities:
        await story.ready(story.world.home(site) / "endpoints.json", facility, f"the equipment of {site}")
        operator = next(each.id for each in PEOPLE if each.sites == (site,))
        unit = next(iter(story.world.plants[site].units))
        story.sites[site] = Site(site, operator, str(unit), f"LOT-{site[:2]}-{story.seed:03d}", Line(node_port))
        story.sites[site].url = f"https://127.0.0.1:{await story.sites[site].line.start()}"
        await start_site(story, site)


async def start_control(story: Story, *, pages: bool, port: int = 0) -> int:
    """The control site's process; gives the port that sites call."""
    assert story.world is not None
    home = story.world.control
    (home / "ready.json").unlink(missing_ok=True)
    words = ["control", str(home), "--clock", story.clock.spec(), "--ready", str(home / "ready.json"), "--screens" if pages else "--no-screens"]
    process = await story.run(*words, log="CONTROL", environment={"ISOGENIC_CONTROL_NODE_PORT": str(port)})
    said = await story.ready(home / "ready.json", process, "the control site")
    story.screens = said["screens"]
    return int(said["node_url"].rpartition(":")[2])


async def start_equipment(story: Story, site: SiteId) -> asyncio.subprocess.Process:
    """The process of one facility's simulated modules."""
    assert story.world is not None
    home = story.world.home(site)
    (home / "endpoints.json").unlink(missing_ok=True)
    own = [text for text in story.faults if parse_fault(text).unit in story.world.plants[site].units]
    faults = [word for text in [*([FAULT] if site == FOUL_SITE else []), *own] for word in ("--fault", text)]
    return await story.run("facility", str(home), "--clock", story.clock.spec(), "--seed", str(story.seed), *faults, log=f"{site}-equipment")


async def start_site(story: Story, site: SiteId) -> asyncio.subprocess.Process:
    """The process of one site node."""
    assert story.world is not None
    home, known = story.world.home(site), story.sites[site]
    (home / "ready.json").unlink(missing_ok=True)
    words = ["site", str(home), "--clock", story.clock.spec(), "--ready", str(home / "ready.json"), "--control-url", known.url]
    process = await story.run(*words, log=str(site))
    known.api = (await story.ready(home / "ready.json", process, str(site)))["api"]
    return process
