"""Scenarios are read whole or refused by line, with the reason and what is possible."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.sim.scenarios import example, examples, read_scenario, schema_text
from isogenic.sim.scenarios.pages import scenario_page

ROOT = Path(__file__).parents[2]
GOOD = """isogenic: scenario/1
title: Good
process: antibody
settings: {feed_share: 3 %/d, start_volume: 1.6 m^3}
every: 360 min
sites:
  PORTO: {offsets: {growth: 3 %}, suites: 2}
  GHENT: {lots: [M-1, M-2], laboratory: {titre: 100 mg/L}}
faults:
  - {fault: sparger_fouls, start: 6 d, duration: 2 d, size: 50 %, sites: [PORTO], batches: [1, 3-5]}
"""


def test_numbers_come_in_the_units_of_the_process() -> None:
    scenario = read_scenario(GOOD)
    product, (porto, ghent), (fault,) = scenario.products[0], scenario.sites, scenario.faults
    assert product.settings == {"feed_share": pytest.approx(0.03), "start_volume": pytest.approx(1600.0)}
    assert (product.every_h, porto.offsets, ghent.laboratory) == (6.0, {("antibody", "growth"): 1.03}, {"titre": pytest.approx(0.1)})
    assert (fault.start_h, fault.duration_h, fault.size, fault.batches) == (144.0, 48.0, 0.5, ((1, 1), (3, 5)))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("process: antibody", "process: beer", "line 3: process: no process beer: no model has this name; possible now: antibody"),
        ("1.6 m^3", "-5 L", "line 4: settings.start_volume: -5 L is not within 0.05 to 25000 L"),
        ("1.6 m^3", "1600", "line 4: settings.start_volume: 1600 has no unit; possible now: 0.05 to 25000 L"),
        ("{feed_share: 3 %/d,", "{feed_share: 3,", "line 4: settings.feed_share: 3 has no unit; possible now: 0 to 0.2 1/d"),
        ("1.6 m^3", "3 h", "line 4: settings.start_volume: cannot convert 'h' to 'L'"),
        ("start_volume", "volume", "line 4: settings.volume: no process of the scenario has this setting; did you mean start_volume?"),
        ("sparger_fouls", "sparger_sings", "line 10: faults[1].fault: the catalogue has no 'sparger_sings'; did you mean sparger_fouls?"),
        ("sparger_fouls", "frost", "line 10: faults[1].fault: the catalogue has no 'frost'; there are sparger_fouls, feed_pump_fouls,"),
        (
            "sparger_fouls",
            "no_pyrophosphatase",
            "line 10: faults[1].fault: no model of the scenario has no_pyrophosphatase; it acts in mrna; see isogenic sim faults antibody",
        ),
        ("start: 6 d", "start: 20 d", "line 10: faults[1].start: 480 h is outside a batch, which lasts 336 h"),
        ("duration: 2 d", "duration: 9 d", "line 10: faults[1].duration: 216 h from 144 h on is outside a batch, which lasts 336 h; at most 192 h"),
        ("size: 50 %", "size: 150 %", "line 10: faults[1].size: 150 % is 1.5, which is not within 0 to 1"),
        ("sites: [PORTO]", "sites: [PARIS]", "line 10: faults[1].sites: no 'PARIS' in the scenario; there are GHENT, PORTO"),
        ("[1, 3-5]", "[0]", "line 10: faults[1].batches: '0' is not a number of a batch"),
        ("every: 360 min", "every: 400 h", "line 5: every: 400 h is not within 0.001 to 336 h"),
        ("every: 360 min", "period: 3 d\norders: 1e9 1/d", "line 6: orders: 1e9 1/d is 1e+09 1/d, which is not within"),
        ("every: 360 min", "orders: 1 1/d", "line 5: orders: orders come in over a period; say how long: period: 90 d"),
        ("growth: 3 %", "growth: 3 1/h", "line 7: sites.PORTO.offsets.growth: cannot convert"),
        ("sparger_fouls, start: 6 d, duration: 2 d, size: 50 %", "demand_surges, start: 2 d, size: 3", "say how long the study lasts: period: 90 d"),
        ("sparger_fouls, start: 6 d, duration: 2 d, size: 50 %", "sensor_freezes", "line 10: faults[1].fault: say which sensor: one of"),
        ("sparger_fouls, start: 6 d, duration: 2 d, size: 50 %", "sensor_biased, sensor: ph, size: 1 h", "line 10: faults[1].size: cannot convert"),
        (
            "sparger_fouls, start: 6 d, duration: 2 d, size: 50 %",
            "sensor_biased, sensor: ph, size: -1e308",
            "-1e308 is -1e+308 pH, which is not within",
        ),
        ("sparger_fouls, start: 6 d, duration: 2 d, size: 50 %", "sensor_drifts, sensor: ph, size: 1e300 1/d", "not within -1e+06 to 1e+06 pH/d"),
        (
            "sparger_fouls, start: 6 d, duration: 2 d, size: 50 %",
            "sensor_biased, sensor: temperature, size: 0.5 degC",
            "a difference of temperatures is in K; possible now: 0.5 K",
        ),
        ("100 mg/L", "1e30 mg/L", "line 8: sites.GHENT.laboratory.titre: 1e30 mg/L is 1e+27 g/L, which is not within"),
        ("every: 360 min", "constants: {growth: 1e9 1/h}", "line 5: constants.growth: 1e9 1/h is 1e+09 1/h, which is not within 0 to 37.2 1/h"),
        ("offsets: {growth: 3 %}", "crews: 0", "line 7: sites.PORTO.crews: "),
        ("offsets: {growth: 3 %}", "shifts: 4", "line 7: sites.PORTO.shifts: "),
        ("offsets: {growth: 3 %}", "shifts: 2, shifts_in_surge: 1", "line 7: sites.PORTO.shifts_in_surge: 1 are fewer than the 2 of every day"),
        (
            "sparger_fouls, start: 6 d, duration: 2 d, size: 50 %",
            "courier_is_late, size: 3 h, lots: [M-1]",
            "line 10: faults[1].lots: courier_is_late strikes whatever is ordered in its time; of lots nothing is known then",
        ),
        ("title: Good", "title: Good\ninstruments: false\nfaluts: []", "line 4: unknown key 'faluts'; did you mean faults?"),
        ("  PORTO:", "  porto:", "line 7: sites.porto: a site's name is capitals, digits and dashes"),
    ],
)
def test_what_cannot_be_run_is_refused_by_its_line(old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(NotValid, match=re.escape(said)):
        read_scenario(GOOD.replace(old, new, 1))


def test_a_probe_of_temperature_is_off_by_kelvins() -> None:
    struck = "sparger_fouls, start: 6 d, duration: 2 d, size: 50 %"
    for said, size in (("sensor_biased, sensor: temperature, size: 0.08 K", 0.08), ("sensor_drifts, sensor: temperature, size: 0.02 K/d", 0.02)):
        assert read_scenario(GOOD.replace(struck, said)).faults[0].size == pytest.approx(size)


def test_all_complaints_come_together() -> None:
    with pytest.raises(NotValid) as refused:
        read_scenario(GOOD.replace("1.6 m^3", "-5 L").replace("start: 6 d", "start: 20 d").replace("growth", "groth"))
    assert [int(line) for line in re.findall(r"line (\d+):", str(refused.value))] == [4, 7, 10]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_a_damaged_scenario_is_read_or_refused(data: st.DataObject) -> None:
    lines = example(
        data.draw(st.sampled_from(("sparger-fouls", "antibody-surge", "probes-fail", "power-and-lines", "fill-finish", "late-couriers")))
    ).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        cut = data.draw(st.integers(0, len(lines[at])))
        lines[at] = (
            lines[at][:cut]
            + data.draw(st.sampled_from(("", "-", "1e999", " ", ": ", "[]", "{}", "nan h", "%", "é", "9" * 40)))
            + lines[at][cut + 1 :]
        )
    with contextlib.suppress(NotValid):
        scenario_page(read_scenario("\n".join(lines)))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    with contextlib.suppress(NotValid):
        read_scenario(b"isogenic: scenario/1\nprocess: antibody\ntitle: x\n" + data)


def test_the_published_schema_is_that_of_the_code() -> None:
    assert (ROOT / "docs" / "schemas" / "scenario.json").read_text() == schema_text()


@pytest.mark.parametrize("name", examples())
def test_the_schema_takes_what_the_reader_takes(name: str) -> None:
    from isogenic.sim.scenarios.reading import KIND

    validator = jsonschema_rs.validator_for(json.loads(schema_text()))
    from isogenic.documents import Document

    plain = Document.read(example(name), what="scenario", kind=KIND).plain_table()
    assert [str(each) for each in validator.iter_errors(plain)] == []
    assert [1 for _ in validator.iter_errors({**plain, "unheard": "of"})] == [1]


@pytest.mark.parametrize("name", examples())
def test_every_scenario_that_is_shipped_reads_as_a_page(name: str) -> None:
    assert "batches of" in scenario_page(read_scenario(example(name)))
