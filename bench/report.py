"""One line of the table that `python -m bench` prints."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["HEAD", "Row"]

HEAD = f"{'what':52} {'figure':>18}   {'its limit or peer, in the same run':44} {'ratio':>6}   {'target':>12}"


@dataclass(frozen=True, slots=True)
class Row:
    """A figure, and beside it what was measured in the same run to judge it by; `met` is None where there is no target."""

    what: str
    figure: str
    beside: str
    ratio: float
    target: str
    met: bool | None

    def __str__(self) -> str:
        verdict = "" if self.met is None else "met" if self.met else "MISSED"
        return f"{self.what:52} {self.figure:>18}   {self.beside:44} {self.ratio:>6.2f}   {self.target:>12}   {verdict}".rstrip()
