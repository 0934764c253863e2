"""docs/fitting.md, followed from an empty folder: its files are written, its commands run, and what it says of them holds."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from isogenic.cli.sim import app
from isogenic.sim.processes.antibody import ANTIBODY
from isogenic.sim.scenarios import read_scenario
from isogenic.sim.variation import site_factors

PAGE = Path(__file__).resolve().parents[2] / "docs" / "fitting.md"


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder after every step of the first section."""
    folder = tmp_path_factory.mktemp("an empty folder")
    section = PAGE.read_text(encoding="utf-8").split("## In five minutes")[1].split("\n## ")[0]
    names = re.findall(r"as `([\w.]+)`:\n", section)
    texts = re.findall(r"```\w+\n(.*?)```", section, re.DOTALL)
    assert len(names) == len(texts) == 3
    for name, text in zip(names, texts, strict=True):
        (folder / name).write_text(text)
    commands = re.findall(r"^    isogenic (.+)$", section, re.MULTILINE)
    assert len(commands) == 5
    with pytest.MonkeyPatch.context() as here:
        here.chdir(folder)
        for command in commands:
            found = CliRunner().invoke(app, shlex.split(command))
            assert found.exit_code == 0, (command, found.output, found.exception)
    return folder


def test_the_fit_tells_its_table_and_holds_the_truth(followed: Path) -> None:
    data = json.loads((followed / "fit" / "fit.json").read_text())
    assert data["table_sha256"] == hashlib.sha256((followed / "leeds.parquet").read_bytes()).hexdigest()
    assert data["converged"]
    assert data["doubt"] == ""
    mine = site_factors(ANTIBODY, "LEEDS")
    for name, offset in (("growth", 1.04), ("product", 0.92)):
        found = data["constants"][name]
        assert found["low"] < ANTIBODY.constants[name].value * offset * mine[name] < found["high"]


def test_the_scenario_explains_its_offsets_beside_the_percentages_of_the_report(followed: Path) -> None:
    text = (followed / "fit" / "scenario.yaml").read_text()
    data = json.loads((followed / "fit" / "fit.json").read_text())
    twin, mine = read_scenario(text), site_factors(ANTIBODY, "LEEDS")
    for name in ("growth", "product"):
        factor = data["constants"][name]["factor"]
        assert twin.sites[0].offsets["antibody", name] * mine[name] == pytest.approx(factor, rel=1e-5)
        assert f"{factor - 1:+.1%} of the nominal, of which the name LEEDS makes {mine[name] - 1:+.1%}" in text
    assert "both together are the percentage of the report" in text


def test_the_report_says_in_plain_words_what_its_figures_are(followed: Path) -> None:
    report = (followed / "fit" / "report.txt").read_text()
    assert re.search(r"Weighted squares per degree of freedom: \d\.\d\d \((about 1|1 would)", report)
    assert "6 batches share 3 lots of medium" in report
    assert "Nobody said which batches share a lot of medium" in (followed / "porto" / "report.txt").read_text()


def test_the_page_is_one_file_that_needs_no_other(followed: Path) -> None:
    page = (followed / "fit" / "page.html").read_text()
    assert "illustrative" in page
    assert "src=" not in page
    assert "http" not in page
