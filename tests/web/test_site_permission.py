"""What a site's own screens say of its licence and lease: a person at the unit sees why nothing may start."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from pathlib import Path

from isogenic.authority.licences import Command
from isogenic.ids import LicenceId, PersonId
from isogenic.network.licensing import change_licence
from isogenic.sites import requests
from isogenic.web.screens.steps import work_part
from isogenic.web.site_alarms import site_alarms
from isogenic.web.site_desk import SiteDesk
from isogenic.web.tasks import tasks_screen
from isogenic.web.work import work_at
from small_network import LEEDS, OPERATORS, UNITS, Network, signer_of

QUI, LICENCE = PersonId("QUI"), LicenceId("LIC-LEEDS-MAB-A")


def test_a_suspended_licence_and_an_ended_lease_are_told_at_the_site_and_at_the_unit(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    node = net.nodes[LEEDS]
    desk = SiteDesk(node)
    operator = requests.person_here(node.state, OPERATORS[LEEDS])

    def home() -> str:
        return str(tasks_screen(desk.summary(), [], operator, may_answer=True))

    def unit() -> str:
        return str(work_part(work_at(desk, str(UNITS[LEEDS]), operator), task="", now=""))

    assert site_alarms(node) == []
    assert f"{LICENCE} active" in home() and "leased until" in home() and "The batch is" not in home()

    def command(what: Command, why: str) -> None:
        change_licence(net.control, net.person(QUI), signer_of(QUI), licence=LICENCE, command=what, why=why)
        asyncio.run(net.carry())

    command(Command.PAUSE, "stock-taking")
    assert [each.what for each in site_alarms(node)] == [f"The licence {LICENCE} for MAB-A is paused"]
    command(Command.RESUME, "counted")
    assert site_alarms(node) == []
    net.lines[LEEDS].up = False
    net.clock.advance(timedelta(days=90).total_seconds())
    assert [each.what for each in site_alarms(node)] == [f"The lease of licence {LICENCE} for MAB-A has ended"]
    assert "No batch can be started" in home() and "has ended" in unit()

    net.lines[LEEDS].up = True
    command(Command.SUSPEND, "sterility failure")
    asyncio.run(net.scan())
    (alarm,) = site_alarms(node)
    assert (alarm.what, alarm.why) == (f"The licence {LICENCE} for MAB-A is suspended", "sterility failure")
    assert alarm.what in home() and alarm.what in unit()
    held = str(next(iter(node.state.batches.values())).state)
    assert f"The batch is {held}." in home() and f"The batch is {held}." in unit()
