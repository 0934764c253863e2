"""IndPenSim: penicillin in a vessel of 100,000 L, 230 h, with its controllers, its recipe and its eight faults.

INDPENSIM       the `Process`
simulate        the same, with the flows that a balance needs
BUILT_IN        the eight published faults with their windows
"""

from __future__ import annotations

from isogenic.sim.processes.indpensim.known import BUILT_IN
from isogenic.sim.processes.indpensim.process import INDPENSIM, IndPenSim, simulate

__all__ = ["BUILT_IN", "INDPENSIM", "IndPenSim", "simulate"]
