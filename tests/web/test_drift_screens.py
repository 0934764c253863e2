"""Drift where people see it: on the site's own page, on the control site's page of that site, in the batch's story."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isogenic.network import decisions
from isogenic.web.control_desk import ControlDesk
from isogenic.web.screens.site import site_screen
from isogenic.web.site_alarms import site_alarms
from small_network import LEEDS, Network

SET = """isogenic: module-settings/1
site: LEEDS
version: 4
title: As qualified
modules:
  BR-50-VESSEL:
    temperature_high: 39 degC
"""


def test_a_drift_shows_at_the_site_at_the_control_site_and_in_the_batch(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    desk = ControlDesk(net.control)
    assert "every setting that is read back is as released" in str(site_screen(desk.site(LEEDS)))
    assert site_alarms(net.nodes[LEEDS]) == []

    decisions.release_settings(net.control, SET)
    asyncio.run(net.carry())
    net.vessels[LEEDS].facility.set_at_panel("BR-50-VESSEL.firmware", "<b>4.3</b>")
    asyncio.run(net.scan())
    asyncio.run(net.carry())

    (high, firmware) = sorted(site_alarms(net.nodes[LEEDS]), key=lambda each: each.why, reverse=True)
    assert high.what == "BR-50-VESSEL does not run what was released"
    assert high.why == "temperature high is 40 degC; released is 39 degC"
    assert firmware.why == "firmware is <b>4.3</b>; released is 4.2.1"

    detail = desk.site(LEEDS)
    assert {(each.setting, each.released, each.found) for each in detail.drifts} == {
        ("temperature_high", "39 degC", "40 degC"),
        ("firmware", "4.2.1", "<b>4.3</b>"),
    }
    assert detail.released_settings.startswith("version 4, ")
    assert detail.node is not None and detail.node.troubles[0] == "BR-50-VESSEL: 2 settings are not as released"
    page = str(site_screen(detail))
    assert "Temperature high" in page and "version 4" in page and "&lt;b&gt;4.3" in page and "<b>4.3" not in page

    told = [event.text for event in desk.story(batch)[1].events]
    assert "BR-50-VESSEL runs firmware <b>4.3</b>, not 4.2.1" in told
