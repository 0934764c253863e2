"""What a site writes about the lots of another, and about what is not its to say, is seen and changes nothing."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.authority.rules import Act
from isogenic.batches.facts import BatchStarted
from isogenic.clock import ClockQuality, Moment
from isogenic.errors import NotAllowed, NotTrusted
from isogenic.ids import BatchId, DeviationId, LotId, SampleId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.materials.lots import LotCreated, LotState
from isogenic.network import decisions
from isogenic.network.dossiers import dossier_bytes, write_lot_dossier
from isogenic.network.state import ControlState, Place, fold
from isogenic.quality.deviations import Disposition, Origin, Severity, open_from_finding
from isogenic.quality.record import LotRecord
from isogenic.quality.release import LotReleased, ReleaseRefused, release
from isogenic.recipes.approval import RecipeApproved, RecipeSubmitted
from isogenic.recipes.model import digest_of
from isogenic.records import codec
from isogenic.records.facts import Actor, Fact, FactRef, UnknownPayload, known_kinds
from isogenic.records.signatures import Signature
from small_network import ADA, BEN, GENERAL, GHENT, LEEDS, LOT, QUI, RECIPE, RESULTS, Network, signer_of

THEIRS = LotId("LOT-0002")  # of GHENT; LEEDS is the one who writes what is not its to write


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sites, a batch in each; GHENT's is complete and lacks its results."""
    net = Network(tmp_path_factory.mktemp("begun") / "net", sites=(LEEDS, GHENT))

    async def run() -> None:
        await net.publish(LEEDS)
        await net.publish(GHENT)
        net.start_batch(LEEDS)
        await net.run_batch(net.start_batch(GHENT, lot=THEIRS), GHENT)
        await carry(net)

    asyncio.run(run())
    net.close_site(LEEDS)
    net.close_site(GHENT)
    net.close_control()
    (net.folder.parent / "at").write_text(net.clock.at.isoformat())
    return net.folder


@pytest.fixture
def net(begun: Path, tmp_path: Path) -> Iterator[Network]:
    shutil.copytree(begun, tmp_path / "net")
    net = Network(tmp_path / "net", sites=(LEEDS, GHENT), at=datetime.fromisoformat((begun.parent / "at").read_text()))
    asyncio.run(carry(net))
    yield net
    lived = net.control.state
    assert net.restart_control().state == lived  # whatever was written, what followed along is what is folded anew


async def carry(net: Network) -> None:
    await net.carry(LEEDS)
    await net.carry(GHENT)


def leeds_writes(net: Network, *payloads: Any, audience: str = "HOUSE") -> None:
    net.nodes[LEEDS].ledgers[audience].append(list(payloads), actor=Actor("LEEDS"), moment=net.clock.now())
    asyncio.run(carry(net))


def leeds_writes_raw(net: Network, kind: str, body: dict[str, Any], *, subject: str = "x", audience: str = "HOUSE", version: int = 1) -> None:
    ledger = net.nodes[LEEDS].ledgers[audience]
    envelope = {
        "actor": {"id": "LEEDS", "method": "key", "role": "node"},
        "at": "2026-03-31T19:06:00.000Z",
        "body": body,
        "clock": {"offset_ms": None, "quality": "good", "source": "x"},
        "kind": kind,
        "ledger": ledger.origin,
        "pos": ledger.size,
        "subject": subject,
        "v": version,
    }
    ledger.append_bytes([codec.dumps(envelope)])
    asyncio.run(carry(net))


def forged(net: Network, meaning: str = "released", digest: str = "0" * 64) -> Signature:
    quinn = net.person(QUI)
    return Signature(QUI, quinn.printed_name, "qualified_person", meaning, net.clock.at, digest, quinn.key, "AAAA")


def released_by_nobody(net: Network, record: LotRecord) -> LotReleased:
    assert record.lot and record.product and record.site
    return LotReleased(record.lot, record.batch, record.product, record.site, 1, "0" * 64, ("good: x",), forged(net))


def foreign(net: Network) -> list[str]:
    return [line for lines in net.control.state.foreign.values() for line in lines]


def reasons(net: Network, lot: LotId) -> tuple[str, ...]:
    return release(decisions.release_case(net.control, lot, asked_by=QUI)).reasons


def test_no_site_decides_on_the_lot_of_another(net: Network) -> None:
    before = net.control.state.lot(THEIRS)
    refused = ReleaseRefused(THEIRS, before.batch, before.product, GHENT, ("no",), QUI)  # type: ignore[arg-type]
    for audience in ("HOUSE", "ASTER-BIO"):
        leeds_writes(net, released_by_nobody(net, before), refused, audience=audience)
    assert net.control.state.lot(THEIRS) == before
    assert (net.control.state.decisions, net.control.state.refusals) == ({}, {})
    assert sum("quality.lot_released" in line for line in foreign(net)) == 2


