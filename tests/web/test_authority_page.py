"""The page of who may make what where, and what a site says of its own permission."""

from __future__ import annotations

import asyncio
import re

from network_story import SEED
from typer.testing import CliRunner
from web_setup import app_of, client, signed_in

from isogenic.authority.licences import Command
from isogenic.cli import app
from isogenic.ids import LicenceId, PersonId
from isogenic.network.licensing import change_licence, submit_master_file
from isogenic.sim.authorising import authorise
from isogenic.sim.world import document, person_signer
from isogenic.web.authority_api import authority_page, licence_lines
from isogenic.web.screens.authority import authority_screen, site_licences
from isogenic.web.screens.authority_acts import Signs
from isogenic.web.site_desk import SiteDesk
from isogenic.web.site_permissions import permission_lines
from isogenic.web.tasks import tasks_screen
from small_network import BEN, LEEDS, OPERATORS, QUI, Network, signer_of

LICENCE = LicenceId("LIC-LEEDS-MAB-A")


def test_the_page_and_the_site_show_a_licence_its_lease_and_why_nothing_may_start(tmp_path):
    net = Network(tmp_path / "net")
    assert [(each.state, each.may_start) for each in permission_lines(net.nodes[LEEDS])] == [("none", False)]
    asyncio.run(net.publish())
    (line,) = permission_lines(net.nodes[LEEDS])
    assert (line.licence, line.state, line.may_start, line.why) == (LICENCE, "active", True, "")
    change_licence(net.control, net.person(QUI), signer_of(QUI), licence=LICENCE, command=Command.SUSPEND, why="sterility failure")
    asyncio.run(net.carry())
    (line,) = permission_lines(net.nodes[LEEDS])
    assert (line.state, line.may_start) == ("suspended", False)
    assert line.why == "LIC-LEEDS-MAB-A is suspended: sterility failure (HMR 2012 regs 17A(a), 17B(a) and 26)"
    site = net.nodes[LEEDS]
    said = str(tasks_screen(SiteDesk(site).summary(), [], site.state.directory.people[OPERATORS[LEEDS]], may_answer=True))
    assert "No batch can be started" in said
    assert "LIC-LEEDS-MAB-A is suspended: sterility failure (HMR 2012 regs 17A(a), 17B(a) and 26)" in said
    assert "leased until " in said
    there = [each for each in licence_lines(net.control) if each.site == LEEDS]
    assert "sterility failure" in str(site_licences(there, "2026-03-02T06:00:00.000Z"))
    page = authority_page(net.control)
    assert {(each.site, each.state, each.lease_taken) for each in page.licences if each.site == LEEDS} == {("LEEDS", "suspended", True)}
    assert [each.state for each in page.files] == ["in force"]
    assert {each.person: each.state for each in page.competences} == {"GUS": "held", "LEA": "held", "PIA": "held"}
    shown = str(authority_screen(page))
    assert "sterility failure" in shown
    assert 'aria-label="Annual report UK"' in shown
    assert "<dialog" not in shown  # nobody is asked to sign who is not said to look


def offered(net: Network, person: PersonId) -> list[str]:
    """What the page lets a person sign, licences of the other sites aside."""
    signs = Signs(net.person(person), [("LEA", "Lea"), ("BEN", "Ben")], ["LEEDS"], now="2026-03-02T06:00:00.000Z", until="2028-03-02T00:00:00Z")
    shown = str(authority_screen(authority_page(net.control), signs))
    return [each for each in re.findall(r'<dialog id="([^"]+)"', shown) if "GHENT" not in each and "PORTO" not in each]


def test_the_page_offers_what_the_state_takes_and_the_persons_roles_allow(tmp_path):
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    withdrawals = [f"withdraw-{each}-fed_batch_culture" for each in ("GUS", "LEA", "PIA")]
    deciding = [f"{each}-LIC-LEEDS-MAB-A" for each in ("pause", "suspend", "cease")]
    assert sorted(offered(net, QUI)) == sorted(["grant", *deciding, *withdrawals])
    assert sorted(offered(net, PersonId("RIA"))) == sorted(["submit-file", "apply", *deciding])
    assert offered(net, PersonId("LEA")) == []
    change_licence(net.control, net.person(QUI), signer_of(QUI), licence=LICENCE, command=Command.SUSPEND, why="sterility failure")
    assert [each for each in offered(net, QUI) if "LIC" in each] == ["reinstate-LIC-LEEDS-MAB-A", "cease-LIC-LEEDS-MAB-A"]
    assert [each for each in offered(net, PersonId("RIA")) if "LIC" in each] == ["cease-LIC-LEEDS-MAB-A"]
    text = document("mab-a.master-file.yaml").replace("version: 1\n", "version: 2\n", 1).replace("2025-09-01\nch", "2026-03-03\nch", 1)
    submit_master_file(net.control, net.person(PersonId("RIA")), text)
    assert "sign-MF-MAB-A-2" in offered(net, PersonId("RIA"))
    assert "sign-MF-MAB-A-2" not in offered(net, BEN)  # an author signs first


def test_what_is_asked_of_the_authority_is_bounded_and_answered(network):
    authorise(network.node, lambda person: person_signer(SEED, network.world.network, person))
    yearly, times = (
        "/api/master-files/MF-MAB-A/annual-report/uk",
        ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "tomorrow", "-1", "2026-13-01T00:00:00Z"),
    )

    async def walk() -> dict[str, int]:
        guest = await signed_in(app_of(network), "QUI")
        said = {time: (await guest.get(yearly, params={"until": time})).status_code for time in times}
        said["backwards"] = (await guest.get(yearly, params={"until": "2026-01-01T00:00:00Z", "since": "2027-01-01T00:00:00Z"})).status_code
        said["nobody"] = (await client(app_of(network)).get(yearly)).status_code
        for name, body in (("why", {"why": "x" * 600}), ("command", {"command": "apply"}), ("more", {"licence": "LIC-X"})):
            whole = {"command": "suspend", "why": "x", "meaning": "licence suspended", "password": "x", "person": "QUI", **body}
            said[name] = (await guest.post("/api/licences/LIC-LEEDS-MAB-A/commands", json=whole)).status_code
        said["wrong"] = (await guest.post("/api/licences/LIC-LEEDS-MAB-A/commands", json={**whole, "licence": ""})).status_code
        return said

    answered = asyncio.run(walk())
    assert {name: status for name, status in answered.items() if status >= 500} == {}
    assert (answered["nobody"], answered["why"], answered["command"], answered["more"]) == (401, 422, 422, 422)
    assert network.node.state.authority.licences[LICENCE].state == "active"


def test_the_command_line_reads_the_same_from_the_folder(tmp_path):
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    run, control = CliRunner(), str(net.folder / "CONTROL")
    shown = run.invoke(app, ["authority", "show", control])
    assert (shown.exit_code, "LIC-LEEDS-MAB-A  LEEDS  active  lease until" in shown.stdout) == (0, True)
    assert run.invoke(app, ["authority", "difference", control, "MF-MAB-A"]).exit_code == 3  # no commitments are on file
    report = run.invoke(app, ["authority", "annual-report", control, "MF-MAB-A", "uk"])
    assert (report.exit_code, report.stdout.splitlines()[0]) == (0, "ANNUAL REPORT ON THE MASTER FILE")
    assert "GHENT" in run.invoke(app, ["authority", "registration", control, "MF-MAB-A", "eu"]).stdout
