"""The command line: every verb of Isogenic, with heavy rooms imported only when a verb needs them.

A refusal ends a command with its family's exit code: 2 not valid, 3 not allowed, 4 not
trusted, 5 not found, 6 not reachable. 1 is our own mistake; 130 an interrupt.
Each module here holds the verbs of one kind and hangs them on `app`.
"""

from __future__ import annotations

import sys

from isogenic.cli import authority, disclosures, keys, keys_and_time, modules, nodes, readings, recipes, records, recovery, scale, sim, vault  # noqa: F401 (verbs on `app`)
from isogenic.cli.batch_monitors import fit_batches  # noqa: F401 (verbs on `app`)
from isogenic.cli.forecasts import forecast  # noqa: F401 (verbs on `app`)
from isogenic.cli.monitor import monitor_app  # noqa: F401 (verbs on `app`)
from isogenic.cli.soft_sensors import soft_sensor_app  # noqa: F401 (verbs on `app`)
from isogenic.cli.verbs import app
from isogenic.errors import Refusal

__all__ = ["app", "main"]

INTERRUPTED = 130


def main() -> None:
    """Run a command; a refusal becomes its message and its exit code."""
    try:
        app()
    except Refusal as refusal:
        print(f"isogenic: {refusal}", file=sys.stderr)
        sys.exit(refusal.exit_code)
    except (KeyboardInterrupt, SystemExit) as ended:
        if isinstance(ended, SystemExit) and ended.code != INTERRUPTED:
            raise
        print("isogenic: interrupted", file=sys.stderr)
        sys.exit(INTERRUPTED)
