"""Verbs on facilities that do not exist: studies of scenarios, the catalogue of faults, what the process models know."""

from __future__ import annotations

from typing import Annotated

import typer

from isogenic.cli.verbs import app

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
