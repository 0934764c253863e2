"""The life of a monitoring model, over a real network: put forward, tested once, signed by two, released, watched with, rolled back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from isogenic.authority.rules import Act
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.monitoring import BatchTable, Model, Variable, fit
from isogenic.monitoring.facts import MonitoringStarted
from isogenic.monitoring.lifecycle.document import read_model_document, with_fitted
from isogenic.monitoring.lifecycle.facts import ModelAccepted, ModelNotAccepted, MonitoringRefused, TestDataRefused
from isogenic.monitoring.lifecycle.trial import TestBatch, batch_digest
from isogenic.network import decisions
from isogenic.network.models import put_model_forward, release_model, sign_model
from isogenic.network.models import test_model as judge_model
from isogenic.plant.documents import load_plant
from isogenic.sim.history import good_batches
from isogenic.sim.world import document
from small_network import ADA, BEN, LEEDS, UNITS, Network, signer_of

PLANT = load_plant(document("leeds.plant.yaml"), name="leeds")
UNIT = PLANT.units[UNITS[LEEDS]]
LITRES = UNIT.working_volume.to("L").value
SIGNALS = [signal for signal in UNIT.cls.signals.values() if signal.monitored]
VARIABLES = [Variable(each.name, f"{each.unit}/L" if each.extensive else each.unit) for each in SIGNALS]
NAME = "MAB-A-WATCH"
TEXT = """isogenic: monitoring-model/1
model: MAB-A-WATCH
version: {version}
product: MAB-A
title: Watches fed-batch cultures of MAB-A
intended_use: Opens a deviation for a person to judge; it steers nothing and releases nothing.
input_space:
  sites: [LEEDS]
  scale: {{low: {low} L, high: {high} L}}
acceptance:
  good_batches: 6
  false_alarms: 0.5
  faulty_batches: 3
  detected: {detected}
  in_each_subgroup: 2
  false_alarms_in_each_subgroup: 0.6
