"""The tests of ledgers, pages and tables run twice: on files and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import records_setup

BOTH = {"test_records_ledger", "test_records_sync", "test_records_derived", "test_records_upgrade"}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if metafunc.module.__name__.rpartition(".")[2] in BOTH:
        kinds = ["files"] if getattr(metafunc.function, "of_files", False) else ["files", "postgres"]
        metafunc.parametrize("kept_in", kinds, indirect=True, scope="module")


@pytest.fixture(scope="module", autouse=True)
def kept_in(request: pytest.FixtureRequest) -> Iterator[None]:
    records_setup.kept_in[0] = getattr(request, "param", "files")
    yield
    records_setup.kept_in[0] = "files"


@pytest.fixture(autouse=True)
def _closing() -> Iterator[None]:
    yield
    while records_setup.opened:
        records_setup.opened.pop().close()
