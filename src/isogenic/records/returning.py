"""Before a ledger is written on again: hear its witness, and take back what it holds.

Guarantees: a ledger that was damaged, or is older than it should be, or of which nobody
knows how far it had come, does not grow until its witness has said that it holds nothing
more; what the witness holds is taken back first, and behind it what a damaged file still
had, each verified against a checkpoint that was signed when it was noted. So nothing that
was witnessed is lost, and nothing is signed twice for one position: no fork.
Leaves to others: the wire (courier, desk), the files (aside), what people see (nodes).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from isogenic.errors import NotReachable, NotTrusted
from isogenic.records.aside import LedgerFiles, Wound
from isogenic.records.beacon import UNKNOWN, Mark, doubt
from isogenic.records.healing import LedgerHealed, regrown
from isogenic.records.ledger import Ledger
from isogenic.records.notes import VerifyingKey
from isogenic.records.store import Commit
from isogenic.records.sync import Page

__all__ = ["Returning"]

KEYLESS = "all that its witness holds is here, and the key that it goes on with is not: renew the key"
COMMITS = 64  # to one transaction


@dataclass(slots=True)
class _Wait:
    ledger: Ledger
    why: str
    wound: Wound | None
    known: int  # the most facts that anything here says there were
    witnessed: int  # the most that anything here says its witness had cosigned
    returned: int = 0
    stuck: str = ""  # why no answer of the witness helps: what came back is another history, or it has cosigned another
    possible: str = "isogenic recover"  # then
    keyless: bool = False  # all of it is here, and not the key that it goes on with


class Returning:
    """The ledgers written here that wait for their witness."""

    def __init__(self, files: LedgerFiles | None = None) -> None:
        self._files = files
        self._waits: dict[str, _Wait] = {}

    def wait_for(self, ledger: Ledger, *, why: str, known: int = 0, witnessed: int = 0) -> None:
        """Do not let `ledger` grow before its witness was heard, and has given back as much as it had `witnessed`."""
        if ledger.origin not in self._waits:
            wound = self._files.wound_of(ledger) if self._files else None
            known = max(known, ledger.size, ledger.witnessed, wound.claimed if wound else 0)
            self._waits[ledger.origin] = _Wait(ledger, why, wound, known, max(witnessed, ledger.witnessed))

    def stop(self, ledger: Ledger, *, why: str, possible: str) -> None:
        """Do not let `ledger` grow before a person has decided."""
        self.wait_for(ledger, why=why)
        wait = self._waits[ledger.origin]
        wait.stuck, wait.possible = why, possible

    def look(self, ledger: Ledger, marks: Mapping[str, Mark] | None) -> None:
        """Let a ledger that was just opened and checked wait, where it has a wound or does not fit its beacon."""
        wound = self._files.wound_of(ledger) if self._files else None
        why = wound.why if wound else doubt(ledger.store, size=ledger.size, root=ledger.root, marks=marks)
        if why:
            mark = (marks or {}).get(ledger.origin, Mark(0, ""))
            decided = wound is not None and wound.by != ""  # a person has given up what does not come back
            self.wait_for(ledger, why=why, known=mark.size if mark.size < UNKNOWN else 0, witnessed=0 if decided else mark.witnessed)

    @property
    def waits(self) -> dict[str, str]:
        """Which ledgers wait, by origin, and why."""
        return {origin: wait.stuck or (KEYLESS if wait.keyless else wait.why) for origin, wait in self._waits.items()}

    @property
    def asking(self) -> list[str]:
        """Those of them for which the witness is still to be asked: all but those that a person must decide on."""
        return [origin for origin, wait in self._waits.items() if not wait.stuck]

    def refuse(self, origins: Iterable[str]) -> None:
        """Raise `NotReachable` where one of these ledgers waits: nothing is noted there now."""
        for origin in origins:
            wait = self._waits.get(origin)
            if wait is not None:
                possible = f"a person decides: {wait.possible}" if wait.stuck else "it goes on by itself once its witness has answered"
                raise NotReachable(f"nothing was noted in {origin}", why=self.waits[origin], possible=possible)

    def size(self, origin: str) -> int:
        """From where on the witness is asked."""
        return self._waits[origin].ledger.size

    def take(self, origin: str, page: Page, *, witness: VerifyingKey) -> int:
        """Take a page back, and what the damaged file has behind it; gives how many facts came."""
        wait = self._waits[origin]
        try:
            came = wait.ledger.take_back(page, witness=witness)
        except NotTrusted as refusal:
            wait.stuck = f"what its witness returned is another history: {refusal.why or refusal.what}"
            raise
        wait.returned += came
        wait.known = max(wait.known, wait.ledger.size)
        self._grow(wait)
        return came

    def _grow(self, wait: _Wait) -> None:
        """Go on with what the file that was laid aside still has behind this point, and verifies."""
        kept = self._files.salvage(wait.ledger, wait.wound) if self._files and wait.wound else None
        if kept is None:
            return
        waiting = list[Commit]()
        try:
            for commit in regrown(wait.ledger.frontier, kept, keys=wait.ledger.keys, signer=wait.ledger.signer):
                waiting.append(commit)
                if len(waiting) == COMMITS:
                    wait.ledger.grow(waiting)
                    waiting = []
            if waiting:
                wait.ledger.grow(waiting)
        finally:
            kept.close()

    def heard(self, origin: str, *, ready: Callable[[Ledger], bool] = lambda ledger: True) -> LedgerHealed:
        """The witness holds nothing more: the ledger may grow again. Gives what is to be noted of it.

        Raises `NotReachable` where `ready` says that the key which it goes on with is not here: then it goes on waiting.
        """
        wait = self._waits[origin]
        self._grow(wait)  # a fault in the tail that nobody had witnessed: what the file has is what there is
        ledger = wait.ledger
        if ledger.size < wait.witnessed:  # that there are no more is not true: a bare word makes nobody forget
            wait.stuck = f"its witness holds no more than these {ledger.size} facts, and it had cosigned {wait.witnessed}"
            possible = f"find out which of both sides lost them; a person decides: {wait.possible}"
            raise NotReachable(f"nothing is noted in {origin}", why=wait.stuck, possible=possible)
        wait.keyless = not ready(ledger)
        if wait.keyless:
            raise NotReachable(
                f"nothing is noted in {origin}", why=KEYLESS, possible="isogenic renew-key here, then isogenic revoke-key at the control site"
            )
        del self._waits[origin]
        if self._files and wait.wound:
            self._files.healed(ledger)
        kept = ledger.size - wait.returned
        digest = wait.wound.digest if wait.wound else ""
        return LedgerHealed(origin, wait.why[:400], kept, wait.returned, max(0, wait.known - ledger.size), digest)
