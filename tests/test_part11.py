"""The page of clauses cannot drift: every clause of the list is on it, every test that it names exists, every file too."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
PAGE = (TESTS.parent / "docs" / "part11.md").read_text()
US = "11.10(a) 11.10(b) 11.10(c) 11.10(d) 11.10(e) 11.10(f) 11.10(g) 11.10(h) 11.10(i) 11.10(j) 11.10(k) 11.30 11.50(a) 11.50(b) 11.70 "
US += "11.100(a) 11.100(b) 11.100(c) 11.200(a)(1) 11.200(a)(2) 11.200(a)(3) 11.200(b) 11.300(a) 11.300(b) 11.300(c) 11.300(d) 11.300(e)"
EU = "A11-1 A11-2 A11-5 A11-6 A11-7 A11-8 A11-9 A11-10 A11-12.1 A11-12.3 A11-12.4 A11-14 A11-15"
DRAFT = "access-unique access-authentication access-lock access-logout access-recertification "
DRAFT += "trail-always-on trail-reason trail-review signature-manifestation signature-unbroken"
CLAUSES = [*US.split(), *EU.split(), *(f"D11-{theme}" for theme in DRAFT.split())]
HOUSES_OWN = {"11.100(c)"}  # nothing that software does


def rows() -> dict[str, list[str]]:
    found = {}
    for line in PAGE.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and re.match(r"(11\.|A11-|D11-)", cells[0]):
            assert cells[0] not in found, f"{cells[0]} is there twice"
            found[cells[0]] = cells[1:]
    return found


@cache
def names_in(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text())
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")}


def test_every_clause_is_on_the_page_and_no_other() -> None:
    assert list(rows()) == CLAUSES


@pytest.mark.parametrize("clause", CLAUSES)
def test_what_a_clause_names_is_there(clause: str) -> None:
    behaviour, code, tests = rows()[clause]
    named = re.findall(r"`([^`]+\.py)::(test_\w+)`", tests)
    files = re.findall(r"`([^`]+\.py)`", code)
    assert len(behaviour) > 20
    assert bool(named) == (clause not in HOUSES_OWN)
    assert [f"{path}::{name}" for path, name in named if name not in names_in(path)] == []
    assert [path for path in files if not (TESTS.parent / "src" / "isogenic" / path).exists()] == []
