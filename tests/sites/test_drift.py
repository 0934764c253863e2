"""Equipment that runs something else than was released: raised in the cycle that reads it, once, and never without cause."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from isogenic.errors import NotAllowed
from isogenic.ids import BatchId, ModuleId, SeededMint, UnitId
from isogenic.network import decisions
from isogenic.plant.documents import load_plant
from isogenic.plant.drift import UNREADABLE, BatchDrifted, BatchDriftEnded, DriftEnded, DriftFound
from isogenic.plant.model import Role
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.settings import TEXT, SettingKind, SettingsReleased, expected_settings, read_text
from isogenic.quality.deviations import DeviationOpened, Origin
from isogenic.sim.world import document
from isogenic.sites.drift import RAISES_MAX, DriftWatch, _Setpoints, check_runs_what_is_released
from isogenic.sites.facts import BatchRefused
from isogenic.sites.state import SiteState
from isogenic.units import converter
from small_network import LEEDS, UNITS, Network

UNIT, VESSEL = UNITS[LEEDS], ModuleId("BR-50-VESSEL")
GAIN = f"{VESSEL}.temperature_gain"
FACTS = (DriftFound, DriftEnded, BatchDrifted, BatchDriftEnded)
SET = """isogenic: module-settings/1
site: LEEDS
version: {version}
title: As qualified
modules:
  BR-50-VESSEL:
    temperature_gain: "{gain}"
"""


def running(folder: Path) -> tuple[Network, BatchId]:
    net = Network(folder)
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.scan())
    return net, batch


def told(net: Network) -> list[object]:
    """What the house says, and then what the sponsor's ledger says."""
    return [fact.payload for fact in net.facts() if isinstance(fact.payload, FACTS)]


def test_a_tuning_changed_at_the_panel_is_raised_in_the_next_cycle_and_marks_the_batch(tmp_path: Path) -> None:
    net, batch = running(tmp_path / "net")
    assert told(net) == []
    net.vessels[LEEDS].facility.set_at_panel(GAIN, 15.0)
    asyncio.run(net.scan())
    found = DriftFound(UNIT, VESSEL, "temperature_gain", SettingKind.TUNING, "12.5", "15", "")
    marked = BatchDrifted(batch, UNIT, VESSEL, "temperature_gain", SettingKind.TUNING, "12.5", "15")
    assert told(net) == [found, marked]
    (deviation,) = net.payloads(DeviationOpened)
    assert isinstance(deviation, DeviationOpened)
    assert (deviation.batch, deviation.origin) == (batch, Origin.DRIFT)
    assert deviation.statement == "BR-50-VESSEL is released with temperature_gain 12.5, and runs 15"

    for _ in range(3):  # it is told once
        asyncio.run(net.scan())
    assert told(net) == [found, marked]

    net.vessels[LEEDS].facility.set_at_panel(GAIN, None)
    asyncio.run(net.scan())
    ended, unmarked = DriftEnded(UNIT, VESSEL, "temperature_gain"), BatchDriftEnded(batch, UNIT, VESSEL, "temperature_gain")
    assert told(net) == [found, ended, marked, unmarked]
    assert len(net.payloads(DeviationOpened)) == 1  # what happened stays to be disposed of


def test_what_is_the_houses_stands_in_the_house_and_what_is_the_batchs_with_its_sponsor(tmp_path: Path) -> None:
    net, batch = running(tmp_path / "net")
    net.vessels[LEEDS].facility.set_at_panel(GAIN, 15.0)
    net.vessels[LEEDS].facility.write(f"{UNIT}.agitation_sp", 133.0)
    asyncio.run(net.scan())
    house = [fact.payload for fact in net.nodes[LEEDS].ledgers["HOUSE"].facts() if isinstance(fact.payload, FACTS)]
    assert [type(each) for each in house] == [DriftFound]
    assert "133" not in str(house)  # what a sponsor's recipe asks for is nobody else's
    sponsor = [fact.payload for fact in net.nodes[LEEDS].ledgers["ASTER-BIO"].facts() if isinstance(fact.payload, BatchDrifted)]
    assert {each.setting for each in sponsor} == {"temperature_gain", "agitation_sp"}
    assert {each.batch for each in sponsor} == {batch}