def test_a_site_that_decides_on_its_own_lot_stops_it(net: Network) -> None:
    mine = net.control.state.lot(LOT)
    leeds_writes(net, released_by_nobody(net, mine), audience="ASTER-BIO")
    assert net.control.state.lot(LOT).lot_state is LotState.QUARANTINE
    assert "a site does not decide on its own lots" in net.control.state.lot(LOT).strange[0]
    assert net.control.state.decisions == {}


def test_no_site_writes_evidence_for_the_lot_of_another(net: Network) -> None:
    before, against = net.control.state.lot(THEIRS), reasons(net, THEIRS)
    sample = SampleId("SMP-9")
    results = [ResultReported(sample, before.batch, THEIRS, name, value, unit, "as filed") for name, (value, unit) in RESULTS.items()]
    finding = open_from_finding(
        DeviationId("DEV-9"),
        "nothing",
        batch=before.batch,
        lot=THEIRS,
        site=GHENT,
        origin=Origin.PERSON,
        severity=Severity.CRITICAL,
        evidence={},
        detected_at=net.clock.at,
    )
    for audience in ("HOUSE", "ASTER-BIO"):
        leeds_writes(net, SampleDrawn(sample, before.batch, THEIRS, "harvest"), *results, finding, audience=audience)
    assert net.control.state.lot(THEIRS) == before
    assert reasons(net, THEIRS) == against
    assert len(foreign(net)) == 2 * (2 + len(results))


def started_for(net: Network, batch: str, lot: str) -> BatchStarted:
    own = next(fact.payload for fact in net.facts(LEEDS) if isinstance(fact.payload, BatchStarted))
    return replace(own, batch=BatchId(batch), lot=LotId(lot))


def test_a_batch_is_not_claimed_in_a_house_ledger(net: Network) -> None:
    leeds_writes(net, started_for(net, "BAT-EVIL", "LOT-0003"))
    assert BatchId("BAT-EVIL") not in net.control.state.lots
    assert len(foreign(net)) == 1


def test_a_lot_and_a_batch_stay_with_the_ledger_that_claimed_them_first(net: Network) -> None:
    before, against = net.control.state.lot(THEIRS), reasons(net, THEIRS)
    net.clock.advance(-3e6)  # a claim does not come first by saying an earlier time
    leeds_writes(net, started_for(net, "BAT-0", str(THEIRS)), audience="ASTER-BIO")
    leeds_writes(net, started_for(net, str(before.batch), "LOT-9"), audience="ASTER-BIO")
    net.clock.advance(3e6)
    assert net.control.state.lot(THEIRS) == before
    assert net.control.state.lots[before.batch] == before
    assert reasons(net, THEIRS) == against
    (strange,) = net.control.state.lots[BatchId("BAT-0")].strange
    assert strange == f"{THEIRS} was claimed before, in aster/GHENT/ASTER-BIO"
    assert [fact.kind for fact in net.control.ledgers["HOUSE"].facts()].count("network.claim_refused") == 2


def test_a_claim_that_names_no_lot_of_its_own_takes_nothing(net: Network) -> None:
    before = net.control.state.lot(THEIRS)
    leeds_writes(net, LotCreated(lot=THEIRS, product=before.product, batch=before.batch, site=GHENT), audience="ASTER-BIO")  # type: ignore[arg-type]
    body = {"batch": str(before.batch), "lot": str(THEIRS)}
    ledger = net.nodes[LEEDS].ledgers["ASTER-BIO"]
    leeds_writes_raw(net, "batch.started", body, subject=str(before.batch), audience="ASTER-BIO", version=99)
    assert ledger.size == net.control.copies[ledger.origin][1].size
    assert net.control.state.lot(THEIRS) == before


def test_a_lot_that_names_another_site_than_its_ledger_is_strange(net: Network) -> None:
    started = started_for(net, "BAT-1", "LOT-9")
    leeds_writes(net, LotCreated(lot=started.lot, product=started.product, batch=started.batch, site=GHENT), started, audience="ASTER-BIO")
    record = net.control.state.lot(LotId("LOT-9"))
    assert (record.site, record.lot_state) == (LEEDS, None)
    assert "the ledger is that of LEEDS" in record.strange[0]


@pytest.mark.parametrize("audience", ["HOUSE", "ASTER-BIO"])
@pytest.mark.parametrize(
    ("body", "subject"), [({"batch": "B17"}, "x"), ({"batch": {"a": 1}}, "x"), ({"batch": 17}, "x"), ({"batch": ["x"]}, "x"), ({}, "BAT-bad lower")]
)
def test_a_name_that_nobody_can_read_is_shown_and_stops_nothing(net: Network, audience: str, body: dict[str, Any], subject: str) -> None:
    before = net.control.state.lots
    leeds_writes_raw(net, "future.kind", body, subject=subject, audience=audience)
    assert net.control.state.lots == before
    assert [line.rpartition(": ")[2] for line in foreign(net)] == ["it names a batch that nobody can read"]


