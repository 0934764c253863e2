"""What is decided at the control site about materials: the changeover matrix, and lots that any site received.

    submit_changeover, approve_changeover, publish_changeover     two people sign a matrix; it goes to every site
    decide_material            released for use, rejected or recalled by signature, wherever the lot is
    tell_used_assemblies       each site hears which pieces the others used, by digest
    used_twice                 pieces that two sites used before either had heard of the other

Guarantees: nothing is noted unless everything is in order; a decision is in the ledger written for the site that holds the lot,
so it counts there once it arrives.
Leaves to others: what a site does with it (sites.materials).
"""

from __future__ import annotations

from collections.abc import Mapping

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import ReceiptId, RecipeId, SiteId
from isogenic.materials.assemblies import USED_MAX, AssembliesUsed, AssemblyInstalled
from isogenic.materials.changeover import ChangeoverApproved, ChangeoverPublished, ChangeoverSubmitted, digest_of_matrix, read_matrix
from isogenic.materials.receipts import MaterialDecided, ReceiptCommand, decision_digest, next_state
from isogenic.materials.stock import digests_used
from isogenic.network.control import ControlNode, decided_alone
from isogenic.network.decisions import actor_of, directory, role_for
from isogenic.records.notes import Signer

__all__ = ["Telling", "approve_changeover", "decide_material", "publish_changeover", "submit_changeover", "tell_used_assemblies", "used_twice"]

WHY_MAX = 300


# ---- the changeover matrix ------------------------------------------------------------------------------


@decided_alone
def submit_changeover(node: ControlNode, person: Person, text: str) -> ChangeoverSubmitted:
    """Put a matrix forward, once it can be read; nothing is approved by that."""
    require(person, Act.SIGN_RECIPE_AS_AUTHOR)
    matrix, digest = read_matrix(text), digest_of_matrix(text)
    known = node.state.stocks.submitted.get((matrix.name, matrix.version))
    if known is not None and known.digest != digest:
        raise NotAllowed(
            f"cannot submit {matrix.name} version {matrix.version}",
            why="that version is submitted with another text",
            possible="give it the next number",
        )
    submitted = ChangeoverSubmitted(matrix.name, matrix.version, digest, text)
    if known is None:
        node.note([submitted], actor=actor_of(person, role_for(person, Act.SIGN_RECIPE_AS_AUTHOR)))
    return submitted


@decided_alone
def approve_changeover(node: ControlNode, person: Person, signer: Signer | Pen, *, name: RecipeId, version: int, act: Act) -> ChangeoverApproved:
    """Sign a submitted matrix, as its author or as its approver: two different people."""
    if act not in (Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE):
        raise NotValid(f"cannot sign {name}", why=f"to {act.words} is something else")
    submitted = _submitted(node, name, version)
    before = node.state.stocks.approvals.get((name, version), ())
    author = next((each.signature.person for each in before if each.signature.meaning == MEANINGS[Act.SIGN_RECIPE_AS_AUTHOR]), None)
    if any(each.signature.person == person.id for each in before):
        raise NotAllowed(f"{person.id} cannot sign {name} version {version} again", why="two different people sign a changeover matrix")
    require(person, act, author=author)
    role = role_for(person, act)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=node.clock.now().at, digest=submitted.digest)
    approved = ChangeoverApproved(name, version, submitted.digest, signature)
    node.note([approved], actor=actor_of(person, role, signature))
    return approved


@decided_alone
def publish_changeover(node: ControlNode, person: Person, *, name: RecipeId, version: int) -> ChangeoverPublished:
    """Publish a matrix that two people have signed, to every site and to the house."""
    require(person, Act.APPROVE_RECIPE)
    submitted, before = _submitted(node, name, version), node.state.stocks.published
    if before is not None and before.version >= version and before.digest != submitted.digest:
        raise NotAllowed(f"cannot publish {name} version {version}", why=f"version {before.version} is in force", possible="give it the next number")
    approvals = tuple(each.signature for each in node.state.stocks.approvals.get((name, version), ()))
    against = stops(check_two_people_approved(submitted.digest, approvals, directory(node), what="changeover matrix"))
    if against:
        why = "; ".join(note.text for note in against)
        raise NotAllowed(f"cannot publish {name} version {version}", why=why, possible="it takes an author and an approver")
    published = ChangeoverPublished(name, version, submitted.digest, submitted.text, approvals)
    if before != published:
        node.publishing.publish(published, actor=actor_of(person, role_for(person, Act.APPROVE_RECIPE)))
    return published


