"""Questions to people, as a recipe document writes them under `ask:`.

    - prompt: medium_bag              its name; the answer's fact carries it
      text: Scan the medium bag.
      answer: scan                    confirm, number, text, choice or scan
      unit: "%"   low: 90   high: 100 of a number
      choices: [clear, cloudy]        of a choice
      expects: material               of a scan: material, assembly, sample, patient or line
      material: medium                of a scan: which of them
      picture: {file: bag.png, digest: 64 hex digits}
      witness: true                   a second person signs, too
      sign: true                      who answers signs
      competence: aseptic_connection  on the day of the answer, of whoever answers and of the witness
      timer: 10 min                   not before; or {earliest: 10 min, latest: 15 min, after: other_prompt}

Guarantees: what fits no kind of answer is complained of with its line; a picture is named by its
digest in the text that people sign, so they sign the picture, too.
Leaves to others: the picture's bytes (pictures), asking and judging answers (batches).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection

from isogenic.documents import Table, shown
from isogenic.recipes.model import Answer, Ask, Expects, Prompt, Timer

__all__ = ["CHOICES_MAX", "CHOICE_TEXT_MAX", "read_prompt"]

ENTERED = "in_"  # how the name of the question begins that asks for a parameter
CHOICES_MAX = 8  # targets of a gloved finger on one screen
CHOICE_TEXT_MAX = 40
TEXT_MAX = 300
_DIGEST = re.compile(r"[0-9a-f]{64}")
_NAME = re.compile(r"[a-z]([a-z0-9_]{0,28}[a-z0-9])?")
_COMPETENCE = re.compile(r"[a-z][a-z0-9_]{0,59}")


def read_prompt(table: Table, name: str, *, time: Callable[[Table, str, str | None], str], before: Collection[str] = ()) -> Prompt:
    """One question. `time(table, key, default)` reads a time or a parameter; `before` are the phase's prompts above this one."""
    answer = table.choice("answer", Answer)
    low = table.number("low", default=0.0) if table.has("low") else None
    high = table.number("high", default=0.0) if table.has("high") else None
    unit = table.unit("unit", default="") if table.has("unit") else ""
    if answer is not Answer.NUMBER and (low is not None or high is not None or unit):
        table.complain("answer", f"only a number has a unit and limits, not a {answer}")
    if low is not None and high is not None and high < low:
        table.complain("high", f"{high:g} is below {low:g}")
    text = table.text("text")
    if len(text) > TEXT_MAX:
        table.complain("text", f"{len(text)} characters are more than {TEXT_MAX}")
    how = Ask(
        choices=_choices(table, answer),
        expects=_expects(table, answer),
        material=_word(table, "material"),
        picture=_picture(table),
        sign=table.flag("sign", default=False),
        witness=table.flag("witness", default=False),
        competence=_word(table, "competence", form=_COMPETENCE),
    )
    if how.material and answer is not Answer.SCAN:
        table.complain("material", f"only a scan is of a material, not a {answer}")
    return Prompt(name, text, answer, unit, low, high, how, _timer(table, time, before))


def _word(table: Table, key: str, *, form: re.Pattern[str] | None = None) -> str:
    word = table.text(key, default="")
    if word and not (form or _NAME).fullmatch(word):
        table.complain(key, f"{shown(word)!r} is not a name: small letters, digits and _, at most 30")
    return word


def _choices(table: Table, answer: Answer) -> tuple[str, ...]:
    found = table.texts("choices", needed=answer is Answer.CHOICE)
    if answer is not Answer.CHOICE:
        if found:
            table.complain("choices", f"only a choice has choices, not a {answer}")
        return ()
    if not 2 <= len(found) <= CHOICES_MAX:
        table.complain("choices", f"{len(found)} choices; a screen shows 2 to {CHOICES_MAX}")
    if len({each.lower() for each in found}) != len(found):
        table.complain("choices", "one is given twice")
    for each in found:
        if len(each) > CHOICE_TEXT_MAX or not each.isprintable():
            table.complain("choices", f"{shown(each)!r} is not one line of at most {CHOICE_TEXT_MAX} characters")
    return found


def _expects(table: Table, answer: Answer) -> str:
    if answer is Answer.SCAN:
        return str(table.choice("expects", Expects))
    if table.has("expects"):
        table.text("expects")
        table.complain("expects", f"only a scan expects a label, not a {answer}")
    return ""


def _picture(table: Table) -> str:
    if not table.has("picture"):
        return ""
    inner = table.table("picture")
    inner.text("file", default="")  # for people: the recipe's folder has it under this name
    digest = inner.text("digest")
    if digest and not _DIGEST.fullmatch(digest):
        inner.complain("digest", "a picture is named by the SHA-256 of its file, 64 small hex digits")
    return digest


def _timer(table: Table, time: Callable[[Table, str, str | None], str], before: Collection[str]) -> Timer | None:
    if not table.has("timer"):
        return None
    if not table.is_table("timer"):
        return Timer(time(table, "timer", None), "")
    inner = table.table("timer")
    timer = Timer(time(inner, "earliest", ""), time(inner, "latest", ""), inner.text("after", default=""))
    if not timer.earliest and not timer.latest:
        table.complain("timer", "it says neither earliest nor latest")
    if timer.after and timer.after not in before:
        inner.complain("after", f"{shown(timer.after)!r} is no question of this phase that stands before; known are {', '.join(before) or 'none'}")
    return timer
