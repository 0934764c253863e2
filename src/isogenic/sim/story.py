"""The story that `isogenic demo` tells: a control site and three facilities on this machine, for real.

Every part is a process of its own that runs the product's own commands; people act through
the same HTTP API as the screens; the line that is cut is a TCP line. A chapter counts as
told only when what it claims was read back from the nodes.

    1 recipe      two people sign, it is published, each site derives its own control recipe
    2 batches     each site runs a batch on simulated bioreactors behind OPC UA servers
    3 link        one site's link is cut in the middle and returns; nothing is missing
    4 fouling     a feed pump fouls; the site's monitor opens a deviation while the batch runs
    5 release     results arrive; two lots are released, the third refused, then rejected
    6 dossier     a released lot's dossier verifies; with one byte changed it does not
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from isogenic.clock import ScaledClock, SystemClock, monotonic_seconds, wall_seconds
from isogenic.errors import Refusal
from isogenic.ids import PersonId, SiteId
from isogenic.records import codec
from isogenic.sim.proxy import Line
from isogenic.sim.world import NETWORK, PEOPLE, SITES, World, build_world, document, password_of

__all__ = ["DEFAULT_SPEED", "tell"]

DEFAULT_SPEED = 12_000.0  # a batch of 14 days in 100 seconds
SCAN_S = 1_800.0  # process time between scans: 7 scans a second at the default speed
START_OF_STORY = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
BATCH_DAYS = 14.0
CUT_SITE, CUT_FROM_H, CUT_UNTIL_H = SITES[1], 110.0, 190.0  # GHENT, in hours of culture
FOUL_SITE = SITES[2]  # PORTO
FAULT = "feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6"
RECIPE, VERSION = "MAB-FB", 1
POLL_S = 0.25  # wall seconds between a simulated person's looks at the screen
READY_S = 60.0  # wall seconds within which a process must answer
STORY_S = 600.0  # wall seconds after which the story is given up


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


@dataclass(slots=True)
class Person:
    """A person at a screen: a signed-in session with one node."""

    id: PersonId
    password: str
    client: httpx2.AsyncClient

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
                await asyncio.wait_for(process.wait(), 10)
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


# ---- the chapters ----


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
    faults = ["--fault", FAULT] if site == FOUL_SITE else []
    return await story.run("facility", str(home), "--clock", story.clock.spec(), "--seed", str(story.seed), *faults, log=f"{site}-equipment")


async def start_site(story: Story, site: SiteId) -> asyncio.subprocess.Process:
    """The process of one site node."""
    assert story.world is not None
    home, known = story.world.home(site), story.sites[site]
    (home / "ready.json").unlink(missing_ok=True)
    words = ["site", str(home), "--clock", story.clock.spec(), "--ready", str(home / "ready.json"), "--control-url", known.url, "--no-screens"]
    process = await story.run(*words, log=str(site))
    known.api = (await story.ready(home / "ready.json", process, str(site)))["api"]
    return process


async def tell_recipe(story: Story) -> str:
    """Two people sign version 1; each site verifies it and derives its own."""
    text = document("mab-fb.general.yaml")
    ada, ben = await story.sign_in(PersonId("ADA"), story.screens), await story.sign_in(PersonId("BEN"), story.screens)
    await ada.post("/api/recipes", {"text": text})
    path = f"/api/recipes/{RECIPE}/{VERSION}"
    await ada.post(f"{path}/signatures", {"act": "sign_recipe_as_author", "password": ada.password})
    try:
        await ada.post(f"{path}/signatures", {"act": "approve_recipe", "password": ada.password})
    except NotTold:
        pass  # as it must be: nobody approves what they wrote
    else:
        raise NotTold("the author of the recipe could approve it")
    await ben.post(f"{path}/signatures", {"act": "approve_recipe", "password": ben.password})
    await ben.post(f"{path}/publication", {})

    async def accepted() -> bool:
        line = next(each for each in await ada.get("/api/recipes") if (each["recipe"], each["version"]) == (RECIPE, VERSION))
        return all(line["sites"].get(site, "").startswith("accepted") for site in story.where)

    await until(accepted, what="every site to accept the recipe")
    assert story.world is not None
    units = ", ".join(f"{site} ({unit.make}, {unit.working_volume})" for site, plant in story.world.plants.items() for unit in plant.units.values())
    return f"{RECIPE} version {VERSION} signed by Ada Lindqvist and Benedict Okafor; derived for {units}"


async def run_batch(story: Story, site: Site, progress: Progress, bar: TaskID) -> None:
    """An operator starts a batch and answers what it asks, until it is over."""
    operator = await story.sign_in(site.operator, site.api)
    await operator.post("/api/batches", {"recipe": RECIPE, "version": VERSION, "unit": site.unit, "lot": site.lot})
    answers = {"number": "96.5", "confirm": "yes", "text": f"{site.id[:2]}-MED-0417"}
    while not site.closed:
        for asked in await operator.get("/api/prompts"):
            text = f"{site.id[:2]}-INO-0093" if "inoculum" in asked["prompt"].lower() else answers[asked["kind"]]
            text = answers["number"] if asked["kind"] == "number" else text
            await operator.post(f"/api/batches/{asked['batch']}/prompts/{asked['prompt']}", {"answer": text})
        batches = await operator.get("/api/batches")
        line = next(each for each in batches if each["lot"] == site.lot)
        site.batch, site.phase, site.closed = line["batch"], line["phase"] or "", line["closed_at"] is not None
        detail = await operator.get(f"/api/batches/{site.batch}")
        site.hours = _culture_hours(detail, story.clock.now().at)
        progress.update(bar, completed=site.hours / 24, what=site.phase or "over")
        if site.closed and line["state"] != "complete":
            raise NotTold(f"the batch of {site.id} ended {line['state']}")
        await asyncio.sleep(POLL_S)
    progress.update(bar, completed=BATCH_DAYS, what="harvested")


def _culture_hours(detail: dict[str, Any], now: datetime) -> float:
    """Hours since the culture began, for the progress bar."""
    started = next((each["started_at"] for each in detail["phases"] if each["phase"] == "growth"), None)
    return (now - datetime.fromisoformat(started)).total_seconds() / 3600 if started else 0.0


async def tell_link(story: Story) -> str:
    """Cut one site's link in the middle of its batch, mend it, and find nothing missing."""
    site = story.sites[CUT_SITE]
    operator, ada = await story.sign_in(site.operator, site.api), await story.sign_in(PersonId("ADA"), story.screens)

    async def old_enough(hours: float) -> bool:
        return site.hours >= hours

    await until(lambda: old_enough(CUT_FROM_H), what=f"{site.id} to be {CUT_FROM_H:.0f} h into its batch", seconds=STORY_S)
    site.line.cut()
    before = await _noted(operator)
    await until(lambda: old_enough(CUT_UNTIL_H), what=f"{site.id} to go on without a link", seconds=STORY_S)
    after = await _noted(operator)
    behind = await ada.get(f"/api/sites/{site.id}")
    if after <= before:
        raise NotTold(f"{site.id} noted nothing while its link was down")
    if sum(each["held"] for each in behind["ledgers"]) >= after:
        raise NotTold("the cut line still carried facts")
    site.line.mend()

    async def caught_up() -> str:
        ledgers = (await ada.get(f"/api/sites/{site.id}"))["ledgers"]
        whole = all(each["complete"] for each in ledgers) and sum(each["held"] for each in ledgers) >= after
        return "; ".join(each["words"] for each in ledgers if not each["ledger"].endswith("HOUSE")) if whole else ""

    said = await until(caught_up, what=f"the facts of {site.id} after the link returned")
    return f"{site.id} ran {CUT_UNTIL_H - CUT_FROM_H:.0f} h without a link and noted {after - before} facts; then {said}"


