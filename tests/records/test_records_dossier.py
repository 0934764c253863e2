"""A dossier verifies from its files and public keys; any changed byte is found and its place named."""

from __future__ import annotations

import io
import shutil
import warnings
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import orjson
import pytest
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, copy, ledger, signer, steps

from isogenic.checks import Note, Severity, stops
from isogenic.errors import NotFound, NotTrusted, NotValid
from isogenic.records.blobs import BlobStore
from isogenic.records.blocks import ReadingsSealed, seal
from isogenic.records.dossier import Key, KeyRole, LedgerPart, manifest_text, pack, parse_keys, write_dossier
from isogenic.records.facts import Fact, FactRef, encode_fact
from isogenic.records.ledger import Ledger
from isogenic.records.merkle import leaf_hash
from isogenic.records.notes import Signer, cosign, sign_note
from isogenic.records.sync import next_page
from isogenic.records.verify import VerifyReport, verify_dossier

CONTROL = signer("example.org/control-dossiers")
HOUSE = "example.org/leeds/house"
KEYS = (
    Key(KeyRole.WRITER, ORIGIN, WRITER.verifying_key, "Leeds"),
    Key(KeyRole.WRITER, HOUSE, WRITER.verifying_key, "Leeds"),
    Key(KeyRole.WITNESS, "CONTROL", WITNESS.verifying_key, "Control site"),
    Key(KeyRole.DOSSIER, "CONTROL", CONTROL.verifying_key, "Control site"),
)


@dataclass(frozen=True, slots=True)
class Made:
    folder: Path
    packed: Path

    def files(self) -> list[Path]:
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def witness(one: Ledger, folder: Path, name: str) -> None:
    held = copy(folder, name=name, origin=one.origin)
    while (page := next_page(one.store, start=one.witnessed)) is not None:
        receipt = held.take(page, moment=AT)
        one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)


def write(folder: Path, *ledgers: Ledger, blobs: BlobStore | None = None, blocks: tuple[str, ...] = (), **changed: object) -> Made:
    given = {
        "ledgers": [LedgerPart.newest(each.store) for each in ledgers],
        "blobs": blobs or BlobStore(folder / "blobs"),
        "blocks": blocks,
        "documents": {"summary.txt": b"Lot LOT-1 was released.\n", "certificate.pdf": bytes(range(256)) * 4},
        "keys": KEYS,
        "signer": CONTROL,
        "about": "LOT-1",
        "made_at": datetime(2026, 11, 23, tzinfo=UTC),
    }
    packed = write_dossier(folder / "dossier", **{**given, **changed})
    return Made(folder / "dossier", packed)


def make(folder: Path) -> Made:
    one, house = ledger(folder), ledger(folder, name="house", origin=HOUSE)
    blobs = BlobStore(folder / "blobs")
    data, sealed = seal(
        batch="BAT-7K2M",
        tags=["BR-50.temperature", "BR-50.ph"],
        units=["degC", "pH"],
        times=[datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=at) for at in range(50)],
        values=np.random.default_rng(1).normal(37, 1, (50, 2)),
        quality=np.zeros((50, 2), dtype=np.uint8),
    )
    blobs.put(data)
    one.append([*steps(20), sealed], actor=NODE, moment=AT)
    house.append(steps(5, first=50), actor=NODE, moment=AT)
    witness(one, folder, "copy of one")
    witness(house, folder, "copy of house")
    return write(folder, one, house, blobs=blobs, blocks=(sealed.digest,))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("made"))


@pytest.fixture
def dossier(made: Made, tmp_path: Path) -> Made:
    shutil.copytree(made.folder, tmp_path / "dossier")
    shutil.copy(made.packed, tmp_path / "dossier.zip")
    return Made(tmp_path / "dossier", tmp_path / "dossier.zip")


def text_of(report: VerifyReport) -> list[str]:
    return [note.text for note in stops(report.notes)]


