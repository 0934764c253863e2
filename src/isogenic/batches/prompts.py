"""Questions to people: which are open, what counts as an answer, who stands behind it.

    answer      within limits, in time; signed where the question says so
    witness     a second, different person signs the same answer, or declines
    correct     a new fact that names the old one, with the reason, signed

Guarantees: an answer is noted only to a question that is open, within its limits and its timer; one
that wants a witness counts once a second person has signed it (21 CFR 211.101(d), 211.188(b)(11));
an answer in force is never changed, only corrected by a fact that names it (11.10(e)). A refusal
changes nothing.
Leaves to others: when a question is asked (engine), who may answer and is competent (authority), what a
label is of (materials).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from isogenic.batches.facts import AnswerCorrected, Entered, PromptAnswered, PromptAsked, PromptOverdue, PromptWitnessed, WitnessDeclined
from isogenic.batches.state import BatchState
from isogenic.batches.states import FINAL, possible
from isogenic.batches.talk import WITHDRAWN, Said, answer_digest
from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import PersonId, PromptId
from isogenic.recipes.asking import ENTERED
from isogenic.recipes.model import Answer, ControlEntry, ControlPhase, ControlPrompt
from isogenic.records.facts import Payload
from isogenic.records.signatures import Signature

__all__ = [
    "ENTERED",
    "Signs",
    "Window",
    "answer",
    "ask",
    "check_answer",
    "correct",
    "decline",
    "is_current",
    "needs_signature",
    "one_line",
    "open_prompts",
    "overdue",
    "parameter_of",
    "prompt_id",
    "question",
    "questions",
    "waiting_for_witness",
    "window",
    "withdraw",
    "witness",
]

ANSWER_MAX = 200  # characters
WHY_MAX = 300
SCAN_MAX = 400  # characters of a label
_YES = frozenset({"yes", "y", "ok", "confirm", "confirmed", "true"})
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?", re.ASCII)
WITNESS_CLAUSE = "21 CFR 211.101(d)"

Signs = Callable[[str], Signature]  # signs a digest, as the person who acts


def prompt_id(state: BatchState, phase: str, name: str) -> PromptId:
    """The id of a question of a phase, in this run of it."""
    return PromptId(f"{name.upper().replace('_', '-').strip('-')}-{state.runs.get(phase, 1)}")


def questions(state: BatchState, phase: ControlPhase) -> tuple[ControlPrompt, ...]:
    """What a phase asks: its questions, and the parameters that are entered in it, within their limits."""
    return (*phase.prompts, *(_entry(state, each) for each in phase.enter))


def _entry(state: BatchState, entry: ControlEntry) -> ControlPrompt:
    one = next(each for each in state.control.parameters if each.name == entry.parameter)
    return ControlPrompt(ENTERED + entry.parameter, entry.text, Answer.NUMBER, one.unit, one.low, one.high)


def ask(state: BatchState, phase: str, prompt: ControlPrompt) -> PromptAsked:
    """The fact that asks it."""
    return PromptAsked(
        batch=state.batch,
        prompt=prompt_id(state, phase, prompt.name),
        phase=phase,
        text=prompt.text,
        kind=prompt.answer,
        unit=prompt.unit,
        low=prompt.low,
        high=prompt.high,
        how=prompt.how,
        timer=prompt.timer,
    )


def open_prompts(state: BatchState) -> tuple[PromptAsked, ...]:
    """The questions that wait for an answer or for a witness, oldest first."""
    if state.state in FINAL or not state.active:
        return ()
    runs = {name: f"-{active.run}" for name, active in state.active.items()}
    return tuple(
        asked for prompt, asked in state.asked.items() if asked.phase in runs and prompt not in state.answers and prompt.endswith(runs[asked.phase])
    )


def waiting_for_witness(state: BatchState) -> dict[PromptId, Said]:
    """What has been said and waits for a second person: answers of open questions, and corrections."""
    waiting = {asked.prompt for asked in open_prompts(state)}
    return {name: said for name, said in state.talk.given.items() if not state.closed and (name in waiting or isinstance(said, AnswerCorrected))}


def question(state: BatchState, prompt: PromptId) -> PromptAsked:
    """What was asked, or a refusal."""
    if prompt not in state.asked:
        waiting = ", ".join(asked.prompt for asked in open_prompts(state))
        raise NotFound(f"no question {prompt} in {state.batch}", why="it was not asked", possible=waiting or "no question is open")
    return state.asked[prompt]


def needs_signature(asked: PromptAsked) -> bool:
    """Whether who answers signs; what is witnessed is signed by both (21 CFR 211.188(b)(11))."""
    return asked.how.sign or asked.how.witness


# ---- time -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Window:
    """When a question may be answered."""

    opens: datetime | None  # None: another question is to be answered first
    closes: datetime | None = None  # after that it is late
    after: PromptId | None = None  # the question that starts the timer


def window(state: BatchState, asked: PromptAsked) -> Window:
    """When this question may be answered, by the site's clock as corrected."""
    since = state.talk.asked_at.get(asked.prompt, state.at)
    if asked.timer is None:
        return Window(since)
    after = None
    if asked.timer.after:
        run = asked.prompt.rpartition("-")[2]
        after = PromptId(f"{asked.timer.after.upper().replace('_', '-').strip('-')}-{run}")
        begun = state.talk.answered_at.get(after)
        if begun is None:
            return Window(None, after=after)
        since = begun
    latest = asked.timer.latest_min
    return Window(since + timedelta(minutes=asked.timer.earliest_min), None if latest is None else since + timedelta(minutes=latest), after)


