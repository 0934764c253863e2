"""Leases and the time they are held against: no clock that is set back prolongs one."""

from dataclasses import replace
from datetime import timedelta

import pytest
from house import NOW

from isogenic.authority.leases import LEASE_MAX_H, LeaseGranted, OwnClock, apply, due, span
from isogenic.clock import ClockQuality, Moment
from isogenic.errors import NotValid
from isogenic.ids import LicenceId, SiteId
from isogenic.records.times import ClockMeasured, ClockStepped

LICENCE, LEEDS = LicenceId("LIC-1"), SiteId("LEEDS")
HOUR = timedelta(hours=1)


def lease(number=1, since=NOW, hours=168.0):
    return LeaseGranted(LICENCE, LEEDS, number, since, since + timedelta(hours=hours))


def measured(source="control site", quality="good", uncertainty_ms=40.0, steady_s=100.0):
    return ClockMeasured("LEEDS", source, quality, 0.0, uncertainty_ms, 0.0, 50.0, "boot", steady_s)


@pytest.mark.parametrize("hours", [0.0, -1.0, LEASE_MAX_H + 0.1])
def test_a_lease_is_bounded(hours):
    with pytest.raises(NotValid):
        lease(hours=hours)


def test_the_newest_lease_counts_whatever_order_they_come_in():
    assert apply(apply({}, lease(2)), lease(1)) == {LICENCE: lease(2)}


def test_the_next_lease_is_due_at_half_of_the_one_before():
    assert (due(None, NOW), due(lease(), NOW + 83 * HOUR), due(lease(), NOW + 84 * HOUR)) == (True, False, True)


def test_an_unknown_clock_is_believed_as_long_as_nothing_contradicts_it():
    found = span(Moment(NOW), seen=NOW - HOUR, clock=OwnClock())
    assert (found.earliest, found.latest) == (NOW, NOW)


def test_a_later_fact_contradicts_a_clock():
    found = span(Moment(NOW), seen=NOW + 9 * HOUR, clock=OwnClock())
    assert (found.earliest, found.latest, found.why) == (NOW, NOW + 9 * HOUR, "a fact held here is later than the clock")


def test_a_clock_that_was_set_back_goes_on_from_where_it_was():
    """As after a restart: the step is a fact, and the lease goes on counting from where the clock had been."""
    clock = OwnClock().after(ClockStepped("LEEDS", -144 * 3600.0, "while it was down"))
    at = NOW + 2 * HOUR
    assert span(Moment(at), seen=NOW, clock=clock).latest == at + 144 * HOUR


def test_a_step_forward_makes_up_for_one_back_and_gives_no_credit():
    back, forward = ClockStepped("LEEDS", -100.0, "while it ran"), ClockStepped("LEEDS", 160.0, "while it ran")
    assert OwnClock().after(back).after(forward) == OwnClock(None, 0.0)
    assert OwnClock().after(forward).after(back) == OwnClock(None, 100.0)


def test_the_control_site_puts_a_clock_right_and_another_source_does_not():
    back = OwnClock().after(ClockStepped("LEEDS", -100.0, "while it ran"))
    assert back.after(measured()).back_s == 0.0
    assert back.after(measured(quality="poor")).back_s == 100.0
    assert back.after(measured(source="kernel")).back_s == 100.0


def test_a_known_offset_bounds_the_time_with_what_drifted_since():
    now = Moment(NOW, "control site", ClockQuality.POOR, 5_000.0, steady_s=100.0 + 86_400.0, boot="boot")
    found = span(now, seen=NOW + HOUR, clock=OwnClock(measured()))
    true, error = NOW + timedelta(seconds=5), timedelta(seconds=0.04 + 50e-6 * 86_400)
    assert (found.earliest, found.latest) == (true - error, true + error)


def test_the_span_never_ends_before_it_begins():
    for clock in (OwnClock(), OwnClock(None, 5.0), replace(OwnClock(), measured=measured())):
        for seen in (None, NOW - HOUR, NOW, NOW + HOUR):
            found = span(Moment(NOW), seen=seen, clock=clock)
            assert found.earliest <= found.latest
