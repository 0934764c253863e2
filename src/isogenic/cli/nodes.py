"""Verbs that run nodes: the demonstration, a control site, a facility, recorded and rehearsed nights."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from isogenic.cli.verbs import Folder, app, read_text
from isogenic.errors import NotValid

if TYPE_CHECKING:
    from isogenic.plant.model import SitePlant

ClockSpec = Annotated[str, typer.Option("--clock", help="Run on simulated time: START,ORIGIN,SPEED. Default: the system clock.")]
Ready = Annotated[Path | None, typer.Option("--ready", help="Write the node's addresses here once it runs.")]

Screens = Annotated[bool, typer.Option(help="Serve pages for people beside the API.")]


def _run(work: Coroutine[Any, Any, None]) -> None:
    """Run until done, or until the process is asked to end."""
    from isogenic.shell.running import run_until_stopped

    run_until_stopped(work)


@app.command()
def version() -> None:
    """Say which version this is."""
    from isogenic import __version__

    print(__version__)


@app.command()
def demo(
    exit_: Annotated[
        bool, typer.Option("--exit", help="End after the story instead of keeping the page open; exit code 0 only if all of it happened.")
    ] = False,
    seed: Annotated[int, typer.Option(help="The same seed: the same keys, cells, faults and people; when they act is real time.")] = 1,
    speed: Annotated[float, typer.Option(help="How many times faster than life.", min=1.0, max=30_000.0)] = 12_000.0,
    out: Annotated[Path | None, typer.Option(help="Keep ledgers and dossiers here. Default: a temporary folder.")] = None,
    fault: Annotated[list[str] | None, typer.Option(help="One more fault, at the site that has its unit, as `isogenic facility --fault`.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A file with such faults, one a line.")] = None,
    scenario: Annotated[str, typer.Option(help="A scenario (YAML), or the name of one that is shipped: its live faults at the sites it names.")] = "",
) -> None:
    """Start a control site and three facilities on this machine and tell a story of them."""
    from isogenic.plant.documents import load_plant
    from isogenic.sim.faults import read_faults
    from isogenic.sim.story import tell
    from isogenic.sim.world import SITES, document

    told = [*(fault or []), *(read_faults(faults) if faults is not None else [])]
    if scenario:
        told += _live_faults(scenario, [load_plant(document(f"{each.lower()}.plant.yaml"), name=str(each)) for each in SITES])
    raise SystemExit(asyncio.run(tell(seed=seed, speed=speed, out=out, stay=not exit_, faults=told)))


def _live_faults(scenario: str, plants: Sequence[SitePlant]) -> list[str]:
    """A scenario's faults at these plants; what is not live is named."""
    from isogenic.sim.scenarios import example, examples, read_scenario
    from isogenic.sim.scenarios.live import acted_live

    text = example(scenario) if scenario in examples() else read_text(Path(scenario))
    acted = acted_live(read_scenario(text), plants)
    for each in acted.left:
        print(f"{scenario}: not live, {each}", flush=True)
    return list(acted.faults)


@app.command()
def world(
    folder: Annotated[Path, typer.Argument(help="Where to write it.", show_default=False)],
    seed: Annotated[int, typer.Option(help="The same seed makes the same network.")] = 1,
) -> None:
    """Write the folders of a demonstration network: keys, people, plants, documents. Not for real use: its keys are public."""
    from isogenic.clock import ScaledClock, SystemClock
    from isogenic.sim.world import PEOPLE, build_world, password_of

    now = SystemClock().now()
    made = build_world(folder, seed=seed, now=now)
    print(f"{made.network}: control site and {', '.join(made.plants)} in {folder}")
    for each in PEOPLE:
        print(f"  {each.id:5} {each.printed_name:18} {', '.join(role.words for role in each.roles):20} {password_of(each.id, seed)}")
    clock = ScaledClock(start=now.at, origin=now.at.timestamp(), speed=600.0).spec()
    print("Sites scan every 1800 s of process time: run every process on fast time, as with")
    print(f"  --clock {clock}")