def test_a_set_point_changed_at_the_panel_is_raised_and_not_set_back_by_itself(tmp_path: Path) -> None:
    net, batch = running(tmp_path / "net")
    vessels = net.vessels[LEEDS]
    wanted = net.nodes[LEEDS].state.outputs()[f"{UNIT}.agitation_sp"]
    vessels.written.clear()
    vessels.facility.write(f"{UNIT}.agitation_sp", 30.0)
    asyncio.run(net.scan())
    assert told(net) == [BatchDrifted(batch, UNIT, VESSEL, "agitation_sp", SettingKind.SETPOINT, f"{wanted:.7g} rpm", "30 rpm")]
    assert not any(f"{UNIT}.agitation_sp" in each for each in vessels.written)
    vessels.facility.write(f"{UNIT}.agitation_sp", wanted)
    asyncio.run(net.scan())
    assert told(net)[1:] == [BatchDriftEnded(batch, UNIT, VESSEL, "agitation_sp")]


def test_a_set_point_that_a_module_takes_and_does_not_follow_is_raised_after_a_few_polls(tmp_path: Path) -> None:
    net, batch = running(tmp_path / "net")
    vessels, tag = net.vessels[LEEDS], f"{UNIT}.agitation_sp"
    node = net.nodes[LEEDS]
    real = vessels.facility.write
    vessels.facility.write = lambda name, value: None if name == tag else real(name, value)  # type: ignore[method-assign]
    node._written = {**node._written, tag: 111.0}  # as if the recipe had just asked for it
    for _ in range(3):
        asyncio.run(node._note_drift(asyncio.run(vessels.read(net.clock.at)), net.clock.now()))
    assert told(net) == []
    asyncio.run(node._note_drift(asyncio.run(vessels.read(net.clock.at)), net.clock.now()))
    (marked,) = told(net)
    assert isinstance(marked, BatchDrifted) and (marked.batch, marked.setting, marked.released) == (batch, "agitation_sp", "111 rpm")


def test_a_drift_stands_over_a_restart_and_is_not_told_again(tmp_path: Path) -> None:
    net, _ = running(tmp_path / "net")
    net.vessels[LEEDS].facility.set_at_panel(GAIN, 15.0)
    asyncio.run(net.scan())
    before = told(net)
    net.restart_site(LEEDS)
    for _ in range(3):
        asyncio.run(net.scan())
    assert told(net) == before
    assert set(net.nodes[LEEDS].state.drifts) == {GAIN}


