"""Faults read from text, dice that replay, instruments."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid, Refusal
from isogenic.ids import UnitId
from isogenic.plant.model import SitePlant
from isogenic.sim.facility import Facility
from isogenic.sim.faults import Fault, FaultKind, parse_fault
from isogenic.sim.streams import BLOCK, Stream
from isogenic.sim.variation import batch_of


def test_a_fault_is_read_from_its_text() -> None:
    text = "feed_pump_fouls:unit=SB-200,start=150h,hours=24,size=0.6"
    assert parse_fault(text) == Fault(FaultKind.FEED_PUMP_FOULS, UnitId("SB-200"), 150.0, 24.0, 0.6)
    assert parse_fault("sensor_drops:unit=BR-50,signal=ph,run=2") == Fault(FaultKind.SENSOR_DROPS, UnitId("BR-50"), signal="ph", run=2)


def test_a_fault_rises_over_a_quarter_of_its_hours_and_is_gone_at_their_end() -> None:
    fault = parse_fault("feed_pump_fouls:unit=SB-200,start=100,hours=24,size=0.6")
    assert [fault.hits(1, age) for age in (99.9, 100.0, 123.9, 124.0)] == [False, True, True, False]
    assert [fault.depth(age) for age in (100.0, 103.0, 106.0, 120.0)] == [0.0, 0.3, 0.6, 0.6]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "feed_pump_fouls",
        "feed_pump_fouls:",
        "feed_pump_explodes:unit=SB-200,size=0.5",
        "feed_pump_fouls:size=0.5",
        "feed_pump_fouls:unit=SB-200",
        "feed_pump_fouls:unit=sb 200,size=0.5",
        "feed_pump_fouls:unit=sb-200,size=0.5",
        "feed_pump_fouls:unit=SB-200,size=1.5",
        "feed_pump_fouls:unit=SB-200,size=nan",
        "feed_pump_fouls:unit=SB-200,size=0.5,size=0.6",
        "feed_pump_fouls:unit=SB-200,size=0.5,start=-3",
        "feed_pump_fouls:unit=SB-200,size=0.5,hours=0",
        "feed_pump_fouls:unit=SB-200,size=0.5,hours=1e99",
        "feed_pump_fouls:unit=SB-200,size=0.5,run=one",
        "feed_pump_fouls:unit=SB-200,size=0.5,signal=ph",
        "sensor_biased:unit=SB-200,signal=ph",
        "sensor_drops:unit=SB-200",
        "feed_pump_fouls:unit=SB-200,size=0.5" + "0" * 400,
    ],
)
def test_bad_fault_text_is_refused(text: str) -> None:
    with pytest.raises(NotValid):
        parse_fault(text)


@settings(max_examples=100, deadline=None)
@given(
    st.one_of(
        st.text(max_size=80), st.from_regex(r"(feed_pump_fouls|sensor_biased):(unit|size|start|run)=[ -~]{0,12}(,[a-z]+=[0-9a-zA-Z.+-]{0,9}){0,4}")
    )
)
def test_any_fault_text_is_read_or_refused(text: str) -> None:
    try:
        fault = parse_fault(text)
    except Refusal:
        return
    assert fault.start_h >= 0 and fault.hours > 0


@pytest.mark.parametrize(
    "text", ["sensor_drops:unit=SB-200,signal=smell", "sensor_drops:unit=SB-200,signal=ph_sp", "sparger_fouls:unit=BR-1,size=0.1"]
)
def test_a_fault_of_what_the_plant_lacks_is_refused(porto: SitePlant, text: str) -> None:
    with pytest.raises(Refusal):
        Facility(porto, seed=1, faults=[text])


def test_draws_do_not_depend_on_the_order_in_which_they_are_asked() -> None:
    forward = [Stream(7, "PORTO", "ph").normal(at) for at in range(5)]
    stream = Stream(7, "PORTO", "ph")
    backward = [stream.normal(at) for at in (4 + 3 * BLOCK, 4, 3, 2, 1, 0)][1:]
    assert forward == backward[::-1]
    assert list(stream.normals(BLOCK - 2, 4)) == [stream.normal(at) for at in range(BLOCK - 2, BLOCK + 2)]


def test_streams_with_other_paths_or_seeds_are_unlike() -> None:
    first = {Stream(*key).normal(0) for key in ((7, "a", "bc"), (7, "ab", "c"), (8, "a", "bc"), (7, "abc"))}
    assert len(first) == 4
    assert abs(np.mean(Stream(7, "x").normals(0, 20_000))) < 0.03
    assert Stream(7, "x").normals(0, 20_000).std() == pytest.approx(1.0, abs=0.02)


def test_a_batch_keeps_its_constants_and_a_site_keeps_its_offset() -> None:
    assert batch_of(1, site="PORTO", batch="a") == batch_of(1, site="PORTO", batch="a")
    assert batch_of(1, site="PORTO", batch="a") != batch_of(1, site="PORTO", batch="b")
    growth = [batch_of(1, site="PORTO", batch=str(at)).theta.growth for at in range(300)]
    assert np.std(np.log(growth)) == pytest.approx(0.03, rel=0.15)
