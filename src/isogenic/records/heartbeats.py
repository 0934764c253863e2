"""Two small signed notes between a site and the control site: the heartbeat, and the prune watermark.

    isogenic heartbeat 1          SITE, then `LIFE COUNT`, then TIME, then `ORIGIN SIZE ROOT` for each ledger
                                  signed by the key that counts for the house at its size
    isogenic prune watermark 1    ORIGIN, then SIZE; signed by the key of the control site's ledger for the site

A heartbeat binds: whoever has told SIZE and ROOT cannot bring other facts up to SIZE later (`Copy.promise`). LIFE is the size of
the house when the process started and grows with every start; COUNT grows with every beat: an old heartbeat is known as old.
A watermark says that the control site holds SIZE facts, and the blocks that they name, in two stores; before it has said
so, a site deletes nothing. Facts are kept in any case.
Leaves to others: when to send, and what silence means (sites, network).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotTrusted, NotValid
from isogenic.records.keys import WriterKeys
from isogenic.records.notes import Signer, VerifyingKey, open_note, read_checkpoint, sign_note, unverified_text

__all__ = ["Heartbeat", "claimed_heartbeat", "open_heartbeat", "open_watermark", "sign_heartbeat", "sign_watermark"]

BEAT, WATERMARK = "isogenic heartbeat 1", "isogenic prune watermark 1"
LEDGERS_MAX = 100
_NUMBER = r"(0|[1-9][0-9]{0,17})"


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """What a site says of itself."""

    site: str
    life: int
    count: int
    at: datetime  # by the site's clock
    heads: Mapping[str, tuple[int, bytes]]  # by origin: size and root

    def text(self) -> bytes:
        """The signed text."""
        lines = [f"{origin} {size} {base64.b64encode(root).decode()}" for origin, (size, root) in sorted(self.heads.items())]
        return "\n".join([BEAT, self.site, f"{self.life} {self.count}", text_of_time(self.at), *lines, ""]).encode()

    @property
    def order(self) -> tuple[int, int]:
        """Which of two came later."""
        return self.life, self.count


def sign_heartbeat(beat: Heartbeat, signer: Signer) -> bytes:
    """The signed note."""
    return sign_note(beat.text(), signer)


def claimed_heartbeat(note: bytes) -> Heartbeat:
    """What a heartbeat says that was verified when it was kept."""
    return _claimed(unverified_text(note))


def _claimed(text: bytes) -> Heartbeat:
    lines = text.decode().split("\n")
    found = re.fullmatch(f"{_NUMBER} {_NUMBER}", lines[2]) if len(lines) > 4 else None
    if found is None or lines[0] != BEAT or lines[-1] or len(lines) > LEDGERS_MAX + 5:
        raise NotValid("cannot read a heartbeat", why=f"it is not of the form {BEAT}")
    heads = {}
    for line in lines[4:-1]:
        origin, _, rest = line.partition(" ")
        said = read_checkpoint(f"{origin}\n{rest.replace(' ', chr(10), 1)}\n".encode())
        heads[said.origin] = (said.size, said.root)
    beat = Heartbeat(lines[1], int(found[1]), int(found[2]), time_of_text(lines[3]), heads)
    if beat.text() != text:
        raise NotValid("cannot read a heartbeat", why="it is not in its one form")
    return beat


def open_heartbeat(note: bytes, keys: WriterKeys, *, rotations: tuple[str, ...] = ()) -> Heartbeat:
    """The heartbeat in a note that the key which counts for the house signed. `rotations` are words of keys that are not here yet as facts."""
    beat = claimed_heartbeat(note)
    if keys.origin not in beat.heads:
        raise NotTrusted("heartbeat refused", why=f"it does not speak of {keys.origin}")
    open_note(note, keys.after_notes(rotations).at(beat.heads[keys.origin][0]))
    return beat


def sign_watermark(origin: str, size: int, signer: Signer) -> bytes:
    """The control site's word that it holds the first `size` facts of a ledger, and the blocks that they name, twice."""
    return sign_note(f"{WATERMARK}\n{origin}\n{size}\n".encode(), signer)


def open_watermark(note: bytes, *, origin: str, by: VerifyingKey) -> int:
    """Up to how many facts of this ledger what they name may be deleted at the site."""
    lines = open_note(note, by).decode().split("\n")
    if len(lines) != 4 or lines[0] != WATERMARK or lines[1] != origin or not re.fullmatch(_NUMBER, lines[2]):
        raise NotTrusted("watermark refused", why=f"it is not one for {origin}")
    return int(lines[2])
