"""Verbs on facilities that do not exist: studies of scenarios, the catalogue of faults, what the process models know."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app, not_over, read_bytes, read_text

sim_app = typer.Typer(help="Simulated facilities: run studies, list faults and process models.", no_args_is_help=True)
app.add_typer(sim_app, name="sim")


@sim_app.command("faults")
def sim_faults(
    name: Annotated[str, typer.Argument(help="A process: only those that it can have. Default: all of them.", show_default=False)] = "",
    process: Annotated[str, typer.Option(help="The same.")] = "",
) -> None:
    """The catalogue of faults: what each is, its size, what is seen of it."""
    from isogenic.sim.faults.pages import faults_page

    print(faults_page(process or name))


@sim_app.command("processes")
def sim_processes(
    name: Annotated[str, typer.Argument(help="One process, in full. Default: all of them, in short.", show_default=False)] = "",
) -> None:
    """What the process models know: settings, variables, qualities, constants, each with its unit and where its number is from."""
    from isogenic.sim.processes.pages import process_page, processes_page

    print(process_page(name) if name else processes_page())


@sim_app.command("import")
def sim_import(
    source: Annotated[Path, typer.Argument(help="A CSV or Parquet table of batches, or the public IndPenSim file.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The study table to write.", show_default=False)],
    mapping: Annotated[Path | None, typer.Option(help="What its columns are: a YAML document of units, names and the batch's column.")] = None,
    site: Annotated[str, typer.Option(help="The site, where no column says it. Default: the file's name.", show_default=False)] = "",
    process: Annotated[str, typer.Option(help="Convert to the units of this process, by the names of its variables.")] = "",
    spectra: Annotated[bool, typer.Option(help="Take the spectra of the IndPenSim file, too.")] = False,
) -> None:
    """Read batches that others wrote down into a study table; a missing unit is refused."""
    from isogenic.sim.importing import Mapping, import_table
    from isogenic.sim.processes import process_of

    not_over([out], source, mapping)
    into = {each.name: each.unit for each in process_of(process).variables.values()} if process else None
    how = Mapping.read(read_bytes(mapping)) if mapping else None
    print(f"{out}: {import_table(source, out, mapping=how, site=site, into=into, spectra=spectra)}")


ScenarioName = Annotated[str, typer.Argument(help="A scenario document (YAML), or the name of one that is shipped.", show_default=False)]


@sim_app.command("run")
def sim_run(
    scenario: ScenarioName,
    out: Annotated[Path, typer.Option(help="The file of trajectories; the other tables stand beside it.", show_default=False)],
    batches: Annotated[int | None, typer.Option(help="How many. Default: as the scenario says.", show_default=False)] = None,
    workers: Annotated[int, typer.Option(help="Processes of this machine.")] = 1,
    on: Annotated[str, typer.Option(help="A Dask scheduler, such as dask://10.0.0.5:8786, instead of this machine.")] = "",
) -> None:
    """Run a study: many batches of a scenario, written as Parquet."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from isogenic.sim.scenarios import read_scenario
    from isogenic.sim.studies import paths_of, run_study

    not_over(paths_of(out), Path(scenario))
    read = read_scenario(_text(scenario))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("batches"), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task(read.title, total=None)
        study = run_study(
            read, out, batches=batches, workers=workers, on=on, tell=lambda done, total: progress.update(task, completed=done, total=total)
        )
    print(study)


