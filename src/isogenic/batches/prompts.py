"""Questions to people: which are open, and what counts as an answer.

Guarantees: an answer is noted only to a question that is open, within its limits; a refusal
changes nothing.
Leaves to others: when a question is asked (engine), who may answer (authority).
"""

from __future__ import annotations

from isogenic.batches.facts import PromptAnswered, PromptAsked
from isogenic.batches.state import BatchState
from isogenic.batches.states import FINAL, possible
from isogenic.errors import NotAllowed, NotFound, NotValid
from isogenic.ids import PersonId, PromptId
from isogenic.recipes.model import Answer
from isogenic.records.facts import Payload

__all__ = ["answer", "open_prompts", "prompt_id"]

ANSWER_MAX = 200  # characters
_YES = frozenset({"yes", "y", "ok", "confirm", "confirmed", "true"})


def prompt_id(state: BatchState, name: str) -> PromptId:
    """The id of a question of the current phase, in this run of it."""
    phase = state.control.phases[state.phase].name
    return PromptId(f"{name.upper().replace('_', '-').strip('-')}-{state.runs.get(phase, 1)}")


def open_prompts(state: BatchState) -> tuple[PromptAsked, ...]:
    """The questions that wait for an answer, oldest first."""
    if state.state in FINAL or state.current is None:
        return ()
    return tuple(asked for prompt, asked in state.asked.items() if prompt not in state.answers and asked.phase == state.current.name)


def answer(state: BatchState, prompt: PromptId, text: str, *, by: PersonId) -> list[Payload]:
    """The fact of a person's answer. A number outside its limits is refused: the batch is held or ended instead."""
    waiting = {asked.prompt: asked for asked in open_prompts(state)}
    batch = state.control.batch
    if prompt not in state.asked:
        raise NotFound(f"no question {prompt} in {batch}", why="it was not asked", possible=", ".join(waiting) or "no question is open")
    if prompt not in waiting:
        why = "it is answered" if prompt in state.answers else f"its phase is over and the batch is {state.state}"
        raise NotAllowed(f"cannot answer {prompt} of {batch}", why=why, possible=", ".join(waiting) or "no question is open")
    return [PromptAnswered(batch, prompt, _checked(waiting[prompt], text.strip(), state), by)]


def _checked(asked: PromptAsked, text: str, state: BatchState) -> str:
    what = f"cannot take {text[:40]!r} as the answer to {asked.prompt}"
    if not text or len(text) > ANSWER_MAX or not text.isprintable():
        raise NotValid(what, why=f"an answer is one line of 1 to {ANSWER_MAX} characters")
    if asked.kind is Answer.TEXT:
        return text
    if asked.kind is Answer.CONFIRM:
        if text.lower() not in _YES:
            raise NotValid(what, why="it is to be confirmed", possible=f"yes; or {possible(state.state)}")
        return "confirmed"
    try:
        number = float(text.removesuffix(asked.unit).strip() if asked.unit else text)
    except ValueError:
        raise NotValid(what, why=f"it is not a number in {asked.unit or '1'}") from None
    low, high = asked.low, asked.high
    if not (low if low is not None else -1e300) <= number <= (high if high is not None else 1e300):
        limits = f"{'' if low is None else f'{low:g}'} to {'' if high is None else f'{high:g}'} {asked.unit}".strip()
        raise NotValid(what, why=f"its limits are {limits}", possible=f"a number within them; or {possible(state.state)}")
    return f"{number:g}"