"""


def tables(count: int, *, seed: int) -> list[BatchTable]:
    out = []
    for number, (hours, columns) in enumerate(good_batches(count, seed=seed, unit=UNIT, site="LEEDS", every_h=4.0)):
        scaled = [columns[each.name] / LITRES if each.extensive else columns[each.name] for each in SIGNALS]
        out.append(BatchTable(f"{seed}-{number}", hours, np.column_stack(scaled)))
    return out


@cache
def fitted(version: int = 1) -> tuple[Model, tuple[str, ...]]:
    batches = tables(15, seed=100 + version)
    model = fit(batches, variables=VARIABLES, name=NAME, product="MAB-A", false_alarms=0.05)
    return model, tuple(batch_digest(each, VARIABLES) for each in batches)


@cache
def good(seed: int) -> tuple[TestBatch, ...]:
    return tuple(TestBatch(each, True, "LEEDS", LITRES) for each in tables(6, seed=seed))


@cache
def faulty(seed: int) -> tuple[TestBatch, ...]:
    out = []
    for each in tables(3, seed=seed):
        values = each.values.copy()
        values[30:, 0] += 3.0  # degC
        out.append(TestBatch(replace(each, values=values), False, "LEEDS", LITRES))
    return tuple(out)


def text(version: int = 1, *, low: float = 20.0, high: float = 250.0, detected: float = 0.6) -> str:
    model, batches = fitted(version)
    return with_fitted(TEXT.format(version=version, low=low, high=high, detected=detected), digest=model.digest, batches=batches)


def put(net: Network, version: int = 1, **more: float) -> None:
    put_model_forward(net.control, net.person(ADA), text=text(version, **more), data=fitted(version)[0].to_bytes())


def tried(net: Network, version: int = 1, *, seed: int = 300) -> bool:
    return judge_model(net.control, net.person(ADA), model=NAME, version=version, batches=[*good(seed), *faulty(seed + 1)]).passed


def signed(net: Network, version: int = 1) -> None:
    sign_model(net.control, net.person(ADA), signer_of(ADA), model=NAME, version=version, act=Act.SIGN_RECIPE_AS_AUTHOR)
    sign_model(net.control, net.person(BEN), signer_of(BEN), model=NAME, version=version, act=Act.APPROVE_RECIPE)


def released(net: Network, version: int = 1, **more: str) -> list[str]:
    return [str(each) for each in release_model(net.control, net.person(BEN), model=NAME, version=version, **more)]


def at_leeds(net: Network) -> None:
    asyncio.run(net.carry())
    asyncio.run(net.scan())
    asyncio.run(net.carry())


@pytest.fixture
def net(tmp_path: Path) -> Network:
    made = Network(tmp_path / "net")
    asyncio.run(made.publish())
    return made


def test_a_model_goes_from_its_intended_use_to_a_watched_batch(net: Network) -> None:
    put(net)
    assert tried(net)
    signed(net)
    assert released(net) == ["LEEDS"]
    at_leeds(net)
    digest = fitted()[0].digest
    assert [(each.digest, each.units) for each in net.payloads(ModelAccepted)] == [(digest, (str(UNITS[LEEDS]),))]
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch, until_h=40.0))
    assert [each.digest for each in net.payloads(MonitoringStarted)] == [digest]


def test_test_data_are_used_once_and_the_second_use_is_on_record(net: Network) -> None:
    put(net)
    tried(net)
    put(net, 2)
    with pytest.raises(NotAllowed, match="it was used to test MAB-A-WATCH version 1 by ADA"):
        tried(net, 2)
    refused = net.control.state.monitors.refused
    assert [(each.version, len(each.batches)) for each in refused] == [(2, 9)]
    assert isinstance(refused[0], TestDataRefused)
    with pytest.raises(NotAllowed, match="a version is tested once"):
        tried(net, seed=400)
    own = [TestBatch(each, True, "LEEDS", LITRES) for each in tables(15, seed=102)]
    with pytest.raises(NotAllowed, match="was fitted on it"):
        judge_model(net.control, net.person(ADA), model=NAME, version=2, batches=own)


def test_a_model_that_misses_its_criteria_is_neither_signed_nor_released(net: Network) -> None:
    put(net, detected=1.0)
    harmless = [replace(each, good=False) for each in good(501)[:4]]
    tested = judge_model(net.control, net.person(ADA), model=NAME, version=1, batches=[*good(500), *harmless])
    assert not tested.passed
    with pytest.raises(NotAllowed, match=r"its test did not pass: .*NOT MET"):
        signed(net)
    with pytest.raises(NotAllowed, match="its test did not pass"):
        released(net)


def test_it_takes_two_different_people(net: Network) -> None:
    put(net)
    with pytest.raises(NotAllowed, match="it was not tested"):
        signed(net)
    tried(net)
    with pytest.raises(NotAllowed, match="cannot release"):
        released(net)
    sign_model(net.control, net.person(ADA), signer_of(ADA), model=NAME, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
    with pytest.raises(NotAllowed):
        sign_model(net.control, net.person(ADA), signer_of(ADA), model=NAME, version=1, act=Act.APPROVE_RECIPE)
    with pytest.raises(NotAllowed, match="cannot release"):
        released(net)


def test_a_site_outside_of_the_scale_does_not_watch_with_it_and_says_why(net: Network) -> None:
    test_space = [replace(each, litres=150.0) for each in (*good(600), *faulty(601))]
    put(net, low=100.0)
    judge_model(net.control, net.person(ADA), model=NAME, version=1, batches=test_space)
    signed(net)
    released(net)
    at_leeds(net)
    (answer,) = net.payloads(ModelNotAccepted)
    assert f"{LITRES:g} L is outside of the 100 to 250 L" in answer.reasons[0]
    batch = net.start_batch()
    asyncio.run(net.run_batch(batch, until_h=40.0))
    assert net.payloads(MonitoringStarted) == []
    assert [each.batch for each in net.payloads(MonitoringRefused)] == [batch]


def test_a_rollback_says_why(net: Network) -> None:
    for version in (1, 2):
        put(net, version)
        tried(net, version, seed=700 + 10 * version)
        signed(net, version)
        assert released(net, version) == ["LEEDS"]
    assert released(net, 2) == []
    with pytest.raises(NotAllowed, match="MAB-A-WATCH version 2 is in force at LEEDS"):
        released(net, 1)
    assert released(net, 1, why="version 2 cried wolf at Leeds") == ["LEEDS"]
    at_leeds(net)
    assert [each.version for each in net.payloads(ModelAccepted)] == [1]
    with pytest.raises(NotAllowed, match="was released by two people"):
        decisions.publish_model(net.control, fitted()[0].to_bytes(), product=fitted()[0].product)  # type: ignore[arg-type]


def test_what_is_not_the_model_of_its_document_is_refused(net: Network) -> None:
    model = fitted()[0]
    altered = bytearray(model.to_bytes())
    altered[200] ^= 1
    with pytest.raises((NotTrusted, NotValid)):
        put_model_forward(net.control, net.person(ADA), text=text(), data=bytes(altered))
    with pytest.raises(NotAllowed, match="the document names"):
        put_model_forward(net.control, net.person(ADA), text=text(), data=fitted(2)[0].to_bytes())
    other = fit(tables(6, seed=9), variables=VARIABLES, name=NAME, product="MAB-B")
    named = with_fitted(TEXT.format(version=3, low=20, high=250, detected=0.5), digest=other.digest, batches=["0" * 64])
    with pytest.raises(NotAllowed, match="it was fitted for MAB-B, not MAB-A"):
        put_model_forward(net.control, net.person(ADA), text=named, data=other.to_bytes())
    put(net)
    with pytest.raises(NotAllowed, match="that version is another model"):
        put(net, detected=0.1)
    with pytest.raises(NotFound, match="it was not put forward"):
        tried(net, 7)


def test_a_test_batch_outside_of_the_input_space_is_refused_and_not_used_up(net: Network) -> None:
    put(net)
    with pytest.raises(NotValid, match=r"1000 L is outside of its input space"):
        judge_model(net.control, net.person(ADA), model=NAME, version=1, batches=[replace(good(300)[0], litres=1000.0)])
    with pytest.raises(NotValid, match="site 'PORTO' is outside of its input space"):
        judge_model(net.control, net.person(ADA), model=NAME, version=1, batches=[replace(good(300)[0], site="PORTO")])
    assert net.control.state.monitors.used == {}
    assert tried(net)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("low: 20 L", "low: 20 h", "scale"),
        ("low: 20 L", "low: 900 L", "low must be above 0 and not above high"),
        ("good_batches: 6", "good_batches: 0", "good_batches"),
        ("detected: 0.5", "detected: 7", "detected"),
        ("sites: [LEEDS]", "sites: [LEEDS, LEEDS]", "a subgroup is there twice"),
        ("title: Watches", "titel: Watches", "unknown key 'titel'; did you mean title?"),
        ("model: MAB-A-WATCH", "model: mab a", "1 to 40 capital letters"),
    ],
)
def test_a_document_that_makes_no_sense_is_refused_by_its_line(old: str, new: str, why: str) -> None:
    whole = TEXT.format(version=1, low=20, high=250, detected=0.5)
    assert old in whole
    with pytest.raises(NotValid, match=r"line \d+") as refused:
        read_model_document(whole.replace(old, new, 1))
    assert why in str(refused.value)
