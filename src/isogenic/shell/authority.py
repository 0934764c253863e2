"""What a control site's folder says of authority, folded from its ledgers; the node may run meanwhile."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from isogenic.authority.master_file import Jurisdiction
from isogenic.clock import EPOCH, text_of_time
from isogenic.errors import NotValid
from isogenic.network.state import ControlState, Place, fold
from isogenic.records.ledger import Copy, Ledger

__all__ = ["jurisdiction", "lines_of", "state_in"]

HOUSE = "HOUSE"


def state_in(folder: Path) -> tuple[ControlState, datetime]:
    """The folded state, and the time of the newest fact: as of then everything is told."""
    import isogenic.shell.kinds  # noqa: F401 (registers every kind of fact)
    from isogenic.network.home import ControlHome

    home = ControlHome.open(folder)
    copies, directed = home.readable()
    house = home.house()
    state, newest = ControlState(), EPOCH
    held: list[tuple[Ledger | Copy, Place]] = [
        (copy, Place(origin, site, ours=False, sponsor=not origin.endswith(f"/{HOUSE}"))) for origin, (site, copy) in copies.items()
    ]
    held += [(house, Place(house.origin, None, ours=True))]
    held += [(ledger, Place(ledger.origin, site, ours=True)) for site, ledger in directed.items()]
    try:
        for ledger, place in held:
            facts = list(ledger.facts())
            newest = max([newest, *(fact.at for fact in facts)])
            state = fold(state, facts, place=place)
    finally:
        for ledger, _ in held:
            ledger.store.close()
    return state, newest


def jurisdiction(text: str) -> Jurisdiction:
    """A jurisdiction by its two letters."""
    try:
        return Jurisdiction(text.lower())
    except ValueError as trouble:
        raise NotValid(f"no jurisdiction {text[:20]!r}", why="there is no profile for it", possible=", ".join(Jurisdiction)) from trouble


def lines_of(state: ControlState, at: datetime) -> list[str]:
    """Licences, master files and competences, a line each."""
    view, lines = state.authority, []
    for licence in view.licences.values():
        lease = view.leases.get(licence.id)
        until = f"lease until {text_of_time(lease.until)}" if lease else "no lease"
        lines.append(f"{licence.id}  {licence.site}  {licence.state}  {until}  {licence.why}")
    for name in view.names():
        lines += [f"{file.name}  effective from {text_of_time(file.effective_from)}  {file.change}: {file.why}" for file in view.files(name)]
    for (person, word), _ in sorted(state.competences.said.items()):
        lines.append(f"{person}  {word}  {state.competences.lacks(person, word, at) or 'held'}")
    return lines or ["nothing is licensed here"]
