"""Verbs on module type packages (VDI/VDE/NAMUR 2658): inspect, compare, check, write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.verbs import app
from isogenic.errors import NotFound

if TYPE_CHECKING:
    from isogenic.plant.mtp.model import Manifest

module_app = typer.Typer(help="Module type packages: what a skid says of itself.", no_args_is_help=True)
app.add_typer(module_app, name="module")

Package = Annotated[Path, typer.Argument(help="A module type package (.mtp) or a bare manifest (.aml).", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="For programs.")]


@module_app.command("inspect")
def module_inspect(path: Package, as_json: AsJson = False) -> None:
    """List a module's services, procedures, parameters, reports and data assemblies."""
    from isogenic.plant.mtp import pages

    manifest = read_package(path)
    print(json.dumps(pages.as_data(manifest), indent=1) if as_json else pages.show(manifest))


def read_package(path: Path) -> Manifest:
    """A manifest from a file that somebody named."""
    from isogenic.plant.mtp.archive import PACKAGE_MAX
    from isogenic.plant.mtp.reading import read_manifest

    try:
        with path.open("rb") as file:
            data = file.read(PACKAGE_MAX + 1)
    except OSError as trouble:
        raise NotFound(f"cannot read {path}", why=str(trouble.strerror or trouble)) from trouble
    return read_manifest(data, name=path.name)
