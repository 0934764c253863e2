"""Signed heartbeats: what they bind, what they cannot be made to say, and what a site may delete for them."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.batches.facts import BatchManifestNoted
from isogenic.clock import DisciplinedClock
from isogenic.errors import NotTrusted, Refusal
from isogenic.ids import NodeId
from isogenic.network.beats import WITHHELD_S
from isogenic.network.facts import HeartbeatKept, SiteSilent, TailWithheld
from isogenic.records import codec
from isogenic.records.facts import Actor
from isogenic.records.heartbeats import Heartbeat, claimed_heartbeat, open_watermark, sign_heartbeat, sign_watermark
from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import PROMISES_MAX, Ledger
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import next_page
from isogenic.sites.facts import LinkLost
from isogenic.sites.pruning import prunable
from small_network import LEEDS, START, Network

HOUSE = "aster/LEEDS/HOUSE"
KEY = Signer.from_seed("aster/LEEDS", b"\x01" * 32)


def beat(net: Network) -> None:
    asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))


def house(net: Network) -> list[object]:
    return [fact.payload for fact in net.control.ledgers["HOUSE"].facts()]


def test_what_a_heartbeat_told_cannot_be_rewritten_by_who_steals_the_key_later(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    held = net.control.copies[HOUSE][1].size
    ledger = net.nodes[LEEDS].ledgers["HOUSE"]
    net.nodes[LEEDS].note([LinkLost(LEEDS, "true")])
    beat(net)
    assert any(isinstance(fact, HeartbeatKept) for fact in house(net))
    forged = Ledger(SqliteStore(tmp_path / "forged.sqlite", origin=HOUSE), signer=ledger.signer)
    forged.append_bytes(ledger.store.bodies(0, held))
    forged.append([LinkLost(LEEDS, "made up")] * 3, actor=Actor.node("LEEDS"), moment=net.clock.now())
    page = next_page(forged.store, start=0)
    assert page is not None
    for control in (lambda: net.control, net.restart_control):  # it binds after a restart, too
        answer = asyncio.run(control().desk.handle(NodeId("LEEDS"), "POST", "/v1/pages", page.to_bytes()))
        assert answer.status == NotTrusted.http_status
        assert b"rewritten" in answer.body
    asyncio.run(net.carry())
    assert net.control.copies[HOUSE][1].size == ledger.size


@pytest.mark.parametrize("far", [10**15, 10**6, 1])
def test_no_number_of_later_heartbeats_frees_who_has_told_from_what_was_told(tmp_path: Path, far: int) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    node, held = net.nodes[LEEDS], net.control.copies[HOUSE][1].size
    ledger = node.ledgers["HOUSE"]
    node.note([LinkLost(LEEDS, "true")] * 300)
    beat(net)
    for count in range(150):  # by whoever has the key
        heads = {HOUSE: (held + far + count, b"\7" * 32)}
        note = sign_heartbeat(Heartbeat("LEEDS", 2**40, count, net.clock.now().at, heads), ledger.signer).decode()
        body = codec.dumps({"at": "2026-03-02T06:00:00.000Z", "noted": {}, "values": {}, "note": note, "rotations": []})
        answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/heartbeat", body))
        assert answer.status == (NotTrusted.http_status if far == 10**15 else 200)
    forged = Ledger(SqliteStore(tmp_path / "forged.sqlite", origin=HOUSE), signer=ledger.signer)
    forged.append_bytes(ledger.store.bodies(0, held))
    forged.append([LinkLost(LEEDS, "made up")] * 301, actor=Actor.node("LEEDS"), moment=net.clock.now())
    page = next_page(forged.store, start=0)
    assert page is not None
    answer = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/pages", page.to_bytes()))
    assert answer.status == NotTrusted.http_status
    assert net.control.copies[HOUSE][1].promised[ledger.size] == ledger.root
    assert len(net.control.copies[HOUSE][1].promised) <= PROMISES_MAX


def test_an_old_heartbeat_and_one_of_another_key_are_refused(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    said: list[bytes] = []
    send = net.lines[LEEDS].call

    async def heard(method: str, path: str, body: bytes = b""):  # type: ignore[no-untyped-def]
        if path == "/v1/heartbeat":
            said.append(body)
        return await send(method, path, body)

    net.lines[LEEDS].call = heard  # type: ignore[method-assign]
    beat(net)
    beat(net)
    assert net.control.desk.live[NodeId("LEEDS")].noted[HOUSE] == net.nodes[LEEDS].ledgers["HOUSE"].size
    twice = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/heartbeat", said[1]))
    assert twice.status == 200  # brought twice by the network: nobody else's, so no alarm
    for body in (said[0], said[1].replace(b"aster/LEEDS/HOUSE ", b"aster/LEEDS/HOUSE 1")):
        assert asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/heartbeat", body)).status in (401, 422)
    right = claimed_heartbeat(codec.loads(said[1])["note"].encode())
    newer = Heartbeat(right.site, right.life, right.count + 1, right.at, right.heads)
    forged = codec.dumps({**codec.loads(said[1]), "note": sign_heartbeat(newer, Signer.generate("aster/LEEDS")).decode()})
    assert asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/heartbeat", forged)).status == 401


def test_heartbeats_go_on_while_the_house_has_a_key_that_did_not_arrive_yet(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    node = net.nodes[LEEDS]
    assert node.keys.keyring is not None
    for _ in range(3):
        node.keys.keyring.rotate("HOUSE", node.ledgers["HOUSE"], actor=node.actor, moment=net.clock.now())
    beat(net)
    assert net.control.desk.live[NodeId("LEEDS")].noted[HOUSE] == node.ledgers["HOUSE"].size > net.control.copies[HOUSE][1].size


def test_a_site_that_is_heard_and_holds_its_newest_facts_back_is_an_alarm(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    net.nodes[LEEDS].note([LinkLost(LEEDS, "kept back")])
    for _ in range(3):
        beat(net)
        net.control.note_withheld()
        net.clock.advance(WITHHELD_S)
    net.control.note_withheld()
    (said,) = [fact for fact in house(net) if isinstance(fact, TailWithheld)]
    assert (said.ledger, said.told - said.held) == (HOUSE, 1)
    asyncio.run(net.carry())
    net.control.note_withheld()
    assert sum(isinstance(fact, TailWithheld) for fact in house(net)) == 1


def test_the_answer_tells_the_site_how_far_its_clock_is_off(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    behind = DisciplinedClock(wall=lambda: (net.clock.at - timedelta(seconds=40)).timestamp(), steady=lambda: 5.0, kernel=lambda: None, boot="one")
    net.nodes[LEEDS].courier.clock = behind
    beat(net)
    state = behind.state()
    assert (state.source, str(state.quality)) == ("control site", "poor")
    assert state.offset_ms == pytest.approx(40_000, abs=20)


def test_without_two_stores_there_is_no_watermark_and_nothing_may_go(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    beat(net)
    assert net.nodes[LEEDS].state.watermarks == {}
    net.control.desk.beats.stores = 2
    beat(net)
    marks = net.nodes[LEEDS].state.watermarks
    assert 0 < marks[HOUSE] <= net.nodes[LEEDS].ledgers["HOUSE"].witnessed
    by = [net.control.ledgers["LEEDS"].signer.verifying_key]
    found = {each.ledger: each for each in prunable(net.facts(), by=by, keep_days=0, now=START)}
    assert found[HOUSE].watermark == marks[HOUSE]
    assert {each.watermark for each in prunable(net.facts(), by=[KEY.verifying_key], keep_days=0, now=START)} == {0}


def test_blocks_go_only_below_the_watermark_and_after_their_time(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")

    async def run() -> None:
        await net.publish()
        await net.run_batch(net.start_batch())
        await net.carry()

    asyncio.run(run())
    net.control.desk.beats.stores = 2
    beat(net)
    by = [net.control.ledgers["LEEDS"].signer.verifying_key]
    sponsor = next(ledger.origin for name, ledger in net.nodes[LEEDS].ledgers.items() if name != "HOUSE")

    def may(days: float) -> int:
        return next(
            len(each.blocks) for each in prunable(net.facts(), by=by, keep_days=30, now=net.clock.at + timedelta(days=days)) if each.ledger == sponsor
        )

    assert may(0) == 0
    assert may(60) >= 1
    assert all(not each.blocks for each in prunable(net.facts(), by=[], keep_days=0, now=net.clock.at + timedelta(days=60)))


def test_a_watermark_of_another_ledger_or_key_is_refused() -> None:
    note = sign_watermark(HOUSE, 7, KEY)
    assert open_watermark(note, origin=HOUSE, by=KEY.verifying_key) == 7
    for origin, key in ((HOUSE + "X", KEY.verifying_key), (HOUSE, Signer.generate("aster/LEEDS").verifying_key)):
        with pytest.raises(Refusal):
            open_watermark(note, origin=origin, by=key)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=120), st.integers(0, 400))
def test_any_bytes_are_a_heartbeat_or_refused(data: bytes, at: int) -> None:
    good = sign_heartbeat(Heartbeat("LEEDS", 3, 4, START, {HOUSE: (9, b"r" * 32)}), KEY)
    assert claimed_heartbeat(good).heads == {HOUSE: (9, b"r" * 32)}
    from isogenic.records.heartbeats import open_heartbeat

    keys = WriterKeys.first(HOUSE, KEY.verifying_key)
    assert open_heartbeat(good, keys).order == (3, 4)
    for bad in (data, good[:at] + data + good[at + 1 :]):
        if bad != good:
            with pytest.raises(Refusal):
                open_heartbeat(bad, keys)


def test_a_closed_batch_has_a_manifest_that_the_control_site_finds_line_by_line(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")

    async def run() -> None:
        await net.publish()
        batch = net.start_batch()
        await net.run_batch(batch)
        await net.scan()
        await net.carry()
        (said,) = net.payloads(BatchManifestNoted)
        record = net.control.state.lots[batch]
        assert (record.manifest_due, record.listed) == (True, ())
        assert (said.blocks, said.readings) == (tuple(block.digest for block in record.blocks), record.readings)  # type: ignore[attr-defined]
        assert sum(said.readings.values()) > 0  # type: ignore[attr-defined]
        net.restart_site(LEEDS)
        await net.scan()
        assert len(net.payloads(BatchManifestNoted)) == 1

    asyncio.run(run())


@pytest.mark.parametrize("signed", ["by nobody", "by another key", "before"])
def test_what_its_key_has_not_signed_is_no_sign_of_life_of_a_site(tmp_path: Path, signed: str) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.carry())
    beat(net)
    live = net.control.desk.live[NodeId("LEEDS")]
    told, noted, said = live.heard, dict(live.noted), list[bytes]()
    right = Heartbeat("LEEDS", 99, 1, net.clock.at, {HOUSE: (10**6, bytes(32))})
    note = {
        "by nobody": "",
        "by another key": sign_heartbeat(right, Signer.generate("aster/LEEDS")).decode(),
        "before": net.control.desk.beats._heard[LEEDS].note.decode(),
    }[signed]
    for minute in range(3):
        net.clock.advance(60.0)
        said = [codec.dumps({"at": "2026-03-02T06:00:00.000Z", "noted": {HOUSE: 10**6}, "values": {"BR-50": {"ph": float(minute)}}, "note": note})]
        status = asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/heartbeat", said[0])).status
        assert status == (401 if signed == "by another key" else 200)
        for path in ("/v1/control?from=0", f"/v1/held?ledger={HOUSE}&from=0"):  # nor is what its session alone can ask
            assert asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", path)).status == 200
        net.control.note_silence(net.clock.at, silent_s=15.0)
    assert (live.heard, dict(live.noted)) == (told, noted)
    assert [values for _, values in live.units["BR-50"]] == [{"ph": 0.0}, {"ph": 1.0}, {"ph": 2.0}]  # shown, never evidence
    assert [fact.site for fact in house(net) if isinstance(fact, SiteSilent)] == [LEEDS]
    net.nodes[LEEDS].note([LinkLost(LEEDS, "new facts")])
    asyncio.run(net.carry())
    assert live.heard == net.clock.at


def test_a_site_in_whose_name_somebody_calls_and_nothing_is_signed_is_silent(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    for _ in range(2):
        asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "GET", "/v1/control?from=0"))
        net.control.note_silence(net.clock.at, silent_s=15.0)
        net.clock.advance(60.0)
    net.control.note_silence(net.clock.at, silent_s=15.0)
    assert [fact.site for fact in house(net) if isinstance(fact, SiteSilent)] == [LEEDS]
    assert net.control.desk.live[NodeId("LEEDS")].heard is None