def test_a_dossier_verifies_as_folder_and_as_zip(made: Made) -> None:
    for path in (made.folder, made.packed):
        report = verify_dossier(path)
        assert (report.notes, report.ok) == ((), True)
        assert (report.files, len(report.facts), report.blocks, report.readings) == (12, 26, 1, 100)
        assert [(each.origin, each.size, each.writer) for each in report.ledgers] == [(ORIGIN, 21, WRITER.name), (HOUSE, 5, WRITER.name)]
        assert [each.witnesses for each in report.ledgers] == [((WITNESS.name, AT.at.replace(microsecond=0)),)] * 2
        report.require()


def test_the_report_reads_as_paragraphs_and_shows_fingerprints(made: Made) -> None:
    text = str(verify_dossier(made.folder))
    flat = " ".join(text.split())
    assert text.startswith("VERIFIED: dossier dossier about LOT-1, made 2026-11-23T00:00:00.000Z, is whole and unaltered.\n")
    assert "26 facts in 2 ledgers" in flat
    assert f"signed by {WRITER.name}; cosigned by {WITNESS.name} at 2026-11-23T11:22:56.000Z" in flat
    assert "Compare these fingerprints with a list that you got another way" in flat
    assert WITNESS.verifying_key.fingerprint in flat


def test_the_same_content_gives_the_same_bytes(made: Made, tmp_path: Path) -> None:
    again = make(tmp_path)
    assert again.packed.read_bytes() == made.packed.read_bytes()


def test_no_changed_byte_of_the_folder_passes(dossier: Made) -> None:
    dice = Random(4711)
    files = dossier.files()
    for turn in range(300):
        path = files[turn % len(files)]
        data = path.read_bytes()
        at = dice.randrange(len(data))
        path.write_bytes(data[:at] + bytes([data[at] ^ dice.randrange(1, 256)]) + data[at + 1 :])
        report = verify_dossier(dossier.folder)
        name = path.relative_to(dossier.folder).as_posix()
        assert any(name in text for text in text_of(report)), (name, at, text_of(report))
        with pytest.raises(NotTrusted):
            report.require()
        path.write_bytes(data)
    assert verify_dossier(dossier.folder).ok


def test_no_changed_byte_of_the_zip_passes(dossier: Made) -> None:
    dice = Random(4712)
    data = dossier.packed.read_bytes()
    for _ in range(200):
        at = dice.randrange(len(data))
        dossier.packed.write_bytes(data[:at] + bytes([data[at] ^ dice.randrange(1, 256)]) + data[at + 1 :])
        assert not verify_dossier(dossier.packed).ok, at


def test_no_cut_or_longer_file_passes(dossier: Made) -> None:
    for path in [*dossier.files(), dossier.packed]:
        target = dossier.packed if path == dossier.packed else dossier.folder
        data = path.read_bytes()
        for changed in (data[:-1], data[1:], data + b"\n", data + b"x", b""):
            path.write_bytes(changed)
            assert not verify_dossier(target).ok, path
        path.write_bytes(data)


def test_a_changed_fact_is_named_by_ledger_position_and_kind(dossier: Made) -> None:
    path = next(dossier.folder.glob("ledgers/1-*.jsonl"))
    for target in (dossier.folder, dossier.packed):
        data = (path if target == dossier.folder else target).read_bytes()
        (path if target == dossier.folder else target).write_bytes(data.replace(b'"amount":"0.875"', b'"amount":"0.375"'))
        named = f"ledgers/{path.name}, line 8: fact 7 of {ORIGIN} (testing.step_done, BAT-7K2M) is not as it was noted"
        assert any(text.startswith(named) for text in text_of(verify_dossier(target)))


def test_a_changed_reading_block_is_named_by_the_fact_that_sealed_it(dossier: Made) -> None:
    path = next(dossier.folder.glob("blocks/*"))
    data = path.read_bytes()
    path.write_bytes(data[:500] + b"\x00\x01\x02" + data[503:])
    assert any(text.startswith(f"blocks/{path.name}, sealed by {ORIGIN}#20") for text in text_of(verify_dossier(dossier.folder)))


