"""Which key counts where: rotation in band, revocation out of band, and the ledger that goes on after either."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, copy, ledger, signer, steps, store

from isogenic.checks import Severity
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, NotValid
from isogenic.records.blobs import BlobStore
from isogenic.records.dossier import Key, KeyRole, LedgerPart, parse_keys, write_dossier, writer_lines, writers_of
from isogenic.records.keys import KeyRenewed, KeyRotated, WriterKeys, open_rotation, sign_rotation
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.merkle import Frontier, leaf_hashes
from isogenic.records.notes import Checkpoint, Signer, cosign, sign_checkpoint
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page, Resume, next_page
from isogenic.records.verify import verify_dossier


def key(number: int) -> Signer:
    """The writer's keys after its first: the same name, other bytes."""
    return Signer.from_seed(WRITER.name, bytes([number]) * 32)


CONTROL = signer("example.org/control-site")
FIRST = WriterKeys.first(ORIGIN, WRITER.verifying_key)


def carry(one: Ledger, held: Copy) -> None:
    while (page := next_page(one, start=held.size)) is not None:
        receipt = held.take(Page.from_bytes(page.to_bytes()), moment=AT)
        one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)


def cut(one: Ledger, start: int, stop: int) -> Page:
    """A page of exactly these facts."""
    found = one.store.checkpoint_at_or_before(stop)
    assert found is not None and found[0] == stop
    return Page(ORIGIN, start, tuple(one.store.bodies(start, stop)), found[1])


def note(one: Ledger, count: int, *, first: int = 0) -> None:
    one.append(steps(count, first=first), actor=NODE, moment=AT)


def rotate(one: Ledger, number: int) -> None:
    one.rotate(key(number), actor=NODE, moment=AT)


# --- rotation ---


