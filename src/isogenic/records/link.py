"""The wire between a site and the control site, without the wire.

A `Link` carries one request and brings its answer; the site's courier speaks it, the
control site's desk answers it. In production it is HTTPS outbound from the site; in a
rehearsal it is a simulated line that loses, repeats and delays. The guarantee lies in the
cosignature, so any pipe will do.

    POST /v1/pages                    a page of facts        -> 200 size, line, held | 409 size | refusal
    POST /v1/pages?wait=1             the same, while the pages before it are on the wire too: it waits for them a moment
    GET  /v1/control?from=N&wait=S    the control ledger     -> 200 a page | 204 nothing new | 409 size: give back what follows
    GET  /v1/held?ledger=ORIGIN&from=N   the caller's own ledger, as it is held here -> 200 a page, cosigned | 204 nothing more
    POST /v1/heads                    the head held of the control site's house, `seen`: sizes of other heads held -> 200 its newest with a proof,
                                      heads of other sites' ledgers, each with the rotations of its key since what was seen
    POST /v1/again                    a page that the answer to a heartbeat asked for once more -> 204
    POST /v1/held                     a page of the control ledger, cosigned, to be taken back -> 200 size
    POST /v1/cosignatures             origin, size, line     -> 204
    POST /v1/blobs                    digests of reading blocks -> 200 which are verified there, which are missing, which to ask for later
    PUT  /v1/blobs/DIGEST             a block -> 200 it is kept, and its digest was verified | 404 no fact names it
    GET  /v1/blobs/DIGEST             a published model, or a block of the caller's own that it lost -> 200 | 404
    POST /v1/heartbeat                live values, and a signed note -> 200 again; received, answered, watermarks
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from isogenic.errors import NotAllowed, NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.records import codec

__all__ = ["Answer", "Link", "problem", "refusal_of"]


class Answer(NamedTuple):
    """What came back: an HTTP status and a body."""

    status: int
    body: bytes = b""


class Link(Protocol):
    """One request, one answer. Raises `NotReachable` when the line is down or too slow."""

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        """Send and wait, at most a limit that the link names."""
        ...


def problem(refusal: Refusal) -> Answer:
    """A refusal as an answer (RFC 9457)."""
    return Answer(refusal.http_status, codec.dumps(refusal.as_problem()))


def refusal_of(answer: Answer) -> Refusal:
    """The refusal that an answer carries."""
    families = {kind.http_status: kind for kind in (NotValid, NotAllowed, NotTrusted, NotFound, NotReachable)}
    kind = families.get(answer.status, NotReachable)
    try:
        said = codec.loads(answer.body, what="a refusal")
        return kind(str(said["what"])[:500], why=str(said["why"])[:500], possible=str(said["possible"])[:500])
    except (NotValid, KeyError, TypeError):
        return kind("the other side refused", why=f"status {answer.status}")