def test_what_a_site_may_make_us_keep_of_its_foreign_words_is_bounded(net: Network) -> None:
    batch = net.control.state.lot(THEIRS).batch
    leeds_writes(net, *[SampleDrawn(SampleId(f"SMP-{number}"), batch, THEIRS, "x") for number in range(300)])
    assert len(foreign(net)) == 100


SPELT = st.text(max_size=12) | st.sampled_from(["BAT-1", "BAT-bad lower", "LOT-1", "BAT-"])
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | SPELT, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(SPELT, inner), max_leaves=4
)


@settings(max_examples=100)
@given(
    kind=st.sampled_from(sorted(known_kinds())) | SPELT, subject=SPELT, body=st.dictionaries(SPELT | st.just("batch"), PLAIN), sponsor=st.booleans()
)
def test_no_fact_of_a_site_fails_to_fold(kind: str, subject: str, body: dict[str, Any], *, sponsor: bool) -> None:
    moment = Moment(datetime(2026, 3, 2, tzinfo=UTC), "x", ClockQuality.GOOD)
    said = Fact(FactRef("x/LEEDS/Y", 0), kind, 9, subject, Actor("LEEDS"), moment, UnknownPayload(kind, 9, body))
    state = fold(ControlState(), [said, said], place=Place("x/LEEDS/Y", LEEDS, ours=False, sponsor=sponsor))
    assert (state.directory, state.decisions, state.submitted) == (None, {}, {})


def test_no_site_changes_a_recipe_between_its_author_and_its_approver(net: Network) -> None:
    text = GENERAL.replace("version: 1", "version: 2", 1)
    other = text.replace("37", "35")
    submitted = decisions.submit_recipe(net.control, net.person(ADA), text)
    sign = {"recipe": RECIPE, "version": 2}
    decisions.approve_recipe(net.control, net.person(ADA), signer_of(ADA), act=Act.SIGN_RECIPE_AS_AUTHOR, **sign)  # type: ignore[arg-type]
    leeds_writes(
        net,
        RecipeSubmitted(RECIPE, 2, submitted.product, digest_of(other), other),
        RecipeApproved(RECIPE, 2, digest_of(other), forged(net, "approved", digest_of(other))),
    )
    assert net.control.state.submitted[RECIPE, 2] == submitted
    assert len(net.control.state.approvals[RECIPE, 2]) == 1
    assert len(foreign(net)) == 2


def test_a_recipe_is_published_only_on_signatures_over_its_own_text(net: Network) -> None:
    text = GENERAL.replace("version: 1", "version: 2", 1)
    submitted = decisions.submit_recipe(net.control, net.person(ADA), text)
    old = [each.signature for each in net.control.state.approvals[RECIPE, 1]]
    net.control.note([RecipeApproved(RECIPE, 2, submitted.digest, signature) for signature in old])
    with pytest.raises(NotAllowed, match="signed another text"):
        decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=2)


def test_a_deviation_of_one_name_at_two_sites_is_disposed_of_by_naming_its_batch(net: Network) -> None:
    batches = {LEEDS: net.control.state.lot(LOT).batch, GHENT: net.control.state.lot(THEIRS).batch}
    for site, batch in batches.items():
        lot = LOT if site == LEEDS else THEIRS
        opened = open_from_finding(
            DeviationId("DEV-9"),
            f"seen at {site}",
            batch=batch,
            lot=lot,
            site=site,
            origin=Origin.PERSON,
            severity=Severity.MINOR,
            evidence={},
            detected_at=net.clock.at,
        )
        net.nodes[site].note([opened])
    asyncio.run(carry(net))

    def accept(batch: BatchId | None) -> None:
        decisions.dispose_deviation(
            net.control,
            net.person(BEN),
            signer_of(BEN),
            deviation=DeviationId("DEV-9"),
            disposition=Disposition.ACCEPT,
            justification="no effect",
            batch=batch,
        )

    with pytest.raises(NotAllowed, match="name the batch"):
        accept(None)
    accept(batches[GHENT])
    assert not net.control.state.lots[batches[GHENT]].open_deviations()
    assert net.control.state.lots[batches[LEEDS]].open_deviations()


def test_no_certificate_stands_on_a_signature_that_does_not_verify(net: Network, tmp_path: Path) -> None:
    net.control.note([released_by_nobody(net, net.control.state.lot(THEIRS))], site=GHENT)
    with pytest.raises(NotTrusted, match="the signature under the release of LOT-0002 is over something else"):
        write_lot_dossier(net.control, THEIRS, tmp_path / "dossier")


def test_a_release_of_the_lot_under_another_batch_does_not_end_its_dossier(net: Network) -> None:
    record = net.control.state.lot(THEIRS)
    net.control.note([released_by_nobody(net, replace(record, batch=BatchId("BAT-X")))], site=GHENT)
    assert net.control.state.decisions == {}
    assert dossier_bytes(net.control, THEIRS)