def test_a_rotation_is_signed_by_the_old_key_over_every_fact_before_it(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    note(one, 3)
    root = one.root
    rotate(one, 1)
    rotated = next(iter(one.facts(3))).payload
    assert isinstance(rotated, KeyRotated)
    assert open_rotation(rotated, by=WRITER.verifying_key, origin=ORIGIN, position=3) == (root, key(1).verifying_key)
    assert [one.keys.at(size) for size in (0, 3, 4, 9)] == [WRITER.verifying_key] * 2 + [key(1).verifying_key] * 2


def test_after_each_rotation_the_copy_takes_the_new_key_and_only_that(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    for number in (1, 2, 3):
        note(one, 5)
        rotate(one, number)
        carry(one, held)
    note(one, 600)
    carry(one, held)
    assert (held.size, held.root, held.keys.eras) == (one.size, one.root, one.keys.eras)
    for old in (WRITER, key(1), key(2)):
        bodies = tuple(one.store.bodies(0, one.size)[:1])
        frontier = Frontier(held.size, tuple(held._frontier.peaks)).extend(leaf_hashes(bodies))
        forged = sign_checkpoint(Checkpoint(ORIGIN, frontier.size, frontier.root()), old)
        with pytest.raises(NotTrusted):
            held.take(Page(ORIGIN, held.size, bodies, forged), moment=AT)


def test_many_rotations_in_one_page_are_followed(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    for number in range(1, 9):
        note(one, 2)
        rotate(one, number)
    carry(one, held)
    assert held.keys.eras == one.keys.eras
    assert len(held.keys.eras) == 9


@pytest.mark.parametrize("rotations", [0, 1, 4])
def test_a_reopened_ledger_and_copy_find_their_keys_again(tmp_path: Path, rotations: int) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    for number in range(1, rotations + 1):
        note(one, 700)
        rotate(one, number)
    note(one, 700)
    carry(one, held)
    again = Ledger(one.store, signer=one.signer, keys=FIRST)
    copied = Copy(held.store, writer=WRITER.verifying_key, witness=WITNESS)
    again.check()
    copied.check()
    assert again.keys.eras == copied.keys.eras == one.keys.eras
    assert len(again.keys.eras) == rotations + 1


def test_nothing_is_noted_with_a_key_that_no_longer_counts(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    note(one, 3)
    rotate(one, 1)
    old = Ledger(one.store, signer=WRITER, keys=FIRST)
    with pytest.raises(NotTrusted, match="is not here"):
        note(old, 1)
    assert old.size == 4


def test_who_steals_the_new_key_cannot_rewrite_what_was_noted_before_the_rotation(tmp_path: Path) -> None:
    """The thief holds every key but the destroyed one, and both the real rotation and a free hand for the rest."""
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 3)
    rotate(one, 1)
    real = one.store.bodies(0, 4)
    forged = ledger(tmp_path, name="forged")
    note(forged, 3, first=50)
    bodies = (*forged.store.bodies(0, 3), real[3])
    frontier = Frontier().extend(leaf_hashes(bodies))
    stolen = sign_checkpoint(Checkpoint(ORIGIN, 4, frontier.root()), key(1))
    with pytest.raises(NotTrusted, match="rewritten"):
        held.take(Page(ORIGIN, 0, bodies, stolen), moment=AT)
    with pytest.raises(NotTrusted):  # nor may they leave the rotation out: then the old key counts on, and it is gone
        held.take(
            Page(ORIGIN, 0, bodies[:3], sign_checkpoint(Checkpoint(ORIGIN, 3, Frontier().extend(leaf_hashes(bodies[:3])).root()), key(1))), moment=AT
        )
    assert held.size == 0


def test_a_rotation_of_another_ledger_place_or_key_changes_nothing() -> None:
    right = sign_rotation(ORIGIN, size=4, root=b"r" * 32, old=WRITER, new=key(1).verifying_key)
    elsewhere = sign_rotation("example.org/leeds/house", size=4, root=b"r" * 32, old=WRITER, new=key(1).verifying_key)
    earlier = sign_rotation(ORIGIN, size=3, root=b"r" * 32, old=WRITER, new=key(1).verifying_key)
    usurped = sign_rotation(ORIGIN, size=4, root=b"r" * 32, old=key(7), new=key(1).verifying_key)
    assert open_rotation(right, by=WRITER.verifying_key, origin=ORIGIN, position=4) == (b"r" * 32, key(1).verifying_key)
    for wrong in (elsewhere, earlier, usurped, replace(right, key=str(key(2).verifying_key)), replace(right, ledger="example.org/leeds/house")):
        with pytest.raises(NotTrusted):
            open_rotation(wrong, by=WRITER.verifying_key, origin=ORIGIN, position=4)


def test_a_key_does_not_come_back(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    note(one, 1)
    rotate(one, 1)
    with pytest.raises(NotTrusted, match="used before"):
        one.rotate(WRITER, actor=NODE, moment=AT)
    assert one.size == 2


def test_a_rotation_that_the_disk_refuses_leaves_the_old_key_in_force(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    note(one, 1)
    one.store._db.execute("INSERT INTO log VALUES (1, x'00')")  # the place is taken
    with pytest.raises(Exception, match="nothing was noted"):
        rotate(one, 1)
    assert (one.size, one.signer, len(one.keys.eras)) == (1, WRITER, 1)


def test_a_fact_changed_before_a_rotation_is_found_where_it_stands(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    for number in (1, 2):
        note(one, 10)
        rotate(one, number)
    store = one.store
    store._db.execute("DROP TRIGGER log_is_never_changed")
    store._db.execute("UPDATE log SET body = ? WHERE pos = 14", (store.bodies(13, 14)[0],))
    with pytest.raises(NotTrusted, match="positions 11 to 20"):
        Ledger(store, signer=key(2), keys=FIRST).check()


# --- revocation ---


def test_facts_after_the_revocation_are_refused_and_earlier_ones_stay_valid(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 4)
    carry(one, held)
    held.revoke(4, key(1).verifying_key)
    note(one, 2, first=4)  # by whoever holds the stolen key
    page = next_page(one, start=4)
    assert page is not None
    with pytest.raises(NotTrusted, match="revoked and counts for 4 facts"):
        held.take(page, moment=AT)
    first = next_page(one, start=0)
    assert first is not None
    assert held.take(Page(ORIGIN, 0, tuple(one.store.bodies(0, 4)), one.store.checkpoint_at_or_before(4)[1]), moment=AT).size == 4  # type: ignore[index]
    again = Copy(held.store, writer=WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(4, key(1).verifying_key)]), witness=WITNESS)
    again.check()
    assert again.size == 4


def test_a_site_with_a_renewed_key_goes_on_with_its_ledger_and_nothing_is_lost(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 4)
    carry(one, held)
    for first in range(4, 1300, 100):  # while the link was down, with the key that was then revoked
        note(one, 100, first=first)
    said = (4, key(1).verifying_key)
    held.revoke(*said)
    one.revoke(*said)
    assert one.revoked
    note(one, 1, first=2000)  # a running batch is not lost meanwhile
    renewed = one.renew(key(1), actor=NODE, moment=AT)
    assert renewed is not None
    assert renewed.payload == KeyRenewed(ORIGIN, str(key(1).verifying_key), 4)
    note(one, 3, first=3000)
    assert not one.revoked
    carry(one, held)
    assert (held.size, held.root, one.witnessed) == (one.size, one.root, one.size)


def test_a_site_restarted_with_its_renewed_key_goes_on(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 4)
    carry(one, held)
    note(one, 600, first=4)
    keys = WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(4, key(1).verifying_key)])
    assert Ledger(one.store, signer=WRITER, keys=keys).revoked  # not yet renewed: it runs, and nothing of it counts
    again = Ledger(one.store, signer=key(1), keys=keys)
    again.check()
    again.renew(key(1), actor=NODE, moment=AT)
    held.revoke(4, key(1).verifying_key)
    with pytest.raises(NotAllowed, match="waits to be witnessed"):
        again.rotate(key(2), actor=NODE, moment=AT)
    carry(again, held)
    again.rotate(key(2), actor=NODE, moment=AT)
    carry(again, held)
    last = Ledger(one.store, signer=key(2), keys=keys)
    last.check()
    assert (held.size, held.keys.eras) == (last.size, last.keys.eras)
    # a control site that lost its disk gets all of it once more, though the key in between is gone: as it was cosigned
    empty = Copy(SqliteStore(tmp_path / "empty.db", origin=ORIGIN), writer=keys, witness=WITNESS)
    carry(last, empty)
    assert (empty.size, empty.root) == (last.size, last.root)


def test_a_stranger_s_key_notes_nothing_in_a_revoked_ledger(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    note(one, 4)
    keys = WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(2, None)])
    with pytest.raises(NotTrusted, match="is not here"):
        note(Ledger(one.store, signer=signer("example.org/mallory"), keys=keys), 1)
    note(Ledger(one.store, signer=WRITER, keys=keys), 1)


def test_a_thief_cannot_pass_the_pen_on(tmp_path: Path) -> None:
    """After the revocation, a rotation by the stolen key is only bytes."""
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 4)
    carry(one, held)
    held.revoke(4, key(1).verifying_key)
    rotate(one, 9)
    note(one, 2, first=4)
    page = next_page(one, start=4)
    assert page is not None
    with pytest.raises(NotTrusted):
        held.take(page, moment=AT)
    one.revoke(4, key(1).verifying_key)
    one.renew(key(1), actor=NODE, moment=AT)
    carry(one, held)  # the honest site, whose own rotation was cut off like this, goes on with the new key
    assert held.keys.at(held.size) == key(1).verifying_key


