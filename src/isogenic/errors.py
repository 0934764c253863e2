"""The five families of error, by who is at fault.

Every refusal says three things: what was refused, why, and what is possible instead.
Each family maps to one HTTP status and one exit code, so that a person, a script and a
remote node all learn the same thing. Assertions are for our own mistakes only.
"""

from __future__ import annotations

from typing import ClassVar

__all__ = ["NotAllowed", "NotFound", "NotReachable", "NotTrusted", "NotValid", "Refusal"]


class Refusal(Exception):
    """Base of the five families. Never raised itself."""

    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, why: str = "", possible: str = "") -> None:
        """`what` was refused, `why`, and what is `possible` instead, each a clause without a full stop.

        Where there are many reasons, each stands on a line of its own, and the first as well.
        """
        super().__init__(what, why, possible)
        self.what = what
        self.why = why
        self.possible = possible

    def __str__(self) -> str:
        text = self.what
        if self.why:
            text += f":{'' if self.why.startswith(chr(10)) else ' '}{self.why}"
        if self.possible:
            text += f"; possible now: {self.possible}"
        return text

    def __reduce__(self) -> tuple[object, ...]:
        # A refusal in a worker process must reach the one who asked, with all three parts.
        return _again, (type(self), self.what, self.why, self.possible)

    def as_problem(self) -> dict[str, object]:
        """The refusal as an RFC 9457 problem document."""
        return {
            "type": f"urn:isogenic:refusal:{type(self).__name__}",
            "title": type(self).__name__,
            "status": self.http_status,
            "detail": str(self),
            "what": self.what,
            "why": self.why,
            "possible": self.possible,
        }


def _again(kind: type[Refusal], what: str, why: str, possible: str) -> Refusal:
    return kind(what, why=why, possible=possible)


class NotValid(Refusal):
    """The input is at fault: malformed, out of range, of the wrong unit or kind."""

    http_status = 422
    exit_code = 2


class NotAllowed(Refusal):
    """The state, the role or the licence forbids it now."""

    http_status = 403
    exit_code = 3


class NotTrusted(Refusal):
    """A signature, a digest or a chain does not verify."""

    http_status = 401
    exit_code = 4


class NotFound(Refusal):
    """What was named does not exist here."""

    http_status = 404
    exit_code = 5


class NotReachable(Refusal):
    """The world is at fault: a link, a disk, a module, a peer."""

    http_status = 503
    exit_code = 6
