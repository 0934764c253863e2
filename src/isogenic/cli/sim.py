"""Verbs on facilities that do not exist: studies of scenarios, the catalogue of faults, what the process models know."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app, read_bytes

sim_app = typer.Typer(help="Simulated facilities: run studies, list faults and process models.", no_args_is_help=True)
app.add_typer(sim_app, name="sim")


@sim_app.command("faults")
def sim_faults(process: Annotated[str, typer.Option(help="Only those that this process can have.")] = "") -> None:
    """The catalogue of faults: what each is, its size, what is seen of it."""
    from isogenic.sim.faults.pages import faults_page

    print(faults_page(process))


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

    into = {each.name: each.unit for each in process_of(process).variables.values()} if process else None
    how = Mapping.read(read_bytes(mapping)) if mapping else None
    print(f"{out}: {import_table(source, out, mapping=how, site=site, into=into, spectra=spectra)}")
