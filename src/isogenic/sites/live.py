"""Live values, thinned: one value of each signal goes up with each heartbeat, and a spike between two is not lost.

Guarantees: of all good readings since the last heartbeat, the one that is farthest from what was last sent; so a trend that
is drawn from it shows every excursion, at most a heartbeat late, at the cost of one number. Bounded by the number of signals.
Never evidence: evidence is the sealed block.
"""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Thinned"]


class Thinned:
    """What was seen of each signal of each unit since it was last sent."""

    def __init__(self) -> None:
        self._sent: dict[str, dict[str, float]] = {}
        self._next: dict[str, dict[str, float]] = {}

    def see(self, unit: str, values: Mapping[str, float]) -> None:
        """One scan's good values of a unit."""
        sent, due = self._sent.get(unit, {}), self._next.setdefault(unit, {})
        for name, value in values.items():
            before = sent.get(name, value)
            if name not in due or abs(value - before) >= abs(due[name] - before):
                due[name] = value

    def take(self) -> dict[str, dict[str, float]]:
        """What is due to be sent; from here on it counts as sent."""
        due, self._next = self._next, {}
        for unit, values in due.items():
            self._sent[unit] = {**self._sent.get(unit, {}), **values}
        for unit in self._sent.keys() - due.keys():
            del self._sent[unit]  # nothing runs there any more
        return due
