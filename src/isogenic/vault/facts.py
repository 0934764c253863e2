"""What is noted of the vault: codes, names of fields, who and why. Never a value, nor anything made from one.

Guarantees: nobody can tell from these facts who a person is; `VaultState` is folded from them alone.
Leaves to others: keys and values (vault), deciding (acts).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from isogenic.ids import IdentityCode, NodeId
from isogenic.records.facts import Fact, fact
from isogenic.records.signatures import Signature

__all__ = [
    "ErasureOrdered",
    "PersonEntered",
    "PersonErased",
    "RecordChanged",
    "RecordOpened",
    "VaultKeyRotated",
    "VaultSearched",
    "VaultState",
    "fold",
]


@fact("vault.person_entered", subject="code", house=True)
@dataclass(frozen=True, slots=True)
class PersonEntered:
    """A person was entered under a fresh code: which fields, and why."""

    code: IdentityCode
    fields: tuple[str, ...]
    why: str


@fact("vault.record_changed", subject="code", house=True)
@dataclass(frozen=True, slots=True)
class RecordChanged:
    """Fields of a person's record were put right (GDPR Art. 16): which, and why."""

    code: IdentityCode
    fields: tuple[str, ...]
    why: str


@fact("vault.record_opened", subject="code", house=True)
@dataclass(frozen=True, slots=True)
class RecordOpened:
    """Somebody is about to see a person's record: which fields, and why."""

    code: IdentityCode
    fields: tuple[str, ...]
    why: str


@fact("vault.searched", subject="vault", house=True)
@dataclass(frozen=True, slots=True)
class VaultSearched:
    """Somebody looked for a person by exact values: in which fields, how many were found, and why. Not for what."""

    vault: NodeId
    fields: tuple[str, ...]
    found: tuple[IdentityCode, ...]
    why: str


@fact("vault.erasure_ordered", subject="code", house=True)
@dataclass(frozen=True, slots=True)
class ErasureOrdered:
    """A person is to be erased (GDPR Art. 17), by signature. From here on nobody opens the record; the key is destroyed next."""

    code: IdentityCode
    why: str
    signature: Signature


@fact("vault.person_erased", subject="code", house=True)
@dataclass(frozen=True, slots=True)
class PersonErased:
    """A person's key is destroyed: what was encrypted with it can be read by nobody, wherever a copy of it lies."""

    code: IdentityCode
    why: str


@fact("vault.key_rotated", subject="vault", house=True)
@dataclass(frozen=True, slots=True)
class VaultKeyRotated:
    """Every person's key was wrapped anew under a fresh vault key, and the old one destroyed: so old copies of wrapped keys open nothing."""

    vault: NodeId
    generation: int
    persons: int


@dataclass(frozen=True, slots=True)
class VaultState:
    """Who was entered, who is to be erased, who is."""

    entered: frozenset[IdentityCode] = frozenset()
    ordered: frozenset[IdentityCode] = frozenset()
    erased: frozenset[IdentityCode] = frozenset()

    @property
    def present(self) -> frozenset[IdentityCode]:
        """Whose records may be opened."""
        return self.entered - self.ordered - self.erased


def fold(state: VaultState, facts: Iterable[Fact]) -> VaultState:
    """The state after these facts."""
    for each in facts:
        match each.payload:
            case PersonEntered(code=code):
                state = replace(state, entered=state.entered | {code})
            case ErasureOrdered(code=code):
                state = replace(state, ordered=state.ordered | {code})
            case PersonErased(code=code):
                state = replace(state, erased=state.erased | {code})
    return state
