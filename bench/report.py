"""One line of the table that `python -m bench` prints."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, and beside it what was measured in the same run to judge it by."""

    what: str
    figure: str
    beside: str
    ratio: float | None
    target: str
    met: bool

    def __str__(self) -> str:
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return f"{self.what:52} {self.figure:>18}   {self.beside:44} {ratio:>6}   {self.target:>12}   {'met' if self.met else 'MISSED'}"
