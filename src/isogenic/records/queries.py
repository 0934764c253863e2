"""SQL over sealed readings, with DuckDB: read-only, and blind to everything but the blocks it was given.

    readings(sponsor, site, batch, unit, signal, at, value, quality, unit_of_measure)     one row a reading
    "BR-50"(sponsor, site, batch, "at", temperature, temperature__quality, ...)           one row a scan, a view for each unit
    blocks(sponsor, site, batch, number, digest, file, vouched)                           what the others are made of

Guarantees: every block is hashed before its view exists, and one that has another digest ends the query. One SELECT; no other
statement, no file but the blocks, no network, no extension; memory, time and rows are bounded. The bytes that were hashed are those that are read:
they are copied to a folder of their own first, unless the place is a local folder, whose files nobody is expected to change.
Leaves to others: which blocks (catalogue), printing (cli).
"""

# ruff: noqa: S608 - names and texts that become SQL are quoted by `_name` and `_text`; what is asked runs where nothing can be reached

from __future__ import annotations

import json
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.records.blobs import DiskFiles
from isogenic.records.blocks import FORMAT_1, QUALITY, open_file
from isogenic.records.catalogue import BlockFile, Catalogue

__all__ = ["ROWS_MAX", "query"]

ROWS_MAX = 1_000_000  # rows of an answer: what a spreadsheet takes
MEMORY = "1GB"
SECONDS = 120.0


def query(catalogue: Catalogue, sql: str, *, blocks: Sequence[BlockFile], scratch: Path, rows: int = ROWS_MAX, seconds: float = SECONDS) -> pa.Table:
    """The answer to one SELECT over these blocks. `scratch` is an empty folder for what must be copied."""
    import duckdb

    if not blocks:
        raise NotFound("no readings to query", why="no block is of what was named")
    files = [_local(catalogue, block, scratch) for block in blocks]
    _check_select(sql)
    database = duckdb.connect(":memory:")
    try:
        database.execute(f"SET memory_limit='{MEMORY}'; SET threads=2; SET TimeZone='UTC'; SET autoinstall_known_extensions=false")
        _views(database, blocks, files)
        database.execute(f"SET allowed_paths={_list(files)}")
        database.execute("SET enable_external_access=false")
        database.execute("SET lock_configuration=true")
        alarm = threading.Timer(seconds, database.interrupt)
        alarm.start()
        try:
            answer = database.sql(sql).limit(rows + 1).to_arrow_table()
        except duckdb.InterruptException as trouble:
            raise NotAllowed("query ended", why=f"it took longer than {seconds:g} s", possible="ask for less") from trouble
        except duckdb.Error as trouble:
            raise NotValid("cannot answer the query", why=str(trouble)[:400]) from trouble
        finally:
            alarm.cancel()
    finally:
        database.close()
    if answer.num_rows > rows:
        raise NotAllowed("query refused", why=f"its answer has more than {rows} rows", possible="ask for less, or a larger --limit")
    return answer


def _check_select(sql: str) -> None:
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
    except duckdb.Error as trouble:
        raise NotValid("cannot read the query", why=str(trouble)[:400]) from trouble
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise NotAllowed("query refused", why="readings are read, never changed: one SELECT")


def _local(catalogue: Catalogue, block: BlockFile, scratch: Path) -> str:
    data = catalogue.data(block)
    if isinstance(catalogue.files, DiskFiles):
        return str(block.path.absolute())
    path = scratch / f"{block.digest}.parquet"
    path.write_bytes(data)
    return str(path)


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _list(files: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, files)) + "]"


def _views(database: Any, blocks: Sequence[BlockFile], files: Sequence[str]) -> None:
    table = pa.table(
        {
            "sponsor": [each.sponsor for each in blocks],
            "site": [each.site for each in blocks],
            "batch": [each.about for each in blocks],
            "number": pa.array([each.number for each in blocks], type=pa.int32()),
            "digest": [each.digest for each in blocks],
            "file": list(files),
            "vouched": [each.vouched for each in blocks],
        }
    )
    database.register("given", table)
    database.execute("CREATE TABLE blocks AS SELECT * FROM given")
    database.unregister("given")
    shapes: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
    for file in files:
        shapes[_shape(file)].append(file)
    wide: dict[str, list[str]] = defaultdict(list)
    long = []
    for number, (shape, some) in enumerate(shapes.items()):
        source = f"shape_{number}"
        keys = "b.sponsor, b.site, b.batch"
        read = f"read_parquet({_list(some)}, filename='file', hive_partitioning=false)"
        database.execute(f"CREATE VIEW {source} AS SELECT {keys}, r.* EXCLUDE (file) FROM {read} r JOIN blocks b USING (file)")
        units: dict[str, list[tuple[str, str, str]]] = defaultdict(list)
        for tag, measure in shape:
            unit, _, signal = tag.partition(".")
            units[unit].append((signal, tag, measure))
            long.append(
                f'SELECT sponsor, site, batch, {_text(unit)} AS unit, {_text(signal)} AS signal, "at", {_name(tag)} AS value,'
                f" {_name(tag + QUALITY)} AS quality, {_text(measure)} AS unit_of_measure FROM {source}"
            )
        for unit, signals in units.items():
            columns = ", ".join(f"{_name(tag)} AS {_name(name)}, {_name(tag + QUALITY)} AS {_name(name + QUALITY)}" for name, tag, _ in signals)
            wide[unit].append(f'SELECT sponsor, site, batch, "at", {columns} FROM {source}')
    database.execute("CREATE VIEW readings AS " + " UNION ALL ".join(long))
    for unit, parts in wide.items():
        database.execute(f"CREATE VIEW {_name(unit)} AS " + " UNION ALL BY NAME ".join(parts))


def _shape(file: str) -> tuple[tuple[str, str], ...]:
    """Tags and their units, as the block's own metadata says."""
    try:
        opened = open_file(file)
    except (pa.ArrowException, OSError) as trouble:
        raise NotValid("cannot read a reading block", why=str(trouble)[:160]) from trouble
    said, schema = opened.metadata.metadata or {}, opened.schema_arrow
    tags = [name for name in schema.names[1:] if not name.endswith(QUALITY)]
    if said.get(b"format") == FORMAT_1:
        return tuple((tag, (schema.field(tag).metadata or {}).get(b"unit", b"").decode()) for tag in tags)
    return tuple(zip(tags, json.loads(said[b"units"]), strict=True))
