"""One simulated bioreactor with its feed skid, as the world sees it: a column of its bank.

Guarantees: what is asked of a vessel is answered by its bank; nothing is kept here.
Leaves to others: all that happens in it (`bank`), what grows in it (`live`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from isogenic.plant.model import Unit
from isogenic.sim.bank import BOTTLE_KG_PER_L, DOSE_TOTALS, Bank, Book, Harvest

__all__ = ["BOTTLE_KG_PER_L", "DOSE_TOTALS", "Harvest", "Vessel"]


@dataclass
class Vessel:
    """One unit."""

    bank: Bank
    row: int

    @property
    def unit(self) -> Unit:
        """As the plant document has it."""
        return self.bank.units[self.row]

    @property
    def book(self) -> Book:
        """Its set-points, doses, totals and runs."""
        return self.bank.books[self.row]

    @property
    def stopped(self) -> str:
        """Why it gave up, or nothing."""
        return self.book.stopped

    @property
    def age_h(self) -> float:
        """Hours since inoculation; negative when nothing grows."""
        return self.bank.age_h(self.row)

    @property
    def inside(self) -> Mapping[str, float]:
        """What is in it, by the biology's names."""
        return self.bank.inside(self.row)

    def truth(self) -> Mapping[str, float]:
        """Every measured quantity as it really is."""
        return self.bank.truth(self.row)

    def read(self, name: str) -> float:
        """A signal's value in its canonical unit; NaN for a sensor that is lost or a unit that has stopped."""
        return self.bank.read(self.row, name)

    def write(self, name: str, value: float) -> None:
        """Set a set-point; refused out of its physical range, and where it is none."""
        self.bank.write(self.row, name, value)
