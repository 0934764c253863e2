"""Verbs on records: what an inspector, or whoever keeps the files, asks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A dossier, a node's folder or a backup of it, or one ledger file.", show_default=False)],
    keys: Annotated[
        Path | None, typer.Option(help="The public keys you trust, one to a line. Default: those in the files, with their fingerprints shown.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Verify records from files and public keys only. Exit code 0: verified; 4: altered, and the place is named."""
    from isogenic.shell import verify_path

    raise SystemExit(verify_path(path, keys=keys, as_json=as_json))
