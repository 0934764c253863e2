"""Where the sites' requests are answered: each site within its own bounds, and never anything but an answer."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isogenic.errors import NotTrusted, NotValid
from isogenic.ids import NodeId
from isogenic.network.desk import BODY_BYTES_MAX, DIGESTS_MAX, HEARTBEAT_BYTES_MAX, LIVE_UNITS, NAME_MAX
from isogenic.network.facts import PageRefused
from isogenic.network.inbox import EVIDENCE_MAX
from isogenic.records import codec
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.link import Answer, refusal_of
from isogenic.records.sync import Page, next_page
from small_network import GHENT, LEEDS, LOT, Network


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Two sites, one of them with a whole batch behind it; nothing is waiting."""
    net = Network(tmp_path_factory.mktemp("desk") / "net", sites=(LEEDS, GHENT))

    async def run() -> None:
        await net.publish(LEEDS)
        await net.carry(GHENT)
        await net.run_batch(net.start_batch())
        await net.carry()

    asyncio.run(run())
    return net


def ask(net: Network, peer: str, method: str, target: str, body: bytes = b"") -> Answer:
    return asyncio.run(net.control.desk.handle(NodeId(peer), method, target, body))


def held(net: Network) -> list[tuple[str, int]]:
    return [(origin, copy.size) for origin, (_, copy) in net.control.copies.items()]


def blobs(net: Network) -> list[str]:
    return list(net.control.blobs.digests())


# ---- whose ledger, whose bytes ----


def test_a_site_that_the_directory_does_not_name_is_served_nothing(net: Network) -> None:
    before = held(net), blobs(net)
    for method, target in (("GET", "/v1/control?from=0"), ("POST", "/v1/pages"), ("POST", "/v1/heartbeat"), ("GET", "/v1/blobs/" + "0" * 64)):
        assert isinstance(refusal_of(ask(net, "NOWHERE", method, target)), NotTrusted)
    assert (held(net), blobs(net)) == before


def test_a_site_cannot_bring_pages_of_another_sites_ledger(net: Network) -> None:
    page = next_page(net.nodes[LEEDS].ledgers["ASTER-BIO"].store, start=0)
    assert page is not None
    before = held(net)
    answer = ask(net, "GHENT", "POST", "/v1/pages", page.to_bytes())
    assert answer.status == 401
    assert "GHENT does not write that ledger" in str(refusal_of(answer))
    assert held(net) == before


def test_a_site_reads_the_ledger_written_for_it_and_no_other(net: Network) -> None:
    leeds, ghent = (Page.from_bytes(ask(net, site, "GET", "/v1/control?from=0").body) for site in ("LEEDS", "GHENT"))
    assert (leeds.origin, ghent.origin) == ("aster/CONTROL/LEEDS", "aster/CONTROL/GHENT")


def test_a_site_brings_only_the_blobs_that_its_facts_name(net: Network) -> None:
    sealed = net.payloads(ReadingsSealed)[-1]
    assert isinstance(sealed, ReadingsSealed)
    data, digest = net.nodes[LEEDS].blobs.get(sealed.digest), sealed.digest
    asked = codec.dumps({"digests": [digest, "ab" * 32]})
    assert codec.loads(ask(net, "LEEDS", "POST", "/v1/blobs", asked).body) == {"verified": [digest], "missing": [], "later": []}
    assert codec.loads(ask(net, "GHENT", "POST", "/v1/blobs", asked).body) == {"verified": [], "missing": [], "later": []}
    answer = ask(net, "LEEDS", "PUT", f"/v1/blobs/{digest}", data)
    assert (answer.status, codec.loads(answer.body)) == (200, {"verified": [digest]})
    assert ask(net, "LEEDS", "POST", "/v1/blobs", codec.dumps({"digests": ["ab" * 32] * (DIGESTS_MAX + 1)})).status == 422
    assert ask(net, "LEEDS", "PUT", f"/v1/blobs/{digest}", data + b"x").status == 401
    assert ask(net, "GHENT", "PUT", f"/v1/blobs/{digest}", data).status == 404
    before = blobs(net)
    assert ask(net, "LEEDS", "PUT", f"/v1/blobs/{'ab' * 32}", b"anything").status == 404
    assert ask(net, "LEEDS", "PUT", "/v1/blobs/..%2F..%2Fnode.json", b"anything").status == 422
    assert blobs(net) == before


