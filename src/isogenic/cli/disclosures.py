"""The verb that lists what left a node."""

from __future__ import annotations

from typing import Annotated

import typer

from isogenic.cli.verbs import Folder, app


@app.command()
def disclosures(
    folder: Folder,
    since: Annotated[str, typer.Option(help="Only from this time on, as in 2026-11-23T00:00:00Z.")] = "",
    to: Annotated[str, typer.Option(help="Only to this party: node LEEDS, sponsor ASTER-BIO, person INA, or the id alone.")] = "",
) -> None:
    """List what left a node, when and to whom, from its own signed journal."""
    from isogenic.shell.inspecting import disclosure_report

    for line in disclosure_report(folder, since=since, to=to):
        print(line)
