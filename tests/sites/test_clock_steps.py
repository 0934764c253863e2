"""A site whose clock jumps: it is told, durations go on, and the record says so."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from functools import cache
from pathlib import Path

import pytest

from isogenic.batches.facts import ClockCorrected, PhaseCompleted
from isogenic.clock import ClockQuality, Moment
from isogenic.records.gaps import Cause, ReadingsGap
from isogenic.records.times import ClockStepped
from own_folder import own_folder
from small_network import LEEDS, START, Network


class JumpingClock:
    """The network's clock as the site's machine shows it: a steady clock, and a wall clock that somebody sets."""

    def __init__(self, net: Network) -> None:
        self.net, self.off, self.boot = net, 0.0, "one"

    def now(self) -> Moment:
        at = self.net.clock.at + timedelta(seconds=self.off)
        return Moment(at, "kernel", ClockQuality.GOOD, steady_s=(self.net.clock.at - START).total_seconds(), boot=self.boot)

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nobody sleeps here")


def with_jumping_clock(net: Network) -> JumpingClock:
    clock = JumpingClock(net)
    shared, net.clock = net.clock, net.clock
    net.close_site(LEEDS)
    net.clock = _Both(clock, shared)  # type: ignore[assignment]
    net.open_site(LEEDS)
    net.clock = shared
    return clock


class _Both:
    def __init__(self, clock: JumpingClock, shared: object) -> None:
        self.now, self.sleep, self.at = clock.now, clock.sleep, shared.at  # type: ignore[attr-defined]


def lived(tmp_path: Path, name: str, jump: Callable[[JumpingClock, int], None]) -> tuple[Network, list[tuple[str, float]]]:
    """Half a batch, scanned every hour; `jump(clock, scan)` before each scan. Gives the phases with the true hours at which they ended."""
    net = Network(tmp_path / name)
    ended: list[tuple[str, float]] = []

    async def run() -> None:
        await net.publish()
        clock = with_jumping_clock(net)
        batch = net.start_batch()
        for scan in range(40):
            jump(clock, scan)
            before = len(net.payloads(PhaseCompleted))
            await net.scan(hours=1.0)
            net.answer_all(batch)
            hours = (net.clock.at - START).total_seconds() / 3600
            ended.extend((fact.phase, round(hours, 3)) for fact in net.payloads(PhaseCompleted)[before:])  # type: ignore[attr-defined]

    asyncio.run(run())
    return net, ended


@cache
def straight() -> tuple[Network, list[tuple[str, float]]]:
    """The same half batch under a clock that nobody sets: lived once, compared with every one that jumps."""
    return lived(own_folder("isogenic-tests-"), "straight", lambda clock, scan: None)


@pytest.mark.parametrize("by", [36_000.0, -36_000.0])
def test_a_step_neither_ends_a_phase_early_nor_holds_it(tmp_path: Path, by: float) -> None:
    def jump(clock: JumpingClock, scan: int) -> None:
        if scan == 10:
            clock.off = by

    net, stepped = lived(tmp_path, "stepped", jump)
    assert stepped == straight()[1]
    assert [fact.by_s for fact in net.payloads(ClockStepped)] == [by]  # type: ignore[attr-defined]
    assert [fact.by_s for fact in net.payloads(ClockCorrected)] == [by]  # type: ignore[attr-defined]
    assert "stepped" in net.nodes[LEEDS].alarm
    state = net.nodes[LEEDS].state
    net.clock.advance(1.0 + max(by, 0.0))  # the machine has no more than this clock now, and it is not behind
    net.restart_site(LEEDS)
    assert net.nodes[LEEDS].state.batches == state.batches, "the same facts give the same state"


def test_a_step_while_the_node_was_down_is_seen_when_it_is_behind_its_own_facts(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")

    async def run() -> None:
        await net.publish()
        batch = net.start_batch()
        for _ in range(5):
            await net.scan(hours=1.0)
            net.answer_all(batch)

    asyncio.run(run())
    net.clock.at -= timedelta(hours=3)
    net.restart_site(LEEDS)
    (stepped,) = net.payloads(ClockStepped)
    assert -3 * 3600.0 - 2 <= stepped.by_s < -2  # type: ignore[attr-defined]  # at least: how long it was down nobody knows
    assert stepped.where == "while it was down"  # type: ignore[attr-defined]
    assert len(net.payloads(ClockCorrected)) == 1


@pytest.mark.parametrize("by", [36_000.0, -36_000.0])
def test_a_step_during_a_batch_is_a_gap_of_its_readings_by_the_clock(tmp_path: Path, by: float) -> None:
    def jump(clock: JumpingClock, scan: int) -> None:
        if scan == 10:
            clock.off = by

    net, _ = lived(tmp_path, "stepped", jump)
    node = net.nodes[LEEDS]
    (batch,) = node.state.running()
    node.readings.seal_all(batch.control.batch)
    gaps = [fact for fact in net.payloads(ReadingsGap) if isinstance(fact, ReadingsGap) and fact.why is Cause.CLOCK]
    assert [(gap.batch, gap.tags, gap.missing) for gap in gaps] == [(batch.control.batch, (), 0)]
    assert (gaps[0].last - gaps[0].first).total_seconds() == by + 3600.0
    calm, _ = straight()
    (other,) = calm.nodes[LEEDS].state.running()
    calm.nodes[LEEDS].readings.seal_all(other.control.batch)
    assert [fact for fact in calm.payloads(ReadingsGap) if isinstance(fact, ReadingsGap) and fact.why is Cause.CLOCK] == []
