"""What is decided at the control site about master files, licences and commitments: each by signature, in a role that may.

    submit_master_file      a text is put forward; nothing is effective by that
    approve_master_file     its author signs it, then somebody else
    publish_master_file     it is told to every site that it names, named before, or works for its sponsor
    apply_for_licence       for a site, under a master file that names it
    change_licence          a command of the state table (authority.licences)
    publish_commitments     what a marketing authorisation says

Guarantees: nothing is noted unless everything is in order; an activated licence gets its first lease at once.
Leaves to others: what the objects are (authority), leases that follow (leasing).
"""

from __future__ import annotations

from isogenic.authority.commitments import CommitmentsPublished, load_commitments
from isogenic.authority.licences import ACTS, Command, Licence, LicenceApplied, LicenceChanged, State, about_application, licence_digest, target
from isogenic.authority.master_file import MasterFile, MasterFileApproved, MasterFilePublished, MasterFileSubmitted, load_master_file
from isogenic.authority.people import Person
from isogenic.authority.profiles import PROFILES, missing_fields
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.authority.signed import wrong_in
from isogenic.errors import NotAllowed, NotFound, NotTrusted, NotValid
from isogenic.ids import LicenceId, MasterFileId, PersonId, SiteId
from isogenic.network.control import ControlNode, decided_alone
from isogenic.network.decisions import actor_of, directory, role_for, works_for
from isogenic.records.notes import Signer
from isogenic.records.signatures import Signature

__all__ = [
    "apply_for_licence",
    "approve_master_file",
    "change_licence",
    "publish_commitments",
    "publish_master_file",
    "submit_master_file",
]


# ---- master files ----


@decided_alone
def submit_master_file(node: ControlNode, person: Person, text: str) -> MasterFileSubmitted:
    """Put a master file forward, once it is valid and says what the jurisdictions of its sites ask for."""
    require(person, Act.AUTHOR_MASTER_FILE)
    file = load_master_file(text)
    laws = sorted({site.jurisdiction for site in file.sites.values()})
    lacking = [f"{PROFILES[law].authority} asks for {each}" for law in laws for each in missing_fields(file, law)]
    if lacking:
        raise NotValid(f"cannot submit {file.name}", why="; ".join(lacking), possible="name them under references")
    unknown = sorted(site for site in file.sites if site not in directory(node).sites)
    if unknown:
        raise NotFound(f"no site {unknown[0]}", why="the directory does not name it", possible=", ".join(directory(node).sites))
    _check_follows(node, file)
    known = node.state.authority.submitted.get((file.master_file, file.version))
    if known is not None and known.digest != file.digest:
        raise NotAllowed(f"cannot submit {file.name}", why="that version is submitted with another text", possible="give it the next version number")
    submitted = MasterFileSubmitted(file.master_file, file.version, file.product, file.digest, text)
    if known is None:
        node.note([submitted], actor=actor_of(person, role_for(person, Act.AUTHOR_MASTER_FILE)))
    return submitted


def _check_follows(node: ControlNode, file: MasterFile) -> None:
    """A version follows those before it: the same product, effective later, and no unit's history rewritten."""
    for before in node.state.authority.files(file.master_file):
        if before.version >= file.version:
            continue
        if before.product != file.product:
            raise NotAllowed(f"cannot submit {file.name}", why=f"it is of {file.product}, and {before.name} of {before.product}")
        if before.effective_from > file.effective_from:
            raise NotAllowed(f"cannot submit {file.name}", why=f"{before.name} is effective later", possible="let it be effective later")
        for site in before.sites.values():
            now = file.sites.get(site.site)
            for unit in site.units.values():
                kept = now.units.get(unit.unit) if now else None
                if kept is not None and kept.locations[: len(unit.locations)] != unit.locations:
                    raise NotAllowed(
                        f"cannot submit {file.name}",
                        why=f"it tells another history of where {unit.unit} of {site.site} stood",
                        possible="add a location, and leave the former ones",
                    )
                if kept is not None and kept.identity != unit.identity:
                    raise NotAllowed(
                        f"cannot submit {file.name}", why=f"{unit.unit} of {site.site} was {unit.identity}", possible="give another unit another name"
                    )


