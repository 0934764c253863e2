"""Rows of a CSV file, in pieces.

Guarantees: commas separate, as RFC 4180 has it; a file with another separator is refused by its name. A row knows its line,
empty ones are left out. Text is UTF-8.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from isogenic.errors import NotValid
from isogenic.sim.importing.indpensim import is_indpensim, layout_of, mended
from isogenic.sim.importing.mapping import Layout, Mapping, laid_out
from isogenic.sim.importing.rows import Lines, Pieces

__all__ = ["csv_pieces"]

BLOCK_BYTES = 4 << 20  # a piece of a file; a line must fit in it
HEAD_BYTES = 1 << 20  # the first two lines
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_pieces(source: Path, *, mapping: Mapping | None, into: dict[str, str] | None, spectra: bool) -> tuple[Pieces, Layout, str]:
    """Its rows, what its columns are, and what it is."""
    with source.open("rb") as stream:
        head = stream.read(HEAD_BYTES + 1)
    first, second, third = _head(head)
    _check_separated(first)
    if mapping is None and is_indpensim(first):
        headings = mended(first, width=len(second))
        return _rows(source, headings, skip=1), layout_of(headings, spectra=spectra), "IndPenSim layout"
    said = second if _is_units(second, third) and len(second) == len(first) else ()
    return _rows(source, first, skip=2 if said else 1), laid_out(first, mapping=mapping or Mapping(), said=said, into=into), "CSV table"


def _head(head: bytes) -> tuple[list[str], list[str], list[str]]:
    if b"\x00" in head:
        raise NotValid("cannot read the table", why="it holds zero bytes, so it is no text", possible="CSV in UTF-8, or Parquet")
    if b"\n" not in head and b"\r" in head:
        raise NotValid("cannot read the table", why="its lines end with a carriage return alone", possible="line feeds, as every editor writes them")
    lines = head.split(b"\n", 3)[:3]
    if len(head) > HEAD_BYTES and len(head.split(b"\n", 2)) < 3:
        raise NotValid("cannot read the table", why=f"its first two lines are longer than {HEAD_BYTES} bytes")
    try:
        texts = [line.decode("utf-8-sig" if at == 0 else "utf-8").rstrip("\r") for at, line in enumerate(lines)]
    except UnicodeDecodeError as trouble:
        raise NotValid("cannot read the table", why=f"it is not text in UTF-8: {trouble.reason}", possible="save it as UTF-8") from trouble
    if not texts or not texts[0].strip():
        raise NotValid("cannot read the table", why="line 1 is empty", possible="a first line with the names of the columns")
    rows = [next(csv.reader(io.StringIO(text)), []) for text in texts] + [[], []]
    return rows[0], rows[1], rows[2]


def _check_separated(first: Sequence[str]) -> None:
    """A comma is what separates; another mark is named, and never guessed: `1;234` may be two numbers, or one of another country."""
    if len(first) == 1:
        for mark, said in SEPARATORS.items():
            if mark in first[0]:
                possible = "the table saved with commas between columns, and points in numbers"
                raise NotValid("cannot read the table", why=f"line 1: {said} separate its columns, not commas", possible=possible)


def _is_units(second: Sequence[str], third: Sequence[str]) -> bool:
    """Whether the second line holds units: above the numbers of the third stand texts, at least one that is not the unit 1."""
    above = [one.strip() for one, other in zip(second, third, strict=False) if _number(other)]
    return any(each not in ("", "1") for each in above) and not any(_number(each) for each in above if each != "1")


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _rows(source: Path, headings: Sequence[str], *, skip: int) -> Pieces:
    names = [str(at) for at in range(len(headings))]
    try:
        reader = pa_csv.open_csv(
            source,
            read_options=pa_csv.ReadOptions(use_threads=False, block_size=BLOCK_BYTES, skip_rows=skip, column_names=names),
            parse_options=pa_csv.ParseOptions(ignore_empty_lines=False),  # so that a row knows its line
            convert_options=pa_csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        )
    except pa.ArrowInvalid as trouble:
        if "Empty CSV file" in str(trouble):
            raise NotValid("cannot read the table", why="it has no rows") from trouble
        raise
    before = 0
    for piece in reader:
        numbers = skip + 1 + before + np.arange(piece.num_rows, dtype=np.int64)
        before += piece.num_rows
        empty = np.ones(len(numbers), dtype=bool)
        for column in piece.columns:
            empty &= pc.equal(column, "").to_numpy(zero_copy_only=False)
            if not empty.any():
                break
        if not empty.all():
            yield piece.filter(pa.array(~empty)), Lines(numbers[~empty])