def overdue(state: BatchState, now: datetime) -> Iterator[PromptOverdue]:
    """Questions whose latest time has passed, each told once."""
    for asked in open_prompts(state):
        closes = window(state, asked).closes
        if (
            asked.timer is not None
            and closes is not None
            and now > closes
            and asked.prompt not in state.talk.overdue
            and asked.prompt not in state.talk.given
        ):
            what = f"{asked.prompt} was not answered within {asked.timer.latest_min:g} min"
            yield PromptOverdue(state.batch, asked.prompt, asked.phase, what)


def _check_time(state: BatchState, asked: PromptAsked, now: datetime) -> None:
    """A wait is a step of the process: nobody confirms it before it is over."""
    if asked.timer is None:
        return
    opens = window(state, asked)
    what = f"cannot answer {asked.prompt} yet"
    if opens.opens is None:
        raise NotAllowed(what, why=f"{opens.after} is to be answered first: its answer starts the timer", possible=f"answer {opens.after}")
    if now < opens.opens:
        left = (opens.opens - now).total_seconds()
        wait = f"{int(left // 60)} min {int(left % 60)} s" if left >= 60 else f"{left:.0f} s"
        raise NotAllowed(
            what, why=f"it takes {asked.timer.earliest_min:g} min; {wait} are left", possible=f"answer it from {text_of_time(opens.opens)}"
        )


# ---- answers ----------------------------------------------------------------------------------------


def check_answer(state: BatchState, prompt: PromptId, text: str, *, now: datetime | None = None) -> str:
    """The answer as it will be recorded, or a refusal: of a question that is not open, too early, or of what does not fit it."""
    asked = _open(state, prompt)
    if prompt in state.talk.given:
        by = state.talk.given[prompt].by
        raise NotAllowed(f"cannot answer {prompt} of {state.batch}", why=f"{by} has, and it waits for a witness", possible="witness it, or decline")
    _check_time(state, asked, now or state.at)
    return _checked(asked, text.strip(), state)


def answer(
    state: BatchState,
    prompt: PromptId,
    text: str,
    *,
    by: PersonId,
    entered: Entered = Entered.TYPED,
    scanned: str = "",
    now: datetime | None = None,
    signs: Signs | None = None,
) -> list[Payload]:
    """The fact of a person's answer. A number outside its limits is refused: the batch is held or ended instead."""
    said = PromptAnswered(state.batch, prompt, check_answer(state, prompt, text, now=now), by, entered, one_line(scanned))
    if needs_signature(state.asked[prompt]):
        said = replace(said, signature=_sign(answer_digest(said), signs, what=prompt))
    return [said]