@decided_alone
def approve_master_file(
    node: ControlNode, person: Person, signer: Signer | Pen, *, master_file: MasterFileId, version: int, act: Act
) -> MasterFileApproved:
    """Sign a submitted master file, as its author or as its approver: two different people."""
    if act not in (Act.AUTHOR_MASTER_FILE, Act.APPROVE_MASTER_FILE):
        raise NotValid(f"cannot sign {master_file}", why=f"to {act.words} is another act", possible="author_master_file, approve_master_file")
    submitted = _submitted(node, master_file, version)
    before = node.state.authority.approvals.get((master_file, version), ())
    if any(each.signature.person == person.id for each in before):
        raise NotAllowed(f"{person.id} cannot sign {master_file} version {version} again", why="two different people sign a master file")
    author = next((each.signature.person for each in before if each.signature.meaning == MEANINGS[Act.AUTHOR_MASTER_FILE]), None)
    require(person, act, author=author)
    role = role_for(person, act)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=node.clock.now().at, digest=submitted.digest)
    approved = MasterFileApproved(master_file, version, submitted.digest, signature)
    node.note([approved], actor=actor_of(person, role, signature))
    return approved


@decided_alone
def publish_master_file(node: ControlNode, person: Person, *, master_file: MasterFileId, version: int) -> list[SiteId]:
    """Tell a signed master file to the sites that it concerns; gives those that it is new for."""
    require(person, Act.APPROVE_MASTER_FILE)
    submitted = _submitted(node, master_file, version)
    file = load_master_file(submitted.text)
    view = node.state.authority
    approvals = tuple(each.signature for each in view.approvals.get((master_file, version), ()))
    concerned = [site for site in node.sites() if _concerns(node, site, file)]
    published = [
        MasterFilePublished(master_file, version, file.product, submitted.digest, submitted.text, approvals, site, file.sponsor)
        for site in concerned
        if (site, master_file, version) not in view.at_sites
    ]
    wrong = [why for each in published[:1] for why in wrong_in(each, directory(node))]
    if wrong:
        raise NotAllowed(f"cannot publish {file.name}", why="; ".join(wrong), possible="it takes an author and an approver")
    node.publishing.publish(*published, actor=actor_of(person, role_for(person, Act.APPROVE_MASTER_FILE)))
    return [each.site for each in published]


def _concerns(node: ControlNode, site: SiteId, file: MasterFile) -> bool:
    """A site that works for the file's sponsor, and is in it, or was in a version before: who is left out has to know (I7)."""
    if not works_for(node, site, file.sponsor):
        return False
    return site in file.sites or any(site in before.sites for before in node.state.authority.files(file.master_file))


def _submitted(node: ControlNode, master_file: MasterFileId, version: int) -> MasterFileSubmitted:
    found = node.state.authority.submitted.get((master_file, version))
    if found is None:
        known = ", ".join(f"{name} version {number}" for name, number in node.state.authority.submitted) or "none"
        raise NotFound(f"no master file {master_file} version {version}", why="it has not been submitted", possible=known)
    return found


# ---- licences ----


