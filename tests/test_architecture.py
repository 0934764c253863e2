"""The import contract of the rooms, held as a test."""

from __future__ import annotations

from pathlib import Path

from importlinter import configuration
from importlinter.application import use_cases

ROOT = Path(__file__).parents[1]


def test_rooms_import_down_only(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    configuration.configure()  # not through its command, which switches off every logger that this process has
    assert use_cases.lint_imports(config_filename=str(ROOT / "pyproject.toml"), cache_dir=None), capsys.readouterr().out
