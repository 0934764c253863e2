"""Pages between a ledger and its copy, over a link that loses, repeats, reorders, cuts and alters them."""

from __future__ import annotations

import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from records_setup import AT, NODE, ORIGIN, WITNESS, WRITER, copy, ledger, signer, steps

from isogenic.errors import NotTrusted, NotValid, Refusal
from isogenic.records.facts import FactRef, encode_fact
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import Checkpoint, sign_checkpoint
from isogenic.records.sync import PAGE_BYTES_MAX, Page, Resume, next_page


def page_at(one: Ledger, start: int) -> Page:
    page = next_page(one.store, start=start)
    assert page is not None
    return page


def pages(one: Ledger) -> list[Page]:
    found, start = [], 0
    while (page := next_page(one.store, start=start)) is not None:
        found.append(page)
        start += len(page.bodies)
    return found


def test_a_page_reads_back(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(5), actor=NODE, moment=AT)
    page = page_at(one, 0)
    assert Page.from_bytes(page.to_bytes()) == page


def test_pages_hold_whole_commits_as_many_as_fit(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    for count in (300, 200, 100, 512, 1):
        one.append(steps(count), actor=NODE, moment=AT)
    assert [(page.start, len(page.bodies)) for page in pages(one)] == [(0, 500), (500, 100), (600, 512), (1112, 1)]
    assert next_page(one.store, start=one.size) is None


def test_a_copy_is_equal_and_its_cosignature_is_the_receipt(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(700), actor=NODE, moment=AT)
    for page in pages(one):
        receipt = held.take(page, moment=AT)
        one.take_receipt(receipt.line, size=receipt.size, witness=WITNESS.verifying_key)
    assert (held.size, held.root, one.witnessed) == (700, one.root, 700)
    assert list(held.facts()) == list(one.facts())
    held.store.close()
    assert copy(tmp_path).root == one.root


def test_a_page_held_already_is_answered_with_the_same_promise(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    for _ in range(3):
        one.append(steps(300), actor=NODE, moment=AT)
    first, second, third = pages(one)
    receipts = [held.take(page, moment=AT) for page in (first, second)]
    assert [held.take(page, moment=AT) for page in (first, second)] == receipts
    held.take(third, moment=AT)
    assert [held.take(page, moment=AT) for page in (first, second)] == receipts
    short = Page(ORIGIN, 0, first.bodies, first.note)
    assert held.take(short, moment=AT) == receipts[0]
    assert held.size == 900


def test_a_page_that_overlaps_adds_its_new_part(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(3), actor=NODE, moment=AT)
    held.take(page_at(one, 0), moment=AT)
    one.append(steps(3, first=3), actor=NODE, moment=AT)
    held.take(page_at(one, 0), moment=AT)
    assert (held.size, held.root) == (6, one.root)


def test_an_empty_page_at_the_end_is_a_heartbeat(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(3), actor=NODE, moment=AT)
    page = page_at(one, 0)
    receipt = held.take(page, moment=AT)
    assert held.take(Page(ORIGIN, 3, (), page.note), moment=AT) == receipt


def test_a_page_after_a_gap_is_asked_for_again_from_what_is_held(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(2), actor=NODE, moment=AT)
    held.take(page_at(one, 0), moment=AT)
    one.append(steps(600, first=2), actor=NODE, moment=AT)
    with pytest.raises(Resume) as caught:
        held.take(page_at(one, 514), moment=AT)
    assert caught.value.size == 2
    assert held.size == 2


def refusal(held: Copy, page: Page) -> str:
    before = (held.size, held.root, held.store.head())
    with pytest.raises(NotTrusted) as caught:
        held.take(page, moment=AT)
    assert (held.size, held.root, held.store.head()) == before
    return caught.value.why


def test_a_fork_is_refused(tmp_path: Path) -> None:
    """The writer, restored from a backup, goes on with other facts."""
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(4), actor=NODE, moment=AT)
    held.take(page_at(one, 0), moment=AT)
    twin = ledger(tmp_path, name="twin")
    twin.append(steps(4, first=100), actor=NODE, moment=AT)
    assert refusal(held, page_at(twin, 0)) == "it rewrites facts that are held: a fork"
    head = twin.store.head()
    assert head is not None
    assert refusal(held, Page(ORIGIN, 4, (), head.note)) == "another root is held for that size: a fork"
    twin.append(steps(1), actor=NODE, moment=AT)
    body = twin.store.bodies(4, 5)
    assert refusal(held, replace(page_at(twin, 0), start=4, bodies=tuple(body))) == "the root computed from its facts is not the signed root"


def test_an_old_checkpoint_with_another_root_is_refused(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(4), actor=NODE, moment=AT)
    held.take(page_at(one, 0), moment=AT)
    bodies = tuple(one.store.bodies(0, 2))
    lie = sign_checkpoint(Checkpoint(ORIGIN, 2, bytes(32)), WRITER)
    assert refusal(held, Page(ORIGIN, 0, bodies, lie)) == "another root is held for that size: a fork"
    other = sign_checkpoint(Checkpoint(ORIGIN, 4, bytes(32)), WRITER)
    assert refusal(held, Page(ORIGIN, 4, (), other)) == "another root is held for that size: a fork"


def test_a_rewritten_history_is_refused(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(4), actor=NODE, moment=AT)
    held.take(page_at(one, 0), moment=AT)
    rewritten = ledger(tmp_path, name="rewritten")
    rewritten.append([*steps(1), *steps(1, first=77), *steps(4, first=2)], actor=NODE, moment=AT)
    assert refusal(held, page_at(rewritten, 0)) == "it rewrites facts that are held: a fork"


def test_a_page_of_another_ledger_is_refused(tmp_path: Path) -> None:
    held = copy(tmp_path)
    other = ledger(tmp_path, name="other", origin="example.org/leeds/other")
    other.append(steps(2), actor=NODE, moment=AT)
    page = page_at(other, 0)
    assert refusal(held, page) == "this is the copy of example.org/leeds/acme"
    assert refusal(held, replace(page, origin=ORIGIN)) == "its checkpoint is for 2 facts of example.org/leeds/other"


def test_a_checkpoint_of_the_future_is_refused(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append(steps(2), actor=NODE, moment=AT)
    now = page_at(one, 0)
    one.append(steps(2), actor=NODE, moment=AT)
    head = one.store.head()
    assert head is not None
    assert refusal(held, replace(now, note=head.note)) == "its checkpoint is for 4 facts of example.org/leeds/acme"


def test_a_page_signed_by_another_is_refused(tmp_path: Path) -> None:
    held = copy(tmp_path)
    forged = ledger(tmp_path, by=signer("example.org/ghent"))
    forged.append(steps(2), actor=NODE, moment=AT)
    assert refusal(held, page_at(forged, 0)) == "it is not signed by example.org/leeds"


@pytest.mark.parametrize("ref", [FactRef(ORIGIN, 1), FactRef("example.org/leeds/other", 0)])
def test_a_fact_written_for_another_place_is_refused(tmp_path: Path, ref: FactRef) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append_bytes([encode_fact(steps(1)[0], ref=ref, actor=NODE, moment=AT)])
    assert refusal(held, page_at(one, 0)) == "its bytes name another ledger or position: it was written for another place"


def test_an_empty_fact_is_refused(tmp_path: Path) -> None:
    one, held = ledger(tmp_path), copy(tmp_path)
    one.append_bytes([b""])
    with pytest.raises(NotValid, match="empty fact"):
        held.take(page_at(one, 0), moment=AT)


def test_a_sender_restored_from_an_old_backup_stops(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(2), actor=NODE, moment=AT)
    with pytest.raises(NotTrusted, match="restored from an old backup"):
        next_page(one.store, start=3)
    with pytest.raises(NotTrusted, match="restored from an old backup"):
        next_page(one.store, start=5000)


def test_a_page_that_would_unpack_too_large_is_refused_before_it_is_unpacked() -> None:
    bomb = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(PAGE_BYTES_MAX + 1))
    with pytest.raises(NotValid, match="it declares"):
        Page.from_bytes(bomb)
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1000))
    with pytest.raises(NotValid):
        Page.from_bytes(hidden)


