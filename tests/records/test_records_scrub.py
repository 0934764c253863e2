"""The scrub looks at the disk, not at what a process remembers of it."""

from __future__ import annotations

from pathlib import Path

from records_setup import AT, NODE, ledger, steps

from isogenic.records.blobs import BlobStore
from isogenic.records.scrub import Scrub


def test_a_byte_that_changes_on_the_disk_under_an_open_ledger_is_found(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    for at in range(40):
        one.append(steps(8, first=8 * at), actor=NODE, moment=AT)
    one.store._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # type: ignore[attr-defined]
    scrub = Scrub(lambda: [one], BlobStore(tmp_path / "blobs"))
    assert scrub.whole_pass() == []
    assert scrub.whole_pass() == []  # every page is in memory by now
    path = next(tmp_path.glob("ledger.db"))
    data = bytearray(path.read_bytes())
    at = bytes(data).index(one.store.bodies(17, 18)[0]) + 40
    with path.open("r+b") as file:
        file.seek(at)
        file.write(bytes([data[at] ^ 1]))
    (rot,) = scrub.whole_pass()
    assert (rot.ledger, rot.start <= 17 < rot.stop) == (one.origin, True)
