"""Where the constants of the antibody's culture are from."""

from __future__ import annotations

import pytest

from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.processes.cho_fit import BEFORE, FEED_EFFECT, fit, misfits


def test_the_constants_meet_every_target_within_two_percent_or_its_digits() -> None:
    constants = {name: ANTIBODY.constants[name].value for name in BEFORE}
    missed = [each for each in misfits([constants])[0] if abs(each.found - each.target) > 0.02 * each.target + each.half_digit]
    assert missed == []


def test_more_feed_gives_more_antibody_and_less_feed_less() -> None:
    constants = {name: ANTIBODY.constants[name].value for name in BEFORE}
    found = {each.what: each.found for each in misfits([constants])[0]}
    effect = [found[f"titre of the nominal with feed x {share:g}"] for share in FEED_EFFECT]
    assert 0.90 < effect[0] < 0.98
    assert 1.01 < effect[1] < 1.10


@pytest.mark.nightly
def test_the_fit_finds_the_constants_again() -> None:
    for name, value in fit().items():
        assert ANTIBODY.constants[name].value == pytest.approx(value, rel=2e-3), name
