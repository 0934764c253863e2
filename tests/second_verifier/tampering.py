"""Ways to tamper with dossiers, ledger files and blocks: bits, rows, lines, files, archives; and what a change leaves as it was.

Each way takes dice and a folder and changes something in it, as whoever has the files could
without a private key (or, where it says so, with the dossier's). What changes nothing that is
signed is told apart by looking at the files with other eyes: see `dossier_of` and `ledgers_of`.
"""

from __future__ import annotations

import io
import json
import sqlite3
import warnings
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import apsw

from isogenic.records.dossier import manifest_text
from isogenic.records.notes import sign_note
from isogenic.sim.world import signers
from small_network import NETWORK, SEED

Way = Callable[[Random, Path], None]
SITE_LEDGER = "1-aster-leeds-aster-bio"


def plain_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


# ---- bytes of any file ----


def flip_a_bit(dice: Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
    path.write_bytes(data)


def overwrite(dice: Random, path: Path) -> None:
    data = bytearray(path.read_bytes())
    at = dice.randrange(len(data))
    data[at : at + 16] = dice.randbytes(min(16, len(data) - at))
    path.write_bytes(data)


def cut(dice: Random, path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: dice.randrange(len(data))])


def lengthen(dice: Random, path: Path) -> None:
    path.write_bytes(path.read_bytes() + dice.choice([b"\n", b"\0", b"x", dice.randbytes(dice.randint(1, 40))]))


def insert(dice: Random, path: Path) -> None:
    data = path.read_bytes()
    at = dice.randrange(len(data))
    path.write_bytes(data[:at] + dice.randbytes(dice.randint(1, 9)) + data[at:])


def take_out(dice: Random, path: Path) -> None:
    data = path.read_bytes()
    at = dice.randrange(len(data))
    path.write_bytes(data[:at] + data[at + dice.randint(1, 9) :])


BYTES: tuple[Way, ...] = (flip_a_bit, flip_a_bit, overwrite, cut, lengthen, insert, take_out)


# ---- dossiers, as folders ----


def in_some_file(dice: Random, folder: Path) -> None:
    dice.choice(BYTES)(dice, dice.choice(plain_files(folder)))


def lose_a_file(dice: Random, folder: Path) -> None:
    dice.choice(plain_files(folder)).unlink()


def add_a_file(dice: Random, folder: Path) -> None:
    place = dice.choice(["documents", "blocks", "ledgers", "."])
    (folder / place / dice.choice(["more.txt", "9-more.jsonl", f"{dice.randbytes(32).hex()}.parquet", ".hidden"])).write_bytes(b"more\n")


def swap_two_files(dice: Random, folder: Path) -> None:
    one, other = dice.sample(plain_files(folder), 2)
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)


def rename_a_file(dice: Random, folder: Path) -> None:
    path = dice.choice(plain_files(folder))
    path.rename(path.with_name(dice.choice(["renamed", path.name + ".old", path.name.upper() + "x"])))


def a_link_instead(dice: Random, folder: Path) -> None:
    path = dice.choice(plain_files(folder))
    kept = folder.parent / "kept"
    kept.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(kept)


def notes_of_each_other(dice: Random, folder: Path) -> None:
    one, other = dice.sample(sorted((folder / "ledgers").glob("*.note")), 2)
    a, b = one.read_bytes(), other.read_bytes()
    one.write_bytes(b)
    other.write_bytes(a)


def edit_keys(dice: Random, folder: Path) -> None:
    path = folder / "keys.txt"
    lines = path.read_text().splitlines()
    at, other = dice.sample(range(1, len(lines)), 2)
    part = lines[at].split(None, 3)
    changed = [
        [],
        [lines[at], lines[at]],
        [" ".join([dice.choice(["writer", "witness", "dossier", "person", "-"]), *part[1:]]) + "!"],
        [" ".join([part[0], lines[other].split()[1], *part[2:]]) + "!"],
        [" ".join([*part[:2], lines[other].split()[2], *part[3:]]) + "!"],
        [part[2]],
    ]
    path.write_text("\n".join([*lines[:at], *dice.choice(changed), *lines[at + 1 :]]) + "\n")


