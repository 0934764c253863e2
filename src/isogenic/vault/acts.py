"""What people do with the vault: may they, in which order is it noted and done, and what is told.

    act       order                                                      a crash between leaves
    enter     fact, key, boxes                                           a fact of somebody who is not there: opened, it shows
    open      fact, then the record is shown                             a fact of something that was not seen
    change    fact, then the boxes                                       a fact of a change that was not made: opened, it shows
    erase     ordered (fact, signed), key, boxes, erased (fact)          an order that the next start carries out

So a fact *erased* never stands while the key is there, and a key is never gone without the order on record. A key that comes back with
a restored copy is destroyed again at the next start, and noted again. Nothing is ever destroyed because a fact is *missing*: the
ledger may be the older copy.

There is no index for searching: an index made from names, keyed or not, outlives the person in old copies and answers "was she
treated here?" to whoever has the key. A search opens every record in memory, compares, and is itself noted: in which fields, whom it
found, why. A hundred thousand records take some seconds, which is what an index would have saved.

Guarantees: a reason that contains a value of the record is refused, so that no name gets into a ledger by that door; no
refusal repeats what was typed.
Leaves to others: proving who asks (web, cli), the ledger (network).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, require, roles_that_may
from isogenic.authority.signatures import MEANINGS, Pen, sign
from isogenic.clock import Clock
from isogenic.errors import NotFound, NotValid, Refusal
from isogenic.ids import IdentityCode, Mint, NodeId
from isogenic.records.facts import Actor, Fact, Payload
from isogenic.records.notes import Signer
from isogenic.vault.facts import (
    ErasureOrdered,
    PersonEntered,
    PersonErased,
    RecordChanged,
    RecordOpened,
    VaultKeyRotated,
    VaultSearched,
    VaultState,
    fold,
)
from isogenic.vault.signed import erasure_digest
from isogenic.vault.store import Field, Vault, checked

__all__ = ["Keeper"]

WHY_MAX = 300
FOUND_MAX = 50
BACK = "the key had come back with a restored copy"
NOT_FINISHED = "the entry was not finished"
LEFT = "ordered before the node ended"
Note = Callable[[Sequence[Payload], Actor | None], object]


class Keeper:
    """The vault of one node, with the facts that go with it. `note(payloads, actor)` notes in the node's house."""

    def __init__(self, vault: Vault, *, node: NodeId, note: Note, clock: Clock, mint: Mint) -> None:
        self.vault, self.node, self._note, self._clock, self._mint = vault, node, note, clock, mint
        self.state = VaultState()
        self._folded = 0
        self._facts: Callable[[int], Iterable[Fact]] = lambda start: ()

    def start(self, facts: Callable[[int], Iterable[Fact]]) -> None:
        """Fold the house, and carry out what a crash or a restored copy left undone. `facts(n)`: the house's from position n on."""
        self._facts = facts
        self._follow()
        for code in sorted(self.state.erased & {*self.vault.keys.codes(), *self.vault.codes()}):
            self.vault.erase(code)
            self._tell([PersonErased(code, BACK)], None)
        for code in sorted(self.state.ordered - self.state.erased):
            self.vault.erase(code)
            self._tell([PersonErased(code, LEFT)], None)

    def _follow(self) -> None:
        """Fold what is new in the house: another process of the same control site may have noted it."""
        for each in self._facts(self._folded):
            self.state = fold(self.state, [each])
            self._folded = each.position + 1

    def _tell(self, payloads: Sequence[Payload], actor: Actor | None) -> None:
        self._note(payloads, actor)
        self._follow()

    # ---- acts ----

    def codes(self, person: Person) -> list[IdentityCode]:
        """Whose records are here: codes only."""
        require(person, Act.OPEN_PERSON)
        self._follow()
        return sorted(code for code in self.state.present if self.vault.keys.has(code))

    def enter(self, person: Person, fields: Mapping[str, str], *, why: str, method: str = "password") -> IdentityCode:
        """Enter a person under a fresh code."""
        require(person, Act.ENTER_PERSON)
        kept = checked(fields)
        reason = _reason(why, [kept])
        code = self._mint.fresh(IdentityCode)
        actor = _actor(person, Act.ENTER_PERSON, method)
        self._tell([PersonEntered(code, _names(kept), reason)], actor)
        try:
            self.vault.keep(code, kept)
        except Refusal:
            self.vault.erase(code)
            self._tell([PersonErased(code, NOT_FINISHED)], actor)
            raise
        return code

    def change(self, person: Person, code: IdentityCode, fields: Mapping[str, str], *, why: str, method: str = "password") -> None:
        """Put fields of a record right."""
        require(person, Act.ENTER_PERSON)
        self._present(code)
        kept = checked(fields)
        reason = _reason(why, [kept, self.vault.read(code)])
        self._tell([RecordChanged(code, _names(kept), reason)], _actor(person, Act.ENTER_PERSON, method))
        self.vault.keep(code, kept)

    def open(self, person: Person, code: IdentityCode, *, why: str, method: str = "password") -> dict[Field, str]:
        """A person's record, once it is noted who asked and why."""
        require(person, Act.OPEN_PERSON)
        self._present(code)
        record = self.vault.read(code)
        self._tell([RecordOpened(code, _names(record), _reason(why, [record]))], _actor(person, Act.OPEN_PERSON, method))
        return record

    def search(self, person: Person, fields: Mapping[str, str], *, why: str, method: str = "password") -> list[IdentityCode]:
        """The codes of those whose record has exactly these values, whatever the case."""
        require(person, Act.OPEN_PERSON)
        wanted = {field: _folded(value) for field, value in checked(fields).items()}
        reason = _reason(why, [checked(fields)])
        found = []
        for code in self.codes(person):
            record = self.vault.read(code)
            if all(_folded(record.get(field, "")) == value for field, value in wanted.items()):
                found.append(code)
        if len(found) > FOUND_MAX:
            raise NotValid("too many are found", why=f"more than {FOUND_MAX} records have these values", possible="give more fields")
        self._tell([VaultSearched(self.node, _names(wanted), tuple(found), reason)], _actor(person, Act.OPEN_PERSON, method))
        return found

    def erase(self, person: Person, signer: Signer | Pen, code: IdentityCode, *, why: str, method: str = "password") -> None:
        """Erase a person: ordered by signature, then the key is destroyed, then it is noted that it is."""
        require(person, Act.ERASE_PERSON)
        self._present(code)
        reason = _reason(why, [self.vault.read(code)])
        role = next(role for role in roles_that_may(Act.ERASE_PERSON) if role in person.roles)
        signature = sign(signer, person, role=role, meaning=MEANINGS[Act.ERASE_PERSON], at=self._clock.now().at, digest=erasure_digest(code, reason))
        actor = _actor(person, Act.ERASE_PERSON, method)
        self._tell([ErasureOrdered(code, reason, signature)], actor)
        self.vault.erase(code)
        self._tell([PersonErased(code, reason)], actor)

    def rotate(self, person: Person, *, method: str = "password") -> int:
        """A fresh vault key; gives its generation."""
        require(person, Act.ERASE_PERSON)
        generation, persons = self.vault.keys.rotate()
        self._tell([VaultKeyRotated(self.node, generation, persons)], _actor(person, Act.ERASE_PERSON, method))
        return generation

    def _present(self, code: IdentityCode) -> None:
        self._follow()
        if code not in self.state.present or not self.vault.keys.has(code):  # the same words for a code that never was and for one that was erased
            raise NotFound(f"no record of {code}", why="the vault has none under this code")