def resign(made: Made, by: Signer = CONTROL) -> None:
    """What a forger with the control site's dossier key would do."""

    manifest = orjson.loads((made.folder / "manifest.json").read_bytes())

    manifest["files"] = {
        path.relative_to(made.folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path.read_bytes()).hexdigest()}
        for path in made.files()
        if not path.name.startswith("manifest")
    }
    data = orjson.dumps(manifest)
    (made.folder / "manifest.json").write_bytes(data)
    (made.folder / "manifest.sig").write_bytes(sign_note(manifest_text(data), by))


def test_who_holds_the_dossier_key_still_cannot_change_a_fact(dossier: Made) -> None:
    path = next(dossier.folder.glob("ledgers/1-*.jsonl"))
    data = path.read_bytes().replace(b'"amount":"0.875"', b'"amount":"0.375"')
    path.write_bytes(data)

    path.with_suffix(".leaves").write_text("".join(leaf_hash(line).hex() + "\n" for line in data.split(b"\n")[:-1]))
    resign(dossier)
    assert text_of(verify_dossier(dossier.folder)) == [
        f"ledgers/{path.stem}.note: the signed root is not the root of the 21 facts",
    ]


def test_who_holds_the_dossier_key_still_cannot_leave_facts_out(dossier: Made) -> None:
    path = next(dossier.folder.glob("ledgers/2-*.jsonl"))
    for each in (path, path.with_suffix(".leaves")):
        each.write_bytes(b"".join(each.read_bytes().splitlines(keepends=True)[:-1]))
    resign(dossier)
    assert f"ledgers/{path.stem}.note is for 5 facts of {HOUSE}, and here are 4 of {HOUSE}" in text_of(verify_dossier(dossier.folder))


def test_a_forger_with_other_keys_shows_other_fingerprints_and_fails_against_a_list(dossier: Made) -> None:
    mine = "".join(key.line() for key in KEYS)
    forger = signer("example.org/control-dossiers-")
    path = dossier.folder / "keys.txt"
    path.write_text(path.read_text().replace(str(CONTROL.verifying_key), str(forger.verifying_key)))
    resign(dossier, forger)
    assert verify_dossier(dossier.folder).ok
    assert forger.verifying_key.fingerprint in str(verify_dossier(dossier.folder))
    report = verify_dossier(dossier.folder, keys=mine)
    assert text_of(report) == ["no key of the role dossier can be used"]


def test_a_list_of_your_own_may_be_whole_lines_or_bare_keys(made: Made) -> None:
    writers_bare = f"{WRITER.verifying_key}\n" + "".join(key.line() for key in KEYS if key.role is not KeyRole.WRITER)
    for keys in ("".join(key.line() for key in KEYS), writers_bare):
        report = verify_dossier(made.folder, keys=keys)
        assert (report.ok, report.keys_from_dossier) == (True, False)
    bare = "\n".join({str(key.key) for key in KEYS})
    assert text_of(verify_dossier(made.folder, keys=bare))[0] == "no key of the role dossier can be used"
    swapped = "".join(Key(KeyRole.PERSON, key.name, key.key).line() for key in KEYS)
    assert not verify_dossier(made.folder, keys=swapped).ok
    for bad in ("writer x", "boss x " + str(WRITER.verifying_key), "nonsense", "writer x y z"):
        with pytest.raises(NotValid, match="line 1"):
            verify_dossier(made.folder, keys=bad)


def test_keys_read_back() -> None:
    assert parse_keys("# comment\n\n" + "".join(key.line() for key in KEYS)) == KEYS


def test_a_missing_and_an_unlisted_file_are_named(dossier: Made) -> None:
    (dossier.folder / "documents" / "summary.txt").unlink()
    (dossier.folder / "documents" / "more.txt").write_text("more")
    assert text_of(verify_dossier(dossier.folder)) == ["documents/more.txt is not in the manifest", "documents/summary.txt is missing"]


