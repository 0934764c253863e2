"""What people signed in the facts of a vault: every erasure is ordered over its code and its reason, by who may order it.

Guarantees: works from facts alone; an order of a form that is not known here, or in a ledger that the control site does not write, stops.
Leaves to others: whether the signature verifies, and with whose key (authority).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256

from isogenic.authority.rules import Act, roles_that_may
from isogenic.authority.signatures import MEANINGS
from isogenic.checks import Note, Severity
from isogenic.ids import IdentityCode
from isogenic.records import codec
from isogenic.records.dossier import CONTROL, Key, written_by
from isogenic.records.facts import Fact
from isogenic.vault.facts import ErasureOrdered

__all__ = ["check_signed_erasures", "erasure_digest"]


def erasure_digest(code: IdentityCode, why: str) -> str:
    """What the signature of an erasure covers."""
    return sha256(b"isogenic-erasure/1\n" + codec.dumps({"code": str(code), "why": why})).hexdigest()


def check_signed_erasures(facts: Sequence[Fact], keys: Sequence[Key] | None = None) -> list[Note]:
    """Every erasure was ordered over what its fact says, in a role that may, in a ledger of the control site."""
    del keys  # whose key it is, is asked elsewhere
    orders = [fact for fact in facts if fact.kind == "vault.erasure_ordered"]
    wrong = [f"in {fact.kind} at {fact.ref}: {why}" for fact in orders for why in _wrong(fact)]
    if wrong:
        return [Note("check_signed_erasures", Severity.STOP, text) for text in wrong]
    return [Note("check_signed_erasures", Severity.GOOD, f"{len(orders)} erasures say what was signed")]


def _wrong(fact: Fact) -> Iterator[str]:
    order = fact.payload
    if not isinstance(order, ErasureOrdered):
        yield f"version {fact.version} of its form is not known here, so what was signed cannot be checked"
        return
    signature = order.signature
    if signature.meaning != MEANINGS[Act.ERASE_PERSON]:
        yield f"the signature of {signature.person} means {signature.meaning[:40]!r}, not {MEANINGS[Act.ERASE_PERSON]!r}"
    if signature.role not in roles_that_may(Act.ERASE_PERSON):
        yield f"{signature.person} signed as {signature.role[:40]!r}, which does not allow to {Act.ERASE_PERSON.words}"
    if signature.digest != erasure_digest(order.code, order.why):
        yield f"the signature of {signature.person} is over something else than the fact says"
    if written_by(fact.ref.ledger) != CONTROL:
        yield "it counts only in a ledger that the control site writes"
