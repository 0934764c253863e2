"""Verbs on records: what an inspector, or whoever keeps the files, asks of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app


@app.command()
def verify(
    path: Annotated[Path, typer.Argument(help="A dossier: a folder or a .zip.", show_default=False)],
    keys: Annotated[
        Path | None, typer.Option(help="The public keys you trust, one to a line. Default: those in the dossier, with their fingerprints shown.")
    ] = None,
) -> None:
    """Verify a dossier from files and public keys only. Exit code 0: verified; 4: altered, and the place is named."""
    from isogenic.shell import verify_path

    raise SystemExit(verify_path(path, keys=keys))
