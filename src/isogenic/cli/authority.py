"""Verbs of authority, on a control site's folder: who may make what where, what differs, and documents for the authorities."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app

authority_app = typer.Typer(help="Master files, licences, leases, the three-way difference, and documents for the authorities.", no_args_is_help=True)
app.add_typer(authority_app, name="authority")

Name = Annotated[str, typer.Argument(help="A master file, for example MF-MAB-A.", show_default=False)]
Law = Annotated[str, typer.Argument(help="A jurisdiction: uk, us or eu.", show_default=False)]
Pdf = Annotated[Path | None, typer.Option(help="Write it as PDF to this file.", show_default=False)]
Json = Annotated[bool, typer.Option("--json", help="Print it for programs.")]


@authority_app.command("show")
def show(folder: Folder) -> None:
    """List licences with their leases, master files and competences."""
    from isogenic.shell.authority import lines_of, state_in

    state, at = state_in(folder)
    for line in lines_of(state, at):
        print(line)


@authority_app.command("difference")
def difference(folder: Folder, master_file: Name) -> None:
    """Compare commitments, master file and executable recipe. Exit code 3 where a batch would not be as authorised."""
    from isogenic.checks import Severity
    from isogenic.ids import MasterFileId
    from isogenic.network.differences import differences
    from isogenic.shell.authority import state_in

    state, at = state_in(folder)
    found = differences(state, MasterFileId(master_file), now=at)
    for each in found:
        print(f"{each.severity}  {each}" + (f"  ({each.clause})" if each.clause else ""))
    if not found:
        print("the three say the same")
    if any(each.severity is Severity.STOP for each in found):
        raise typer.Exit(3)


@authority_app.command("annual-report")
def annual_report(folder: Folder, master_file: Name, law: Law, pdf: Pdf = None, json: Json = False) -> None:
    """Make the annual report of a master file, over the year up to the newest fact."""
    from isogenic.ids import MasterFileId
    from isogenic.network.authority_reports import annual_report_of
    from isogenic.shell.authority import jurisdiction, state_in

    state, at = state_in(folder)
    _give(annual_report_of(state, MasterFileId(master_file), law=jurisdiction(law), since=at - timedelta(days=365), until=at), pdf, json)


@authority_app.command("registration")
def registration(folder: Folder, master_file: Name, law: Law, pdf: Pdf = None, json: Json = False) -> None:
    """Make the registration of the sites of a jurisdiction."""
    from isogenic.ids import MasterFileId
    from isogenic.network.authority_reports import registration_of
    from isogenic.shell.authority import jurisdiction, state_in

    state, at = state_in(folder)
    _give(registration_of(state, MasterFileId(master_file), law=jurisdiction(law), at=at), pdf, json)


def _give(report: object, pdf: Path | None, json: bool) -> None:
    from isogenic.authority.reports import Report, as_json, as_pdf, as_text

    assert isinstance(report, Report)
    if pdf is not None:
        pdf.write_bytes(as_pdf(report))
        print(f"{report.title}: {pdf}")
    else:
        print(as_json(report).decode() if json else as_text(report), end="\n" if json else "")