async def _noted(operator: Person) -> int:
    return sum(each["noted"] for each in (await operator.get("/api/site"))["ledgers"])


async def tell_fouling(story: Story) -> str:
    """Wait for the deviation of the fouling pump at the control site, while the batch still runs."""
    ben, site = await story.sign_in(PersonId("BEN"), story.screens), story.sites[FOUL_SITE]

    async def deviation() -> dict[str, Any] | None:
        found = [each for each in await ben.get("/api/deviations") if each["site"] == site.id and each["origin"] == "monitor"]
        feed = [each for each in found if each["evidence"].get("leading", "").startswith("feed_")]
        return feed[0] if feed else None

    found = await until(deviation, what="the deviation of the fouling pump", seconds=STORY_S)
    if site.closed:
        raise NotTold("the deviation was seen only after the batch was over")
    return f"{found['deviation']} at {found['site']}, {float(found['evidence']['maturity_h']):.0f} h into the batch: {found['statement']}"


async def report_results(story: Story) -> None:
    """The analyst reports what the laboratory measured, at each site."""
    assert story.world is not None
    for site in story.sites.values():
        folder = story.world.home(site.id) / "samples"

        async def measured(folder: Path = folder) -> Path | None:
            return next(iter(sorted(folder.glob("*.json"))), None)

        sample = codec.loads((await until(measured, what=f"the sample of {site.id}")).read_bytes(), what="a sample")
        ana = await story.sign_in(PersonId("ANA"), site.api)
        for each in sample["results"]:
            await ana.post("/api/results", {"sample": f"SMP-{site.id[:2]}-{story.seed:03d}", "lot": site.lot, **each})