def test_a_batch_cannot_start_on_a_unit_that_runs_something_else(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    net.vessels[LEEDS].facility.set_at_panel(f"{VESSEL}.firmware", "4.3.0-beta")
    asyncio.run(net.scan())
    (note,) = check_runs_what_is_released(net.nodes[LEEDS].state, UNIT)
    assert note.text == "BR-50-VESSEL does not run what was released: firmware is 4.3.0-beta, released is 4.2.1"
    with pytest.raises(AssertionError, match="the gate refused it"):
        net.start_batch()
    (refused,) = net.payloads(BatchRefused)
    assert isinstance(refused, BatchRefused) and note.text in refused.reasons
    assert check_runs_what_is_released(net.nodes[LEEDS].state, UnitId("OTHER"))[0].severity == "good"


def test_a_set_that_the_control_site_releases_is_what_counts_and_the_drift_names_its_digest(tmp_path: Path) -> None:
    net, _ = running(tmp_path / "net")
    released = decisions.release_settings(net.control, SET.format(version=1, gain=13))
    asyncio.run(net.carry())
    asyncio.run(net.scan())
    (found, _) = told(net)
    assert found == DriftFound(UNIT, VESSEL, "temperature_gain", SettingKind.TUNING, "13", "12.5", released.digest)
    asyncio.run(net.carry())
    ((_, seen),) = net.control.state.sites[LEEDS].drifts.values()
    assert seen == found  # the control site sees it

    net.vessels[LEEDS].facility.set_at_panel(GAIN, 13.0)
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    assert net.control.state.sites[LEEDS].drifts == {}
    with pytest.raises(NotAllowed):
        decisions.release_settings(net.control, SET.format(version=1, gain=14))


def test_a_site_releases_nothing_for_itself(tmp_path: Path) -> None:
    net, _ = running(tmp_path / "net")
    text = SET.format(version=9, gain=15)
    net.nodes[LEEDS].note([SettingsReleased(LEEDS, 9, text, "0" * 64)])
    assert net.nodes[LEEDS].state.released_settings is None
    asyncio.run(net.carry())
    assert net.control.state.released_settings == {}


# ---- ten thousand polls ----


class Modules:
    """What the modules of Leeds hold, as 32-bit floats in their own units, with a reading that wavers."""

    def __init__(self, seed: int) -> None:
        text = document("leeds.plant.yaml").replace("released: 900 s}", "released: 900 s, within: 1 s}")
        self.plant, self.dice = load_plant(text, name="leeds"), np.random.default_rng(seed)
        self.expected = expected_settings(self.plant.settings())
        self.index = TagIndex([signal.tag for signal in self.plant.signals()])
        self.setpoints = [signal for signal in self.plant.signals() if signal.cls.role is Role.SETPOINT]
        self.held: dict[str, float] = {}
        self.lost = False

    def read(self) -> dict[str, str]:
        if self.lost:
            return {}
        found = {}
        for key, each in self.expected.items():
            wavers = self.dice.uniform(-0.9, 0.9) * each.within
            found[key] = each.released if each.unit == TEXT else read_text(float(np.float32(each.number + wavers)))
        return found

    def frame(self, at: datetime) -> Frame:
        values = np.full(len(self.index.tags), np.nan)
        for signal in self.setpoints:
            native = converter(signal.cls.unit, signal.native_unit)(self.held.get(signal.tag, 0.0))
            values[self.index.of(signal.tag)] = converter(signal.native_unit, signal.cls.unit)(float(np.float32(native)))
        if self.lost:
            values[:] = np.nan
        return Frame(at, self.index, values, np.where(np.isfinite(values), Quality.GOOD, Quality.BAD).astype(np.uint8))


def test_ten_thousand_clean_polls_raise_nothing(tmp_path: Path) -> None:
    modules, mint, at = Modules(seed=4), SeededMint("drift"), datetime.fromisoformat("2026-03-02T06:00:00+00:00")
    state = with_batch(SiteState(modules.plant), tmp_path)
    watch = DriftWatch(modules.plant)
    written: dict[str, float] = {}
    raised, compared = [], 0
    for poll in range(10_000):
        at += timedelta(seconds=10)
        if poll % 997 == 0:  # the node starts again: what it remembers is gone, and everything is written anew
            watch, written = DriftWatch(modules.plant), {}
        if poll % 733 == 0:  # a module is lost for a while, and has its set-points written again
            modules.lost = True
        if poll % 733 == 9:
            modules.lost, written = False, {}
        raised += watch.look(state, modules.frame(at), modules.read(), written, now=at, mint=mint)
        compared += bool(written) and not modules.lost
        if poll % 50 == 0 or not written:  # the recipe moves on
            chosen = {each.tag: float(modules.dice.uniform(max(each.cls.low, 0.0), each.cls.high)) for each in modules.setpoints}
            written = {**written, **chosen}
            modules.held = {**modules.held, **written}
    assert raised == []
    assert compared > 9_500

    wrong = {**modules.read(), "BR-50-VESSEL.temperature_high": "40.001"}
    facts = watch.look(state, modules.frame(at), wrong, written, now=at, mint=mint)  # and the watch still sees
    assert [type(each) for each in facts] == [DriftFound, BatchDrifted, DeviationOpened]


def with_batch(state: SiteState, folder: Path) -> SiteState:
    """The state of a site with a batch on its only unit."""
    net = Network(folder / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    return replace(state, batches={batch: net.nodes[LEEDS].state.batches[batch]})


@pytest.mark.parametrize(
    ("signal", "told", "panel", "drifts"),
    [
        ("temperature_sp", 36.6, 37.0, True),
        ("ph_sp", 7.2, 7.0, True),
        ("agitation_sp", 120.4, 120.0, False),  # a drive that holds whole numbers, as far as anybody can tell
        ("agitation_sp", 120.4, 121.0, True),
    ],
)
def test_a_set_point_that_was_never_shown_as_told_is_drift_unless_the_device_rounds(signal: str, told: float, panel: float, *, drifts: bool) -> None:
    assert shown_wrong(signal, told, [panel] * 6) == drifts


def test_a_device_that_has_shown_a_fraction_does_not_round() -> None:
    assert shown_wrong("agitation_sp", 120.4, [120.4, 120.4, 120.0])


def shown_wrong(signal: str, told: float, shown: list[float]) -> bool:
    """Whether a set-point is found to differ once a device has shown these values, one at each poll."""
    modules, at = Modules(seed=1), datetime.fromisoformat("2026-03-02T06:00:00+00:00")
    tag, watch = f"{UNIT}.{signal}", _Setpoints(modules.plant, modules.index)
    found: Mapping[str, tuple[float, float] | None] = {}
    for value in shown:
        modules.held[tag] = value
        found = watch.look(modules.frame(at), {tag: told})
    return found.get(tag) is not None


def test_a_set_point_that_flaps_stays_marked_and_does_not_fill_the_ledger(tmp_path: Path) -> None:
    net, _ = running(tmp_path / "net")
    vessels, tag = net.vessels[LEEDS], f"{UNIT}.agitation_sp"
    wanted = net.nodes[LEEDS].state.outputs()[tag]
    for poll in range(30):
        vessels.facility.write(tag, wanted if poll % 2 else 30.0)
        net.clock.advance(5)
        asyncio.run(net.nodes[LEEDS].cycle())
    said = told(net)
    assert len(said) == RAISES_MAX - 1
    assert isinstance(said[-1], BatchDrifted)


# ---- modules that misbehave ----


def looks(watch: DriftWatch, modules: Modules, state: SiteState, read: Mapping[str, str], at: datetime) -> list[object]:
    return list(watch.look(state, modules.frame(at), read, {}, now=at, mint=SeededMint("x")))


def test_a_module_that_is_lost_is_unknown_and_no_drift() -> None:
    modules, at = Modules(seed=1), datetime.fromisoformat("2026-03-02T06:00:00+00:00")
    watch = DriftWatch(modules.plant)
    assert [fact for _ in range(20) for fact in looks(watch, modules, SiteState(modules.plant), {}, at)] == []


def test_a_setting_that_an_answering_module_cannot_tell_is_raised_after_three_polls() -> None:
    modules, at = Modules(seed=1), datetime.fromisoformat("2026-03-02T06:00:00+00:00")
    watch, state, key = DriftWatch(modules.plant), SiteState(modules.plant), "BR-50-FEED.firmware"
    polls = [looks(watch, modules, state, {**modules.read(), key: ""}, at) for _ in range(3)]
    assert polls[:2] == [[], []]
    (found,) = polls[2]
    assert isinstance(found, DriftFound) and (found.setting, found.found) == ("firmware", UNREADABLE)


@pytest.mark.parametrize("nonsense", ["1e300", "nan", "-inf", "warm", "½", "x" * 5000])
def test_nonsense_is_a_difference_and_is_kept_short(nonsense: str) -> None:
    modules, at = Modules(seed=1), datetime.fromisoformat("2026-03-02T06:00:00+00:00")
    (found,) = looks(DriftWatch(modules.plant), modules, SiteState(modules.plant), {**modules.read(), "BR-50-FEED.feed_high": nonsense}, at)
    assert isinstance(found, DriftFound) and len(found.found) <= 200


def test_a_setting_that_flaps_does_not_fill_the_ledger() -> None:
    modules, at = Modules(seed=1), datetime.fromisoformat("2026-03-02T06:00:00+00:00")
    watch, state, key = DriftWatch(modules.plant), SiteState(modules.plant), "BR-50-FEED.feed_high"
    raised = []
    for poll in range(1_000):
        facts = looks(watch, modules, state, {**modules.read(), key: "1.0"} if poll % 2 else modules.read(), at + timedelta(seconds=poll))
        for each in facts:
            state = replace(state, drifts={key: each} if isinstance(each, DriftFound) else {})
        raised += facts
    assert len(raised) == RAISES_MAX - 1
    assert isinstance(raised[-1], DriftFound)  # the end is what is kept back: no batch starts on a flapping module
    with_it, steady = {key: raised[-1]}, modules.read()
    assert state.drifts == with_it
    later = [looks(watch, modules, state, steady, at + timedelta(seconds=seconds)) for seconds in (1_000, 2_000, 3_000, 3_700)]
    assert [[type(each) for each in facts] for facts in later] == [[], [], [], [DriftEnded]]
