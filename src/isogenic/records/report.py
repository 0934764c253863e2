"""What a verification found: one report, for people and for programs.

Guarantees: every finding names its check, its weight and, where it lies in a ledger, the
ledger and the first and last position between which the fault is; `str` prints paragraphs
that an inspector can quote, `plain` gives the same content as JSON.
Leaves to others: finding (verify, ledger_files).
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from isogenic.checks import Note, Severity, stops
from isogenic.clock import text_of_time
from isogenic.errors import NotTrusted, Refusal
from isogenic.records.dossier import Key
from isogenic.records.facts import Fact

__all__ = ["CheckedLedger", "ExtraCheck", "Finding", "Findings", "RootAt", "RootCheck", "VerifyReport", "run_checks"]

FORMAT = "isogenic verification 1"
NOTES_MAX = 200  # of one verification: a thoroughly altered dossier need not list every line

ExtraCheck = Callable[[list[Fact], Sequence[Key] | None], list[Note]]  # the facts, and the reader's own keys where there is a list
RootAt = Callable[[str, int], bytes | None]  # the root of a ledger's first so many facts, where they are here
RootCheck = Callable[[list[Fact], RootAt, Collection[str]], list[Note]]  # also: the batches whose record must be here


@dataclass(frozen=True, slots=True)
class Finding:
    """One sentence of one check, and where the fault lies."""

    check: str
    severity: Severity
    text: str
    ledger: str = ""  # origin
    first: int | None = None  # positions, both included
    last: int | None = None

    @property
    def note(self) -> Note:
        """Without its place."""
        return Note(self.check, self.severity, self.text)

    def plain(self) -> dict[str, Any]:
        """As JSON."""
        place = {"ledger": self.ledger} if self.ledger else {}
        span = {"first": self.first, "last": self.last} if self.first is not None else {}
        return {"check": self.check, "severity": str(self.severity), "text": self.text, **place, **span}


@dataclass(slots=True)
class Findings:
    """Findings as they come; the rest of a flood is left out."""

    found: list[Finding] = field(default_factory=list)

    def stop(self, check: str, text: str, *, ledger: str = "", first: int | None = None, last: int | None = None) -> None:
        """Something is not as it was signed."""
        if len(self.found) < NOTES_MAX:
            self.found.append(Finding(check, Severity.STOP, text, ledger, first, last))

    def warn(self, check: str, text: str, *, ledger: str = "", first: int | None = None, last: int | None = None) -> None:
        """Something that a person should know."""
        if len(self.found) < NOTES_MAX:
            self.found.append(Finding(check, Severity.WARN, text, ledger, first, last))

    def add(self, notes: Sequence[Note]) -> None:
        """What another room's check said."""
        self.found += [Finding(note.check, note.severity, note.text) for note in notes]

    @property
    def stopped(self) -> bool:
        """Whether anything was found that stops."""
        return any(each.severity is Severity.STOP for each in self.found)