async def tell_release(story: Story) -> str:
    """Release what may be released; refuse, dispose of, and reject what may not."""
    await report_results(story)
    qui, ben = await story.sign_in(PersonId("QUI"), story.screens), await story.sign_in(PersonId("BEN"), story.screens)
    good = [site for site in story.sites.values() if site.id != FOUL_SITE]
    for site in good:

        async def allowed(site: Site = site) -> dict[str, Any] | None:
            page = await qui.get(f"/api/lots/{site.lot}/release")
            return page if page["allowed"] else None

        try:
            page = await until(allowed, what=f"the record of {site.lot} to be complete", seconds=30)
        except NotTold:
            page = await qui.get(f"/api/lots/{site.lot}/release")
            raise NotTold(f"{site.lot} cannot be released: {'; '.join(_reasons(page))}") from None
        await qui.post(f"/api/lots/{site.lot}/release", {"digest": page["digest"], "password": qui.password})
    poor = story.sites[FOUL_SITE]

    async def only_deviations_left() -> dict[str, Any] | None:
        page = await qui.get(f"/api/lots/{poor.lot}/release")
        return page if _reasons(page) and all("is open" in each for each in _reasons(page)) else None

    page = await until(only_deviations_left, what=f"the record of {poor.lot}", seconds=30)
    try:
        await qui.post(f"/api/lots/{poor.lot}/release", {"digest": page["digest"], "password": qui.password})
    except NotTold as refusal:
        refused = str(refusal)
    else:
        raise NotTold(f"{poor.lot} was released although a deviation is open")
    justification = "The feed pump fouled and the culture was starved; the lot is not made as approved."
    for each in await ben.get("/api/deviations"):
        if each["lot"] == poor.lot and each["state"] == "open":
            body = {"disposition": "reject", "justification": justification, "password": ben.password}
            await ben.post(f"/api/deviations/{each['deviation']}/disposition", body)
    await qui.post(f"/api/lots/{poor.lot}/rejection", {"reason": "Feed pump fouled; deviation disposed of as reject.", "password": qui.password})
    states = {each["lot"]: each["state"] for each in await qui.get("/api/lots")}
    wanted = {site.lot: "released" for site in good} | {poor.lot: "rejected"}
    if {lot: states.get(lot) for lot in wanted} != wanted:
        raise NotTold(f"the lots stand as {states}")
    return f"{' and '.join(site.lot for site in good)} released by Quillon Marsh; {poor.lot} refused ({_short(refused)}), then rejected"


def _reasons(page: dict[str, Any]) -> list[str]:
    return [each["text"] for each in page["notes"] if each["severity"] == "stop"]


