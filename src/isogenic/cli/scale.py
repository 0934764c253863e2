"""The verb for a control site that has outgrown one machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app


@app.command()
def migrate(
    folder: Folder,
    load: Annotated[bool, typer.Option("--load", help="Bring the ledgers of the folder's files into the database. No process may run.")] = False,
    unload: Annotated[
        Path | None, typer.Option(help="Write the database's ledgers into files in this folder, for verify or for the way back.")
    ] = None,
) -> None:
    """Bring a control site's database up to date: its layout, never its facts. Also done when a process starts."""
    from isogenic.shell.files import migrate_database

    for line in migrate_database(folder, load=load, unload=unload):
        print(line)