def _submitted(node: ControlNode, name: RecipeId, version: int) -> ChangeoverSubmitted:
    found = node.state.stocks.submitted.get((name, version))
    if found is None:
        known = ", ".join(f"{each} version {number}" for each, number in node.state.stocks.submitted) or "none"
        raise NotFound(f"no changeover matrix {name} version {version}", why="it has not been submitted", possible=known)
    return found


# ---- received lots --------------------------------------------------------------------------------------


@decided_alone
def decide_material(
    node: ControlNode, person: Person, signer: Signer | Pen, *, site: SiteId, receipt: ReceiptId, command: ReceiptCommand, why: str
) -> MaterialDecided:
    """Release a lot that a site received, reject or recall it."""
    stock, why, now = node.state.stocks.site(site), why.strip(), node.clock.now().at
    received = stock.receipt(receipt)
    if command in (ReceiptCommand.EXPIRE, ReceiptCommand.USE_UP):
        raise NotAllowed(f"cannot {command.replace('_', ' ')} {receipt} from here", why="the clock does that, or the site that uses it")
    if not why or len(why) > WHY_MAX or not why.isprintable():
        raise NotValid(f"cannot {command} {receipt}", why=f"it takes a reason of 1 to {WHY_MAX} printable characters")
    act = Act.RELEASE_MATERIAL if command is ReceiptCommand.RELEASE else Act.BLOCK_MATERIAL
    require(person, act, site=site, author=received.by)
    next_state(stock.state(receipt, now=now), command, receipt=receipt)
    role = role_for(person, act)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=now, digest=decision_digest(received, command, why))
    decided = MaterialDecided(receipt, received.sponsor, command, why, person.id, signature)
    node.note([decided], site=site, actor=actor_of(person, role, signature))
    return decided


# ---- assemblies -----------------------------------------------------------------------------------------


class Telling:
    """Tells the sites which pieces were used, whenever something changed since it last looked."""

    def __init__(self) -> None:
        self._seen: object = None

    def look(self, node: ControlNode) -> dict[SiteId, int]:
        """What there is to tell now, told."""
        if node.folding.state.stocks.sites is self._seen:
            return {}
        told = tell_used_assemblies(node)
        self._seen = node.folding.state.stocks.sites
        return told


@decided_alone
def tell_used_assemblies(node: ControlNode) -> dict[SiteId, int]:
    """Tell each site which pieces the others used and it has not heard of; gives how many each was told. Whose they were is not said (I7)."""
    stocks, told = node.state.stocks, {}
    every = {site: digests_used(stocks.site(site)) for site in node.sites()}
    for site in node.sites():
        of_others = frozenset().union(*(digests for other, digests in every.items() if other != site))
        new = sorted(of_others - stocks.told.get(site, frozenset()))
        facts = [AssembliesUsed(site, tuple(new[at : at + USED_MAX])) for at in range(0, len(new), USED_MAX)]
        if facts and node.ledgers[str(site)].origin not in node.returning.waits:
            node.note(facts, site=site)
            told[site] = sum(len(each.digests) for each in facts)
    return told


def used_twice(node: ControlNode) -> Mapping[str, tuple[tuple[SiteId, AssemblyInstalled], ...]]:
    """Pieces that were installed more than once in the network, with each use: what two sites could not know of one another."""
    found: dict[str, list[tuple[SiteId, AssemblyInstalled]]] = {}
    for site, stock in node.state.stocks.sites.items():
        for key, piece in stock.pieces.items():
            for each in piece.installed:
                found.setdefault(key, []).append((site, each))
    return {key: tuple(uses) for key, uses in found.items() if len(uses) > 1}
