"""What people decide about monitoring models: put forward, tested once, signed by two, released, rolled back.

Guarantees: test data are noted as used before the model sees them; a second use is refused, and the refusal is noted. What is
released passed its one test, and two different people signed its document, bytes and report together.
Leaves to others: judging and counting (monitoring.lifecycle.trial), what a site answers (monitoring.lifecycle.standing).
"""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.gate import check_two_people_approved
from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.checks import stops
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import SiteId
from isogenic.monitoring.lifecycle.document import ModelDocument, read_model_document
from isogenic.monitoring.lifecycle.facts import ModelPutForward, ModelReleased, ModelSigned, ModelTested, TestDataRefused, TestDataUsed
from isogenic.monitoring.lifecycle.register import unusable
from isogenic.monitoring.lifecycle.report import report_page
from isogenic.monitoring.lifecycle.standing import release_digest, text_digest
from isogenic.monitoring.lifecycle.trial import TestBatch, batch_digest, check_inside, check_is_of_the_document, try_model
from isogenic.monitoring.model import Model
from isogenic.monitoring.tables import check_tables
from isogenic.network.acting import actor_of, role_for
from isogenic.network.control import ControlNode, decided_alone
from isogenic.network.decisions import directory
from isogenic.records.notes import Signer

__all__ = ["put_model_forward", "release_model", "sign_model", "test_model"]

WHY_MAX = 200


@decided_alone
def put_model_forward(node: ControlNode, person: Person, *, text: str, data: bytes) -> ModelPutForward:
    """Take up a fitted model with its document; nothing is allowed by that. A version never comes back with something else."""
    require(person, Act.SIGN_RECIPE_AS_AUTHOR)
    document, model = read_model_document(text), Model.from_bytes(data)
    check_is_of_the_document(model, document)
    key, digest = (document.model, document.version), text_digest(text)
    known: ModelPutForward | None = node.state.monitors.forward.get(key)
    if known is not None and (known.document, known.digest) != (digest, model.digest):
        raise NotAllowed(f"cannot put {_name(key)} forward", why="that version is another model", possible="give it the next version number")
    if known is not None:
        return known
    node.blobs.put(data)
    forward = ModelPutForward(document.model, document.version, document.product, model.digest, len(data), digest, text)
    node.note([forward], actor=actor_of(person, role_for(person, Act.SIGN_RECIPE_AS_AUTHOR)))
    return forward


@decided_alone
def test_model(node: ControlNode, person: Person, *, model: str, version: int, batches: Sequence[TestBatch]) -> ModelTested:
    """Test a model on batches that were never used, once. The use is noted before anything is judged."""
    require(person, Act.SIGN_RECIPE_AS_AUTHOR)
    forward, document = _forward(node, model, version)
    actor = actor_of(person, role_for(person, Act.SIGN_RECIPE_AS_AUTHOR))
    what = f"cannot test {model} version {version}"
    if (model, version) in node.state.monitors.tested:
        raise NotAllowed(what, why="it was tested, and a version is tested once", possible="a new version, and test data never used")
    known = Model.from_bytes(node.blobs.get(forward.digest), digest=forward.digest)
    if not batches:
        raise NotValid(what, why="there is no test batch")
    check_tables([each.table for each in batches], known.variables)
    check_inside(document, batches)
    digests = [batch_digest(each.table, known.variables) for each in batches]
    against = unusable(node.state.monitors, document, digests)
    if against:
        why = "; ".join(f"{each.table.batch[:40]}: {against[digest]}" for each, digest in zip(batches, digests, strict=True) if digest in against)
        node.note([TestDataRefused(model, version, forward.digest, tuple(against), why[:2000], person.id)], actor=actor)
        raise NotAllowed(what, why=why[:600], possible="test data that nobody has used; this refusal is on record")
    node.note([TestDataUsed(model, version, forward.digest, tuple(digests), person.id)], actor=actor)
    outcome = try_model(known, document, batches)
    report = report_page(known, document, outcome)
    criteria = tuple(str(each) for each in outcome.criteria)
    tested = ModelTested(model, version, forward.digest, tuple(digests), node.blobs.put(report), len(report), criteria, outcome.passed)
    node.note([tested], actor=actor)
    return tested


