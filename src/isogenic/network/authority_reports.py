"""The data of the reports to the authorities, collected from the control site's folded ledgers.

Guarantees: the same ledgers and period give the same report; what a site has not brought is not in it.
Leaves to others: what a report says and looks like (authority.reports).
"""

from __future__ import annotations

from datetime import datetime

from isogenic.authority.master_file import Jurisdiction
from isogenic.authority.reports import Report, SiteYear, annual_report, registration
from isogenic.errors import NotValid
from isogenic.ids import MasterFileId, SiteId
from isogenic.materials.lots import LotState
from isogenic.network.differences import differences, file_in_force
from isogenic.network.state import ControlState

__all__ = ["annual_report_of", "registration_of", "years_of"]


def registration_of(state: ControlState, master_file: MasterFileId, *, law: Jurisdiction, at: datetime) -> Report:
    """The sites of one jurisdiction under a master file, on a day."""
    return registration(file_in_force(state, master_file, at), tuple(state.authority.licences.values()), law=law, at=at)


def annual_report_of(state: ControlState, master_file: MasterFileId, *, law: Jurisdiction, since: datetime, until: datetime) -> Report:
    """What happened under a master file in a period."""
    if since >= until:
        raise NotValid("cannot report on this period", why="it ends before it begins")
    file = file_in_force(state, master_file, until)
    return annual_report(
        [each for each in state.authority.files(master_file) if each.effective_from < until] or [file],
        law=law,
        since=since,
        until=until,
        history=[(at, each) for at, each in state.authority.history if state.authority.licences[each.licence].applied.master_file == master_file],
        years=years_of(state, file.product, since=since, until=until),
        differences=differences(state, master_file, now=until),
    )


def years_of(state: ControlState, product: str, *, since: datetime, until: datetime) -> dict[SiteId, SiteYear]:
    """What each site made of a product in a period, by the day on which a batch was started."""
    found: dict[SiteId, SiteYear] = {}
    for site in state.sites:
        mine = [
            each
            for each in state.lots.values()
            if each.site == site and each.product == product and each.started_at is not None and since <= each.started_at < until
        ]
        refused = sum(since <= at < until for at in state.authority.refused.get(site, ()))
        if mine or refused:
            found[site] = SiteYear(
                site,
                started=len(mine),
                completed=sum(each.closed_at is not None for each in mine),
                released=sum(each.lot_state is LotState.RELEASED for each in mine),
                rejected=sum(each.lot_state is LotState.REJECTED for each in mine),
                deviations=sum(len(each.deviations) for each in mine),
                refused=refused,
            )
    return found
