"""A scaled clock whose pace changes while several processes go by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from isogenic import clock as clocks
from isogenic.clock import ScaledClock, wall_seconds
from isogenic.errors import NotValid

START = datetime(2026, 3, 2, tzinfo=UTC)


def test_every_clock_of_one_pace_file_changes_at_the_same_instant(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clocks, "PACE_LOOK_S", 0.0)
    monkeypatch.setattr(clocks, "PACE_AHEAD_S", -10.0)  # as if ten seconds had gone by since
    one = ScaledClock(start=START, origin=wall_seconds() - 30.0, speed=1000.0, pace=tmp_path / "a,pace")
    other = ScaledClock.parse(one.spec())
    before = other.now().at
    one.change_pace(10.0)
    then = START + timedelta(seconds=20_000 + 100)  # twenty seconds at the old speed, ten at the new one
    for each in (one, other):
        assert abs((each.now().at - then).total_seconds()) < 50.0
        assert each.speed == 10.0
    assert before > then


def test_a_clock_without_a_pace_file_keeps_its_pace() -> None:
    with pytest.raises(NotValid, match="no pace file"):
        ScaledClock(start=START, origin=0.0, speed=1.0).change_pace(2.0)
