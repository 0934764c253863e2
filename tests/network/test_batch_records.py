"""The executed batch record is the same wherever it is made: at the site, at the control site, in the dossier, from files."""

from __future__ import annotations

import re

import pytest
from typer.testing import CliRunner

from isogenic.cli import app
from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.quality.executed.html import as_html
from isogenic.quality.executed.model import Exceptional
from isogenic.quality.executed.pdf import as_pdf
from isogenic.quality.executed.text import as_text
from isogenic.shell.batch_records import record_in
from released_lot import copy_of


@pytest.fixture(scope="module")
def net(tmp_path_factory):
    return copy_of("net", tmp_path_factory.mktemp("records"))


@pytest.fixture(scope="module")
def dossier(tmp_path_factory):
    return copy_of("dossier", tmp_path_factory.mktemp("dossier"))


@pytest.fixture(scope="module")
def batch(dossier):
    return BatchId(re.search(r"BAT-[0-9A-Z]+", (dossier / "documents" / "batch-record.txt").read_text())[0])


def test_the_site_the_control_site_and_the_dossier_tell_the_same(net, dossier, batch):
    at_site, at_control = record_in(net / "LEEDS", batch), record_in(net / "CONTROL", batch)
    told = (dossier / "documents" / "batch-record.txt").read_text()
    assert as_text(at_control) == told
    assert as_text(at_site) == told
    assert as_pdf(at_site) == (dossier / "documents" / "batch-record.pdf").read_bytes()
    assert as_html(at_site) == (dossier / "documents" / "batch-record.html").read_text()


def test_it_is_complete_names_who_signed_and_says_what_was_reached(net, batch):
    found = record_in(net / "CONTROL", batch)
    assert found.exceptions(Exceptional.RECORD) == ()
    assert found.held[0].size >= found.stop and found.held[0].witnessed == found.held[0].size
    meanings = [each.signature.meaning for each in found.signatures]
    assert meanings[:2] == ["authored", "approved"] and meanings[-2:] == ["reviewed", "released"]
    assert all(found.people.values())
    production = next(step for step in found.steps if step.phase == "production")
    (temperature,) = [each for each in production.setpoints if each.name == "temperature_sp"]
    assert abs(temperature.reached.mean - temperature.value) < 0.5
    assert temperature.carried and temperature.reached.good > 100
    assert all(each.judged is not None for each in found.results) and found.results


def test_the_command_writes_its_three_forms_and_prints_without_a_file(net, batch, tmp_path):
    files = [tmp_path / f"record.{form}" for form in ("pdf", "html", "txt")]
    asked = ["record", str(net / "LEEDS"), str(batch), "--pdf", str(files[0]), "--html", str(files[1]), "--text", str(files[2])]
    assert CliRunner().invoke(app, asked).exit_code == 0
    assert [each.read_bytes()[:9] for each in files] == [b"%PDF-1.7\n", b"<!doctype", b"Executed "]
    printed = CliRunner().invoke(app, ["record", str(net / "CONTROL"), str(batch), "--no-readings"])
    assert "Set-points were not compared with readings" in printed.stdout


def test_a_batch_that_no_ledger_names_has_none(net):
    with pytest.raises(NotFound, match="no executed record of BAT-NONE"):
        record_in(net / "LEEDS", BatchId("BAT-NONE"))