def _open(state: BatchState, prompt: PromptId) -> PromptAsked:
    asked = question(state, prompt)
    waiting = [each.prompt for each in open_prompts(state)]
    if prompt not in waiting:
        why = "it is answered" if prompt in state.answers else f"its phase is over and the batch is {state.state}"
        raise NotAllowed(f"cannot answer {prompt} of {state.batch}", why=why, possible=", ".join(waiting) or "no question is open")
    return asked


def one_line(scanned: str) -> str:
    """What a scanner read; the separator between elements of a label is shown as people see it."""
    if len(scanned) > SCAN_MAX:
        raise NotValid("cannot take this scan", why=f"a label has at most {SCAN_MAX} characters")
    return "".join(each if each.isprintable() else "␝" if each == "\x1d" else " " for each in scanned.strip())


def _sign(digest: str, signs: Signs | None, *, what: str) -> Signature:
    if signs is None:
        raise NotValid(f"cannot take the answer to {what}", why="it is signed by who gives it", possible="give your id and password, or a passkey")
    return signs(digest)


def _checked(asked: PromptAsked, text: str, state: BatchState) -> str:
    what = f"cannot take {text[:40]!r} as the answer to {asked.prompt}"
    if not text or len(text) > ANSWER_MAX or not text.isprintable():
        raise NotValid(what, why=f"an answer is one line of 1 to {ANSWER_MAX} characters")
    if asked.kind in (Answer.TEXT, Answer.SCAN):
        return text
    if asked.kind is Answer.CHOICE:
        found = next((each for each in asked.how.choices if each.lower() == text.lower()), None)
        if found is None:
            raise NotValid(what, why="it is none of the choices", possible=", ".join(asked.how.choices))
        return found
    if asked.kind is Answer.CONFIRM:
        if text.lower() not in _YES:
            raise NotValid(what, why="it is to be confirmed", possible=f"yes; or {possible(state.state)}")
        return "confirmed"
    # What is a number as it stands is that number: of 21 in the unit 1, the last digit is no unit.
    plain = text if _NUMBER.fullmatch(text) or not asked.unit else text.removesuffix(asked.unit).strip()
    if not _NUMBER.fullmatch(plain):
        raise NotValid(what, why=f"it is not a number in {asked.unit or '1'}")
    number = float(plain)
    low, high = asked.low, asked.high
    if not (low if low is not None else -1e300) <= number <= (high if high is not None else 1e300):
        limits = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'} {asked.unit}".strip()
        raise NotValid(what, why=f"its limits are {limits}", possible=f"a number within them; or {possible(state.state)}")
    return repr(number).removesuffix(".0")  # every digit: what is recorded and signed is what was typed


# ---- the second person --------------------------------------------------------------------------------


def witness(state: BatchState, prompt: PromptId, *, by: PersonId, signs: Signs | None) -> list[Payload]:
    """A second person has seen that it is so, and signs for the same answer."""
    said = _given(state, prompt, by=by)
    digest = answer_digest(said)
    return [PromptWitnessed(state.batch, prompt, digest, by, _sign(digest, signs, what=prompt))]


def decline(state: BatchState, prompt: PromptId, *, by: PersonId, why: str) -> list[Payload]:
    """A second person did not find it so; the question is open again."""
    said = _given(state, prompt, by=by)
    return [WitnessDeclined(state.batch, prompt, answer_digest(said), _reason(why, f"decline {prompt}"), by)]