def test_without_another_key_nothing_more_counts(tmp_path: Path) -> None:
    held = copy(tmp_path)
    held.revoke(0, None)
    one = ledger(tmp_path)
    note(one, 1)
    page = next_page(one, start=0)
    assert page is not None
    with pytest.raises(NotTrusted, match="counts for 0 facts and no more"):
        held.take(page, moment=AT)
    held.revoke(0, key(1).verifying_key)
    one.revoke(0, key(1).verifying_key)
    one.renew(key(1), actor=NODE, moment=AT)
    carry(one, held)
    assert held.size == 2


def test_what_is_witnessed_cannot_be_revoked(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 4)
    carry(one, held)
    with pytest.raises(NotValid, match="4 are held"):
        held.revoke(3, None)


# --- promises ---


def test_a_tail_that_was_told_in_a_heartbeat_cannot_be_rewritten_afterwards(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 4)
    held.promise(one.size, one.root)
    thief = ledger(tmp_path, name="thief")
    note(thief, 4, first=90)
    note(thief, 2, first=4)
    page = next_page(thief, start=0)
    assert page is not None
    with pytest.raises(NotTrusted, match="rewritten"):
        held.take(page, moment=AT)
    note(one, 2, first=4)
    carry(one, held)
    assert (held.size, held.promised) == (6, {})