def _short(text: str, most: int = 140) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


async def tell_dossier(story: Story) -> str:
    """Export a released lot's dossier, verify it with public keys only, change one byte and see it named."""
    assert story.world is not None
    site = story.sites[SITES[0]]
    qui = await story.sign_in(PersonId("QUI"), story.screens)
    folder = story.folder / "dossiers"
    folder.mkdir(exist_ok=True)
    path, keys = folder / f"{site.lot}.zip", folder / "network-keys.txt"
    await asyncio.to_thread(keys.write_text, story.world.keys_text())  # from where the network was made, not from the dossier

    async def witnessed() -> bytes | None:
        data: bytes = await qui.get(f"/api/lots/{site.lot}/dossier")
        return data

    await asyncio.to_thread(path.write_bytes, await until(witnessed, what="the dossier"))
    code, said = await _verify(path, keys)
    if code != 0:
        raise NotTold(f"the dossier does not verify: {said}")
    forged = folder / f"{site.lot}-forged"
    await asyncio.to_thread(_forge, path, forged)
    code, named = await _verify(forged, keys)
    if code != 4:
        raise NotTold(f"a changed byte passed unnoticed: {named}")
    counts = next((line for line in _paragraphs(said) if line.startswith("Checked:")), "")
    return f"{path.name} verified with public keys only. {counts} With one byte changed: {_place(named)}"


def _paragraphs(text: str) -> list[str]:
    return [" ".join(each.split()) for each in text.split("\n\n") if each.strip()]


def _place(text: str) -> str:
    """Where `isogenic verify` says that something was changed: the fact, if it names one."""
    verdict = _paragraphs(text)[0] if _paragraphs(text) else ""
    places = [each.partition("] ")[2].strip() for each in verdict.split(" [")[1:]]
    return _short(next((each for each in places if "fact" in each and "line" in each), verdict), 200)


