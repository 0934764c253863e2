"""Simulated people who answer a site's questions late, wrongly or not before the morning, over its HTTP interface.

Guarantees: when somebody answers, and which of their tries are wrong, depends on the seed, the person, the batch and the
question alone. Nobody answers before the time that the site allows; who is refused tries again, and says the right
thing after `TRIES_WRONG_MAX` wrong ones. What the site said to every try is kept (`Told`).
Leaves to others: signing in (the client that is given is a session), what is right (`knows`), the site's clock.

    shift = Shift(Person("LEA", Habits(wrong=0.05)), seed=7, knows=answers.get)
    await shift.turn(client, now)          # as often as wanted: answers what is due by now

Response times are log-normal, shares of wrong entries and scans **illustrative**.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from isogenic.errors import NotValid
from isogenic.sim.streams import Stream

__all__ = ["Habits", "Person", "Shift", "Told", "due", "goes_wrong"]

TRIES_WRONG_MAX = 3
AGAIN_MIN = 2.0  # after a refusal
PROMPTS_MAX = 1000  # of one turn


@dataclass(frozen=True, slots=True)
class Habits:
    """How somebody works."""

    median_min: float = 4.0
    spread: float = 2.0  # geometric standard deviation
    wrong: float = 0.02  # share of typed and chosen answers
    wrong_scan: float = 0.03
    absent: tuple[int, int] | None = (22, 6)  # hours of the day in which nobody comes; None: there is a night shift

    def __post_init__(self) -> None:
        hours = self.absent or (0, 1)
        shares = all(0.0 <= each <= 1.0 for each in (self.wrong, self.wrong_scan))
        if not (self.median_min > 0.0 and self.spread >= 1.0 and shares and all(0 <= each <= 23 for each in hours) and hours[0] != hours[1]):
            raise NotValid("nobody works like that", why="times are positive, shares lie between 0 and 1, hours between 0 and 23")


@dataclass(frozen=True, slots=True)
class Person:
    """Who answers; `signature` is what a signature takes (person, password), where a question is signed."""

    name: str
    habits: Habits = Habits()
    signature: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Told:
    """One try, and what the site said."""

    at: datetime
    batch: str
    prompt: str
    answer: str
    wrong: bool
    status: int
    why: str


class Client(Protocol):
    """A signed-in session, as of httpx."""

    async def get(self, url: str) -> Any: ...
    async def post(self, url: str, *, json: Any) -> Any: ...


def due(person: Person, asked: Mapping[str, Any], *, seed: int) -> datetime:
    """When this person gets round to a question."""
    since = max(datetime.fromisoformat(str(each)) for each in (asked["asked_at"], asked.get("opens_at")) if each)
    habits, dice = person.habits, Stream(seed, "response", person.name, asked["batch"], asked["prompt"])
    at = since + timedelta(minutes=habits.median_min * math.exp(math.log(habits.spread) * dice.normal(0)))
    if habits.absent is None:
        return at
    leaves, comes = habits.absent
    away = leaves <= at.hour or at.hour < comes if leaves > comes else leaves <= at.hour < comes
    if not away:
        return at
    morning = at.replace(hour=comes, minute=0, second=0, microsecond=0)
    morning += timedelta(days=1) if morning <= at else timedelta(0)
    return morning + timedelta(minutes=habits.median_min * math.exp(math.log(habits.spread) * dice.normal(1)))


def goes_wrong(person: Person, asked: Mapping[str, Any], *, seed: int, tried: int) -> bool:
    """Whether the try after so many others is a wrong one."""
    share = person.habits.wrong_scan if asked["kind"] == "scan" else person.habits.wrong
    draw = Stream(seed, "mistake", person.name, asked["batch"], asked["prompt"]).normal(tried)
    return tried < TRIES_WRONG_MAX and 0.5 * math.erfc(-draw / math.sqrt(2.0)) < share


def _mistaken(asked: Mapping[str, Any], right: str, other_label: str) -> str:
    """A slip of the usual kind: a decimal point, a wrong label, a name that is not on the list."""
    if asked["kind"] == "scan":
        return other_label or right[:-1] + ("0" if not right.endswith("0") else "1")
    if asked["kind"] != "number":
        return "no idea"
    high, low = asked.get("high"), asked.get("low")
    if high is not None:
        return f"{10.0 * abs(float(high)) + 1.0:g}"
    return f"{-10.0 * abs(float(low)) - 1.0:g}" if low is not None else "1,0,0"


@dataclass(slots=True)
class Shift:
    """One person at one site."""

    person: Person
    seed: int
    knows: Callable[[str], str | None]  # the right answer to a question; None: somebody else's business
    other_label: str = ""  # what is scanned by mistake
    told: list[Told] = field(default_factory=list)
    _tries: dict[tuple[str, str], int] = field(default_factory=dict)
    _again: dict[tuple[str, str], datetime] = field(default_factory=dict)

    async def turn(self, client: Client, now: datetime) -> list[Told]:
        """Answer what is due by now; what was said in this turn."""
        answer = await client.get("/api/prompts")
        if answer.status_code != 200:
            return []  # the site is down, or has signed everybody out; the questions wait
        said = [told for asked in answer.json()[:PROMPTS_MAX] if (told := await self._one(client, asked, now)) is not None]
        self.told += said
        return said

    async def _one(self, client: Client, asked: Mapping[str, Any], now: datetime) -> Told | None:
        right, key = self.knows(asked["prompt"]), (asked["batch"], asked["prompt"])
        if right is None or asked.get("after"):
            return None
        if asked.get("given") is not None:
            return await self._witness(client, asked, now)
        if now < max(due(self.person, asked, seed=self.seed), self._again.get(key, now)):
            return None
        tried = self._tries.get(key, 0)
        wrong = goes_wrong(self.person, asked, seed=self.seed, tried=tried)
        words = _mistaken(asked, right, self.other_label) if wrong else right
        entered = {"scan": "scanned", "choice": "chosen"}.get(asked["kind"], "typed")
        body = {"answer": words, "entered": entered}
        if asked.get("signed"):
            body |= {**self.person.signature, "meaning": "performed"}
        self._tries[key], self._again[key] = tried + 1, now + timedelta(minutes=AGAIN_MIN)
        return await self._post(client, asked, now, "", body, words, wrong=wrong)

    async def _witness(self, client: Client, asked: Mapping[str, Any], now: datetime) -> Told | None:
        key = (asked["batch"], asked["prompt"])
        if asked["given_by"] == self.person.name or not self.person.signature or now < self._again.get(key, now):
            return None
        self._again[key] = now + timedelta(minutes=AGAIN_MIN)
        return await self._post(client, asked, now, "/witness", {**self.person.signature, "meaning": "witnessed"}, str(asked["given"]), wrong=False)

    async def _post(
        self, client: Client, asked: Mapping[str, Any], now: datetime, verb: str, body: Mapping[str, Any], words: str, *, wrong: bool
    ) -> Told:
        answer = await client.post(f"/api/batches/{asked['batch']}/prompts/{asked['prompt']}{verb}", json=dict(body))
        problem = answer.json() if answer.status_code >= 400 else {}
        why = str(problem.get("why") or problem.get("title") or "") if isinstance(problem, dict) else ""
        return Told(now, asked["batch"], asked["prompt"], words, wrong, answer.status_code, why)
