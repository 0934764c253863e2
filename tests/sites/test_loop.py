"""One scan: readings and folded facts in, facts out, nothing touched."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS, sign
from isogenic.batches.facts import BatchClosed, SetpointsCommanded, StateChanged
from isogenic.batches.states import Command, State
from isogenic.ids import BatchId, SeededMint, UnitId
from isogenic.monitoring.facts import MonitoringEnded, MonitoringStarted
from isogenic.monitoring.placing.model import Header as PlacingHeader
from isogenic.monitoring.placing.model import Placing
from isogenic.monitoring.probes import Health
from isogenic.plant.readings import Frame, Quality, Reading, TagIndex
from isogenic.quality.deviations import DeviationOpened, Origin
from isogenic.recipes.approval import RecipeAccepted, RecipeNotAccepted, RecipePublished
from isogenic.sim.world import reference_model
from isogenic.sites import requests
from isogenic.sites.acceptance import answer_publication
from isogenic.sites.loop import monitored_values, scan
from isogenic.sites.state import SiteState
from small_network import BEN, GENERAL, LEEDS, UNITS, Network, signer_of

FOULED = "feed_pump_fouls:unit=BR-50,start=150h,hours=24,size=0.6"
FROZEN = "sensor_freezes:unit=BR-50,start=80,hours=200,signal=glucose"


def growing(folder: Path, *, hours: float = 60.0, faults: tuple[str, ...] = ()) -> tuple[Network, BatchId]:
    """A site with one batch, so many hours after its start."""
    net = Network(folder, faults=faults)

    async def run() -> BatchId:
        await net.publish()
        batch = net.start_batch()
        await net.run_batch(batch, until_h=hours)
        return batch

    return net, asyncio.run(run())


def frame(net: Network) -> Frame:
    net.clock.advance(1800)
    return asyncio.run(net.vessels[LEEDS].read(net.clock.at))


# ---- scan is pure ----


def test_the_same_readings_and_facts_always_decide_the_same(tmp_path: Path) -> None:
    net, _ = growing(tmp_path / "net")
    seen, now = frame(net), net.clock.now()
    before = net.nodes[LEEDS].site
    first = scan(before, seen, now, mint=SeededMint(1))
    assert scan(before, seen, now, mint=SeededMint(1)) == first
    assert net.nodes[LEEDS].site == before


def test_a_site_without_batches_decides_nothing(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    assert scan(net.nodes[LEEDS].site, frame(net), net.clock.now(), mint=SeededMint(1)).facts == []


# ---- monitoring ----


def test_the_watch_begins_with_the_first_monitored_phase_and_ends_after_the_last(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net", hours=1e9)
    node = net.nodes[LEEDS]
    digest = next(iter(node.state.models.values())).digest
    assert net.payloads(MonitoringStarted) == [MonitoringStarted(batch, "MAB-FB reference", digest)]
    ended = net.payloads(MonitoringEnded)
    assert [(each.batch, each.not_judged, each.alarms) for each in ended] == [(batch, 0, 0)]
    kinds = [(fact.kind, fact.body().get("phase")) for fact in node.ledgers[str(node.state.plant.sponsor)].facts()]
    order = [kinds.index(each) for each in (("batch.phase_started", "growth"), ("monitoring.started", None), ("batch.phase_started", "production"))]
    assert order == sorted(order)
    assert kinds.index(("monitoring.ended", None)) > kinds.index(("batch.phase_completed", "production"))


def test_the_unit_of_the_monitored_phase_is_judged_not_the_one_on_which_the_batch_was_started(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net")
    node, second = net.nodes[LEEDS], UnitId("BR-51")
    first, running, seen = UNITS[LEEDS], node.state.batches[batch], frame(net)
    here = seen.unit(first)
    index = TagIndex([f"{unit}.{name}" for unit in (first, second) for name in here])
    bad, good = np.full(len(here), np.nan), np.array([reading.value for reading in here.values()])
    quality = np.array([Quality.BAD] * len(here) + [Quality.GOOD] * len(here), dtype=np.uint8)
    there = replace(node.state.plant.unit(first), id=second)
    moved = replace(running, parts={name: replace(part, unit=second) for name, part in running.parts.items()})
    plant = replace(node.state.plant, units={**node.state.plant.units, second: there})
    state = replace(node.state, plant=plant, batches={batch: moved})
    decided = scan(replace(node.site, state=state), Frame(seen.at, index, np.concatenate([bad, good]), quality), net.clock.now(), mint=SeededMint(1))
    assert moved.monitored_unit == second
    assert decided.judgements[batch].findings.judged[0]
    assert decided.judgements[batch].findings.score == scan(node.site, seen, net.clock.now(), mint=SeededMint(1)).judgements[batch].findings.score


def test_a_model_that_places_batches_by_phase_is_told_the_phase(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net")
    node = net.nodes[LEEDS]
    site, running = node.site, node.state.batches[batch]
    phase = next(name for name in running.active if running.phases[name].monitored)
    placing = Placing(PlacingHeader("phase", ("before", phase), None, -1, 1), (np.array([100.0, 200.0]),))
    models = {digest: replace(model, placing=placing) for digest, model in site.models.items()}
    decided = scan(replace(site, models=models, watches={}), frame(net), net.clock.now(), mint=SeededMint(1))
    assert decided.judgements[batch].findings.maturity[0] == 100.0  # where the phase usually begins
    later = scan(replace(site, models=models, watches=decided.watches), frame(net), net.clock.now(), mint=SeededMint(1))
    assert later.judgements[batch].findings.maturity[0] == 100.5


def test_readings_that_are_bad_are_not_judged_and_the_end_of_the_watch_counts_them(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net")
    node = net.nodes[LEEDS]
    before = node.site.watches[batch].watch
    net.vessels[LEEDS].bad = {f"{UNITS[LEEDS]}.{name}" for name in node.state.plant.unit(UNITS[LEEDS]).signals}
    asyncio.run(net.scan())
    asyncio.run(net.scan())
    watch = node.site.watches[batch].watch
    assert (watch.judged[0], watch.not_judged[0]) == (before.judged[0], before.not_judged[0] + 2)
    assert not node.judgements[batch].findings.judged[0]
    assert all(each.sentence.startswith("no value of") for each in node.judgements[batch].troubles())
    net.vessels[LEEDS].bad = set()
    asyncio.run(net.run_batch(batch, until_h=24.0))
    last = node.site.watches[batch].watch
    assert (last.judged[0] > watch.judged[0], last.not_judged[0]) == (True, watch.not_judged[0])
    node.note([StateChanged(batch, State.ABORTING, Command.ABORT, "enough")])
    asyncio.run(net.scan())
    assert net.payloads(MonitoringEnded) == [MonitoringEnded(batch, int(last.judged[0]) + 1, int(last.not_judged[0]), int(last.alarms[0]))]


def test_a_finding_opens_one_deviation_with_its_evidence_however_long_it_lasts(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net", hours=330.0, faults=(FOULED,))
    opened = net.nodes[LEEDS].state.deviations[batch]
    leading = [each.evidence["leading"] for each in opened]
    assert len(leading) == len(set(leading))
    assert leading[0] in {"feed_flow", "feed_pressure"}
    assert {(each.origin, each.batch, each.lot, each.site) for each in opened} == {
        (Origin.MONITOR, batch, net.nodes[LEEDS].state.batches[batch].lot, LEEDS)
    }
    assert float(opened[0].evidence["value"]) > float(opened[0].evidence["limit"])


def test_a_frozen_probe_is_told_while_it_hangs_and_an_often_read_one_is_not_frozen(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net", hours=200.0, faults=(FROZEN,))
    told = net.nodes[LEEDS].judgements[batch]
    assert [(each.variable, each.health) for each in told.troubles()] == [("glucose", Health.FROZEN)]
    assert told.judges().judged and "glucose" not in told.judges().variables


def test_an_alarm_of_the_engine_opens_a_deviation(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net", hours=2.0)
    net.vessels[LEEDS].bad = {f"{UNITS[LEEDS]}.temperature", f"{UNITS[LEEDS]}.ph"}
    asyncio.run(net.run_batch(batch, until_h=40.0))
    opened = [each for each in net.payloads(DeviationOpened) if each.origin is Origin.ENGINE]
    assert {each.statement for each in opened} >= {"temperature has not been good for 4 h", "ph has not been good for 4 h"}
    assert {each.evidence["phase"] for each in opened} == {"condition"}


def test_without_the_model_the_batch_runs_on_unwatched(tmp_path: Path) -> None:
    net, _ = growing(tmp_path / "net")
    site = replace(net.nodes[LEEDS].site, models={}, watches={})
    decided = scan(site, frame(net), net.clock.now(), mint=SeededMint(1))
    assert decided.judgements == {}
    assert [fact for fact in decided.facts if isinstance(fact, MonitoringStarted)] == []


def test_a_batch_that_is_aborted_while_watched_ends_its_watch_and_counts_its_own_facts(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net", hours=150.0)
    node = net.nodes[LEEDS]
    operator = requests.person_here(node.state, next(each for each in node.state.directory.people if each == "LEA"))  # type: ignore[union-attr]
    node.note(requests.command_batch(node.state, operator, batch=batch, command=Command.ABORT, why="power of the hall is gone"))
    asyncio.run(net.scan())
    closed = net.payloads(BatchClosed)
    assert [(each.outcome, each.batch) for each in closed] == [(State.ABORTED, batch)]
    facts = [fact for fact in node.ledgers[str(node.state.plant.sponsor)].facts() if fact.subject == batch]
    at = next(index for index, fact in enumerate(facts) if isinstance(fact.payload, BatchClosed))
    assert closed[0].facts == at + 1
    assert [each.batch for each in net.payloads(MonitoringEnded)] == [batch]


def test_the_feed_stops_when_a_batch_is_aborted_though_the_batch_is_closed_in_the_same_scan(tmp_path: Path) -> None:
    net, batch = growing(tmp_path / "net", hours=150.0)
    node, vessels = net.nodes[LEEDS], net.vessels[LEEDS]
    assert vessels.facility.read("BR-50.feed_flow_sp") > 0
    node.note(
        [StateChanged(batch, State.ABORTING, Command.ABORT, "told by the recipe"), SetpointsCommanded(batch, "production", {"feed_flow_sp": 0.0})]
    )
    asyncio.run(net.scan())
    assert node.state.batches[batch].closed
    assert vessels.facility.read("BR-50.feed_flow_sp") == 0.0
    doses = [tag for setpoints in vessels.written[-1:] for tag in setpoints if "dose" in tag]
    assert doses == []


# ---- published recipes ----


def published(net: Network) -> RecipePublished:
    return next(iter(net.nodes[LEEDS].state.published.values()))


@pytest.fixture(scope="module")
def received(tmp_path_factory: pytest.TempPathFactory) -> tuple[SiteState, RecipePublished]:
    """A site that has the directory, and what was published to it."""
    net = Network(tmp_path_factory.mktemp("site") / "net")
    asyncio.run(net.publish())
    return net.nodes[LEEDS].state, published(net)


def answered(state: SiteState, publication: RecipePublished) -> RecipeAccepted | RecipeNotAccepted:
    assert state.directory is not None
    return answer_publication(
        publication, plant=state.plant, directory=state.directory, site_approvals=state.site_approvals.get(publication.site_digest, ())
    )


def test_a_recipe_signed_by_two_people_is_accepted_for_the_units_that_can_run_it(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    answer = answered(state, publication)
    assert isinstance(answer, RecipeAccepted)
    assert set(answer.units) == {"BR-50"}
    assert answer == state.accepted[(publication.recipe, 1)]


def test_a_text_that_is_not_the_signed_one_is_not_accepted(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    answer = answered(state, replace(publication, text=GENERAL.replace("value: 37.0 degC", "value: 36.9 degC")))
    assert isinstance(answer, RecipeNotAccepted)
    assert "the text has digest" in answer.reasons[0]


def test_a_site_document_that_nobody_signed_is_not_accepted(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    answer = answered(replace(state, site_approvals={}), publication)
    assert isinstance(answer, RecipeNotAccepted)
    assert answer.reasons == ("site document: nobody who may has signed the recipe as authored or as approved",)


def test_a_site_document_that_is_not_the_signed_one_is_not_accepted(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    answer = answered(state, replace(publication, site_text=publication.site_text.replace("140 rpm", "150 rpm")))
    assert isinstance(answer, RecipeNotAccepted)
    assert "the site document has digest" in answer.reasons[0]


def test_one_approval_is_not_enough(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    answer = answered(state, replace(publication, approvals=publication.approvals[:1]))
    assert isinstance(answer, RecipeNotAccepted)
    assert answer.reasons == ("nobody who may has signed the recipe as approved",)


def test_the_same_person_twice_is_one_person(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    answer = answered(state, replace(publication, approvals=(publication.approvals[1],) * 2))
    assert isinstance(answer, RecipeNotAccepted)
    assert answer.reasons == ("nobody who may has signed the recipe as authored",)


def test_a_signature_of_somebody_unknown_does_not_count(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    assert state.directory is not None
    others = {name: person for name, person in state.directory.people.items() if name != BEN}
    signed = state.site_approvals[publication.site_digest]
    answer = answer_publication(publication, plant=state.plant, directory=replace(state.directory, people=others), site_approvals=signed)
    assert isinstance(answer, RecipeNotAccepted)
    assert any("does not name them" in reason for reason in answer.reasons)


def test_a_signature_with_another_persons_key_does_not_count(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    assert state.directory is not None
    ben = state.directory.people[BEN]
    forged = sign(signer_of(BEN), ben, role=ben.roles[0], meaning=MEANINGS[Act.APPROVE_RECIPE], at=publication.approvals[1].at, digest="0" * 64)
    answer = answered(state, replace(publication, approvals=(publication.approvals[0], replace(forged, digest=publication.digest))))
    assert isinstance(answer, RecipeNotAccepted)
    assert len(answer.reasons) == 2


def test_a_recipe_that_no_unit_can_run_is_not_accepted_and_the_unit_says_why(received: tuple[SiteState, RecipePublished]) -> None:
    state, publication = received
    unit = state.plant.unit(UNITS[LEEDS])
    weak = replace(unit, capabilities={**unit.capabilities, "temperature": replace(unit.capabilities["temperature"], high=35.0)})
    assert state.directory is not None
    signed = state.site_approvals[publication.site_digest]
    answer = answer_publication(publication, plant=replace(state.plant, units={unit.id: weak}), directory=state.directory, site_approvals=signed)
    assert isinstance(answer, RecipeNotAccepted)
    assert any(reason.startswith("BR-50: ") and "temperature" in reason for reason in answer.reasons)


def test_a_publication_is_answered_once(received: tuple[SiteState, RecipePublished], tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    for _ in range(3):
        asyncio.run(net.scan())
    net.restart_site(LEEDS)
    asyncio.run(net.scan())
    assert net.kinds().count("recipe.accepted") == 1


def test_nothing_is_answered_before_the_directory_is_here(received: tuple[SiteState, RecipePublished], tmp_path: Path) -> None:
    state, _ = received
    net = Network(tmp_path / "net")
    unknowing = replace(net.nodes[LEEDS].site, state=replace(state, directory=None, accepted={}))
    assert scan(unknowing, frame(net), net.clock.now(), mint=SeededMint(1)).facts == []


def test_what_grows_with_the_vessel_is_judged_per_litre_and_what_is_bad_not_at_all(received: tuple[SiteState, RecipePublished]) -> None:
    state, _ = received
    unit = state.plant.unit(UNITS[LEEDS])
    model = reference_model({LEEDS: state.plant}, seed=1, count=5)
    names = [variable.name for variable in model.variables]
    readings = {name: Reading(80.0, Quality.GOOD) for name in names} | {"ph": Reading(float("nan"), Quality.BAD)}
    values = dict(zip(names, monitored_values(model, unit, readings).tolist(), strict=True))
    assert values["vessel_weight"] == 80.0 / 40.0
    assert values["temperature"] == 80.0
    assert values["ph"] != values["ph"]