def _forge(path: Path, folder: Path) -> None:
    """Unpack a dossier and change one byte in the middle of its largest file of facts."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder)
    target = max((each for each in folder.rglob("*") if each.is_file() and each.suffix == ".jsonl"), key=lambda each: each.stat().st_size)
    data = bytearray(target.read_bytes())
    data[len(data) // 2] ^= 1
    target.write_bytes(bytes(data))


async def _verify(path: Path, keys: Path) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "isogenic.cli",
        "verify",
        str(path),
        "--keys",
        str(keys),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await process.communicate()
    return int(process.returncode or 0), out.decode(errors="replace")


# ---- telling ----


@contextlib.asynccontextmanager
async def _chapter(story: Story, key: str, title: str) -> AsyncIterator[Chapter]:
    chapter = story.chapters.setdefault(key, Chapter(title))
    story.console.print(f"[bold]{title}[/]")
    yield chapter
    chapter.told = True
    story.console.print(f"  {chapter.outcome}", highlight=False, markup=False)


async def _tell(story: Story) -> None:
    titles = {
        "network": "Starting a control site and three facilities",
        "recipe": "1  Two people sign a recipe; each site derives its own",
        "batches": "2  Each site runs a batch",
        "link": "3  One site's link is cut and returns",
        "fouling": "4  A feed pump fouls; the monitor sees it",
        "release": "5  Two lots are released; the third is refused, then rejected",
        "dossier": "6  A dossier is verified; a forged one is not",
    }
    story.chapters = {key: Chapter(title) for key, title in titles.items()}
    async with _chapter(story, "network", titles["network"]) as chapter:
        await open_network(story)
        chapter.outcome = f"{len(story.processes)} processes; the page is at {story.screens}"
    async with _chapter(story, "recipe", titles["recipe"]) as chapter:
        chapter.outcome = await tell_recipe(story)
    columns = (
        TextColumn("  {task.description:6}"),
        BarColumn(bar_width=32),
        TextColumn("day {task.completed:4.1f} of 14  {task.fields[what]:26}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=story.console) as progress:
        async with asyncio.TaskGroup() as tasks:
            link, fouling = tasks.create_task(_side(story, "link", tell_link)), tasks.create_task(_side(story, "fouling", tell_fouling))
            async with _chapter(story, "batches", titles["batches"]) as chapter:
                async with asyncio.TaskGroup() as batches:
                    for site in story.sites.values():
                        bar = progress.add_task(str(site.id), total=BATCH_DAYS, what="")
                        batches.create_task(run_batch(story, site, progress, bar))
                chapter.outcome = ", ".join(f"{site.lot} at {site.id}" for site in story.sites.values()) + " harvested"
            await link
            await fouling
    async with _chapter(story, "release", titles["release"]) as chapter:
        chapter.outcome = await tell_release(story)
    async with _chapter(story, "dossier", titles["dossier"]) as chapter:
        chapter.outcome = await tell_dossier(story)


async def _side(story: Story, key: str, chapter: Callable[[Story], Awaitable[str]]) -> None:
    """A chapter that is told beside another."""
    outcome = await chapter(story)
    story.chapters[key].told, story.chapters[key].outcome = True, outcome
    story.console.print(f"[bold]{story.chapters[key].title}[/]\n  {outcome}", highlight=False)


def summary(story: Story) -> Table:
    """What happened and what did not."""
    table = Table(title="What happened", title_justify="left", title_style="bold", box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column("", no_wrap=True, vertical="top")
    table.add_column("", overflow="fold")
    for chapter in story.chapters.values():
        outcome = f"\n[dim]{escape(chapter.outcome)}[/]" if chapter.outcome else ""
        table.add_row("[green]done[/]" if chapter.told else "[red]NOT DONE[/]", f"{chapter.title}{outcome}")
    return table


async def tell(*, seed: int, speed: float, out: Path | None, stay: bool) -> int:
    """Tell the story; 0 only if every chapter really happened."""
    console = Console()
    with contextlib.ExitStack() as stack:
        if out is not None and out.exists() and any(out.iterdir()):
            console.print(f"{out} is not empty: choose an empty folder for --out")
            return 2
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isogenic-demo-")))
        clock = ScaledClock(start=START_OF_STORY, origin=wall_seconds(), speed=speed)
        story = Story(folder.resolve(), seed, clock, console)
        began, me = monotonic_seconds(), asyncio.current_task()
        assert me is not None
        for name in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(name, me.cancel)
        try:
            return await _told(story, began=began, stay=stay)
        except asyncio.CancelledError:
            console.print("stopping")
            return 130
        finally:
            await story.stop()


async def _told(story: Story, *, began: float, stay: bool) -> int:
    try:
        async with asyncio.timeout(STORY_S):
            await _tell(story)
    except* (NotTold, Refusal, httpx2.HTTPError, TimeoutError) as troubles:
        for trouble in _leaves(troubles):
            story.console.print(f"[bold]the story broke off:[/] {trouble or type(trouble).__name__}", highlight=False)
        for log in sorted((story.folder / "logs").glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-5:]
            if tail:
                story.console.print(f"{log.name}:", *tail, sep="\n  ", highlight=False, markup=False)
    story.console.print(summary(story))
    told = all(chapter.told for chapter in story.chapters.values())
    story.console.print(f"{NETWORK}: {monotonic_seconds() - began:.0f} s, {'every step happened' if told else 'NOT every step happened'}")
    if stay and told:
        await _stay(story)
    return 0 if told else 1


def _leaves(troubles: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in troubles.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


async def _stay(story: Story) -> None:
    """Keep the page open until somebody ends it."""
    story.console.print(f"\nThe network goes on. Look around at [bold]{story.screens}[/] (Ctrl-C ends). Sign in as:")
    for each in PEOPLE:
        if not each.sites:
            story.console.print(
                f"  {each.id:4} {each.printed_name:18} {', '.join(role.words for role in each.roles):18} {password_of(each.id, story.seed)}",
                highlight=False,
            )
    with contextlib.suppress(asyncio.CancelledError):  # asked to end after the story was told: that is how it ends well
        await asyncio.Event().wait()
