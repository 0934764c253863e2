"""What the tests of records share: two kinds of facts, keys from seeds, a ledger and its copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from isogenic.clock import ClockQuality, Moment
from isogenic.ids import BatchId, PersonId
from isogenic.records.derived import FACTS, Derived, View
from isogenic.records.facts import Actor, fact
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.notes import COSIGNER, Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.records.store import LedgerStore

ORIGIN = "example.org/leeds/acme"
AT = Moment(datetime(2026, 11, 23, 11, 22, 56, 123000, UTC), "ntp", ClockQuality.GOOD, 1.5)
NODE = Actor.node("LEEDS")


@fact("testing.step_done", subject="batch")
@dataclass(frozen=True, slots=True)
class StepDone:
    batch: BatchId
    step: str
    amount: float = 0.0


@fact("testing.step_judged", subject="batch")
@dataclass(frozen=True, slots=True)
class StepJudged:
    batch: BatchId
    by: PersonId
    values: dict[str, float]
    words: tuple[str, ...] = ()


def signer(name: str, *, algorithm: int = 1) -> Signer:
    return Signer.from_seed(name, sha256(name.encode()).digest(), algorithm=algorithm)


WRITER = signer("example.org/leeds")
WITNESS = signer("example.org/control", algorithm=COSIGNER)


def steps(count: int, *, first: int = 0) -> list[StepDone]:
    return [StepDone(BatchId("BAT-7K2M"), f"step {at}", at / 8) for at in range(first, first + count)]


Test = TypeVar("Test", bound=Callable[..., None])
opened: list[Derived] = []  # tables in a database: closed after each test
kept_in = ["files"]  # where the ledgers of the running test are kept; see conftest.py


def of_files(test: Test) -> Test:
    """A test of what only files have: their bytes, their triggers, a process that is killed on them."""
    test.of_files = True  # type: ignore[attr-defined]
    return test


def store(folder: Path, *, name: str = "ledger", origin: str = ORIGIN) -> LedgerStore:
    """One ledger's store: a file, or what stands for that file in the test run's PostgreSQL."""
    if kept_in[0] == "files":
        return SqliteStore(folder / f"{name}.db", origin=origin)
    from isogenic.records.postgres import PostgresStore
    from postgres_here import database_of

    return PostgresStore(database_of(folder / name), origin=origin)


def derived_at(path: Path, *, views: Sequence[View] = (FACTS,)) -> Derived:
    """Derived tables in a file, or in what stands for it."""
    if kept_in[0] == "files":
        return Derived(path, views=views)
    from isogenic.records.derived_postgres import PostgresDerived
    from postgres_here import empty_place_of

    made = PostgresDerived(empty_place_of(path), views=views)
    opened.append(made)
    return made


def ledger(folder: Path, *, name: str = "ledger", origin: str = ORIGIN, by: Signer = WRITER) -> Ledger:
    return Ledger(store(folder, name=name, origin=origin), signer=by)


def copy(folder: Path, *, name: str = "copy", origin: str = ORIGIN, by: Signer = WRITER) -> Copy:
    return Copy(store(folder, name=name, origin=origin), writer=by.verifying_key, witness=WITNESS)