def _lines(dice: Random, folder: Path, name: str) -> None:
    """Drop, swap, repeat, invent or cut off facts, with the leaves to fit."""
    path = folder / "ledgers" / f"{name}.jsonl"
    lines = path.read_bytes().splitlines(keepends=True)
    at, other = dice.sample(range(len(lines)), 2)
    invented = lines[at].replace(b'"at":"20', b'"at":"21', 1)
    changed = dice.choice(
        [
            lines[:at] + lines[at + 1 :],
            [lines[other] if each == at else lines[at] if each == other else line for each, line in enumerate(lines)],
            [*lines[: at + 1], *lines[at:]],
            [*lines[:at], invented, *lines[at + 1 :]],
            [*lines, lines[-1].replace(b'"pos":%d' % (len(lines) - 1), b'"pos":%d' % len(lines))],
            lines[: max(1, at)],
        ]
    )
    path.write_bytes(b"".join(changed))
    path.with_suffix(".leaves").write_text("".join(sha256(b"\0" + line[:-1]).hexdigest() + "\n" for line in changed))


def facts_and_leaves(dice: Random, folder: Path) -> None:
    _lines(dice, folder, dice.choice([path.stem for path in (folder / "ledgers").glob("*.jsonl")]))


def facts_and_a_new_manifest(dice: Random, folder: Path) -> None:
    """The manifest says what is there now; who does not hold the key leaves the signature, or makes one up."""
    facts_and_leaves(dice, folder)
    _list_again(folder)
    if dice.random() < 0.5:
        (folder / "manifest.sig").write_bytes(sign_note(manifest_text((folder / "manifest.json").read_bytes()), signers(99, NETWORK, "CONTROL")[0]))


def facts_and_the_dossier_key(dice: Random, folder: Path) -> None:
    """Who holds the control site's key still cannot change what a site wrote."""
    dice.choice([lambda: _lines(dice, folder, SITE_LEDGER), lambda: _other_block(dice, folder), lambda: _lose_a_ledger(folder)])()
    _list_again(folder)
    (folder / "manifest.sig").write_bytes(sign_note(manifest_text((folder / "manifest.json").read_bytes()), signers(SEED, NETWORK, "CONTROL")[0]))


def _other_block(dice: Random, folder: Path) -> None:
    path = next((folder / "blocks").iterdir())
    dice.choice([lambda: path.unlink(), lambda: flip_a_bit(dice, path), lambda: path.rename(path.with_name(f"{dice.randbytes(32).hex()}.parquet"))])()


def _lose_a_ledger(folder: Path) -> None:
    """The record is left out: the release that the control site noted is for one that is not there."""
    for path in (*(folder / "ledgers").glob(f"{SITE_LEDGER}.*"), *(folder / "blocks").iterdir()):
        path.unlink()
    said = json.loads((folder / "manifest.json").read_bytes())
    said["ledgers"] = [each for each in said["ledgers"] if SITE_LEDGER not in each["facts"]]
    (folder / "manifest.json").write_text(json.dumps(said))


def _list_again(folder: Path) -> None:
    said = json.loads((folder / "manifest.json").read_bytes())
    for each in said["ledgers"]:
        each["size"] = len((folder / each["facts"]).read_bytes().splitlines())
    names = [path for path in plain_files(folder) if not path.name.startswith("manifest.")]
    said["files"] = {
        path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()} for path in names
    }
    (folder / "manifest.json").write_text(json.dumps(said, indent=2, sort_keys=True) + "\n")


DOSSIER: tuple[Way, ...] = (
    in_some_file,
    in_some_file,
    in_some_file,
    lose_a_file,
    add_a_file,
    swap_two_files,
    rename_a_file,
    a_link_instead,
    notes_of_each_other,
    edit_keys,
    facts_and_leaves,
    facts_and_a_new_manifest,
    facts_and_the_dossier_key,
)


def dossier_of(folder: Path) -> Any:
    return {path.relative_to(folder).as_posix(): (path.is_symlink(), path.read_bytes()) for path in plain_files(folder)}


# ---- dossiers, as archives ----


def _packed(entries: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED, comment: bytes = b"") -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", how) as archive:
        warnings.simplefilter("ignore")  # two files of one name are meant
        for name, data in entries:
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
        archive.comment = comment
    return sink.getvalue()


