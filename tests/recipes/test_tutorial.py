"""The page for the process engineer is run: its documents are written, its commands give what it shows."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

import isogenic.cli.recipes  # noqa: F401 (adds its verbs)
from isogenic.cli.verbs import app
from isogenic.errors import Refusal

PAGE = Path(__file__).parents[2] / "docs" / "recipes.md"
BLOCK = re.compile(r"^```(yaml|console)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def said_by(command: str) -> str:
    """What a command prints, or the refusal that it ends with."""
    result = CliRunner().invoke(app, shlex.split(command)[1:])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        assert isinstance(result.exception, Refusal), result.exception
        return str(result.exception)
    return result.output


def edited(text: str, edits: str) -> str:
    for edit in edits.split("; "):
        _, old, new = re.split(r"(?<!\\)/", edit)[:3]
        old, new = (each.replace(r"\"", '"').replace(r"\n", "\n").replace(r"\/", "/") for each in (old, new))
        assert old in text, f"the page edits {old!r}, which is not there"
        text = text.replace(old, new, 1)
    return text


def matches(shown: str, output: str) -> bool:
    """Line by line; `...` stands for anything."""
    pattern = "".join(".*?" if part == "..." else re.escape(part) for part in re.split(r"(\.\.\.)", shown.strip()))
    return re.fullmatch(pattern, output.strip(), re.DOTALL) is not None


def test_the_page_does_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    commands = 0
    for kind, told, body in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        facts = dict(re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S+)', told))
        if kind == "yaml":
            if "file" in facts:
                (tmp_path / facts["file"]).write_text(body, encoding="utf-8")
            continue
        kept = (tmp_path / "rest.general.yaml").read_text(encoding="utf-8")
        target = "rest.general.yaml"
        if "copy" in facts:
            target = facts["copy"].strip('"').split()[1]
        if "edit" in facts:
            (tmp_path / target).write_text(edited(kept, facts["edit"][1:-1]), encoding="utf-8")
        for shown in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
            command, _, output = shown.partition("\n")
            assert matches(output, said_by(command)), f"$ {command}\n{said_by(command)}"
            commands += 1
        (tmp_path / "rest.general.yaml").write_text(kept, encoding="utf-8")
    assert commands == 10
