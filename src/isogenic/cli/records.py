"""Verbs on records: what an inspector, or whoever keeps the files, asks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app, read_text


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A dossier, a node's folder or a backup of it, or one ledger file.", show_default=False)],
    keys: Annotated[
        Path | None, typer.Option(help="The public keys you trust, one to a line. Default: those in the files, with their fingerprints shown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify records from files and public keys only. Exit code 0: verified; 4: altered, and the place is named."""
    from isogenic.shell.inspecting import verify_path

    raise SystemExit(verify_path(path, keys=keys, as_json=as_json))


@app.command()
def record(
    folder: Folder,
    batch: Annotated[str, typer.Argument(help="The batch.", show_default=False)],
    pdf: Annotated[Path | None, typer.Option(help="Write it here as PDF.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write it here as one page of HTML.")] = None,
    text: Annotated[Path | None, typer.Option(help="Write it here as text. With no file named, it is printed.")] = None,
    readings: Annotated[bool, typer.Option(help="Compare set-points with the sealed readings, which reads all of them.")] = True,
) -> None:
    """Write the executed batch record of a batch from a site's or the control site's folder."""
    from isogenic.ids import BatchId
    from isogenic.quality.executed.html import as_html
    from isogenic.quality.executed.pdf import as_pdf
    from isogenic.quality.executed.text import as_text
    from isogenic.records.durable import write_whole
    from isogenic.shell.batch_records import record_in

    found = record_in(folder, BatchId(batch), readings=readings)
    if pdf is not None:
        write_whole(pdf, as_pdf(found))
    if html is not None:
        write_whole(html, as_html(found).encode())
    if text is not None:
        write_whole(text, as_text(found).encode())
    elif pdf is None and html is None:
        print(as_text(found), end="")


statement_app = typer.Typer(help="Statements for strangers: export and verify.", no_args_is_help=True)
app.add_typer(statement_app, name="statement")


@statement_app.command("export")
def statement_export(
    folder: Folder,
    kind: Annotated[str, typer.Argument(help="recipe_release, batch_complete, lot_decision or model_release.", show_default=False)],
    about: Annotated[str, typer.Argument(help="A recipe and its version (MAB-FB/1), a batch, a lot, or a product.", show_default=False)],
    person: Annotated[str, typer.Option(help="Who asks for it, by id.")],
    out: Annotated[Path, typer.Option(help="The file to write.")],
    password: Annotated[str, typer.Option(prompt=True, hide_input=True, envvar="ISOGENIC_PASSWORD", help="Of the person.", show_default=False)],
) -> None:
    """Export a signed statement with its receipt from a control site's folder; it is noted there. A running control site does it over its API."""
    from isogenic.shell.inspecting import export_statement

    export_statement(folder, kind, about=about, person=person, password=password, out=out)


@statement_app.command("verify")
def statement_verify(
    path: Annotated[Path, typer.Argument(help="A statement.", show_default=False)],
    keys: Annotated[Path, typer.Option(help="The public keys you trust, one to a line.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify a statement and its receipt from files only. Exit code 0: verified; 4: not to be believed, and why."""
    from isogenic.errors import NotTrusted
    from isogenic.records import codec
    from isogenic.records.folder import read_file
    from isogenic.records.statements import verify_statement

    report = verify_statement(read_file(path), keys=read_text(keys), name=path.name)
    print(codec.dumps(report.plain()).decode() if as_json else report)
    raise SystemExit(0 if report.ok else NotTrusted.exit_code)
