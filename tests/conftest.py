"""What several rooms' tests share lies beside this file, so that every one of them can import it."""

from __future__ import annotations

import sys
from typing import Any


def pytest_unconfigure(config: Any) -> None:
    """Stop the database that this run has started: a worker process ends without calling what waits for its end."""
    here = sys.modules.get("postgres_here")
    if here is not None:
        here.end()
