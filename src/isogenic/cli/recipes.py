"""Verbs on recipe documents: check, show, compare, derive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app, read_text

recipe_app = typer.Typer(help="Check, show, compare and derive recipes.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")

Document = Annotated[Path, typer.Argument(help="A recipe document (YAML).", show_default=False)]


@recipe_app.command("check")
def recipe_check(path: Document) -> None:
    """Say what is wrong with a recipe, line by line."""
    from isogenic.recipes import pages

    print(pages.check(read_text(path), name=path.name))


@recipe_app.command("show")
def recipe_show(path: Document) -> None:
    """Show a recipe as a procedure that people read."""
    from isogenic.recipes import pages

    print(pages.show(read_text(path), name=path.name))


@recipe_app.command("diff")
def recipe_diff(old: Document, new: Document) -> None:
    """What changed from one recipe to another, typed."""
    from isogenic.recipes import pages

    print(pages.diff(read_text(old), read_text(new)))


@recipe_app.command("affected")
def recipe_affected(
    old: Document, new: Document, sites: Annotated[list[Path], typer.Argument(help="The sites' recipe documents.", show_default=False)]
) -> None:
    """Which sites' master recipes a new version reaches; the others are proven equal by digest."""
    from isogenic.recipes import pages

    print(pages.affected(read_text(old), read_text(new), [(path.name, read_text(path)) for path in sites]))


@recipe_app.command("derive")
def recipe_derive(
    general: Document,
    site_document: Annotated[Path, typer.Argument(help="The site's recipe document.", show_default=False)],
    plant: Annotated[Path, typer.Argument(help="The site's plant document.", show_default=False)],
    unit: Annotated[str, typer.Option(help="For which unit. Default: each.")] = "",
) -> None:
    """Derive the control recipe for a site's units, or say why not."""
    from isogenic.recipes import pages

    print(pages.derive(read_text(general), read_text(site_document), read_text(plant), unit=unit))
