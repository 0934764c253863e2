"""Process models: one set of equations each, for one live vessel and for ten thousand past batches.

Guarantees: `process_of` gives a model by its name and imports no other.
"""

from __future__ import annotations

from importlib import import_module

from isogenic.errors import NotFound
from isogenic.sim.processes.process import Process

__all__ = ["PROCESSES", "Process", "process_of"]

# name -> module and what in it; imported when first asked for
PROCESSES: dict[str, str] = {
    "antibody": "antibody:ANTIBODY",
    "mrna": "mrna:MRNA",
    "pensim": "pensim:PENSIM",
    "car_t": "car_t:CAR_T",
    "indpensim": "indpensim:INDPENSIM",
}


def process_of(name: str) -> Process:
    """The process model of this name; `NotFound` names those there are."""
    if name not in PROCESSES:
        raise NotFound(f"no process {name[:60]}", why="no model has this name", possible=", ".join(PROCESSES))
    module, _, attribute = PROCESSES[name].partition(":")
    found: Process = getattr(import_module(f"isogenic.sim.processes.{module}"), attribute)
    return found