def test_a_truncated_page_is_refused(tmp_path: Path) -> None:
    one = ledger(tmp_path)
    one.append(steps(3), actor=NODE, moment=AT)
    raw = zstandard.ZstdDecompressor().decompress(page_at(one, 0).to_bytes())
    facts_end = len(raw) - len(page_at(one, 0).note)
    for length in range(facts_end):
        with pytest.raises(NotValid):
            Page.from_bytes(zstandard.ZstdCompressor().compress(raw[:length]))
    with pytest.raises(NotValid):
        Page.from_bytes(page_at(one, 0).to_bytes() + b"more")


@given(st.binary(max_size=300) | st.binary(max_size=300).map(lambda data: zstandard.ZstdCompressor().compress(data)))
@settings(max_examples=100, deadline=None)
def test_a_page_of_any_bytes_is_read_or_refused(data: bytes) -> None:
    with contextlib.suppress(Refusal):
        Page.from_bytes(data)


@given(st.integers(0, 2**32), st.lists(st.integers(1, 60), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None)
def test_any_link_ends_with_equal_roots_and_every_receipt_true(seed: int, commits: list[int]) -> None:
    dice = Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        one, held = ledger(Path(folder)), copy(Path(folder))
        flying: list[bytes] = []
        answers: list[tuple[int, bytes]] = []
        known = 0
        left = list(commits)
        for _ in range(2000):
            if left and dice.random() < 0.5:
                one.append(steps(left.pop(), first=one.size), actor=NODE, moment=AT)
            page = next_page(one.store, start=dice.choice([known, one.witnessed, held.size]))
            if page is not None and dice.random() < 0.8:  # else lost
                flying += [page.to_bytes()] * dice.choice([1, 1, 2])
                dice.shuffle(flying)
            if flying and dice.random() < 0.8:
                data = bytearray(flying.pop())
                trouble = dice.random()
                if trouble < 0.15:
                    data[dice.randrange(len(data))] ^= 1 << dice.randrange(8)
                elif trouble < 0.3:
                    del data[dice.randrange(len(data)) :]
                try:
                    receipt = held.take(Page.from_bytes(bytes(data)), moment=AT)
                    answers.append((receipt.size, receipt.line))
                except Resume as resume:
                    known = resume.size
                except (NotTrusted, NotValid):
                    pass
            if answers and dice.random() < 0.8:
                size, line = answers.pop(dice.randrange(len(answers)))
                one.take_receipt(line, size=size, witness=WITNESS.verifying_key)
                known = max(known, size)
            if not left and one.witnessed == one.size == held.size:
                break
        assert (held.size, held.root, one.witnessed) == (one.size, one.root, one.size)
        assert one.size == sum(commits)
        assert [fact.payload for fact in held.facts()] == [fact.payload for fact in one.facts()]
        one.store.close()
        held.store.close()