@dataclass(frozen=True, slots=True)
class CheckedLedger:
    """What was found of one ledger."""

    origin: str
    size: int
    root: bytes
    facts: tuple[Fact, ...]  # all of a dossier's; of a ledger file, those that other checks ask for
    writer: str = ""
    witnesses: tuple[tuple[str, datetime], ...] = ()  # of the newest cosigned checkpoint
    witnessed: int = 0  # facts that it covers
    path: str = ""  # the file that holds it


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """What was checked and what was found."""

    name: str
    kind: str = "dossier"  # or folder, or ledger
    about: str = ""
    made_at: str = ""
    files: int = 0
    bytes: int = 0
    blocks: int = 0
    readings: int = 0
    ledgers: tuple[CheckedLedger, ...] = ()
    keys: tuple[Key, ...] = ()
    keys_from_dossier: bool = True
    findings: tuple[Finding, ...] = ()

    @property
    def notes(self) -> tuple[Note, ...]:
        """The findings, without their places."""
        return tuple(each.note for each in self.findings)

    @property
    def ok(self) -> bool:
        """Whether nothing was found that stops."""
        return not stops(self.notes)

    @property
    def facts(self) -> list[Fact]:
        """All facts that were kept, ledger by ledger."""
        return [fact for ledger in self.ledgers for fact in ledger.facts]

    @property
    def count(self) -> int:
        """How many facts were checked."""
        return sum(each.size for each in self.ledgers)

    def require(self) -> None:
        """Raise `NotTrusted` unless everything verified."""
        found = stops(self.notes)
        if found:
            more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
            raise NotTrusted(f"{self.kind} {self.name} refused", why=found[0].text + more, possible="ask for it again, and keep this one as evidence")

    def __str__(self) -> str:
        paragraphs = [self._verdict()]
        if self.files:
            where = "files against the signed manifest" if self.kind == "dossier" else "files"
            paragraphs.append(
                f"Checked: {self.files} {where} ({self.bytes} bytes), {self.count} facts in "
                f"{len(self.ledgers)} ledgers against their leaves, places and roots, {self.blocks} reading blocks "
                f"({self.readings} readings) against the facts that name them."
            )
        for ledger in self.ledgers:
            said = "; ".join(f"cosigned by {name} at {text_of_time(at)}" for name, at in ledger.witnesses) or "cosigned by nobody"
            if ledger.witnesses and ledger.witnessed < ledger.size:
                said = f"the first {ledger.witnessed} " + said
            by = f"signed by {ledger.writer}" if ledger.writer else "not signed by a key that can be believed"
            at = f" ({ledger.path})" if ledger.path else ""
            if not ledger.size and not ledger.writer:
                paragraphs.append(f"Ledger {ledger.origin}{at}: no facts.")
                continue
            paragraphs.append(f"Ledger {ledger.origin}{at}: {ledger.size} facts, root {ledger.root.hex()}, {by}; {said}.")
        paragraphs += self._keys()
        return (
            "\n\n".join(textwrap.fill(each, 110, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False) for each in paragraphs)
            + "\n"
        )

    def _verdict(self) -> str:
        about = f" about {self.about}, made {self.made_at}," if self.about else ""
        found = stops(self.notes)
        if not found:
            warnings = [note.text for note in self.notes if note.severity is Severity.WARN]
            return f"VERIFIED: {self.kind} {self.name}{about} is whole and unaltered." + "".join(f" Note: {text}." for text in warnings)
        places = " ".join(f"[{at}] {note.text}." for at, note in enumerate(found, 1))
        return f"NOT VERIFIED: {self.kind} {self.name}{about} is not what was signed. {places}"

    def _keys(self) -> list[str]:
        if not self.keys:
            return []
        origin = (
            f"Keys: they came with the {self.kind} itself, so this proves only that its parts belong together. "
            "Compare these fingerprints with a list that you got another way:"
            if self.keys_from_dossier
            else "Keys: from your own list:"
        )
        return [origin, *(f"{key.role or '-'} {key.name}: {key.key.fingerprint} {key.title}".rstrip() for key in self.keys)]

    def plain(self) -> dict[str, Any]:
        """The report as JSON: the same content, for programs."""
        return {
            "format": FORMAT,
            "verified": self.ok,
            "kind": self.kind,
            "name": self.name,
            "about": self.about,
            "made_at": self.made_at,
            "files": self.files,
            "bytes": self.bytes,
            "facts": self.count,
            "blocks": self.blocks,
            "readings": self.readings,
            "ledgers": [
                {
                    "origin": each.origin,
                    "path": each.path,
                    "size": each.size,
                    "root": each.root.hex(),
                    "writer": each.writer,
                    "witnessed": each.witnessed,
                    "witnesses": [{"name": name, "at": text_of_time(at)} for name, at in each.witnesses],
                }
                for each in self.ledgers
            ],
            "keys_from": self.kind if self.keys_from_dossier else "list",
            "keys": [
                {"role": str(each.role or ""), "name": each.name, "key": str(each.key), "fingerprint": each.key.fingerprint, "title": each.title}
                for each in self.keys
            ],
            "findings": [each.plain() for each in self.findings],
        }


def run_checks(
    facts: list[Fact],
    trusted: Sequence[Key] | None,
    root_at: RootAt,
    *,
    extra_checks: Sequence[ExtraCheck],
    root_checks: Sequence[RootCheck],
    wanted: Collection[str] = (),
    found: Findings,
) -> None:
    """What other rooms check on facts whose bytes have been verified."""
    for check in extra_checks:
        _run(getattr(check, "__name__", "extra check"), partial(check, facts, trusted), found)
    for root_check in root_checks:
        _run(getattr(root_check, "__name__", "root check"), partial(root_check, facts, root_at, wanted), found)


def _run(name: str, check: Callable[[], list[Note]], found: Findings) -> None:
    try:
        found.add(check())
    except Refusal as trouble:
        found.stop(name, str(trouble))
