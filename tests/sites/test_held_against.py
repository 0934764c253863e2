"""What a running batch is held against: the range on file for its values, and the latest time for what expires."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from asked_recipe import PLAIN_LINE
from clear_lines import make_ready
from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.errors import NotAllowed
from isogenic.ids import BatchId
from isogenic.materials.changeover import Occupant
from isogenic.materials.labels import LabelKind, label_text
from isogenic.sites import stepping
from isogenic.sites.answering import look_at_scan
from isogenic.sites.materials import check_materials_allow
from isogenic.sites.requests import person_here
from isogenic.units import Quantity
from small_network import ADA, GENERAL, LEEDS, LOT, OPERATORS, RECIPE, UNITS, Network, signer_of
from two_sponsors import publish

ENTER = "            enter: [{parameter: temperature, text: Which temperature}, {parameter: feed_rate, text: Which feed}]\n"


def adjustable(text: str) -> str:
    lines = []
    for line in text.splitlines(keepends=True):
        if line.lstrip().startswith(("temperature:", "feed_rate:")) and "value:" in line:
            line = line.replace("}", ", adjustable: true}", 1).replace("high: 37.5", "high: 37.9").replace("high: 0.90", "high: 1.10")
        lines.append(line)
    return "".join(lines)


@pytest.fixture
def running(tmp_path: Path) -> tuple[Network, BatchId]:
    net = Network(tmp_path / "net")
    asyncio.run(publish(net, adjustable(GENERAL).replace(PLAIN_LINE, PLAIN_LINE + ENTER), RECIPE))
    batch = net.start_batch()
    asyncio.run(net.scan())
    return net, batch


def test_a_changed_or_entered_value_stays_in_the_range_on_file(running: tuple[Network, BatchId]) -> None:
    net, batch = running
    node = net.nodes[LEEDS]
    ada, now = person_here(node.state, ADA), node.clock.now().at
    held = {each.name: each for each in node.state.batches[batch].control.parameters}

    def change(name: str, value: float) -> None:
        said = Quantity(value, held[name].unit)
        stepping.change_formula(node.state, ada, batch=batch, parameter=name, value=said, why="growth", now=now, pen=signer_of(ADA))

    def enter(name: str, value: float) -> None:
        lea = person_here(node.state, OPERATORS[LEEDS])
        stepping.enter_parameter(node.state, lea, batch=batch, parameter=name, value=f"{value:.6g}", now=now)

    for act in (change, enter):
        for name, factor, beyond in (("temperature", 1.002, 1.02), ("feed_rate", 1.02, 1.15)):
            value = held[name].value
            assert value * beyond <= (held[name].high or 0), "the recipe alone would let it"
            act(name, value * factor)
            with pytest.raises(NotAllowed, match=rf"{name} would be .* in MF-MAB-FB"):
                act(name, value * beyond)


@pytest.fixture
def supplied(tmp_path: Path) -> Network:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    return net


def set_back(net: Network, days: float) -> Moment:
    """What the site's clock says after somebody turned it back."""
    return Moment(net.clock.at - timedelta(days=days))


def test_a_clock_that_is_set_back_prolongs_no_expiry_and_no_clearance(supplied: Network) -> None:
    net, node = supplied, supplied.nodes[LEEDS]
    asyncio.run(make_ready(net, LOT))
    occupant = Occupant(LOT, node.state.lines[UNITS[LEEDS]].following.product, node.state.plant.sponsor, None)  # type: ignore[union-attr]
    assert stops(check_materials_allow(node.state, UNITS[LEEDS], occupant, now=node.clock.now())) == []
    net.clock.advance(80 * 3600)  # the clearance is valid for 72 h
    asyncio.run(node.cycle())
    state = replace(node.state, permission=replace(node.state.permission, seen=net.clock.at))
    against = [note.text for note in stops(check_materials_allow(state, UNITS[LEEDS], occupant, now=set_back(net, 3)))]
    assert any("its clearance lapsed" in each for each in against)


def test_a_clock_that_is_set_back_makes_no_label_good_again(supplied: Network) -> None:
    net, node = supplied, supplied.nodes[LEEDS]
    batch = net.start_batch()
    asyncio.run(net.scan())
    state = replace(node.state, permission=replace(node.state.permission, seen=net.clock.at))
    asked = next(iter(state.batches[batch].asked.values()))
    label = label_text(LabelKind.MATERIAL, "MED-1", item="MEDIUM", expires=net.clock.at - timedelta(days=1))
    scan = look_at_scan(state, state.batches[batch], replace(asked, how=replace(asked.how, expects="material")), label, now=set_back(net, 3).at)
    assert any("expired at" in each for each in scan.against)