def test_a_link_to_elsewhere_is_refused(dossier: Made) -> None:
    (dossier.folder / "documents" / "summary.txt").unlink()
    (dossier.folder / "documents" / "summary.txt").symlink_to("/etc/hostname")
    assert "documents/summary.txt is not a plain file" in text_of(verify_dossier(dossier.folder))


def test_a_ledger_without_a_witness_is_said_to_be_so(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(3), actor=NODE, moment=AT)
    report = verify_dossier(write(tmp_path, one).folder)
    assert report.notes == (Note("check_witness", Severity.STOP, f"{ORIGIN} is not cosigned by another node whose key can be used"),)
    assert "cosigned by nobody" in str(report)


@pytest.mark.parametrize("ref", [FactRef(ORIGIN, 3), FactRef(HOUSE, 1)])
def test_a_writer_that_signs_a_fact_of_another_place_is_named(tmp_path: Path, ref: FactRef) -> None:
    one = ledger(tmp_path)
    one.append(steps(1), actor=NODE, moment=AT)
    one.append_bytes([encode_fact(steps(1)[0], ref=ref, actor=NODE, moment=AT)])
    found = text_of(verify_dossier(write(tmp_path, one).folder))
    assert len(found) == 2  # nobody cosigns it either
    assert found[0].endswith(f"line 2: fact 1 of {ORIGIN} (testing.step_done, BAT-7K2M) says in its own bytes that it is {ref}")