def test_a_site_gets_what_was_published_and_not_what_another_site_brought(net: Network) -> None:
    sealed = net.payloads(ReadingsSealed)[-1]
    assert isinstance(sealed, ReadingsSealed)
    (model,) = net.control.state.models.values()
    assert ask(net, "GHENT", "GET", f"/v1/blobs/{model.digest}").status == 200
    assert ask(net, "GHENT", "GET", f"/v1/blobs/{sealed.digest}").status == 404


def test_a_body_that_is_too_large_is_refused(net: Network) -> None:
    assert ask(net, "LEEDS", "POST", "/v1/pages", bytes(BODY_BYTES_MAX + 1)).status == 422


# ---- evidence ----


def test_a_page_that_does_not_verify_is_kept_as_evidence_and_noted_once(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    net.start_batch()
    page = next_page(net.nodes[LEEDS].ledgers["ASTER-BIO"].store, start=0)
    assert page is not None
    forged = Page(page.origin, page.start, (*page.bodies[:-1], page.bodies[-1].replace(b'"v":1', b'"v":2')), page.note).to_bytes()
    before = held(net)
    assert [ask(net, "LEEDS", "POST", "/v1/pages", forged).status for _ in range(3)] == [401] * 3
    assert held(net) == before
    (fact,) = [fact.payload for fact in net.control.ledgers["HOUSE"].facts() if isinstance(fact.payload, PageRefused)]
    assert fact.site == LEEDS
    assert "the root computed from its facts is not the signed root" in fact.why
    assert net.control.blobs.get(fact.digest) == forged
    assert len(net.control.desk.inbox.refused) == 3
    asyncio.run(net.carry())
    assert net.control.copies[page.origin][1].root == net.nodes[LEEDS].ledgers["ASTER-BIO"].root


def test_evidence_is_bounded_and_what_is_beyond_is_refused_all_the_same(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    inbox = net.control.desk.inbox
    kept: list[bytes] = []
    inbox._keep_evidence = lambda peer, why, page: kept.append(page)
    for number in range(EVIDENCE_MAX + 5):
        with pytest.raises(NotTrusted):
            inbox.take(NodeId("LEEDS"), Page("aster/GHENT/HOUSE", number, (), b"").to_bytes(), moment=net.clock.now())
    assert len(kept) == EVIDENCE_MAX
    assert len(inbox.refused) == 100


# ---- long poll, cosignatures, heartbeats ----


def test_a_waiting_site_is_answered_as_soon_as_something_is_published(net: Network) -> None:
    async def wait_and_publish() -> tuple[Answer, float]:
        loop = asyncio.get_running_loop()
        start, size = loop.time(), net.control.ledgers["GHENT"].size
        waiting = asyncio.create_task(net.control.desk.handle(NodeId("GHENT"), "GET", f"/v1/control?from={size}&wait=20"))
        await asyncio.sleep(0.05)
        assert not waiting.done()
        net.control.note([next(iter(net.nodes[LEEDS].state.published.values()))], site=GHENT)
        return await waiting, loop.time() - start

    answer, seconds = asyncio.run(wait_and_publish())
    assert answer.status == 200
    assert seconds < 10
    assert len(Page.from_bytes(answer.body).bodies) == 1


def test_closing_lets_the_waiting_sites_go(net: Network) -> None:
    async def wait_and_close() -> Answer:
        size = net.control.ledgers["LEEDS"].size
        waiting = asyncio.create_task(net.control.desk.handle(NodeId("LEEDS"), "GET", f"/v1/control?from={size}&wait=20"))
        await asyncio.sleep(0.05)
        net.control.desk.close()
        async with asyncio.timeout(10):
            return await waiting

    assert asyncio.run(wait_and_close()).status == 204
    net.control.desk.closing = False


def test_what_a_site_cosigned_of_the_control_ledger_is_witnessed(net: Network) -> None:
    asyncio.run(net.carry(GHENT))
    ledger = net.control.ledgers["GHENT"]
    assert ledger.witnessed == ledger.size
    assert {str(net.control.stage(fact)) for fact in ledger.facts()} == {"witnessed"}
    _, note = ledger.store.receipt() or (0, b"")
    assert b"aster/GHENT/witness" in note


def test_a_cosignature_of_another_site_is_refused(net: Network) -> None:
    size, note = net.control.ledgers["GHENT"].store.receipt() or (0, b"")
    line = note.splitlines(keepends=True)[-1].decode()
    before = net.control.ledgers["LEEDS"].witnessed
    for said in ({"size": size, "line": line}, {"size": 10**9, "line": line}, {"size": -1, "line": line}):
        assert ask(net, "LEEDS", "POST", "/v1/cosignatures", codec.dumps(said)).status == 401
    for body in (b"", b"[]", b'{"size":"1","line":""}', b'{"size":1}', b'{"size":true,"line":"x"}'):
        assert ask(net, "LEEDS", "POST", "/v1/cosignatures", body).status == 422
    assert net.control.ledgers["LEEDS"].witnessed == before


def test_a_heartbeat_tells_of_the_sites_own_ledgers_only_and_never_fills_the_memory(net: Network) -> None:
    beat = {"at": "2026-03-02T06:00:00.000Z", "noted": {"aster/LEEDS/HOUSE": 5, "aster/GHENT/HOUSE": 99}, "values": {}}
    assert ask(net, "LEEDS", "POST", "/v1/heartbeat", codec.dumps(beat)).status == 200
    live = net.control.desk.live[NodeId("LEEDS")]
    assert live.noted.get("aster/LEEDS/HOUSE") != 5  # nobody has signed it
    for start in range(0, 400, 50):
        values = {f"U-{number}": {"temperature": "37.0"} for number in range(start, start + 50)}
        assert ask(net, "LEEDS", "POST", "/v1/heartbeat", codec.dumps(beat | {"values": values})).status == 200
    assert len(live.units) == LIVE_UNITS
    for wrong in ({}, beat | {"at": "soon"}, beat | {"noted": {"x": "many"}}, beat | {"values": {"U-1": {"t": "hot"}}}, beat | {"more": 1}):
        assert ask(net, "LEEDS", "POST", "/v1/heartbeat", codec.dumps(wrong)).status == 422


def test_a_heartbeat_is_small_and_its_names_are_short(net: Network) -> None:
    beat: dict[str, object] = {"at": "2026-03-02T06:00:00.000Z", "noted": {}, "values": {}}
    live = net.control.desk.live[NodeId("GHENT")]
    before = (dict(live.noted), set(live.units))
    long = "U" * (NAME_MAX + 1)
    for values in ({long: {"ph": "7.0"}}, {"U-1": {long: "7.0"}}, {f"U-{at}": {f"signal-{n}": "7.0" for n in range(1000)} for at in range(20)}):
        assert ask(net, "GHENT", "POST", "/v1/heartbeat", codec.dumps(beat | {"values": values})).status == 422
    assert ask(net, "GHENT", "POST", "/v1/heartbeat", codec.dumps(beat) + b" " * HEARTBEAT_BYTES_MAX).status == 422
    assert (dict(live.noted), set(live.units)) == before
    assert ask(net, "GHENT", "POST", "/v1/heartbeat", codec.dumps(beat | {"values": {"U" * NAME_MAX: {"s" * NAME_MAX: "7.0"}}})).status == 200


# ---- completeness ----


def test_completeness_is_a_number_and_a_root(net: Network) -> None:
    asyncio.run(net.carry())
    site = next(each for each in net.control.completeness(LEEDS) if each.origin.endswith("ASTER-BIO"))
    ledger = net.nodes[LEEDS].ledgers["ASTER-BIO"]
    assert (site.held, site.root, site.complete) == (ledger.size, ledger.root, True)
    assert str(site) == f"complete: {ledger.size} of {ledger.size} facts, root verified"
    net.report_results(LOT)
    asyncio.run(net.nodes[LEEDS].courier.heartbeat({}))
    behind = next(each for each in net.control.completeness(LEEDS) if each.origin.endswith("ASTER-BIO"))
    assert not behind.complete
    assert str(behind) == f"{site.held} of {ledger.size} facts, root verified; {ledger.size - site.held} are still on their way"
    asyncio.run(net.carry())


# ---- whatever comes ----

METHODS = st.sampled_from(["GET", "POST", "PUT", "HEAD", "DELETE", "", "get"]) | st.text(max_size=8)
PATHS = (
    st.sampled_from(
        [
            "/v1/pages",
            "/v1/control?from=0",
            "/v1/control?from=999999999999999999&wait=0",
            "/v1/control?from=-1",
            "/v1/control?from=٣",
            "/v1/cosignatures",
            "/v1/heartbeat",
            "/v1/blobs/" + "0" * 64,
            "/v1/blobs/",
            "//[",
            "?" + "&".join("a=1" for _ in range(100)),
            "http://[::1",
            "/v1//pages",
        ]
    )
    | st.text(max_size=40)
    | st.text(max_size=30).map(lambda text: "/v1/control?from=" + text)
    | st.text(max_size=30).map(lambda text: "/v1/blobs/" + text)
)
BODIES = (
    st.binary(max_size=200)
    | st.sampled_from([b"{}", b"[]", b"null", b'{"size":1,"line":"\\u0000"}', b"\x28\xb5\x2f\xfd"])
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=6), inner),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
    | st.tuples(st.text(max_size=20), st.integers(0, 2**64 - 1), st.lists(st.binary(max_size=30), max_size=4), st.binary(max_size=60)).map(
        lambda parts: Page(parts[0], parts[1], tuple(parts[2]), parts[3]).to_bytes()
    )
    | st.lists(st.binary(max_size=30), max_size=3).map(lambda bodies: Page("aster/LEEDS/HOUSE", 0, tuple(bodies), b"note").to_bytes())
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(method=METHODS, path=PATHS, body=BODIES)
def test_whatever_is_asked_is_answered_and_nothing_is_stored(net: Network, method: str, path: str, body: bytes) -> None:
    before = held(net), net.control.ledgers["LEEDS"].size
    answer = ask(net, "LEEDS", method, path, body)
    assert isinstance(answer, Answer)
    assert answer.status in {200, 204, 401, 403, 404, 409, 422}
    assert (held(net), net.control.ledgers["LEEDS"].size) == before


# ---- folding ----


def test_a_fact_that_cannot_be_read_is_held_and_counted_and_stops_nothing(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    ledger = net.nodes[LEEDS].ledgers["ASTER-BIO"]
    ledger.append_bytes([b'{"ledger":"aster/LEEDS/ASTER-BIO","pos":%d,"v":"nonsense"}' % ledger.size])
    net.start_batch()
    asyncio.run(net.carry())
    copy = net.control.copies[ledger.origin][1]
    assert (copy.size, copy.root) == (ledger.size, ledger.root)
    assert [record.lot for record in net.control.state.lots.values()] == [LOT]
    derived = net.control.derived
    assert derived is not None
    assert [ref.position for ref, _ in derived.unreadable()] == [2]
    lived = net.control.state
    assert net.restart_control().state == lived


def test_what_arrived_is_folded_before_anybody_looks_and_soon_after_by_itself(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    assert batch not in net.control.state.lots

    async def carry_and_look() -> None:
        await net.carry()
        assert batch not in net.control.folding.state.lots
        assert batch in net.control.state.lots
        net.report_results(LOT)
        changed = net.control.changed
        await net.carry()
        async with asyncio.timeout(10):
            await changed.wait()
        while net.control.folding.behind:
            await asyncio.sleep(0.01)
        assert len(net.control.folding.state.lots[batch].results) == 6

    asyncio.run(carry_and_look())


def test_a_page_that_waits_for_the_one_before_is_not_unpacked(net: Network) -> None:
    """Its beginning says where it belongs; what cannot be read is refused at once."""
    page = Page("aster/LEEDS/HOUSE", 10**6, tuple(bytes([97]) * 65_535 for _ in range(64)), b"n")
    data = page.to_bytes()
    assert Page.place_of(data) == ("aster/LEEDS/HOUSE", 10**6)
    for nonsense in (b"", b"nonsense", data[:3]):
        with pytest.raises(NotValid):
            Page.place_of(nonsense)
    assert asyncio.run(net.control.desk.handle(NodeId("LEEDS"), "POST", "/v1/pages?wait=1", b"nonsense")).status == 422
