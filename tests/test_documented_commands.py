"""Every command line that the documents show is one that the program takes: its verb, its options, its arguments."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from isogenic.cli import app

ROOT = Path(__file__).parents[1]
DOCUMENTS = (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md")))
SHOWN = re.compile(r"^ {4}(?:\.venv/bin/)?(isogenic .*)$", re.MULTILINE)
QUOTED = re.compile(r"`(isogenic [^`\n]*)`")
USAGE_ERROR = typer.BadParameter.__base__  # what the parser raises
PROMISED = "|"  # `isogenic sim run|check`: several verbs in one
FORM = re.compile(r"isogenic (?:[a-z ]+ \d+|checkpoint|fact|COMMAND --help)")  # what bytes begin with, and what stands for any verb


def lines_of(document: Path) -> list[str]:
    text = document.read_text()
    shown = [re.split(r" {2,}| #|\s>\s", line.replace("\\\n", " "))[0] for line in SHOWN.findall(text)]
    return sorted({line for each in [*shown, *QUOTED.findall(text)] if not FORM.fullmatch(line := " ".join(each.split()))})


def several(words: list[str]) -> list[list[str]]:
    """`sim run|check X` is `sim run X` and `sim check X`."""
    for at, word in enumerate(words):
        if PROMISED in word and not word.startswith(("-", "[")):
            return [each for one in word.split(PROMISED) for each in several([*words[:at], one, *words[at + 1 :]])]
    return [words]


def trouble_with(words: list[str]) -> str:
    """Why the program would not take these words; empty: it would. What is only a verb is a reference to it."""
    command = typer.main.get_command(app)
    here = command.context_class(command)
    while isinstance(command, TyperGroup):
        if not words:
            return ""
        found = command.get_command(here, words[0])
        if found is None:
            return "" if words[0].startswith("-") or words[0] in ("...", "…") else f"no command {words[0]}"
        command, words = found, words[1:]
        here = command.context_class(command, parent=here)
    try:
        _, left, _ = command.make_parser(here).parse_args(list(words))
    except USAGE_ERROR as refused:
        return refused.format_message()
    return f"too many arguments: {' '.join(left)}" if left else ""


def test_what_the_program_does_not_take_is_found() -> None:
    assert trouble_with(["sim", "run", "x", "--otu", "y"]).startswith("No such option: --otu")
    assert trouble_with(["sim", "fualts"]) == "no command fualts"
    assert trouble_with(["sim", "processes", "antibody", "more"]) == "too many arguments: more"
    assert sum(len(lines_of(each)) for each in DOCUMENTS) > 150


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: each.name)
def test_every_command_that_is_shown_is_taken(document: Path) -> None:
    wrong = []
    for line in lines_of(document):
        plain = re.sub(r"\[[^\]]*\]|…|\.\.\.", "", line)
        try:
            words = shlex.split(plain)[1:]
        except ValueError as trouble:
            wrong.append(f"{line}: {trouble}")
            continue
        wrong += [f"{line}: {why}" for each in several(words) if (why := trouble_with(each))]
    assert wrong == []
