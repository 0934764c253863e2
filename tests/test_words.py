"""Documentation cannot drift: every command, setting, fact and error is described, and nothing is described that is not there."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest
import typer
from pydantic_settings import BaseSettings
from typer.core import TyperGroup

import isogenic
from isogenic import errors
from isogenic.cli import app
from isogenic.errors import Refusal
from isogenic.network.home import ControlSettings
from isogenic.records import facts as registry
from isogenic.sites.home import SiteSettings

DOCS = Path(__file__).parents[1] / "docs"
REFERENCE = (DOCS / "reference.md").read_text()


def section(title: str) -> str:
    """The text under a heading, up to the next heading of its own level or above."""
    level, _, _ = title.partition(" ")
    found = re.search(rf"^{re.escape(title)}.*?$(.*?)(?=^#{{1,{len(level)}}} |\Z)", REFERENCE, re.MULTILINE | re.DOTALL)
    assert found, f"the reference has no section {title!r}"
    return found[1]


def table(text: str) -> dict[str, list[str]]:
    """The rows of a section's tables by their first cell, without its quotes."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("| `")]
    return {row[0].strip("`"): row[1:] for row in rows}


def commands(group: TyperGroup, prefix: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, command in group.commands.items():
        words = f"{prefix} {name}"
        found |= commands(command, words) if isinstance(command, TyperGroup) else {words: command.help or ""}
    return found


def all_commands() -> dict[str, str]:
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    return commands(group, "isogenic")


def test_every_command_is_described_and_no_other() -> None:
    described = {re.sub(r" [A-Z-].*$", "", words) for words in table(section("## Commands"))}
    assert described == set(all_commands())


@pytest.mark.parametrize(("title", "settings"), [("### Of a site", SiteSettings), ("### Of the control site", ControlSettings)])
def test_every_setting_is_described_with_its_default_and_no_other(title: str, settings: type[BaseSettings]) -> None:
    rows = table(section(title))
    assert set(rows) == set(settings.model_fields)
    for name, field in settings.model_fields.items():
        default = "" if field.is_required() else f"{field.default:g}" if isinstance(field.default, float) else str(field.default)
        assert rows[name][0] == default, name
    assert settings.model_config["env_prefix"] in re.search(rf"^{re.escape(title)}.*$", REFERENCE, re.MULTILINE)[0]  # type: ignore[index]


def test_every_fact_is_described_with_its_subject_and_ledger_and_no_other() -> None:
    for module in pkgutil.walk_packages(isogenic.__path__, "isogenic."):
        if not module.name.startswith(("isogenic.web", "isogenic.__main__")):
            importlib.import_module(module.name)
    kinds = {name: kind for name, kind in registry._KINDS.items() if kind.cls.__module__.startswith("isogenic.")}
    rows = table(section("## Facts"))
    assert set(rows) == set(kinds)
    for name, kind in kinds.items():
        subject, _, ledger, when = rows[name]
        assert (subject, ledger) == (kind.subject, "house" if kind.house else "sponsor"), name
        assert when.endswith(".")


def test_every_family_of_error_is_described_with_its_status_and_exit_code_and_no_other() -> None:
    families = {name: getattr(errors, name) for name in errors.__all__ if name != Refusal.__name__}
    rows = table(section("## Errors"))
    assert set(rows) == set(families)
    for name, family in families.items():
        assert rows[name][1:] == [str(family.http_status), str(family.exit_code)]


def test_links_between_pages_lead_somewhere() -> None:
    for page in DOCS.glob("*.md"):
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} points at {target}"
