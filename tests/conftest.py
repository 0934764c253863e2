"""What several rooms' tests share lies beside this file, so that every one of them can import it."""

from __future__ import annotations

import os
import sys
from typing import Any

import pytest

from own_folder import remove_own_folders

# Every core has a worker of its own, so threads for matrices of ten by ten would only wait for one another. Nothing above loads numpy.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ.setdefault(threads, "1")


def pytest_unconfigure(config: Any) -> None:
    """Remove what many tests share and stop the database that this run started: a worker process ends without calling what waits for its end."""
    remove_own_folders()
    here = sys.modules.get("postgres_here")
    if here is not None:
        here.end()


LONG = ("story", "chaos", "peers", "test_rehearsal", "second_verifier", "test_affected", "vault")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes minutes begins first, so that nobody waits for it at the end."""
    items.sort(key=lambda item: not any(name in (item.path.stem, item.path.parent.name) for name in LONG))