@decided_alone
def sign_model(node: ControlNode, person: Person, signer: Signer | Pen, *, model: str, version: int, act: Act) -> ModelSigned:
    """Sign a model that passed its test, as its author or as its approver: two different people."""
    if act not in (Act.SIGN_RECIPE_AS_AUTHOR, Act.APPROVE_RECIPE):
        raise NotValid(f"cannot sign {model}", why=f"to {act.words} is something else")
    digest = _release_digest(node, model, version)
    before = node.state.monitors.signed.get((model, version), ())
    author = next((each.signature.person for each in before if each.signature.meaning == MEANINGS[Act.SIGN_RECIPE_AS_AUTHOR]), None)
    if any(each.signature.person == person.id for each in before):
        raise NotAllowed(f"{person.id} cannot sign {model} version {version} again", why="two different people sign a model")
    require(person, act, author=author)
    role = role_for(person, act)
    signature = sign(signer, person, role=role, meaning=MEANINGS[act], at=node.clock.now().at, digest=digest)
    forward, _ = _forward(node, model, version)
    signed = ModelSigned(model, version, forward.digest, digest, signature)
    node.note([signed], actor=actor_of(person, role, signature))
    return signed


@decided_alone
def release_model(node: ControlNode, person: Person, *, model: str, version: int, why: str = "") -> list[SiteId]:
    """Release a model that two people signed to the sites of its input space; gives those that it is new for.

    A version before the one in force is a rollback: it takes a reason.
    """
    require(person, Act.APPROVE_RECIPE)
    what, why = f"cannot release {model} version {version}", why.strip()
    forward, document = _forward(node, model, version)
    digest = _release_digest(node, model, version)
    approvals = tuple(each.signature for each in node.state.monitors.signed.get((model, version), ()))
    against = stops(check_two_people_approved(digest, approvals, directory(node), what="model"))
    if against:
        raise NotAllowed(what, why="; ".join(note.text for note in against), possible="it takes an author and an approver")
    if len(why) > WHY_MAX or (why and not why.isprintable()):
        raise NotValid(what, why=f"a reason has at most {WHY_MAX} printable characters")
    Model.from_bytes(node.blobs.get(forward.digest), digest=forward.digest)  # as it is now on this disk
    register, tested, found = node.state.monitors, node.state.monitors.tested[model, version], []
    for site in document.space.sites:
        in_force = register.in_force(forward.product, site)
        if site not in directory(node).sites or (in_force is not None and in_force.digest == forward.digest):
            continue
        before = in_force is not None and any((each.model, each.version, each.site) == (model, version, site) for each in register.released)
        if in_force is not None and before and not why:
            now = f"{_name((in_force.model, in_force.version))} is in force at {site}"
            raise NotAllowed(what, why=now, possible="a rollback says why")
        found.append(ModelReleased(model, version, forward.product, site, forward.digest, forward.bytes, forward.text, tested.report, approvals, why))
    if found:
        node.publishing.publish(*found, actor=actor_of(person, role_for(person, Act.APPROVE_RECIPE)))
    return [each.site for each in found]


def _name(key: tuple[str, int]) -> str:
    return f"{key[0]} version {key[1]}"


def _forward(node: ControlNode, model: str, version: int) -> tuple[ModelPutForward, ModelDocument]:
    found = node.state.monitors.forward.get((model, version))
    if found is None:
        possible = ", ".join(map(_name, node.state.monitors.forward)) or "none"
        raise NotFound(f"no model {model[:40]} version {version}", why="it was not put forward", possible=possible)
    return found, read_model_document(found.text)


def _release_digest(node: ControlNode, model: str, version: int) -> str:
    forward, _ = _forward(node, model, version)
    tested = node.state.monitors.tested.get((model, version))
    if tested is None or not tested.passed:
        missed = "; ".join(each for each in tested.criteria if each.endswith("NOT MET")) if tested else ""
        raise NotAllowed(
            f"{_name((model, version))} cannot be signed or released",
            why=f"its test did not pass: {missed}"[:600] if tested else "it was not tested",
            possible="a new version, and test data never used" if tested else "isogenic model test",
        )
    return release_digest(document=forward.document, model=forward.digest, report=tested.report)