def test_a_writer_that_signs_an_ambiguous_fact_is_named(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    body = encode_fact(steps(1)[0], ref=FactRef(ORIGIN, 0), actor=NODE, moment=AT)
    one.append_bytes([body.replace(b'"amount":"0.0"', b'"amount":"9.0","amount":"0.0"')])
    found = text_of(verify_dossier(write(tmp_path, one).folder))
    assert len(found) == 2 and found[0].endswith("is not in canonical form: two readers could read it differently")


def test_a_writer_that_signs_nonsense_is_named(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append_bytes([b"nonsense"])
    assert f"line 1: fact 0 of {ORIGIN} cannot be read" in text_of(verify_dossier(write(tmp_path, one).folder))[0]
    two_lines = ledger(tmp_path, name="two lines")
    two_lines.append_bytes([b"non\nsense"])
    with pytest.raises(NotValid, match="on one line"):
        write(tmp_path / "other", two_lines)


def test_other_rooms_add_their_checks(made: Made) -> None:
    def check_every_step_is_small(facts: list[Fact], keys: object) -> list[Note]:
        return [Note("check_every_step_is_small", Severity.STOP, f"{fact.ref} is large") for fact in facts if fact.position > 19]

    def check_that_refuses(facts: list[Fact], keys: object) -> list[Note]:
        raise NotTrusted("signature of ANN refused", why="wrong key")

    report = verify_dossier(made.folder, extra_checks=[check_every_step_is_small, check_that_refuses])
    assert text_of(report) == [f"{ORIGIN}#20 is large", "signature of ANN refused: wrong key"]


def test_a_dossier_is_not_written_over_another_or_with_a_strange_path(made: Made, tmp_path: Path) -> None:
    one = ledger(tmp_path)
    with pytest.raises(NotFound, match="the ledger is empty"):
        write(tmp_path, one)
    one.append(steps(1), actor=NODE, moment=AT)
    for name in ("../up.txt", "/abs", "a b", ".hidden", "a//b", "x" * 121):
        with pytest.raises(NotValid, match="path"):
            write(tmp_path, one, documents={name: b""})
    write(tmp_path, one)
    with pytest.raises(NotValid, match="not empty"):
        write(tmp_path, one)


def archive(entries: list[tuple[str, bytes]], how: int = zipfile.ZIP_STORED) -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", how) as packed:
        warnings.simplefilter("ignore")  # two files of one name are meant
        for name, data in entries:
            packed.writestr(name, data)
    return sink.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x05\x06" + bytes(18),
        b"not a zip",
        archive([("../../evil", b"x")]),
        archive([("/etc/evil", b"x")]),
        archive([("a\\b", b"x")]),
        archive([("manifest.json", b"{}"), ("manifest.json", b"[]")]),
        archive([("bomb", bytes(10_000_000))], zipfile.ZIP_DEFLATED),
        archive([("manifest.json", b"[]"), ("manifest.sig", b"")]),
        pack({"manifest.json": b'{"format":"isogenic dossier 1","files":{},"ledgers":[{"origin":[],"size":"x"}]}', "manifest.sig": b"x"}),
    ],
)
def test_a_hostile_archive_ends_in_notes(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "dossier.zip"
    path.write_bytes(data)
    report = verify_dossier(path)
    assert not report.ok
    assert str(report).startswith("NOT VERIFIED")
    assert [each.name for each in tmp_path.iterdir()] == ["dossier.zip"]


def test_a_repacked_archive_is_told_to_be_unpacked(dossier: Made) -> None:
    dossier.packed.write_bytes(archive([(path.relative_to(dossier.folder).as_posix(), path.read_bytes()) for path in dossier.files()]))
    assert text_of(verify_dossier(dossier.packed))[0].endswith("changed, or packed anew")


def test_a_dossier_that_is_not_there_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        verify_dossier(tmp_path / "none")
    (tmp_path / "empty").mkdir()
    assert text_of(verify_dossier(tmp_path / "empty")) == ["dossier refused: manifest.json is missing"]


def test_nobody_is_a_witness_of_their_own_ledger(tmp_path: Path) -> None:
    one, own = ledger(tmp_path), signer("example.org/leeds/witness", algorithm=4)
    one.append(steps(3), actor=NODE, moment=AT)
    head = one.store.head()
    assert head is not None
    one.take_receipt(cosign(head.note, witness=own, time=5), size=3, witness=own.verifying_key)
    for name in ("leeds", "CONTROL"):  # what the dossier's own list calls it makes no difference
        keys = (*KEYS, Key(KeyRole.WITNESS, name, own.verifying_key))
        folder = write(tmp_path / name, one, keys=keys, blobs=BlobStore(tmp_path / "blobs")).folder
        assert text_of(verify_dossier(folder)) == [f"{ORIGIN} is not cosigned by another node whose key can be used"]


def test_a_dossier_without_the_readings_that_it_is_about_does_not_verify(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    sealed = [seal_of(batch) for batch in ("BAT-1", "BAT-2")]
    one.append([each[1] for each in sealed], actor=NODE, moment=AT)
    witness(one, tmp_path, "copy")
    blobs = BlobStore(tmp_path / "blobs")
    digests = [blobs.put(data) for data, _ in sealed]
    both = write(tmp_path / "both", one, blobs=blobs, blocks=tuple(digests), about="lot LOT-1, made as BAT-1")
    assert verify_dossier(both.folder).notes == ()
    first = write(tmp_path / "first", one, blobs=blobs, blocks=(digests[0],), about="lot LOT-1, made as BAT-1")
    report = verify_dossier(first.folder)
    assert [(note.severity, note.text) for note in report.notes] == [
        (Severity.WARN, "1 reading blocks of these ledgers (of other batches) are not part of this dossier")
    ]
    without = write(tmp_path / "without", one, blobs=blobs, blocks=(), about="lot LOT-1, made as BAT-1")
    assert text_of(verify_dossier(without.folder)) == [f"blocks/{digests[0]}.parquet, the readings of BAT-1 that {ORIGIN}#0 sealed, is missing"]


def seal_of(batch: str) -> tuple[bytes, ReadingsSealed]:
    at = [datetime(2026, 1, 1, tzinfo=UTC)]
    return seal(batch=batch, tags=["BR-50.ph"], units=["pH"], times=at, values=np.array([[7.0]]), quality=np.zeros((1, 1), dtype=np.uint8))
