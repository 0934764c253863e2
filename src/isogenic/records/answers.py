"""The answer to a query, as people and programs take it: a table of text, CSV, JSON, Parquet."""

from __future__ import annotations

import csv
import io
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from isogenic.errors import NotValid

__all__ = ["written"]

FORMS = ("table", "csv", "json", "parquet")


def written(answer: pa.Table, form: str, *, to_file: bool) -> bytes:
    """The bytes of an answer in one of the forms."""
    if form not in FORMS or (form == "parquet" and not to_file):
        why = "Parquet is for a file" if form == "parquet" else f"{form[:40]!r} is none of them"
        raise NotValid("cannot write the answer", why=why, possible=f"{', '.join(FORMS)}; --out FILE")
    if form == "parquet":
        sink = io.BytesIO()
        pq.write_table(answer, sink, compression="zstd")
        return sink.getvalue()
    rows = [[_plain(value) for value in row.values()] for row in answer.to_pylist()]
    if form == "json":
        return orjson.dumps([dict(zip(answer.column_names, row, strict=True)) for row in rows], default=str) + b"\n"
    if form == "csv":
        text = io.StringIO()
        sheet = csv.writer(text, lineterminator="\n")
        sheet.writerows([answer.column_names, *rows])
        return text.getvalue().encode()
    shown = [answer.column_names, *(["" if value is None else str(value) for value in row] for row in rows)]
    widths = [max(len(row[column]) for row in shown) for column in range(len(answer.column_names))]
    return "".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() + "\n" for row in shown).encode()


def _plain(value: Any) -> Any:
    return value.isoformat(timespec="milliseconds").replace("+00:00", "Z") if hasattr(value, "isoformat") and hasattr(value, "hour") else value
