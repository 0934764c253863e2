"""Verbs on module type packages (VDI/VDE/NAMUR 2658): inspect, compare, check, write."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from isogenic.cli.verbs import app, read_text
from isogenic.errors import NotFound, NotReachable, NotValid

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


@module_app.command("compare")
def module_compare(one: Package, other: Package, as_json: AsJson = False) -> None:
    """Are two modules of the same type? Every difference, typed. Ends with 2 where they are not."""
    from dataclasses import asdict

    from isogenic.plant.mtp import pages
    from isogenic.plant.mtp.comparing import compare, same_type

    old, new = read_package(one), read_package(other)
    found = compare(old, new)
    same = same_type(old, new)
    print(json.dumps({"same_type": same, "differences": [asdict(each) for each in found]}, indent=1) if as_json else pages.compared(old, new, found))
    if not same:
        raise typer.Exit(NotValid.exit_code)


@module_app.command("check")
def module_check(
    paths: Annotated[list[Path], typer.Argument(help="The packages of one unit's modules.", show_default=False)],
    cls: Annotated[str, typer.Option("--class", help="The equipment class that a recipe asks for.", show_default=False)],
    as_json: AsJson = False,
) -> None:
    """Does a module offer what an equipment class asks for? Ends with 2 where it does not."""
    from dataclasses import asdict

    from isogenic.checks import stops
    from isogenic.plant.classes import CLASSES
    from isogenic.plant.mtp import pages
    from isogenic.plant.mtp.checking import check_module

    if cls not in CLASSES:
        raise NotFound(f"no equipment class {cls[:60]}", possible=", ".join(CLASSES))
    manifests = [read_package(path) for path in paths]
    notes = check_module(manifests, CLASSES[cls])
    print(json.dumps([asdict(each) for each in notes], indent=1) if as_json else pages.checked([each.name for each in manifests], cls, notes))
    if stops(notes):
        raise typer.Exit(NotValid.exit_code)


@module_app.command("manifest")
def module_manifest(
    plant: Annotated[Path, typer.Argument(help="A plant document (YAML).", show_default=False)],
    module: Annotated[str, typer.Argument(help="Which of its modules.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Write a package (.mtp), or a bare manifest (.aml). Default: show it.")] = None,
    older: Annotated[bool, typer.Option("--older", help="In the older dialect: manifest 1.0.0, CAEX 2.15.")] = False,
) -> None:
    """Write the manifest of a module from its plant document."""
    from isogenic.ids import ModuleId
    from isogenic.plant.documents import load_plant
    from isogenic.plant.mtp.archive import packed
    from isogenic.plant.mtp.model import Dialect
    from isogenic.plant.mtp.writing import write_manifest
    from isogenic.sim.module_manifests import manifest_of_module

    known = load_plant(read_text(plant), name=plant.name)
    data = write_manifest(manifest_of_module(known, ModuleId(module), dialect=Dialect.V1_0 if older else Dialect.V1_1))
    if out is None:
        print(data.decode())
        return
    try:
        out.write_bytes(packed(data) if out.suffix == ".mtp" else data)
    except OSError as trouble:
        raise NotReachable(f"cannot write {out}", why=str(trouble.strerror or trouble)) from trouble
    print(f"{out}: {out.stat().st_size} bytes")


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
