"""What is wrong with a site's own node, in plain words: what it is, why, and what follows for the work there.

Guarantees: everything that the node holds back, cannot write or lost trust in is told, whatever else is in order; locked
accounts are told until somebody who answers for it has looked (21 CFR 11.300(d)).
Leaves to others: finding the trouble (sites), where it is shown (tasks, site_api).
"""

from __future__ import annotations

from isogenic.authority.licences import State
from isogenic.authority.people import Person, Role
from isogenic.clock import text_of_time
from isogenic.sites.node import SiteNode
from isogenic.web.site_messages import AlarmLine, LockLine

__all__ = ["answers_for_attempts", "locked_accounts", "site_alarms"]

DRIFTS_SHOWN = 5  # on one screen; every one is in the ledger
MEANS = {"door": "signing in", "signing": "signing", "passkey": "signing in with a passkey"}


def site_alarms(node: SiteNode) -> list[AlarmLine]:
    """Every alarm of the node itself, worst first; none where all is in order."""
    found = []
    asking = node.returning.asking
    for origin, why in node.returning.waits.items():
        then = "it goes on by itself once the control site has answered" if origin in asking else "a person decides: isogenic recover"
        found.append(AlarmLine(what=f"Nothing is written in {_short(origin)}", why=why, then=f"No scan is decided here meanwhile; {then}."))
    if node.state.disk_full:
        then = "Running batches go on; no new batch is started. Make room on the disk: the node notices it by itself."
        found.append(AlarmLine(what="The disk is full", why="less is free than running batches may need", then=then))
    for drift in list(node.state.drifts.values())[:DRIFTS_SHOWN]:
        what = f"{drift.module} does not run what was released"
        why = f"{drift.setting.replace('_', ' ')} is {drift.found}; released is {drift.released}"
        then = "No batch is started on this unit; one that runs is marked, and goes on. Set it back at the module, or have another value released."
        found.append(AlarmLine(what=what, why=why, then=then))
    found += _permission(node)
    if node.readings.trouble:
        then = "Newer readings wait in memory, and are lost where the node stops now; set-points still go out."
        found.append(AlarmLine(what="Readings do not reach the disk", why=node.readings.trouble, then=then))
    if node.trouble and not node.held and node.trouble.what != node.readings.trouble:
        why = f"{node.trouble.what}; since {node.trouble.since[:19].replace('T', ' ')} UTC"
        found.append(AlarmLine(what="A scan could not be finished", why=why, then="It is tried again at every scan."))
    if node.time.alarm:
        then = "The step is in the record. Have the clock of this machine looked at."
        found.append(AlarmLine(what="The clock of this node stepped", why=node.time.alarm, then=then))
    for origin, why in node.courier.state.stopped.items():
        then = "What is noted here is kept, and does not leave. Call the control site."
        found.append(AlarmLine(what=f"The control site does not take {_short(origin)}", why=why, then=then))
    return found


def _permission(node: SiteNode) -> list[AlarmLine]:
    """Licences that were taken away for a while, and leases that have ended without another (I2)."""
    permission, found = node.state.permission, []
    latest = permission.span(node.clock.now()).latest
    for licence in permission.licences.values():
        lease, of = permission.leases.get(licence.id), f"licence {licence.id} for {licence.applied.product}"
        if licence.state in (State.SUSPENDED, State.PAUSED):
            then = "No batch is started under it. One that runs follows what its master file declares."
            found.append(AlarmLine(what=f"The {of} is {licence.state}", why=licence.why, then=then))
        elif licence.state is State.ACTIVE and lease is not None and latest >= lease.until:
            then = "No batch is started under it until the control site is heard again."
            found.append(AlarmLine(what=f"The lease of {of} has ended", why=f"it held until {text_of_time(lease.until)[:16]}Z", then=then))
    return found


def locked_accounts(node: SiteNode) -> list[LockLine]:
    """The locks that nobody has looked at yet, newest first."""
    return [
        LockLine(
            person=each.person, at=text_of_time(at), until=text_of_time(each.until), failures=each.failures, means=MEANS.get(each.means, each.means)
        )
        for at, each in reversed(node.state.locked)
    ]


def answers_for_attempts(person: Person) -> bool:
    """Whether a person may say that attempts were looked at."""
    return bool({Role.ADMINISTRATOR, Role.QUALITY, Role.QUALIFIED_PERSON} & set(person.roles))


def _short(origin: str) -> str:
    """`aster/leeds/ASTER-BIO` -> `the record for ASTER-BIO`."""
    name = origin.rpartition("/")[2]
    return "the house record" if name == "HOUSE" else f"the record for {name}"
