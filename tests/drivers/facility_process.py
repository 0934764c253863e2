"""A simulated facility in a process of its own, to be killed: PLANT OUT MEMORY CLOCK."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from isogenic.clock import ScaledClock
from isogenic.sim.servers import run_facility

if __name__ == "__main__":
    plant, out, memory, clock = sys.argv[1:]
    asyncio.run(run_facility(Path(plant).read_text(), Path(out), ScaledClock.parse(clock), seed=1, memory=Path(memory)))
