"""Rows of a Parquet file, in pieces.

Guarantees: a file whose footer contradicts itself or its rows is refused; a short file that unfolds into long texts is
refused before it does. Memory does not grow with the number of rows.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from isogenic.errors import NotValid
from isogenic.sim.importing.indpensim import is_indpensim, layout_of
from isogenic.sim.importing.mapping import Layout, Mapping, laid_out
from isogenic.sim.importing.rows import Lines, Pieces, wrong

__all__ = ["parquet_pieces"]

ROWS_AT_ONCE = 4096  # of 2,200 channels that is 36 MB
TEXT_BYTES_MAX = 1000  # of one value


def parquet_pieces(source: Path, *, mapping: Mapping | None, into: dict[str, str] | None, spectra: bool) -> tuple[Pieces, Layout, str]:
    """Its rows, what its columns are, and what it is."""
    schema = pq.read_schema(source)
    file = pq.ParquetFile(source, read_dictionary=[each.name for each in schema if _is_text(each.type)])
    _check_honest(file.metadata)
    headings = file.schema_arrow.names
    if mapping is None and is_indpensim(headings):
        layout, kind = layout_of(headings, spectra=spectra), "IndPenSim layout"
    else:
        said = [(each.metadata or {}).get(b"unit", b"").decode("utf-8", "replace") for each in file.schema_arrow]
        layout, kind = laid_out(headings, mapping=mapping or Mapping(), said=said, into=into), "Parquet table"
    return _groups(file, layout), layout, kind


def _groups(file: pq.ParquetFile, layout: Layout) -> Pieces:
    wanted = [layout.batch, layout.time, layout.site, *(each.at for each in layout.columns)]
    names = [layout.headings[at] for at in wanted if at is not None]
    if len(set(layout.headings)) != len(layout.headings):
        raise NotValid("cannot read the table", why="two columns have the same heading", possible="headings that differ")
    before, promised = 0, file.metadata.num_rows
    for piece in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=names):
        at_of = {name: at for at, name in enumerate(piece.schema.names)}
        lines = Lines(1 + before + np.arange(piece.num_rows, dtype=np.int64))
        arrays = [
            _told(piece.column(at_of[name]), at, name, lines) if name in at_of else pa.nulls(piece.num_rows)
            for at, name in enumerate(layout.headings)
        ]
        yield pa.RecordBatch.from_arrays(arrays, names=[str(at) for at in range(len(arrays))]), lines
        before += piece.num_rows
    if before != promised:
        raise NotValid("cannot read the table", why=f"it promises {promised} rows and has {before}")


def _check_honest(said: pq.FileMetaData) -> None:
    """What the file says of its rows agrees with itself: of those that it keeps silent about, nobody would hear."""
    groups = [said.row_group(at) for at in range(said.num_row_groups)]
    if sum(each.num_rows for each in groups) != said.num_rows or any(each.num_rows < 0 for each in groups):
        raise NotValid("cannot read the table", why="its footer contradicts itself about how many rows there are")
    for group in groups:
        for at in range(group.num_columns):
            if said.schema.column(at).max_repetition_level == 0 and group.column(at).num_values != group.num_rows:
                raise NotValid("cannot read the table", why="its columns are not of one length", possible="a file that was written whole")


def _is_text(of: pa.DataType) -> bool:
    return bool(pa.types.is_string(of) or pa.types.is_large_string(of))


def _told(column: pa.Array, at: int, heading: str, lines: Lines) -> pa.Array:
    """A column as it is; texts are looked at once each, before there are as many of them as rows."""
    if not pa.types.is_dictionary(column.type):
        return column
    if _is_text(column.type.value_type):
        longest = pc.max(pc.binary_length(column.dictionary)).as_py() or 0
        if longest > TEXT_BYTES_MAX:
            raise wrong(lines.of(0), at, heading, f"a text of {longest} bytes", possible=f"up to {TEXT_BYTES_MAX}")
    return column.dictionary_decode()