@sim_app.command("fit")
def sim_fit(
    table: Annotated[Path, typer.Argument(help="A study table: from `isogenic sim import`, or from `isogenic sim run`.", show_default=False)],
    constants: Annotated[str, typer.Option(help="Which constants of the process are sought, with commas between.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder for fit.json, report.txt, page.html and scenario.yaml.", show_default=False)],
    process: Annotated[str, typer.Option(help="The process model.")] = "antibody",
    site: Annotated[str, typer.Option(help="Whose batches. Needed where the table has several sites.")] = "",
    settings: Annotated[Path | None, typer.Option(help="Settings of the batches: a fit-settings document, or a scenario.")] = None,
    prior: Annotated[bool, typer.Option(help="Let the process's own spreads between sites have a say.")] = False,
    scatter: Annotated[str, typer.Option(help="Scatter between batches: given (the process's own) or estimated.")] = "given",
    profiles: Annotated[bool, typer.Option(help="Profile likelihood: slower, and says which constants stay open.")] = True,
) -> None:
    """Estimate a site's constants from its batches, with intervals and what can be told at all. Exit code 2: its numbers are not to be used."""
    _one_thread()
    from isogenic.errors import NotValid
    from isogenic.sim.fitting import Method, fit, read_batches
    from isogenic.sim.fitting.comparison import compared
    from isogenic.sim.fitting.documents import Beside, read_beside
    from isogenic.sim.fitting.files import FILES, write_fit
    from isogenic.sim.fitting.problem import priors_of
    from isogenic.sim.outputs import check_folder
    from isogenic.sim.pages.twin_screen import fit_page
    from isogenic.sim.processes import process_of

    not_over([out / name for name in FILES], table, settings)
    check_folder(out, names=FILES, what=f"cannot write into {out}")
    model = process_of(process)
    names = tuple(each.strip() for each in constants.split(",") if each.strip())
    if scatter not in ("given", "estimated"):
        raise NotValid(f"cannot fit with scatter {scatter[:40]}", why="it is given or estimated")
    text = _text(str(settings)) if settings else ""
    beside = read_beside(text, model, site=site) if text else Beside()
    batches = read_batches(table, model, site=site, settings=beside.settings, of_batch=beside.of_batch, lots=beside.lots)
    found = fit(
        model,
        batches,
        constants=names,
        scatter=beside.scatter,
        variables=beside.variables,
        instruments=beside.instruments,
        priors=priors_of(model, [each for each in names if each in model.constants]) if prior else None,
        given=beside.given,
        method=Method(scatter_is="estimated" if scatter == "estimated" else "given", profiles=profiles),
    )
    page = fit_page(found, compared(found), source=table.name)
    print(found)
    print(f"{out}: {', '.join(write_fit(found, out, table=table, beside=text, page=page))}")
    raise SystemExit(0 if not found.doubt else NotValid.exit_code)


@sim_app.command("follow")
def sim_follow(
    folder: Annotated[Path, typer.Argument(help="A site node's folder. It is read only, while the node runs.", show_default=False)],
    plant: Annotated[Path, typer.Option(help="The site's plant document.", show_default=False)],
    process: Annotated[str, typer.Option(help="The process model.")] = "antibody",
    constants: Annotated[str, typer.Option(help="Which constants follow the batch, with commas between.")] = "growth,product",
    batch: Annotated[str, typer.Option(help="Which batch. Default: the newest.", show_default=False)] = "",
    port: Annotated[int, typer.Option(help="Port of the page on 127.0.0.1; 0: any free port.")] = 0,
) -> None:
    """A twin that follows a running batch, on a page of its own on this machine, until interrupted."""
    _one_thread()
    import asyncio

    from isogenic.plant.documents import load_plant
    from isogenic.sim.fitting.following import Follower
    from isogenic.sim.pages.following import serve_follower
    from isogenic.sim.processes import process_of

    names = [each.strip() for each in constants.split(",") if each.strip()]
    follower = Follower(folder, load_plant(read_text(plant), name=plant.name), process_of(process), constants=names, batch=batch)

    async def serve() -> None:
        async with serve_follower(follower, port=port) as url:
            print(f"{url}", flush=True)
            await asyncio.Event().wait()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve())


@sim_app.command("check")
def sim_check(scenario: ScenarioName) -> None:
    """Say what is wrong with a scenario, line by line, or what it asks for."""
    from isogenic.sim.scenarios import read_scenario
    from isogenic.sim.scenarios.pages import scenario_page

    print(scenario_page(read_scenario(_text(scenario))))


@sim_app.command("scenarios")
def sim_scenarios(
    name: Annotated[str, typer.Argument(help="One of them: its text. Default: what there are.", show_default=False)] = "",
) -> None:
    """The scenarios that are shipped."""
    from isogenic.sim.scenarios import example, examples, read_scenario

    print(example(name) if name else "\n".join(f"{each}: {read_scenario(example(each)).title}" for each in examples()))


@sim_app.command("schema")
def sim_schema() -> None:
    """The JSON Schema of scenarios, for completion in an editor."""
    from isogenic.sim.scenarios import schema_text

    print(schema_text(), end="")


def _one_thread() -> None:
    """Fits are made of small matrices, for which threads only wait for one another. Before numpy is loaded, or not at all."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(name, "1")


def _text(scenario: str) -> str:
    """The text of a file, or of a scenario that is shipped."""
    from isogenic.errors import NotFound
    from isogenic.sim.scenarios import example, examples

    if scenario in examples():
        return example(scenario)
    if not Path(scenario).exists():
        raise NotFound(
            f"cannot read {scenario[:200]}", why="there is no such file, and no scenario of this name is shipped", possible=", ".join(examples())
        )
    return read_text(Path(scenario))