def test_a_witness_that_lost_its_memory_takes_nothing_from_a_thief_for_what_is_missing(tmp_path: Path) -> None:
    """The stolen key once counted for the positions that are gone: what it says of them is kept apart until something else vouches for it."""
    one, thief = ledger(tmp_path), ledger(tmp_path, name="thief")
    for at in range(12):
        note(one, 1, first=at)
    for at in range(6):
        note(thief, 1, first=at if at < 4 else 90 + at)
    keys = WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(12, key(1).verifying_key)])
    held = Copy(store(tmp_path, name="older"), writer=keys, witness=WITNESS)
    held.take(cut(one, 0, 4), moment=AT)
    held.remember(12, one.root)
    with pytest.raises(Resume) as asked:
        held.take(cut(thief, 4, 6), moment=AT)
    assert (asked.value.size, held.size) == (6, 4)
    with pytest.raises(NotTrusted):
        held.take(cut(one, 6, 12), moment=AT)
    assert (held.size, held.reached) == (4, 4)
    with pytest.raises(Resume) as asked:
        held.take(cut(one, 4, 7), moment=AT)
    assert (asked.value.size, held.size) == (7, 4)
    assert held.take(cut(one, 7, 12), moment=AT).size == 12
    assert (held.root, held.vouched) == (one.root, 0)


def test_what_comes_back_under_a_revoked_key_waits_within_limits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("isogenic.records.ledger.UNPROVEN_BYTES_MAX", 100)
    one = ledger(tmp_path)
    for at in range(4):
        note(one, 1, first=at)
    keys = WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(4, key(1).verifying_key)])
    held = Copy(store(tmp_path, name="older"), writer=keys, witness=WITNESS)
    held.remember(4, one.root)
    with pytest.raises(NotReachable, match="restore a newer backup"):
        held.take(cut(one, 0, 2), moment=AT)
    assert held.size == held.reached == 0
    assert held.take(cut(one, 0, 4), moment=AT).size == 4


# --- any order, any bytes ---


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["note", "rotate", "revoke"]), st.integers(1, 40)), max_size=12), st.integers(0, 600))
def test_every_size_has_the_key_that_its_history_says(acts: list[tuple[str, int]], asked: int) -> None:
    keys, size, frontier, used, expected = FIRST, 0, Frontier(), 0, [WRITER]
    mine = WRITER
    for act, count in acts:
        if act == "note":
            size += count
            expected += [mine] * count
        elif act == "rotate":
            used += 1
            payload = sign_rotation(ORIGIN, size=size, root=frontier.root(), old=mine, new=key(used).verifying_key)
            keys = keys.after_fact(_body(payload, size), size)
            mine = key(used)
            size += 1
            expected.append(mine)
        else:
            used += 1
            keys, mine = keys.revoked(size, key(used).verifying_key), key(used)
    expected += [mine] * 700
    assert keys.at(asked) == expected[asked].verifying_key
    assert [keys.at(each) for each in range(size + 2)] == [each.verifying_key for each in expected[: size + 2]]


def _body(payload: KeyRotated, position: int) -> bytes:
    from isogenic.records.facts import FactRef, encode_fact

    return encode_fact(payload, ref=FactRef(ORIGIN, position), actor=NODE, moment=AT)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_look_like_a_rotation_change_nothing(data: bytes) -> None:
    assert FIRST.after_fact(b'"kind":"records.key_rotated"' + data, 3).eras == FIRST.eras
    body = _body(sign_rotation(ORIGIN, size=3, root=b"r" * 32, old=WRITER, new=key(1).verifying_key), 3)
    for at in range(0, len(body), 17):
        broken = body[:at] + data + body[at + 1 :]
        changed = FIRST.after_fact(broken, 3)
        assert changed.eras == FIRST.eras or changed.eras == FIRST.after_fact(body, 3).eras


def test_a_commit_of_several_pages_after_a_rotation_is_found_by_halving(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    for number in range(1, 6):
        note(one, 1 + 300 * number)
        rotate(one, number)
    read: list[int] = []
    store = one.store
    bodies = store.bodies

    def counted(start: int, stop: int) -> list[bytes]:
        read.append(stop - start)
        return bodies(start, stop)

    store.bodies = counted  # type: ignore[method-assign]
    assert FIRST.found_in(store).eras == one.keys.eras
    assert sum(read) < 10, "a ledger opens without reading its facts"


# --- what a reader's list says ---


def test_lines_of_a_key_file_say_which_key_counts_where() -> None:
    keys = WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(4, key(1).verifying_key), (9, None)])
    lines = writer_lines(keys, "Leeds")
    assert [(line.key, line.first, line.last) for line in lines] == [(WRITER.verifying_key, 0, 4), (key(1).verifying_key, 5, 9)]
    again = parse_keys("".join(line.line() for line in lines))
    assert again == tuple(lines)
    (read,) = writers_of(ORIGIN, again)
    for size in range(14):
        if size > 9:
            with pytest.raises(NotTrusted):
                read.at(size)
        else:
            assert read.at(size) == keys.at(size)
    assert [line.line() for line in writer_lines(WriterKeys.first(ORIGIN, WRITER.verifying_key), "")] == [f"writer {ORIGIN} {WRITER.verifying_key}\n"]


