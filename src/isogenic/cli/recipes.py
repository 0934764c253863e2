"""Verbs on recipe documents: check, show, compare, derive."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app, read_bytes, read_text

recipe_app = typer.Typer(help="Check, show, compare and derive recipes.", no_args_is_help=True)
app.add_typer(recipe_app, name="recipe")

Document = Annotated[Path, typer.Argument(help="A recipe document (YAML).", show_default=False)]


@recipe_app.command("check")
def recipe_check(path: Document) -> None:
    """Say what is wrong with a recipe or another document that people write, line by line, and of which kind it is."""
    from isogenic.authority import commitments, master_file
    from isogenic.materials import changeover
    from isogenic.quality import specifications
    from isogenic.recipes import checking

    others: dict[str, Callable[[str], object]] = {  # of rooms that recipes do not know
        specifications.KIND: specifications.read_specification,
        master_file.KIND: master_file.load_master_file,
        commitments.KIND: commitments.load_commitments,
        changeover.KIND: changeover.read_matrix,
    }
    text = read_text(path)
    kind = checking.kind_of(text)
    if kind in others:
        others[kind](text)
        print(checking.as_page(f"{path.name}: {kind.removeprefix('isogenic: ').partition('/')[0].replace('-', ' ')}", text))
        return
    print(checking.check(text, name=path.name, also=tuple(others)))


@recipe_app.command("show")
def recipe_show(path: Document) -> None:
    """Show a recipe as a procedure that people read."""
    from isogenic.recipes import pages

    print(pages.show(read_text(path), name=path.name))


@recipe_app.command("diff")
def recipe_diff(old: Document, new: Document) -> None:
    """What changed from one recipe to another, typed."""
    from isogenic.recipes import pages

    print(pages.diff(read_text(old), read_text(new), names=(old.name, new.name)))


@recipe_app.command("affected")
def recipe_affected(
    old: Document, new: Document, sites: Annotated[list[Path], typer.Argument(help="The sites' recipe documents.", show_default=False)]
) -> None:
    """Which sites' master recipes a new version reaches; the others are proven equal by digest."""
    from isogenic.recipes import pages

    print(pages.affected(read_text(old), read_text(new), [(path.name, read_text(path)) for path in sites], names=(old.name, new.name)))


@recipe_app.command("schema")
def recipe_schema(kind: Annotated[str, typer.Argument(help="general-recipe, site-recipe, plant or blocks.")] = "general-recipe") -> None:
    """The JSON Schema of a kind of document, for completion in an editor."""
    from isogenic.recipes.schemas import schema_text

    print(schema_text(kind))


@recipe_app.command("assemble")
def recipe_assemble(
    path: Document,
    library: Annotated[list[Path], typer.Option(help="A library of blocks (isogenic: blocks/1). May be given several times.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write it. Default: on the screen.", show_default=False)] = None,
) -> None:
    """Paste the blocks that a recipe uses out of libraries into it, so that what is signed is whole."""
    from isogenic.recipes.blocks import assembled

    text = assembled(read_text(path), {each.name: read_text(each) for each in library})
    if out is None:
        print(text)
    else:
        out.write_text(text, encoding="utf-8")


@recipe_app.command("chart")
def recipe_chart(path: Document, out: Annotated[Path | None, typer.Option(help="Write it as SVG to this file.", show_default=False)] = None) -> None:
    """Show the procedure as a chart, or write it as an SVG picture."""
    from isogenic.recipes import pages

    text, picture = pages.chart(read_text(path), name=path.name)
    if out is None:
        print(text)
        return
    out.write_text(picture, encoding="utf-8")
    print(f"{out.name}: {len(picture.encode())} bytes")


@recipe_app.command("record")
def recipe_record(
    path: Document,
    site: Annotated[Path | None, typer.Option(help="The site's recipe document, for a record of one site.", show_default=False)] = None,
    plant: Annotated[Path | None, typer.Option(help="The site's plant document.", show_default=False)] = None,
    unit: Annotated[str, typer.Option(help="For which unit. Default: the first of the class.")] = "",
    out: Annotated[Path | None, typer.Option(help="Write it as PDF to this file.", show_default=False)] = None,
) -> None:
    """The master batch record: the procedure on paper, with room for entries and signatures."""
    from isogenic.clock import SystemClock
    from isogenic.recipes import master_record, pages

    general = read_text(path)
    names = (path.name, site.name if site else "", plant.name if plant else "")
    record = pages.record_of(general, site=read_text(site) if site else "", plant=read_text(plant) if plant else "", unit=unit, names=names)
    if out is None:
        print(master_record.as_text(record))
        return
    data = master_record.as_pdf(record, document=general, at=SystemClock().now().at)
    out.write_bytes(data)
    print(f"{out.name}: {len(data)} bytes")


@recipe_app.command("export")
def recipe_export(
    path: Document,
    batchml: Annotated[bool, typer.Option("--batchml", help="As BatchML (ISA-88.00.02, B2MML). The only form so far.")] = True,
    out: Annotated[Path | None, typer.Option(help="Where to write it. Default: beside the document, ending in .xml.")] = None,
) -> None:
    """Write a general recipe as a BatchML master recipe, and list what only Isogenic will understand of it."""
    from isogenic.clock import SystemClock, text_of_time
    from isogenic.recipes import pages

    data, listed = pages.export_batchml(read_text(path), name=path.name, at=text_of_time(SystemClock().now().at) if batchml else "")
    target = out or path.with_suffix(".xml")
    target.write_bytes(data)
    print(f"{target.name}: {len(data)} bytes")
    for line in listed:
        print(f"  {line}")


@recipe_app.command("import")
def recipe_import(
    path: Annotated[Path, typer.Argument(help="A BatchML file (XML) with a master recipe.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Where to write it. Default: on the screen.")] = None,
) -> None:
    """Read a BatchML master recipe as a general recipe document; its first lines list what was not carried."""
    from isogenic.recipes import pages

    text, listed = pages.import_batchml(read_bytes(path))
    if out is None:
        print(text)
        return
    out.write_text(text, encoding="utf-8")
    print(f"{out.name}: {len(listed)} things to look at, listed in its first lines")


@recipe_app.command("derive")
def recipe_derive(
    general: Document,
    site_document: Annotated[Path, typer.Argument(help="The site's recipe document.", show_default=False)],
    plant: Annotated[Path, typer.Argument(help="The site's plant document.", show_default=False)],
    unit: Annotated[str, typer.Option(help="For which unit. Default: each.")] = "",
) -> None:
    """Derive the control recipe for a site's units, or say why not."""
    from isogenic.recipes import pages

    names = (general.name, site_document.name, plant.name)
    print(pages.derive(read_text(general), read_text(site_document), read_text(plant), unit=unit, names=names))