def _given(state: BatchState, prompt: PromptId, *, by: PersonId) -> Said:
    question(state, prompt)
    waiting = waiting_for_witness(state)
    if prompt not in waiting:
        raise NotAllowed(
            f"cannot witness {prompt} of {state.batch}", why="nothing waits there for a witness", possible=", ".join(waiting) or "none waits"
        )
    said = waiting[prompt]
    if said.by == by:
        raise NotAllowed(
            f"{by} cannot witness {prompt}", why=f"{by} did it: a second person verifies it ({WITNESS_CLAUSE})", possible="ask another person"
        )
    return said


# ---- putting right ------------------------------------------------------------------------------------


def correct(
    state: BatchState,
    prompt: PromptId,
    text: str,
    *,
    why: str,
    by: PersonId,
    signs: Signs | None,
    entered: Entered = Entered.TYPED,
    scanned: str = "",
) -> list[Payload]:
    """A new fact that names the old one, with the reason and the signer. What wanted a witness wants one again."""
    asked = question(state, prompt)
    what = f"cannot correct {prompt} of {state.batch}"
    if state.closed:
        raise NotAllowed(what, why="its record is closed", possible="quality adds to it by a deviation")
    if prompt not in state.talk.newest:
        raise NotAllowed(what, why="it has no answer in force", possible="answer it")
    if prompt in state.talk.given:
        raise NotAllowed(what, why="a correction of it waits for a witness", possible="witness it, or decline")
    old = state.talk.newest[prompt]
    if _is_entry(state, asked) and not is_current(state, prompt):
        raise NotAllowed(
            what, why="its phase is over, and the process ran with the value that was entered", possible="change the formula, or tell quality"
        )
    corrected = _checked(asked, text.strip(), state)
    if corrected == old.answer:
        raise NotValid(what, why=f"{corrected!r} is what it says already")
    reason = _reason(why, f"correct {prompt}")
    said = AnswerCorrected(state.batch, prompt, answer_digest(old), old.answer, corrected, reason, by, entered, one_line(scanned))
    return [replace(said, signature=_sign(answer_digest(said), signs, what=prompt))]


def withdraw(state: BatchState, prompt: PromptId, *, why: str, by: PersonId, signs: Signs | None) -> list[Payload]:
    """It was not done after all: the question is open again, while its phase runs. Takes no witness: it claims nothing."""
    question(state, prompt)
    what = f"cannot take back {prompt} of {state.batch}"
    if prompt not in state.talk.newest:
        raise NotAllowed(what, why="it has no answer in force", possible="decline it" if prompt in state.talk.given else "answer it")
    if prompt in state.talk.given:
        raise NotAllowed(what, why="a correction of it waits for a witness", possible="witness it, or decline")
    if not is_current(state, prompt):
        raise NotAllowed(what, why="its phase is over, and the process went on upon it", possible="tell quality: it takes a deviation")
    old = state.talk.newest[prompt]
    said = AnswerCorrected(state.batch, prompt, answer_digest(old), old.answer, WITHDRAWN, _reason(why, f"take back {prompt}"), by)
    return [replace(said, signature=_sign(answer_digest(said), signs, what=prompt))]


def is_current(state: BatchState, prompt: PromptId) -> bool:
    """Whether the phase that asked it runs."""
    active = state.active.get(state.asked[prompt].phase) if prompt in state.asked and state.state not in FINAL else None
    return active is not None and prompt.endswith(f"-{active.run}")


def _is_entry(state: BatchState, asked: PromptAsked) -> bool:
    """Whether its answer is the value of a parameter."""
    return parameter_of(state, asked) is not None


def parameter_of(state: BatchState, asked: PromptAsked) -> str | None:
    """The parameter whose value the question asks for; None where it asks for something else."""
    phase = state.phases.get(asked.phase)
    entries = phase.enter if phase is not None else ()
    return next((each.parameter for each in entries if prompt_id(state, asked.phase, ENTERED + each.parameter) == asked.prompt), None)


def _reason(why: str, what: str) -> str:
    reason = why.strip()
    if not reason or len(reason) > WHY_MAX or not reason.isprintable():
        raise NotValid(f"cannot {what}", why=f"it takes a reason, one line of 1 to {WHY_MAX} characters", possible="say why")
    return reason
