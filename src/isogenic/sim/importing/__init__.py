"""Batches that others wrote down become a study table: the same file that a study of ours writes.

import_table(source, out)   a CSV or Parquet table of batches, or the public IndPenSim file

It stands in `sim` because what it writes is a study table: measured batches stand beside simulated ones, and a twin is
fitted to either. Nothing here knows a process model; a mapping says what is called what.
"""

from __future__ import annotations

from isogenic.sim.importing.mapping import Mapping
from isogenic.sim.importing.tables import Imported, import_table

__all__ = ["Imported", "Mapping", "import_table"]
