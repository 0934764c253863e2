"""One type for each kind of id; text becomes an id at the door.

Guarantees: an id that exists is well formed, so rooms below never check again; a
`BatchId` cannot be passed where a `LotId` is wanted (mypy refuses it).
Leaves to others: whether the thing named exists.

Fresh ids come from a `Mint`, handed in through the argument list, so that a seed replays
the same ids.
"""

from __future__ import annotations

import re
import secrets
from random import Random
from typing import ClassVar, Protocol, Self, TypeVar

from isogenic.errors import NotValid

__all__ = [
    "BatchId",
    "DeviationId",
    "Id",
    "IdentityCode",
    "LicenceId",
    "LotId",
    "MasterFileId",
    "Mint",
    "ModuleId",
    "NodeId",
    "PersonId",
    "ProductId",
    "PromptId",
    "RandomMint",
    "ReceiptId",
    "RecipeId",
    "SampleId",
    "SeededMint",
    "SiteId",
    "SponsorId",
    "UnitId",
]

# Crockford's base 32 without I, L, O, U: read aloud over a telephone without mistakes.
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
FRESH_LENGTH = 8  # 40 bits: a site would need a million ids of one kind for a 1 in 2 chance of one clash


class Id(str):
    """Base of all ids: upper-case letters, digits and inner dashes, at most 40 characters."""

    __slots__ = ()
    prefix: ClassVar[str] = ""
    pattern: ClassVar[re.Pattern[str]] = re.compile(r"[A-Z0-9](?:[A-Z0-9-]{0,38}[A-Z0-9])?")
    length: ClassVar[int] = FRESH_LENGTH  # random signs of a fresh one

    def __new__(cls, text: str) -> Self:
        if not isinstance(text, str) or not cls.pattern.fullmatch(text) or not text.startswith(cls.prefix):
            shape = f"{cls.prefix}…" if cls.prefix else "capital letters, digits and inner dashes"
            raise NotValid(f"cannot read {str(text)[:60]!r} as {cls.__name__}", why=f"the form is {shape}, 1 to 40 characters")
        return super().__new__(cls, text)

    @classmethod
    def of_random(cls, body: str) -> str:
        """The text of a fresh id around its random signs."""
        return cls.prefix + body

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self)!r})"


class SiteId(Id):
    """A facility, for example `LEEDS`."""


class NodeId(Id):
    """A machine that writes a ledger: a site or the control site."""


class SponsorId(Id):
    """The company a ledger is written for; `HOUSE` is the site itself."""


class ProductId(Id):
    """A product, for example `MAB-A`."""


class RecipeId(Id):
    """A recipe, the same at all four levels, for example `MAB-FB`."""


class UnitId(Id):
    """An equipment unit within a site, for example `BR-50`."""


class ModuleId(Id):
    """A module (skid) of a unit, for example `BR-50-FEED`."""


class PersonId(Id):
    """A person, never reused (21 CFR 11.100(a))."""


class PromptId(Id):
    """A question to a person within a batch."""


class BatchId(Id):
    """One run of a control recipe on one unit."""

    prefix = "BAT-"


class LotId(Id):
    """What a batch yields, and what is released."""

    prefix = "LOT-"


class ReceiptId(Id):
    """One lot of a material in one delivery, as the site numbers it (21 CFR 211.80(d))."""

    prefix = "RCV-"


class SampleId(Id):
    """A sample drawn from a batch or a lot."""

    prefix = "SMP-"


class DeviationId(Id):
    """A departure from what was approved, to be disposed of by a person."""

    prefix = "DEV-"


class MasterFileId(Id):
    """The file by which a product is made at its sites, for example `MF-MAB-A`."""

    prefix = "MF-"


class LicenceId(Id):
    """A site's licence to work by a master file, for example `LIC-LEEDS-MAB-A`."""

    prefix = "LIC-"


class IdentityCode(Id):
    """A patient or donor, by a code that says nothing: 80 random bits and a check sign. Never a name, never guessed.

    `IDC-7K2M-Q0ZT-95RW-XA3D-8`: the last sign is ISO/IEC 7064 MOD 37,36 over the sixteen before it, so a code that was
    mistyped, or of which two neighbours were swapped, is refused instead of being somebody else's.
    """

    prefix = "IDC-"
    pattern = re.compile(r"IDC(?:-[0-9A-HJKMNP-TV-Z]{4}){4}-[0-9A-Z]")
    length = 16

    def __new__(cls, text: str) -> Self:
        # What was typed is never repeated: it may be a name.
        if not isinstance(text, str) or not cls.pattern.fullmatch(text) or text[-1] != check_sign(text[len(cls.prefix) : -2].replace("-", "")):
            raise NotValid(
                "cannot read this identity code", why="it is mistyped: its signs do not fit its check sign", possible="read it again from the label"
            )
        return str.__new__(cls, text)

    @classmethod
    def of_random(cls, body: str) -> str:
        groups = [body[at : at + 4] for at in range(0, cls.length, 4)]
        return cls.prefix + "-".join([*groups, check_sign(body)])


def check_sign(body: str) -> str:
    """ISO/IEC 7064, MOD 37,36: one sign that changes with any one sign, and with any two neighbours swapped."""
    signs = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    carry = 36
    for each in body:
        carry = (carry + signs.index(each)) % 36 or 36
        carry = carry * 2 % 37
    return signs[(1 - carry) % 36]


AnyId = TypeVar("AnyId", bound=Id)


class Mint(Protocol):
    """Where fresh ids come from."""

    def fresh(self, kind: type[AnyId]) -> AnyId:
        """A new id of this kind."""
        ...


class RandomMint:
    """Fresh ids from the operating system's randomness: the one for production."""

    def fresh(self, kind: type[AnyId]) -> AnyId:
        return kind(kind.of_random("".join(secrets.choice(ALPHABET) for _ in range(kind.length))))


class SeededMint:
    """Fresh ids from a seed: the one for rehearsals and tests."""

    def __init__(self, seed: int | str) -> None:
        self._dice = Random(str(seed))

    def fresh(self, kind: type[AnyId]) -> AnyId:
        return kind(kind.of_random("".join(self._dice.choice(ALPHABET) for _ in range(kind.length))))
