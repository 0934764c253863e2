"""Verbs on readings: list, check and query sealed blocks, in a folder or an object store."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from isogenic.cli.verbs import app

readings_app = typer.Typer(help="List, check and query sealed readings.", no_args_is_help=True)
app.add_typer(readings_app, name="readings")

Where = Annotated[str, typer.Argument(help="A node's folder, a dossier, or a folder or URL of readings (s3://bucket/prefix).", show_default=False)]
Sponsor = Annotated[str, typer.Option(help="Of this sponsor. Readings of several are never read together.")]
Batch = Annotated[str, typer.Option(help="Of this batch only.")]
House = Annotated[bool, typer.Option("--house", help="Readings of units while no batch was on them, instead of those of batches.")]


@readings_app.command("list")
def readings_list(where: Where, sponsor: Sponsor = "", batch: Batch = "", house: House = False) -> None:
    """List the blocks that a place should hold."""
    from isogenic.records.catalogue import Catalogue

    for block in Catalogue.open(where).of(sponsor=sponsor, batch=batch, house=house):
        times = f"{block.first:%Y-%m-%d %H:%M} to {block.last:%Y-%m-%d %H:%M}, {block.rows} rows" if block.first and block.last else "no fact here"
        print(f"{block.sponsor or 'HOUSE':16} {block.site:8} {block.about:16} {block.number:6}  {block.digest[:16]}  {times}")


@readings_app.command("check")
def readings_check(where: Where) -> None:
    """Read every block and compare its digest. Exit code 0: all are there and right; 4: one is not, and it is named."""
    from isogenic.errors import NotTrusted
    from isogenic.records.catalogue import Catalogue

    catalogue = Catalogue.open(where)
    wrong = catalogue.check()
    for line in wrong:
        print(line)
    vouched = sum(block.vouched for block in catalogue.blocks)
    print(f"{len(catalogue.blocks) - len(wrong)} of {len(catalogue.blocks)} blocks are right; facts here name {vouched} of them")
    raise SystemExit(NotTrusted.exit_code if wrong else 0)


@readings_app.command("query")
def readings_query(
    where: Where,
    sql: Annotated[str, typer.Option(help="One SELECT over the views `readings`, one for each unit, and `blocks`.")],
    sponsor: Sponsor = "",
    batch: Batch = "",
    house: House = False,
    form: Annotated[str, typer.Option("--format", help="table, csv, json or parquet.")] = "table",
    out: Annotated[Path | None, typer.Option(help="Write the answer here. Parquet needs it.")] = None,
    limit: Annotated[int, typer.Option(help="More rows than this are refused, never cut off.", min=1, max=1_000_000)] = 100_000,
) -> None:
    """Answer one SELECT from blocks whose digest is right. Nothing else can be read, and nothing changed."""
    import tempfile

    from isogenic.records.answers import written
    from isogenic.records.catalogue import Catalogue
    from isogenic.records.durable import write_whole
    from isogenic.records.queries import query

    catalogue = Catalogue.open(where)
    with tempfile.TemporaryDirectory(prefix="isogenic-readings-") as scratch:
        blocks = catalogue.of(sponsor=sponsor, batch=batch, house=house)
        data = written(query(catalogue, sql, blocks=blocks, scratch=Path(scratch), rows=limit), form, to_file=out is not None)
    if out is not None:
        write_whole(out, data)
    else:
        print(data.decode(), end="")