def archive(dice: Random, path: Path) -> None:
    """An archive that unpacks to something else with another tool, or says more than its files."""
    data = path.read_bytes()
    with zipfile.ZipFile(io.BytesIO(data)) as opened:
        entries = [(name, opened.read(name)) for name in opened.namelist()]
    one, other = dice.sample(range(len(entries)), 2)
    swapped = list(entries)
    swapped[one], swapped[other] = entries[other], entries[one]
    ways = [
        lambda: _packed(entries),
        lambda: _packed(swapped),
        lambda: _packed([*entries, entries[one]]),
        lambda: _packed([*entries, (entries[one][0], entries[other][1])]),
        lambda: _packed([*entries, ("../" + entries[one][0], b"x")]),
        lambda: _packed(entries, zipfile.ZIP_DEFLATED),
        lambda: _packed(entries, comment=b"more"),
        lambda: b"MZ" + data,
        lambda: data + data,
        lambda: data[:-22] + data[-22:-2] + b"\x04\x00more",
        lambda: data.replace(b"PK\x01\x02", b"PK\x03\x04", 1),
    ]
    path.write_bytes(dice.choice(ways)())


def bytes_of_the_archive(dice: Random, path: Path) -> None:
    dice.choice(BYTES)(dice, path)


ARCHIVE: tuple[Way, ...] = (bytes_of_the_archive, bytes_of_the_archive, archive)


# ---- ledger files and blobs ----


