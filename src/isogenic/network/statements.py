"""Which fact becomes which statement for strangers, and its way into a ledger.

    kind             from                                    about
    recipe_release   recipe.published, of every site         a version of a recipe, signed by two people
    batch_complete   batch.closed, with what is held of it   a batch whose record is whole and witnessed
    lot_decision     quality.lot_released or lot_rejected    a lot, signed by a person
    model_release    monitoring.model_published              a reference model, by its digest

Guarantees: nothing is stated that the ledgers held here do not say; a person who may has
asked for it; the statement's digest is noted before it leaves, in the ledger for the site
that it is about (in the house where it is about none), and its receipt is for that fact.
A recipe's text, results and reasons stay inside: strangers get names, digests, counts,
signatures.
Leaves to others: the form (records: statements, cose), and whom it is given to.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound
from isogenic.ids import BatchId, LotId, ProductId, RecipeId, SiteId
from isogenic.network.control import HOUSE, ControlNode
from isogenic.network.decisions import release_case
from isogenic.network.disclosing import hand_over
from isogenic.network.facts import StatementIssued
from isogenic.quality.release import (
    LotReleased,
    check_batch_is_closed,
    check_manifest_is_verified,
    check_readings_are_complete,
    check_readings_are_held,
    check_record_is_complete,
    check_record_is_witnessed,
)
from isogenic.records import codec
from isogenic.records.cose import Sign1
from isogenic.records.facts import Actor, Fact
from isogenic.records.ledger import Ledger
from isogenic.records.merkle import inclusion_proof, leaf_hash
from isogenic.records.statements import make_receipt, make_statement, statement_digest, with_receipts

__all__ = ["StatementKind", "export_statement"]

_COMPLETE = (
    check_batch_is_closed,
    check_record_is_complete,
    check_record_is_witnessed,
    check_manifest_is_verified,
    check_readings_are_held,
    check_readings_are_complete,
)
Said = tuple[str, dict[str, Any], SiteId | None]  # the subject, what is stated of it, and the site that it is about


class StatementKind(StrEnum):
    """What can be stated to strangers."""

    RECIPE_RELEASE = "recipe_release"
    BATCH_COMPLETE = "batch_complete"
    LOT_DECISION = "lot_decision"
    MODEL_RELEASE = "model_release"


def export_statement(node: ControlNode, person: Person, kind: StatementKind, *, about: str, method: str = "password") -> bytes:
    """A transparent statement, signed and noted. `about`: a lot, a batch, a product, or a recipe as `MAB-FB/1`.

    Raises `NotAllowed` where the person may not, or the record does not bear it out; `NotFound` where nothing is known.
    """
    require(person, Act.EXPORT_STATEMENT)
    subject, says, site = _SAYS[kind](node, person, about)
    require(person, Act.EXPORT_STATEMENT, site=site)
    ledger = node.ledgers[str(site) if site else HOUSE]
    statement = make_statement(str(kind), subject, says, signer=ledger.signer, at=node.clock.now().at)
    role = next(each for each in roles_that_may(Act.EXPORT_STATEMENT) if each in person.roles)
    issued = StatementIssued(subject, str(kind), statement_digest(statement), person.id)
    (noted,) = node.note([issued], site=site, actor=Actor(str(person.id), str(role), method))
    return hand_over(node.journal, person, with_receipts(statement, _receipt(ledger, noted)), what="statement", about=subject)


def _receipt(ledger: Ledger, noted: Fact) -> Sign1:
    """The proof for a fact that was just noted, in the tree of all facts of its ledger."""
    size, store = ledger.size, ledger.store
    bodies = store.bodies(0, size)
    leaves = [leaf_hash(body) for body in bodies]
    path = inclusion_proof(leaves.__getitem__, noted.position, size)
    receipt = store.receipt()
    checkpoint = receipt[1] if receipt is not None and receipt[0] == size else b""
    return make_receipt(
        bodies[noted.position], ledger=ledger.origin, index=noted.position, size=size, path=path, signer=ledger.signer, checkpoint=checkpoint
    )


# ---- what is stated ----


def _place(fact: Fact, body: bytes) -> dict[str, Any]:
    """Where what is stated was noted, and the leaf digest of that fact: whoever gets the ledger one day finds it there."""
    return {"ledger": fact.ref.ledger, "leaf": leaf_hash(body).hex(), "position": fact.position}


def _newest(ledger: Ledger, wanted: Callable[[Fact], bool]) -> tuple[Fact, bytes] | None:
    found = None
    for fact in ledger.facts():
        if wanted(fact):
            found = fact
    return (found, ledger.store.bodies(found.position, found.position + 1)[0]) if found is not None else None


def _recipe(node: ControlNode, person: Person, about: str) -> Said:
    name, _, number = about.partition("/")
    recipe, version = RecipeId(name), int(number) if number.isdecimal() and len(number) < 7 else 0
    published = {site: view for site in node.sites() if (view := node.state.site(site).published.get((recipe, version))) is not None}
    if not published:
        raise NotFound(f"no published recipe {about}", why="no site has it", possible="a recipe and its version, as in MAB-FB/1")
    first = next(iter(published.values()))
    submitted = node.state.submitted[recipe, version]
    says = {
        "approvals": codec.plain(first.approvals),
        "product": str(submitted.product),
        "recipe": str(recipe),
        "sites": [str(site) for site in sorted(published)],
        "text_sha256": first.digest,
        "version": version,
    }
    return f"recipe {recipe} version {version}", says, None


def _batch(node: ControlNode, person: Person, about: str) -> Said:
    batch = BatchId(about)
    record = next((each for each in node.state.lots.values() if each.batch == batch), None)
    if record is None or record.site is None or record.lot is None or record.manifest is None:
        raise NotFound(f"no closed batch {about}", why="no site has told of its end")
    case = release_case(node, record.lot, asked_by=person.id)
    against = [note.text for check in _COMPLETE for note in stops(check(case))]
    if against:
        raise NotAllowed(f"cannot state that {batch} is complete", why="; ".join(against), possible="wait until its record is here")
    covering = node.ledger(record.ledger).store.checkpoint_after(record.size_needed - 1)
    assert covering is not None  # checked: the record is witnessed
    says = {
        "blocks": [
            {"first": codec.plain(each.first), "last": codec.plain(each.last), "rows": each.rows, "sha256": each.digest} for each in record.blocks
        ],
        "facts": record.manifest.counted,
        "ledger": {
            "checkpoint": covering[1].decode(),
            "rotations": node.ledger(record.ledger).keys.notes(covering[0]),  # how its key follows from the one that the site began with
            "origin": record.ledger,
            "root": case.witness.root,
            "size": case.witness.size,
            "witnessed": case.witness.cosigned,
        },
        "lot": str(record.lot),
        "outcome": str(record.manifest.outcome),
        "product": str(record.product),
        "site": str(record.site),
    }
    return f"batch {batch}", says, record.site


def _lot(node: ControlNode, person: Person, about: str) -> Said:
    lot = LotId(about)
    decision, record = node.state.decisions.get(lot), node.state.lot(lot)
    if decision is None:
        raise NotFound(f"no decision on {lot}", why="it has been neither released nor rejected")
    found = _newest(node.ledgers[str(decision.site)], lambda fact: fact.payload == decision)
    assert found is not None  # it was folded from there
    released = isinstance(decision, LotReleased)
    says: dict[str, Any] = {
        "batch": str(decision.batch),
        "decision": "released" if released else "rejected",
        "noted": _place(*found),
        "product": str(decision.product),
        "signature": codec.plain(decision.signature),
        "site": str(decision.site),
    }
    if isinstance(decision, LotReleased):
        says["record"] = {"origin": record.ledger, "root": decision.record_root, "size": decision.record_size}
    return f"lot {lot}", says, decision.site


def _model(node: ControlNode, person: Person, about: str) -> Said:
    product = ProductId(about)
    model = node.state.models.get(product)
    if model is None:
        raise NotFound(f"no model of {about}", why="none has been published", possible=", ".join(node.state.models) or "none")
    found = _newest(node.ledgers[HOUSE], lambda fact: fact.payload == model)
    assert found is not None  # it was folded from there
    return f"model of {product}", {"bytes": model.bytes, "model": model.model, "noted": _place(*found), "sha256": model.digest}, None


_SAYS: Mapping[StatementKind, Callable[[ControlNode, Person, str], Said]] = {
    StatementKind.RECIPE_RELEASE: _recipe,
    StatementKind.BATCH_COMPLETE: _batch,
    StatementKind.LOT_DECISION: _lot,
    StatementKind.MODEL_RELEASE: _model,
}