@app.command()
def control(folder: Folder, clock: ClockSpec = "", ready: Ready = None, screens: Screens = True) -> None:
    """Run the control site of a network."""
    from isogenic.shell.running import run_control

    _run(run_control(folder, clock_spec=clock, ready=ready, screens=screens))


@app.command()
def site(
    folder: Folder,
    clock: ClockSpec = "",
    ready: Ready = None,
    control_url: Annotated[str, typer.Option(help="Where the control site is. Default: what node.json says.")] = "",
    port: Annotated[int, typer.Option(help="Port of the site's own page and API on 127.0.0.1; 0: any free port.")] = 0,
    screens: Screens = True,
) -> None:
    """Run one facility."""
    from isogenic.shell.running import run_site

    _run(run_site(folder, clock_spec=clock, ready=ready, control_url=control_url, port=port, screens=screens))


@app.command()
def facility(
    folder: Folder,
    clock: ClockSpec = "",
    seed: Annotated[int, typer.Option(help="The same seed grows the same cells.")] = 1,
    fault: Annotated[list[str] | None, typer.Option(help="A fault by name, as in feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6")] = None,
    faults: Annotated[Path | None, typer.Option(help="A file with such faults, one a line; # begins a remark.")] = None,
    scenario: Annotated[str, typer.Option(help="A scenario (YAML), or the name of one that is shipped: its live faults at this site.")] = "",
    process: Annotated[str, typer.Option(help="What grows in its stirred bioreactors: antibody or pensim (Penicillium).")] = "antibody",
    page_port: Annotated[int, typer.Option(help="Port of the facility's own page on 127.0.0.1; 0: any free port, written to page.json.")] = 0,
) -> None:
    """Run the simulated equipment of one facility: real OPC UA servers, one a module, cells that do not exist, and a page to look inside."""
    from isogenic.plant.documents import load_plant
    from isogenic.shell.running import run_simulated_facility
    from isogenic.sim.faults import read_faults

    told = [*(fault or []), *(read_faults(faults) if faults is not None else [])]
    if scenario:
        told += _live_faults(scenario, [load_plant(read_text(folder / "plant.yaml"), name="plant.yaml")])
    _run(run_simulated_facility(folder, clock_spec=clock, seed=seed, faults=told, page_port=page_port, process=process))


@app.command()
def replay(
    file: Annotated[Path, typer.Argument(help="A Parquet table with one row for each sample.", show_default=False)],
    batch: Annotated[str, typer.Option("--batch", help="Which batch to run.")],
    batch_column: Annotated[str, typer.Option(help="The column that names the batch.")] = "batch_id",
    maturity: Annotated[
        list[str] | None,
        typer.Option(
            "--maturity",
            help="A column that rises while a batch ripens, such as a collected amount; may be given more than once. "
            "Batches are compared where these are alike, not where their clocks are. Default: the columns that hardly ever fall.",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Keep ledgers and readings in this new folder. Default: a temporary folder.")] = None,
) -> None:
    """Run a recorded batch through the same scan loop, monitor and records as a live site."""
    from isogenic.shell.running import replay_batch

    replay_batch(file, batch=batch, batch_column=batch_column, out=out, indicators=maturity or [])


@app.command()
def rehearse(
    seed: Annotated[int, typer.Option(help="The night to replay.")] = 1,
    seeds: Annotated[int, typer.Option(help="How many nights, from this seed on.")] = 1,
    hours: Annotated[float, typer.Option(help="How long a night is, in simulated hours.", min=1.0, max=10_000.0)] = 72.0,
) -> None:
    """Run real nodes on a simulated clock, disk and links with faults from the seed, and assert the invariants."""
    from isogenic.sim.rehearsal import rehearse as run

    if not math.isfinite(hours):
        raise NotValid(f"cannot rehearse for {hours} hours", why="a night has a length")
    for number in range(seed, seed + seeds):
        print(run(number, hours=hours))
