"""The page of who may make what where, and what a site says of its own permission."""

from __future__ import annotations

import asyncio

from typer.testing import CliRunner

from isogenic.authority.licences import Command
from isogenic.cli import app
from isogenic.ids import LicenceId
from isogenic.network.licensing import change_licence
from isogenic.web.authority_api import authority_page
from isogenic.web.screens.authority import authority_screen
from isogenic.web.site_permissions import permission_lines
from small_network import LEEDS, QUI, Network, signer_of

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
    page = authority_page(net.control)
    assert {(each.site, each.state, each.lease_taken) for each in page.licences if each.site == LEEDS} == {("LEEDS", "suspended", True)}
    assert [each.state for each in page.files] == ["in force"]
    assert {each.person: each.state for each in page.competences} == {"GUS": "held", "LEA": "held", "PIA": "held"}
    shown = str(authority_screen(page))
    assert "sterility failure" in shown
    assert "annual report UK" in shown


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
