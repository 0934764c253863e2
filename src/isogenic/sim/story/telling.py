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
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import httpx2
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from isogenic.clock import ScaledClock, monotonic_seconds, wall_seconds
from isogenic.errors import Refusal
from isogenic.sim.story.chapters import COMPLETE, run_batch, tell_dossier, tell_fouling, tell_link, tell_recipe, tell_release
from isogenic.sim.story.growing import grow_on
from isogenic.sim.story.stage import BATCH_DAYS, START_OF_STORY, Chapter, NotTold, Story, open_network
from isogenic.sim.world import NETWORK, PEOPLE, password_of

__all__ = ["tell"]

STORY_S = 600.0  # wall seconds after which the story is given up


@contextlib.asynccontextmanager
async def _chapter(story: Story, key: str, title: str) -> AsyncIterator[Chapter]:
    chapter = story.chapters.setdefault(key, Chapter(title))
    story.console.print(f"[bold]{title}[/]")
    yield chapter
    chapter.told = True
    if key == "batches":  # other chapters were told in between
        story.console.print(f"[bold]{title}[/]")
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
    _who(story)
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
                        batches.create_task(run_batch(story, site, partial(_shown, progress, bar)))
                harvested = [site for site in story.sites.values() if site.ended == COMPLETE]
                chapter.outcome = ", ".join(f"{site.lot} at {site.id}" for site in harvested) + " harvested"
                for site in story.sites.values():
                    if site not in harvested:
                        chapter.outcome += f"; {site.lot} at {site.id} ended {site.ended}: {'; '.join(await story.struck(site.id))}"
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


def _shown(progress: Progress, bar: TaskID, days: float, what: str) -> None:
    progress.update(bar, completed=days, what=what)


async def tell(*, seed: int, speed: float, out: Path | None, stay: bool, faults: Sequence[str] = ()) -> int:
    """Tell the story; 0 only if every chapter really happened."""
    console = Console()
    with contextlib.ExitStack() as stack:
        if out is not None and out.exists() and any(out.iterdir()):
            console.print(f"{out} is not empty: choose an empty folder for --out")
            return 2
        folder = out or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="isogenic-demo-")))
        pace = folder.resolve() / "pace"
        pace.parent.mkdir(parents=True, exist_ok=True)
        clock = ScaledClock(start=START_OF_STORY, origin=wall_seconds(), speed=speed, pace=pace)
        story = Story(folder.resolve(), seed, clock, console, faults=tuple(faults))
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
    if stay and story.screens:  # also where it broke off: whoever struck the equipment wants to see what became of it
        await _stay(story, grow=told)
    return 0 if told else 1


def _leaves(troubles: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    found: list[BaseException] = []
    for each in troubles.exceptions:
        found += _leaves(each) if isinstance(each, BaseExceptionGroup) else [each]
    return found


def _who(story: Story) -> None:
    """Who may sign in at the control site, so that somebody can watch from the beginning."""
    story.console.print("  sign in there as:")
    for each in PEOPLE:
        if not each.sites:
            roles = ", ".join(role.words for role in each.roles)
            story.console.print(f"    {each.id:4} {each.printed_name:18} {roles:18} {password_of(each.id, story.seed)}", highlight=False)
    for site in story.sites.values():
        story.console.print(
            f"  the operator's tasks at {site.id}: {site.api} as {site.operator} {password_of(site.operator, story.seed)}", highlight=False
        )
        story.console.print(f"  what is inside its vessels, and faults to inject: {story.page_of(site.id)}", highlight=False)


async def _stay(story: Story, *, grow: bool) -> None:
    """Keep the pages open until somebody ends it; with `grow`, there is something to see and to strike."""
    story.console.print(f"\nThe network goes on. Look around at [bold]{story.screens}[/] (Ctrl-C ends).")
    _who(story)
    with contextlib.suppress(asyncio.CancelledError):  # asked to end after the story was told: that is how it ends well
        if grow:
            await grow_on(story)
        await asyncio.Event().wait()