def test_of_two_lists_only_the_sizes_that_both_have_count() -> None:
    (whole,) = parse_keys(f"writer {ORIGIN} {WRITER.verifying_key}")
    (early,) = parse_keys(f"writer:0-4 {ORIGIN} {WRITER.verifying_key}")
    (late,) = parse_keys(f"writer:5- {ORIGIN} {WRITER.verifying_key}")
    assert whole.within(early) == early.within(whole) == early
    assert not early.within(late).counts


@pytest.mark.parametrize("role", ["writer:4", "writer:-4", "writer:a-b", "witness:1-4", "writer:1-2-3", "person:0-"])
def test_sizes_that_cannot_be_read_are_refused(role: str) -> None:
    with pytest.raises(NotValid):
        parse_keys(f"{role} {ORIGIN} {WRITER.verifying_key}")


def test_a_dossier_after_rotations_and_a_revocation_verifies_with_the_right_list_only(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    note(one, 3)
    rotate(one, 1)
    carry(one, held)
    note(one, 2)
    held.revoke(4, key(2).verifying_key)
    one.revoke(4, key(2).verifying_key)
    one.renew(key(2), actor=NODE, moment=AT)
    carry(one, held)
    rotate(one, 3)
    carry(one, held)
    others = (Key(KeyRole.WITNESS, "CONTROL", WITNESS.verifying_key), Key(KeyRole.DOSSIER, "CONTROL", CONTROL.verifying_key))
    right = [*writer_lines(WriterKeys.first(ORIGIN, WRITER.verifying_key, revocations=[(4, key(2).verifying_key)]), "Leeds"), *others]
    write_dossier(
        tmp_path / "dossier",
        ledgers=[LedgerPart.newest(held.store)],
        blobs=BlobStore(tmp_path / "blobs"),
        blocks=[],
        documents={},
        keys=right,
        signer=CONTROL,
        about="nothing",
        made_at=AT.at,
    )
    assert verify_dossier(tmp_path / "dossier").ok
    assert verify_dossier(tmp_path / "dossier", keys="".join(each.line() for each in right)).ok
    old = "".join(each.line() for each in (Key(KeyRole.WRITER, ORIGIN, WRITER.verifying_key), *others))
    report = verify_dossier(tmp_path / "dossier", keys=old)
    assert [each.check for each in report.notes if each.severity is Severity.STOP] == ["check_checkpoint"]


def test_facts_rewritten_before_a_rotation_are_found_in_a_dossier(tmp_path: Path) -> None:
    """By a thief of the newest key and a witness that sleeps."""
    one = ledger(tmp_path)
    note(one, 3)
    rotate(one, 1)
    forged = ledger(tmp_path, name="forged")
    note(forged, 3, first=50)
    bodies = [*forged.store.bodies(0, 3), *one.store.bodies(3, 4)]
    frontier = Frontier().extend(leaf_hashes(bodies))
    made = sign_checkpoint(Checkpoint(ORIGIN, 4, frontier.root()), key(1))
    store = SqliteStore(tmp_path / "made.db", origin=ORIGIN)
    store.commit(bodies, frontier=frontier, note=made, receipt=made + cosign(made, witness=WITNESS, time=1))
    keys = [Key(KeyRole.WRITER, ORIGIN, WRITER.verifying_key), Key(KeyRole.WITNESS, "CONTROL", WITNESS.verifying_key)]
    write_dossier(
        tmp_path / "dossier",
        ledgers=[LedgerPart.newest(store)],
        blobs=BlobStore(tmp_path / "blobs"),
        blocks=[],
        documents={},
        keys=[*keys, Key(KeyRole.DOSSIER, "CONTROL", CONTROL.verifying_key)],
        signer=CONTROL,
        about="nothing",
        made_at=AT.at,
    )
    assert [each.check for each in verify_dossier(tmp_path / "dossier").notes] == ["check_rotations"]
