"""How a network that does not exist gets its permissions: the same decisions that people take, one after another.

Guarantees: `authorise` does the next missing steps and ends when nothing is missing; so it can be called again after a fault.
Leaves to others: the people and their keys (world), carrying the facts to the sites.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from isogenic.authority.competence import CompetenceGranted
from isogenic.authority.licences import Command, State
from isogenic.authority.master_file import load_master_file
from isogenic.authority.people import Person, Role
from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS
from isogenic.ids import LicenceId, PersonId, SiteId
from isogenic.network import decisions
from isogenic.network.competences import grant_competence
from isogenic.network.control import ControlNode
from isogenic.network.licensing import (
    apply_for_licence,
    approve_master_file,
    change_licence,
    publish_commitments,
    publish_master_file,
    submit_master_file,
)
from isogenic.plant.model import SitePlant
from isogenic.records.notes import Signer
from isogenic.sim.world import document

__all__ = ["COMMITMENTS", "authorise", "licence_name", "master_file_text", "next_step"]

RIA, BEN, QUI = PersonId("RIA"), PersonId("BEN"), PersonId("QUI")
COMMITMENTS = ("mab-a.uk.commitments.yaml", "mab-a.eu.commitments.yaml")
TRAINED_FOR = timedelta(days=2 * 365)
STEPS_MAX = 10_000  # of one call: several for each site and person, and a world has at most hundreds of sites

Key = Callable[[PersonId], Signer]


def licence_name(site: SiteId, text: str) -> LicenceId:
    """A site's licence under a master file."""
    return LicenceId(f"LIC-{site}-{load_master_file(text).master_file.removeprefix('MF-')}"[:40])


def master_file_text(plants: Mapping[SiteId, SitePlant], *, changes: Collection[tuple[str, str]] = ()) -> str:
    """The demonstration's master file for other sites, each with the units of its plant; `changes` are made in its head."""
    head, mark, _ = document("mab-a.master-file.yaml").partition("\nsites:\n")
    assert mark
    for old, new in changes:
        assert head.count(old) == 1, f"the master file no longer says {old!r} once"
        head = head.replace(old, new)
    lines = []
    for site, plant in plants.items():
        lines += [f"  {site}:", f"    title: {plant.title}", f"    address: {plant.title}", "    jurisdiction: uk"]
        lines += [f"    authorisation: UK MIA(MM) 00001, {site}", "    from: 2025-09-01", "    units:"]
        for unit in plant.units.values():
            lines += [f"      {unit.id}:", f"        class: {unit.cls.name}", f"        identity: {unit.make} {unit.id} of {site}"]
            lines += [f'        locations: [{{from: 2025-09-01, at: "{unit.location}"}}]']
    return head + mark + "\n".join(lines) + "\n"


def authorise(node: ControlNode, key: Key, *, text: str | None = None, commitments: bool = False) -> None:
    """Everything that is missing before batches may start at the sites of a master file."""
    text = text or document("mab-a.master-file.yaml")
    for _ in range(STEPS_MAX):
        if not next_step(node, key, text=text):
            break
    if commitments and not node.state.authority.commitments:
        for name in COMMITMENTS:
            publish_commitments(node, decisions.directory(node).person(RIA), key(RIA), document(name))


def next_step(node: ControlNode, key: Key, *, text: str) -> bool:
    """The next missing step; false where nothing is missing."""
    return _file(node, key, text) or any(_licence(node, key, text, site) for site in load_master_file(text).sites) or _competence(node, key, text)


def _file(node: ControlNode, key: Key, text: str) -> bool:
    file, people, view = load_master_file(text), decisions.directory(node), node.state.authority
    version = (file.master_file, file.version)
    signed = {each.signature.meaning for each in view.approvals.get(version, ())}
    if version not in view.submitted:
        submit_master_file(node, people.person(RIA), text)
    elif MEANINGS[Act.AUTHOR_MASTER_FILE] not in signed:
        approve_master_file(node, people.person(RIA), key(RIA), master_file=file.master_file, version=file.version, act=Act.AUTHOR_MASTER_FILE)
    elif MEANINGS[Act.APPROVE_MASTER_FILE] not in signed:
        approve_master_file(node, people.person(BEN), key(BEN), master_file=file.master_file, version=file.version, act=Act.APPROVE_MASTER_FILE)
    elif version not in view.published:
        publish_master_file(node, people.person(BEN), master_file=file.master_file, version=file.version)
    else:
        return False
    return True


def _licence(node: ControlNode, key: Key, text: str, site: SiteId) -> bool:
    """One step of one site's way to an active licence. What people suspended or ceased stays so."""
    file, people, name = load_master_file(text), decisions.directory(node), licence_name(site, text)
    known = node.state.authority.licences.get(name)
    if (site, file.master_file, file.version) not in node.state.authority.at_sites:
        return False  # it does not work for the file's sponsor
    if known is None:
        apply_for_licence(
            node,
            people.person(RIA),
            key(RIA),
            licence=name,
            site=site,
            master_file=file.master_file,
            reference=file.sites[site].authorisation,
            why="the site is equipped and its people are trained",
        )
    elif known.state is State.ONBOARDING:
        change_licence(node, people.person(BEN), key(BEN), licence=name, command=Command.QUALIFY, why="three qualification lots were comparable")
    elif known.state is State.QUALIFIED and all(each.command is not Command.REINSTATE for each in known.changes):
        change_licence(node, people.person(QUI), key(QUI), licence=name, command=Command.ACTIVATE, why="qualified, and on file")
    else:
        return False
    return True


def _competence(node: ControlNode, key: Key, text: str) -> bool:
    """Whoever starts batches is trained for what the master file asks."""
    words = load_master_file(text).competences.get("start_batch", ())
    people, held = decisions.directory(node), node.state.competences
    for person in people.people.values():
        for word in words:
            if _lacks(person) and not isinstance(held.said.get((person.id, word)), CompetenceGranted):
                by = people.person(BEN)
                grant_competence(
                    node, by, key(BEN), person=person.id, competence=word, until=node.clock.now().at + TRAINED_FOR, basis="training file TR-014"
                )
                return True
    return False


def _lacks(person: Person) -> bool:
    return Role.OPERATOR in person.roles and person.may_enter
