"""What signed heartbeats bind: sizes and roots that a site has told and not yet brought, and how long it may withhold them.

    a heartbeat is signed and newer than the last     its roots bind: a page that says otherwise is refused, and kept as evidence
    it tells of facts that are not here                kept in the house every `KEPT_EVERY_S`, so that they bind after a restart too
    it tells of `AHEAD_MAX` facts that are not here    refused: no site has noted so many while it was away
    its key was revoked                                refused, whatever size it speaks of; what it told before binds nobody any more
    nothing of them arrives for `WITHHELD_S`          an alarm: the site is heard, and holds its newest facts back
    no heartbeat at all                                silence, which is an alarm of its own (control)

Leaves to others: the wire (desk), silence (control), refusing pages (records).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from isogenic.clock import Clock, Moment, passed_s
from isogenic.errors import NotTrusted
from isogenic.ids import NodeId, SiteId
from isogenic.network.facts import HeartbeatKept, TailWithheld
from isogenic.records.facts import Payload
from isogenic.records.heartbeats import Heartbeat, open_heartbeat, sign_watermark
from isogenic.records.ledger import Copy, Ledger

__all__ = ["KEPT_EVERY_S", "WITHHELD_S", "Beats"]

KEPT_EVERY_S = 600.0  # at most six facts an hour for a site whose link is slow
WITHHELD_S = 300.0  # a page takes seconds on the slowest link; five minutes without one, while the site is heard, is not the link
AHEAD_MAX = 100_000_000  # a hundred facts a second for eleven days, noted while the link was down
HOUSE = "HOUSE"


@dataclass(slots=True)
class _Heard:
    order: tuple[int, int] = (-1, 0)
    note: bytes = b""  # the newest, as it came
    kept: Moment | None = None
    grown: dict[str, tuple[int, Moment]] = field(default_factory=dict)  # by ledger: what was held, and since when
    said: set[str] = field(default_factory=set)  # ledgers whose withholding is noted


class Beats:
    """The heartbeats of all sites of one control site."""

    def __init__(
        self,
        copies: Mapping[str, tuple[SiteId, Copy]],
        *,
        outgoing: Mapping[NodeId, Ledger],
        clock: Clock,
        note: Callable[[list[Payload]], object],
        first: Callable[[], object] = lambda: None,
    ) -> None:
        """`outgoing` are the ledgers written for the sites: their key signs what is said to a site. `first` is called before one is looked at."""
        self._first = first
        self.copies, self.outgoing, self.clock, self._note = copies, outgoing, clock, note
        self._heard: dict[SiteId, _Heard] = {}
        self.stores = 1  # in how many independent stores what is cosigned here is held

    def _of(self, site: SiteId) -> dict[str, Copy]:
        return {origin: copy for origin, (owner, copy) in self.copies.items() if owner == site}

    def take(self, peer: NodeId, note: bytes, rotations: tuple[str, ...]) -> tuple[Heartbeat, bool]:
        """A signed heartbeat: verified, newer than the one before, and bound by it from here on; whether it is new."""
        self._first()  # another process may have noted that its key is revoked
        beat, heard = self._verified(peer, note, rotations)
        if note == heard.note:
            return beat, False  # the network has brought it twice: the same answer again, or its site would take it for somebody else's
        self.bind(beat)
        heard.order, heard.note = beat.order, note
        self._keep(SiteId(peer), heard, beat, note)
        return beat, True

    def told(self, peer: NodeId, note: bytes, rotations: tuple[str, ...]) -> tuple[Heartbeat, bool]:
        """The same of a heartbeat that another process of this control site has taken, and keeps."""
        beat, heard = self._verified(peer, note, rotations)
        self.bind(beat)
        new, heard.order, heard.note = note != heard.note, beat.order, note
        return beat, new

    def _verified(self, peer: NodeId, note: bytes, rotations: tuple[str, ...]) -> tuple[Heartbeat, _Heard]:
        site, mine = SiteId(peer), self._of(SiteId(peer))
        house = next((copy for origin, copy in mine.items() if origin.endswith(f"/{HOUSE}")), None)
        if house is None:
            raise NotTrusted("heartbeat refused", why=f"{peer} writes no house ledger here")
        beat = open_heartbeat(note, house.keys, rotations=rotations)
        if house.keys.ended(beat.heads[house.origin][0]):  # whoever has the key can speak of few facts: none are too few to lie about the others
            raise NotTrusted("heartbeat refused", why=f"the key of {peer} that signed it was revoked")
        heard = self._heard.setdefault(site, _Heard())
        if beat.site != peer or not set(beat.heads) <= set(mine):
            raise NotTrusted("heartbeat refused", why=f"it speaks for others than {peer}")
        if note != heard.note and beat.order <= heard.order:
            raise NotTrusted("heartbeat refused", why="a newer one was heard before: it is an old one, come again")
        return beat, heard

    def bind(self, beat: Heartbeat) -> None:
        """Hold a site to what it has told. Raises `NotTrusted`, and binds nothing, where another root is held or was told for a size."""
        for origin, (size, root) in beat.heads.items():
            copy = self.copies[origin][1]
            if size == copy.size and root != copy.root:
                raise NotTrusted("heartbeat refused", why=f"{origin} has another root for {size} facts than is held: a fork")
            if copy.promised.get(size, root) != root:
                raise NotTrusted("heartbeat refused", why=f"{origin} has another root for {size} facts than was told before: a fork")
            if size > copy.size + AHEAD_MAX:
                raise NotTrusted("heartbeat refused", why=f"{size} facts of {origin} are told, and {copy.size} are held: no site is so far ahead")
        for origin, (size, root) in beat.heads.items():
            self.copies[origin][1].promise(size, root)

    def bind_kept(self, beat: Heartbeat) -> None:
        """The same of a heartbeat that was verified when it was kept; where its key was revoked since, it binds nobody."""
        if not any(copy.keys.ended(beat.heads[origin][0]) for origin, (_, copy) in self.copies.items() if origin in beat.heads):
            self.bind(beat)

    def forget(self, site: SiteId) -> None:
        """Its key was revoked: its next heartbeat is the first."""
        if (heard := self._heard.get(site)) is not None:
            heard.order, heard.note, heard.kept = (-1, 0), b"", None

    def _keep(self, site: SiteId, heard: _Heard, beat: Heartbeat, note: bytes) -> None:
        now = self.clock.now()
        ahead = any(size > self.copies[origin][1].size for origin, (size, _) in beat.heads.items())
        if ahead and (heard.kept is None or passed_s(heard.kept, now) >= KEPT_EVERY_S):
            heard.kept = now
            self._note([HeartbeatKept(site, note.decode())])

    def watch(self, told: Mapping[SiteId, Mapping[str, int]]) -> None:
        """Note which sites tell of facts (`told`, by ledger) and have brought none for too long."""
        now = self.clock.now()
        for site, noted in told.items():
            heard = self._heard.setdefault(site, _Heard())
            for origin, size in noted.items():
                held = self.copies[origin][1].size
                before, since = heard.grown.get(origin, (-1, now))
                if held != before or size <= held:
                    heard.grown[origin] = held, now
                    heard.said.discard(origin)
                elif passed_s(since, now) >= WITHHELD_S and origin not in heard.said:
                    heard.said.add(origin)
                    self._note([TailWithheld(site, origin, held, size, int(passed_s(since, now)))])

    def withheld(self, site: SiteId) -> set[str]:
        """The ledgers of a site of which it holds its newest facts back now."""
        heard = self._heard.get(site)
        return set(heard.said) if heard is not None else set()

    def watermarks(self, peer: NodeId, *, blocks_held: bool) -> dict[str, str]:
        """Up to where the site may delete what its facts name: nothing unless this control site holds it in two stores."""
        if self.stores < 2 or not blocks_held or peer not in self.outgoing:
            return {}
        signer = self.outgoing[peer].signer
        return {origin: sign_watermark(origin, copy.size, signer).decode() for origin, copy in self._of(SiteId(peer)).items()}
