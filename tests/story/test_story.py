"""The demonstration, whole, as a user runs it: every process, every socket, every signature real."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

pytestmark = pytest.mark.story


def test_every_step_of_the_story_really_happens(tmp_path):
    out = tmp_path / "demo"
    environment = os.environ | {"COLUMNS": "200"}
    told = subprocess.run(
        [sys.executable, "-m", "isogenic.cli", "demo", "--exit", "--out", str(out), "--seed", "2"],
        capture_output=True, text=True, timeout=600, env=environment, check=False,
    )  # fmt: skip
    assert told.returncode == 0, told.stdout + told.stderr
    assert "every step happened" in told.stdout
    assert "facts, root verified" in told.stdout
    assert "feed_flow" in told.stdout
    assert (out / "dossiers" / "LOT-LE-002.zip").exists()
    for log in (out / "logs").glob("*.log"):
        assert "Traceback" not in log.read_text(), log.read_text()[-3000:]