def _actor(person: Person, act: Act, method: str) -> Actor:
    role = next((role for role in roles_that_may(act) if role in person.roles), person.roles[0])
    return Actor(str(person.id), str(role), method)


def _names(fields: Iterable[Field]) -> tuple[str, ...]:
    return tuple(sorted(map(str, fields)))


def _folded(text: str) -> str:
    """Text as people compare it: without case, doubled blanks, and marks that one keyboard has and another has not."""
    plain = "".join(each for each in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(each))
    return " ".join(plain.split())


def _reason(why: str, records: Sequence[Mapping[Field, str]]) -> str:
    """A reason that may go into a ledger: one line, and nothing of the person's record in it."""
    text = why.strip()
    if not text or len(text) > WHY_MAX or not text.isprintable():
        raise NotValid("cannot do this without a reason", why=f"a reason is one line of 1 to {WHY_MAX} printable characters")
    said = set(re.findall(r"\w{3,}", _folded(text)))
    digits = re.sub(r"\D", "", text)
    for record in records:
        for field, value in record.items():
            if field in (Field.SEX, Field.BLOOD_GROUP, Field.HOSPITAL, Field.REMARK):
                continue
            number = re.sub(r"\D", "", value)
            if said & set(re.findall(r"\w{3,}", _folded(value))) or (len(number) >= 5 and number in digits):
                raise NotValid(
                    "cannot note this reason", why=f"it contains the person's {field}", possible="give the reason without saying who it is"
                )
    return text