def _stores(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.sqlite") if path.parent.name in ("ledgers", "copies"))


def bytes_of_a_ledger(dice: Random, folder: Path) -> None:
    dice.choice(BYTES)(dice, dice.choice(_stores(folder)))


def pages_of_a_ledger(dice: Random, folder: Path) -> None:
    """A torn page, one of another place, one of zeros."""
    path = dice.choice(_stores(folder))
    data = bytearray(path.read_bytes())
    one, other = (dice.randrange(len(data) // 4096) * 4096 for _ in range(2))
    data[one : one + 4096] = dice.choice([bytes(4096), data[other : other + 4096], data[one : one + 512] + bytes(3584)])
    path.write_bytes(data)


def rows_of_a_ledger(dice: Random, folder: Path) -> None:
    paths = _stores(folder)
    path, stranger = dice.sample(paths, 2)
    db = apsw.Connection(str(path))
    for (name,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
        db.execute(f"DROP TRIGGER {name}")
    db.execute("ATTACH ? AS stranger", (str(stranger),))
    size = int(db.execute("SELECT count(*) FROM log").fetchall()[0][0])  # type: ignore[call-overload]
    at, other = dice.randrange(size), dice.randrange(size)
    changes: list[list[str]] = [
        [f"DELETE FROM log WHERE pos = {at}"],
        [f"DELETE FROM log WHERE pos = {at}", *(f"UPDATE log SET pos = {each - 1} WHERE pos = {each}" for each in range(at + 1, size))],
        [
            f"UPDATE log SET pos = -1 WHERE pos = {at}",
            f"UPDATE log SET pos = {at} WHERE pos = {other}",
            f"UPDATE log SET pos = {other} WHERE pos = -1",
        ],
        [f"INSERT INTO log SELECT {size}, body FROM log WHERE pos = {at}"],
        [f"INSERT INTO log SELECT {size}, CAST(replace(CAST(body AS TEXT), '\"pos\":{at}', '\"pos\":{size}') AS BLOB) FROM log WHERE pos = {at}"],
        [f'UPDATE log SET body = CAST(replace(CAST(body AS TEXT), \'"at":"20\', \'"at":"21\') AS BLOB) WHERE pos = {at}'],
        [f"UPDATE log SET body = CAST(body || ' ' AS BLOB) WHERE pos = {at}"],
        [f"UPDATE log SET body = CAST(body AS TEXT) WHERE pos = {at}"],
        [f"UPDATE log SET body = (SELECT body FROM stranger.log WHERE pos = 0) WHERE pos = {at}"],
        ["UPDATE checkpoint SET note = (SELECT note FROM stranger.checkpoint LIMIT 1) WHERE size = (SELECT max(size) FROM checkpoint)"],
        ["UPDATE checkpoint SET note = (SELECT note FROM checkpoint ORDER BY size LIMIT 1) WHERE size = (SELECT max(size) FROM checkpoint)"],
        ["DELETE FROM checkpoint WHERE size = (SELECT max(size) FROM checkpoint)"],
        ["UPDATE checkpoint SET size = size + 1 WHERE size = (SELECT max(size) FROM checkpoint)"],
        ["UPDATE checkpoint SET frontier = randomblob(length(frontier)) WHERE size = (SELECT max(size) FROM checkpoint)"],
        ["UPDATE receipt SET note = (SELECT note FROM stranger.checkpoint LIMIT 1)"],
        ["UPDATE receipt SET note = (SELECT note FROM checkpoint WHERE checkpoint.size = receipt.size)"],
        [f"UPDATE receipt SET size = size + {dice.randint(1, 5)} WHERE size = (SELECT max(size) FROM receipt)"],
        ["UPDATE meta SET value = (SELECT value FROM stranger.meta WHERE key = 'origin') WHERE key = 'origin'"],
        [f"DELETE FROM {table} WHERE {column} > {at}" for table, column in (("log", "pos"), ("checkpoint", "size"), ("receipt", "size"))],
        ["DROP TABLE log"],
        ["ALTER TABLE log RENAME TO kept", "CREATE VIEW log AS SELECT pos, body FROM kept WHERE pos <> 1"],
    ]
    for statement in dice.choice(changes):
        db.execute(statement)
    db.close()


def ledgers_in_each_others_place(dice: Random, folder: Path) -> None:
    """Of two ledgers: another whole copy of the same one would be as good."""
    one, other = dice.choice([("LEEDS/ledgers/HOUSE", "LEEDS/ledgers/ASTER-BIO"), ("CONTROL/copies/LEEDS.HOUSE", "LEEDS/ledgers/CONTROL")])
    paths = [folder / f"{name}.sqlite" for name in (one, other)]
    kept = [path.read_bytes() for path in paths]
    for path, data in zip(paths, reversed(kept), strict=True):
        path.write_bytes(data)


def a_blob(dice: Random, folder: Path) -> None:
    blobs = sorted((folder / "LEEDS/blobs").glob("*/*"))
    path = dice.choice(blobs)
    one, other = path, dice.choice(blobs)

    def swap() -> None:
        a, b = one.read_bytes(), other.read_bytes()
        one.write_bytes(b)
        other.write_bytes(a)

    dice.choice([lambda: dice.choice(BYTES)(dice, path), path.unlink, swap, lambda: path.rename(path.with_name(dice.randbytes(32).hex()))])()


FOLDER: tuple[Way, ...] = (bytes_of_a_ledger, pages_of_a_ledger, rows_of_a_ledger, rows_of_a_ledger, ledgers_in_each_others_place, a_blob)


def ledgers_of(folder: Path, library: Any) -> Any:
    """What a library reads of every ledger file and blob; what cannot be read is an error of its own.

    Left out is what may be missing without a trace: a receipt, or a checkpoint before the newest, which never have to be there.
    """
    seen: dict[str, Any] = {}
    for path in _stores(folder):
        name = path.relative_to(folder).as_posix()
        try:
            db = library(path)
            rows = [db.execute(f"SELECT {what}").fetchall() for what in _VIEW]
            db.close()
            newest = max((row[0] for row in rows[2]), default=None)
            seen[name] = (rows[0], rows[1], newest)
            seen[f"{name} notes"] = {("checkpoint", *row) for row in rows[2]} | {("receipt", *row) for row in rows[3]}
        except (apsw.Error, sqlite3.Error, TypeError, UnicodeDecodeError) as trouble:
            seen[name] = f"{type(trouble).__name__}"
    for path in sorted(folder.glob("LEEDS/blobs/*/*")):
        seen[path.relative_to(folder).as_posix()] = path.read_bytes()
    return seen


_VIEW = (
    "key, value FROM meta WHERE key = 'origin'",
    "pos, body FROM log ORDER BY pos",
    "size, note, frontier FROM checkpoint ORDER BY size",
    "size, note FROM receipt ORDER BY size",
)


def with_apsw(path: Path) -> Any:
    return apsw.Connection(f"file:{path}?mode=ro&immutable=1", flags=apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)


def with_sqlite3(path: Path) -> Any:
    return sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)


def same(before: Any, after: Any) -> bool:
    """Whether nothing that is signed, or that anybody relies on, is different."""
    if before.keys() != after.keys():
        return False
    return all(after[name] <= kept if isinstance(kept, set) else after[name] == kept for name, kept in before.items())
