"""The command line: every verb says what it does, and every refusal is a sentence and an exit code."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import typer
from typer.core import TyperGroup

from isogenic import __version__
from isogenic.cli import app, main
from isogenic.errors import Refusal

DOCUMENTS = Path(__file__).parents[1] / "src" / "isogenic" / "sim" / "documents"
GENERAL, SITE, PLANT = (str(DOCUMENTS / name) for name in ("mab-fb.general.yaml", "ghent.site.yaml", "ghent.plant.yaml"))


def verbs() -> list[list[str]]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return [
        words
        for name, command in group.commands.items()
        for words in ([[name, inner] for inner in command.commands] if isinstance(command, TyperGroup) else [[name]])
    ]


def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> tuple[int, str, str]:
    """The exit code, what was printed, and what was said to stderr."""
    monkeypatch.setattr(sys, "argv", ["isogenic", *words])
    code = 0
    try:
        main()
    except SystemExit as ended:
        code = int(ended.code or 0)
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def isogenic(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    return lambda *words: run(monkeypatch, capsys, words)


@pytest.mark.parametrize("words", verbs(), ids=" ".join)
def test_every_verb_says_what_it_does_and_what_its_words_mean(isogenic, words: list[str]) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = isogenic(*words, "--help")
    assert code == 0
    assert f"isogenic {' '.join(words)}" in out
    group = typer.main.get_command(app)
    for word in words:
        assert isinstance(group, TyperGroup)
        group = group.commands[word]
    assert group.help
    undescribed = [each.name for each in group.params if not getattr(each, "help", None)]
    assert undescribed == []


def test_the_version(isogenic) -> None:  # type: ignore[no-untyped-def]
    assert isogenic("version") == (0, __version__ + "\n", "")


def test_an_unknown_verb_or_option_is_not_valid(isogenic) -> None:  # type: ignore[no-untyped-def]
    for words in (["bake"], ["recipe", "bake"], ["version", "--loud"], ["recipe", "check"], ["replay", "x.parquet"]):
        code, _, err = isogenic(*words)
        assert (code, bool(err)) == (2, True), words


# ---- recipes ----


def test_a_shipped_recipe_is_checked(isogenic) -> None:  # type: ignore[no-untyped-def]
    for path in (GENERAL, SITE):
        code, out, err = isogenic("recipe", "check", path)
        assert (code, err) == (0, "")
        assert "no complaints" in out


def test_a_check_says_of_which_kind_every_shipped_document_is(isogenic) -> None:  # type: ignore[no-untyped-def]
    for name, kind in (
        ("leeds.plant.yaml", "plant of LEEDS"),
        ("mab-a.specification.yaml", "specification"),
        ("mab-a.master-file.yaml", "master file"),
        ("mab-a.uk.commitments.yaml", "marketing commitments"),
    ):
        code, out, err = isogenic("recipe", "check", str(Path(GENERAL).parent / name))
        assert (code, err, out.startswith(f"{name}: {kind}"), "no complaints" in out) == (0, "", True, True), out


def test_a_document_of_no_known_kind_is_refused_with_the_kinds(isogenic, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "x.yaml").write_text("isogenic: recipe/9\n")
    code, _, err = isogenic("recipe", "check", str(tmp_path / "x.yaml"))
    assert code != 0
    assert "begin with one of isogenic: general-recipe/1" in err
    assert "isogenic: master-file/1" in err


def test_a_shipped_recipe_is_shown_as_a_procedure(isogenic) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = isogenic("recipe", "show", GENERAL)
    assert code == 0
    for words in ("MAB-FB", "Charge the medium", "Feed and produce", "Harvest"):
        assert words in out


def test_a_changed_recipe_is_compared(isogenic, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    newer = tmp_path / "newer.yaml"
    newer.write_text(Path(GENERAL).read_text().replace("version: 1", "version: 2").replace("value: 14 mM", "value: 13 mM"))
    code, out, _ = isogenic("recipe", "diff", GENERAL, str(newer))
    assert code == 0
    assert "13" in out
    assert "14" in out


def test_a_sites_control_recipe_is_derived(isogenic) -> None:  # type: ignore[no-untyped-def]
    code, out, err = isogenic("recipe", "derive", GENERAL, SITE, PLANT)
    assert (code, err) == (0, "")
    assert "BR-200" in out
    code, _, err = isogenic("recipe", "derive", GENERAL, SITE, PLANT, "--unit", "BR-9")
    assert (code, "BR-9" in err) == (5, True)


# ---- refusals ----


def test_a_recipe_that_is_wrong_is_refused_with_every_line_that_is(isogenic, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(Path(GENERAL).read_text().replace("37.0 degC", "37.0 L").replace("version: 1", "version: none"))
    code, out, err = isogenic("recipe", "check", str(wrong))
    assert (code, out) == (2, "")
    assert err.count("line ") >= 2


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["recipe", "check", "{nowhere}"], 5),
        (["recipe", "check", "{binary}"], 2),
        (["recipe", "derive", GENERAL, SITE, "{binary}"], 2),
        (["replay", "{nowhere}", "--batch", "1"], 5),
        (["replay", "{binary}", "--batch", "1"], 2),
        (["verify", "{nowhere}"], 5),
        (["control", "{nowhere}"], 5),
        (["control", "{empty}"], 5),
        (["site", "{nowhere}"], 5),
        (["site", "{empty}"], 5),
        (["site", "{empty}", "--clock", "yesterday"], 2),
        (["facility", "{empty}"], 5),
    ],
)
def test_what_cannot_be_done_ends_with_a_sentence_and_its_exit_code(isogenic, tmp_path: Path, words: list[str], code: int) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "binary").write_bytes(b"\x00\xff\xfe\x80 not a document")
    (tmp_path / "empty").mkdir()
    ended, _, err = isogenic(*(word.format(**{name: tmp_path / name for name in ("nowhere", "binary", "empty")}) for word in words))
    assert ended == code, err
    assert err.startswith("isogenic: ")
    assert "Traceback" not in err


def test_what_is_no_record_is_not_valid(isogenic, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "binary").write_bytes(b"\x00\xff\xfe\x80 not a dossier")
    (tmp_path / "empty").mkdir()
    for name in ("binary", "empty"):
        code, out, err = isogenic("verify", str(tmp_path / name))
        assert (code, out) == (2, "")
        assert "it is no record" in err


def test_every_family_of_error_ends_with_its_own_exit_code() -> None:
    codes = [family.exit_code for family in Refusal.__subclasses__() if family.__module__ == "isogenic.errors"]
    assert sorted(codes) == [2, 3, 4, 5, 6]


def test_the_installed_command_starts_fast_and_ends_with_the_code(tmp_path: Path) -> None:
    command = [sys.executable, "-X", "importtime", "-m", "isogenic.cli"]
    version = subprocess.run([*command, "version"], capture_output=True, text=True, check=True, env={**os.environ, "NO_COLOR": "1"})
    assert version.stdout == __version__ + "\n"
    heavy = ("numpy", "pyarrow", "nicegui", "asyncua", "scipy", "fastapi", "pint")
    assert [name for name in heavy if f"| {name}\n" in version.stderr.replace("|   ", "| ")] == []  # imported only by the verbs that need them
    missing = subprocess.run([sys.executable, "-m", "isogenic.cli", "verify", str(tmp_path / "none")], capture_output=True, text=True, check=False)
    assert (missing.returncode, missing.stdout) == (5, "")
