"""What has been said about a batch's questions: when asked, when answered, what waits for a witness, what is late.

Guarantees: a pure fold, part of the batch's state; an answer that wants a witness is kept apart
until one has signed, so nothing can take it for done.
Leaves to others: which answers are allowed (prompts), conditions that wait for answers (truth).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TypeVar

from isogenic.batches.facts import (
    AnswerCorrected,
    ClockCorrected,
    PromptAnswered,
    PromptAsked,
    PromptOverdue,
    PromptWitnessed,
    ScanRefused,
    WitnessDeclined,
)
from isogenic.ids import PromptId
from isogenic.records import codec
from isogenic.records.facts import Payload

__all__ = ["WITHDRAWN", "Said", "Talk", "answer_digest", "follow", "in_force"]

WITHDRAWN = ""  # what a correction says where the thing was not done after all
T = TypeVar("T")
Said = PromptAnswered | AnswerCorrected


def answer_digest(said: Said) -> str:
    """Hex SHA-256 of an answer or a correction without its signature: what is signed, witnessed, and named by a correction."""
    plain = dict(codec.plain(said))
    plain.pop("signature")
    return sha256(codec.dumps(plain)).hexdigest()


def in_force(said: Said) -> PromptAnswered:
    """An answer as it counts: a correction stands where the answer stood."""
    if isinstance(said, PromptAnswered):
        return said
    return PromptAnswered(said.batch, said.prompt, said.answer, said.by, said.entered, said.scanned, said.signature)


@dataclass(frozen=True, slots=True)
class Talk:
    """Times and what is not settled. Its tables are never changed in place."""

    asked_at: Mapping[PromptId, datetime] = field(default_factory=dict)
    answered_at: Mapping[PromptId, datetime] = field(
        default_factory=dict
    )  # of what is in force: when it was said to be done, not when it was witnessed
    given_at: Mapping[PromptId, datetime] = field(default_factory=dict)  # of what waits for a witness
    given: Mapping[PromptId, Said] = field(default_factory=dict)  # waits for a witness
    newest: Mapping[PromptId, Said] = field(default_factory=dict)  # in force: what a correction names
    witnesses: Mapping[PromptId, PromptWitnessed] = field(default_factory=dict)
    overdue: frozenset[PromptId] = frozenset()
    refused: Mapping[PromptId, ScanRefused] = field(default_factory=dict)  # the newest wrong scan
    declined: Mapping[PromptId, WitnessDeclined] = field(default_factory=dict)  # the newest

    def moved(self, by: timedelta) -> Talk:
        """After the clock was corrected: durations go on as they were."""

        def each(at: datetime) -> datetime:
            try:
                return at + by
            except OverflowError:  # a clock that claims to be beyond the calendar
                return at

        return replace(
            self,
            asked_at={name: each(at) for name, at in self.asked_at.items()},
            answered_at={name: each(at) for name, at in self.answered_at.items()},
            given_at={name: each(at) for name, at in self.given_at.items()},
        )


def follow(talk: Talk, payload: Payload, at: datetime, *, asked: Mapping[PromptId, PromptAsked]) -> Talk:
    """After one more payload of the batch."""
    match payload:
        case PromptAsked():
            return replace(talk, asked_at={**talk.asked_at, payload.prompt: at})
        case PromptAnswered() | AnswerCorrected():
            if payload.answer == WITHDRAWN:
                return replace(
                    talk,
                    newest=_without(talk.newest, payload.prompt),
                    answered_at=_without(talk.answered_at, payload.prompt),
                    witnesses=_without(talk.witnesses, payload.prompt),
                )
            known = asked.get(payload.prompt)
            if known is not None and known.how.witness:
                return replace(
                    talk,
                    given={**talk.given, payload.prompt: payload},
                    given_at={**talk.given_at, payload.prompt: at},
                    declined=_without(talk.declined, payload.prompt),
                )
            return _settled(talk, payload, at)
        case PromptWitnessed():
            said = talk.given.get(payload.prompt)
            if said is None:
                return talk
            talk = replace(talk, given=_without(talk.given, payload.prompt), witnesses={**talk.witnesses, payload.prompt: payload})
            return _settled(talk, said, talk.given_at.get(payload.prompt, at))
        case WitnessDeclined():
            return replace(talk, given=_without(talk.given, payload.prompt), declined={**talk.declined, payload.prompt: payload})
        case ScanRefused():
            return replace(talk, refused={**talk.refused, payload.prompt: payload})
        case PromptOverdue():
            return replace(talk, overdue=talk.overdue | {payload.prompt})
        case ClockCorrected():
            return talk.moved(timedelta(seconds=payload.by_s))
    return talk


def _settled(talk: Talk, said: Said, at: datetime) -> Talk:
    first = {said.prompt: at, **talk.answered_at}  # a correction changes what was said, not when the thing was done
    return replace(talk, answered_at=first, newest={**talk.newest, said.prompt: said}, refused=_without(talk.refused, said.prompt))


def _without(table: Mapping[PromptId, T], prompt: PromptId) -> dict[PromptId, T]:
    return {name: each for name, each in table.items() if name != prompt}