@decided_alone
def apply_for_licence(
    node: ControlNode,
    person: Person,
    signer: Signer | Pen,
    *,
    licence: LicenceId,
    site: SiteId,
    master_file: MasterFileId,
    reference: str,
    why: str,
) -> LicenceApplied:
    """Apply for a site to work by a published master file that names it."""
    require(person, Act.APPLY_LICENCE)
    view = node.state.authority
    refused = f"cannot apply for {licence}"
    if licence in view.licences:
        raise NotAllowed(refused, why=f"it is {view.licences[licence].site}'s, and {view.licences[licence].state}", possible="use a new name")
    files = view.files(master_file)
    if not files:
        raise NotFound(f"no master file {master_file}", why="none is published under that name", possible=", ".join(view.names()) or "none yet")
    if site not in files[-1].sites:
        raise NotAllowed(refused, why=f"{site} is not in {files[-1].name}", possible=", ".join(files[-1].sites))
    mine = [each for each in view.licences.values() if (each.site, each.applied.master_file) == (site, master_file)]
    open_ = [each for each in mine if each.state is not State.CEASED]
    if open_:
        raise NotAllowed(refused, why=f"{site} has {open_[0].id}, which is {open_[0].state}", possible="cease that one first")
    role = role_for(person, Act.APPLY_LICENCE)
    reference, why = reference.strip(), why.strip()
    if not reference or len(reference) > 120 or not reference.isprintable():
        raise NotValid(refused, why="a reference is one line of 1 to 120 printable characters")

    def made(signature: Signature) -> LicenceApplied:
        return LicenceApplied(licence, site, master_file, files[-1].product, reference, why, signature, files[-1].sponsor)

    digest = licence_digest(licence, Command.APPLY, site=site, number=0, why=why, about=f"{master_file} {files[-1].product} {reference}")
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.APPLY_LICENCE], at=node.clock.now().at, digest=digest)
    applied = made(signature)
    assert digest == licence_digest(licence, Command.APPLY, site=site, number=0, why=why, about=about_application(applied))
    node.publishing.publish(applied, actor=actor_of(person, role, signature))
    return applied


@decided_alone
def change_licence(node: ControlNode, person: Person, signer: Signer | Pen, *, licence: LicenceId, command: Command, why: str) -> LicenceChanged:
    """Give a licence a command of the state table, by signature, with the reason. Who applied does not decide on it."""
    known = node.state.authority.licence(licence)
    if command is Command.APPLY:
        raise NotAllowed(f"cannot apply for {licence} again", why=f"it is {known.state}")
    state = target(known.state, command, what=str(licence))
    act = ACTS[command]
    require(person, act, site=known.site, author=known.applicant)
    why, number = why.strip(), len(known.changes) + 1
    role = role_for(person, act)
    digest = licence_digest(licence, command, site=known.site, number=number, why=why)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=node.clock.now().at, digest=digest)
    changed = LicenceChanged(licence, known.site, command, state, number, why, signature, known.applied.sponsor)
    _check_signed(known, changed, node, person.id)
    node.publishing.publish(changed, actor=actor_of(person, role, signature))
    if state is State.ACTIVE:
        node.renew_leases(known.site)
    return changed


def _check_signed(known: Licence, changed: LicenceChanged, node: ControlNode, person: PersonId) -> None:
    """What a site would not take is not noted: it would be in force nowhere."""
    for why in wrong_in(changed, directory(node)):
        raise NotTrusted(f"{person} cannot {changed.command} {known.id}", why=why)


# ---- commitments ----


@decided_alone
def publish_commitments(node: ControlNode, person: Person, signer: Signer | Pen, text: str) -> CommitmentsPublished:
    """Put on file, by signature, what a marketing authorisation says. Replaces the version before it."""
    require(person, Act.PUBLISH_COMMITMENTS)
    said = load_commitments(text)
    known = node.state.authority.commitments.get((said.product, said.jurisdiction))
    if known is not None and known.version >= said.version:
        raise NotAllowed(
            f"cannot put version {said.version} on file", why=f"version {known.version} is there already", possible="give it the next version number"
        )
    role = role_for(person, Act.PUBLISH_COMMITMENTS)
    signature = sign(signer, person, role=role, meaning=MEANINGS[Act.PUBLISH_COMMITMENTS], at=node.clock.now().at, digest=said.digest)
    published = CommitmentsPublished(said.product, said.jurisdiction, said.version, said.digest, text, signature)
    node.note([published], actor=actor_of(person, role, signature))
    return published
