"""How a site's node is, as far as the control site knows: keys, clock, disk, certificate, and what went wrong.

Guarantees: everything shown is from verified facts of the site's house, or what this control site itself has seen; what is
not known is said to be not known, never shown as in order.
Leaves to others: finding it (network), where it is shown (screens).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from isogenic.clock import ClockQuality
from isogenic.ids import NodeId, SiteId
from isogenic.network.control import HOUSE, ControlNode
from isogenic.plant.drift import DriftFound
from isogenic.records.ledger import Copy
from isogenic.records.times import ClockMeasured
from isogenic.web.control_messages import DriftLine, KeyLine, NodeLine
from isogenic.web.messages import time

__all__ = ["key_lines", "node_line", "site_troubles", "site_warnings"]

RECENT = timedelta(days=7)  # how long a healed ledger, a stepped clock or a refused page stays on the network's page
WARN = timedelta(days=60)  # before a certificate ends
TRUSTED_CLOCK = (str(ClockQuality.GOOD), str(ClockQuality.SIMULATED))


def node_line(node: ControlNode, site: SiteId) -> NodeLine:
    """A site's node on one line."""
    view, held = node.state.site(site), node.completeness(site)
    directed = node.ledgers[str(site)]
    quality, offset = _clock(view.clock)
    keys = key_lines(node, site)
    house = next((each for each in keys if each.ledger.endswith(f"/{HOUSE}")), None)
    return NodeLine(
        site=site,
        noted=sum(each.noted for each in held),
        witnessed=sum(each.held for each in held),
        directed=directed.size,
        directed_witnessed=directed.witnessed,
        key=house,
        clock=quality,
        clock_offset=offset,
        clock_at=time(view.clock_at),
        certificate_until=time(node.desk.live[NodeId(site)].certificate_until),
        troubles=site_troubles(node, site),
        warnings=site_warnings(node, site),
    )


def key_lines(node: ControlNode, site: SiteId) -> list[KeyLine]:
    """The key that counts now for each ledger of a site, and since when."""
    return [_key(copy) for owner, copy in node.copies.values() if owner == site]


def drift_lines(drifts: Mapping[str, tuple[datetime, DriftFound]]) -> list[DriftLine]:
    """What a site's modules run that was not released for them, oldest first."""
    return [
        DriftLine(
            unit=str(each.unit or ""),
            module=each.module,
            setting=each.setting,
            kind=str(each.kind or "not read here"),
            released=each.released,
            found=each.found,
            since=time(at),
        )
        for at, each in drifts.values()
    ]


def _key(copy: Copy) -> KeyLine:
    era = copy.keys.eras[-1]
    begun = next(iter(copy.facts(max(era.after, 0), max(era.after, 0) + 1)), None)
    print_ = era.key.fingerprint if era.key else ""
    return KeyLine(
        ledger=copy.origin, fingerprint=print_, since=time(begun.at) if begun else None, change=str(era.change), from_fact=max(era.after, 0)
    )


def _clock(measured: ClockMeasured | None) -> tuple[str, str]:
    if measured is None:
        return "not told", ""
    if measured.offset_ms is None:
        return measured.quality, measured.source
    around = f" ± {measured.uncertainty_ms:.1f}" if measured.uncertainty_ms is not None else ""
    return measured.quality, f"{measured.offset_ms:+.1f}{around} ms, {measured.source}"


def site_troubles(node: ControlNode, site: SiteId) -> list[str]:
    """What is wrong with a site's node or its records, in plain words."""
    view, now = node.state.site(site), node.clock.now().at
    live, directed = node.desk.live[NodeId(site)], node.ledgers[str(site)]
    found = [f"the ledger written for it waits: {why}" for origin, why in node.returning.waits.items() if origin == directed.origin]
    if view.disk_full:
        found.append("its disk is full: no new batch is started there")
    if view.drifts:
        modules = sorted({str(drift.module) for _, drift in view.drifts.values()})
        of, many = f"{', '.join(modules[:3])}{' and others' if len(modules) > 3 else ''}", len(view.drifts)
        found.append(f"{of}: {f'{many} settings are' if many > 1 else '1 setting is'} not as released")
    for origin in sorted(node.desk.beats.withheld(site)):
        found.append(f"it is heard, and brings no new facts of {_name(origin)}")
    for copy in (copy for owner, copy in node.copies.values() if owner == site):
        if copy.vouched > copy.size:
            found.append(f"{copy.vouched - copy.size} facts of {_name(copy.origin)} were lost here and are asked for again")
        if copy.keys.eras[-1].key is None:
            found.append(f"the key of {_name(copy.origin)} was revoked, and no other is named")
    if view.page_refused and now - view.page_refused <= RECENT:
        found.append(f"a page was refused and kept as evidence, {_day(view.page_refused)}")
    if live.certificate_until is not None and live.certificate_until <= now:
        found.append(f"its certificate ended on {live.certificate_until:%Y-%m-%d}")
    return found


def site_warnings(node: ControlNode, site: SiteId) -> list[str]:
    """What a person should know and need not act on at once."""
    view, now = node.state.site(site), node.clock.now().at
    until, found = node.desk.live[NodeId(site)].certificate_until, []
    if view.healed and now - view.healed[0] <= RECENT:
        at, healed = view.healed
        said = f"{healed.kept} facts kept, {healed.returned} returned, {healed.lost} lost"
        found.append(f"{_name(healed.ledger)} was healed, {_day(at)}: {said}")
    if view.stepped and now - view.stepped[0] <= RECENT:
        found.append(f"its clock stepped by {view.stepped[1]:+g} s, {_day(view.stepped[0])}")
    if view.clock is not None and view.clock.quality not in TRUSTED_CLOCK:
        found.append(f"the quality of its clock is {view.clock.quality}")
    if until is not None and now < until <= now + WARN:
        found.append(f"its certificate ends on {until:%Y-%m-%d}")
    return found


def _day(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}Z"


def _name(origin: str) -> str:
    return origin.rpartition("/")[2]
