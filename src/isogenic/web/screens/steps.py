"""One task at a time, for a gloved finger and a scanner: what is asked, its picture, its limits, its time, one way to answer.

Guarantees: what is pressed is at least 56 px high; the scan field comes first and typing is the second
way; what was refused stands beside the field, in words; a signature says whose, over what, meaning what,
before it is made (21 CFR 11.50); nothing needs the link to the control site.
Leaves to others: answering (steps.js calls web.steps), what is due (batches).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.authority.people import Person
from isogenic.web.messages import Asked, PhaseLine
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, day_second, day_time, mark, record_links, strip
from isogenic.web.screens.step_dialogs import command_dialog, correct_dialog, decline_dialog, formula_dialog, hand_over_dialog, sign_dialog
from isogenic.web.screens.words import plain_words

__all__ = ["Work", "choice_words", "choose_task", "limits_of", "site_words", "start_screen", "work_page", "work_part"]

DONE_SHOWN = 8  # newest answers
EXPECTED = {
    "material": "Scan the label of the material",
    "assembly": "Scan the label of the part",
    "sample": "Scan the label of the sample",
    "patient": "Scan the patient's code",
    "line": "Scan the label of the unit",
}
KEYS = ("7", "8", "9", "4", "5", "6", "1", "2", "3", "−", "0", ".")


@dataclass(frozen=True, slots=True)
class Work:
    """What one tablet shows of one unit."""

    unit: str
    title: str
    batch: str = ""
    lot: str = ""
    product: str = ""
    state: str = "free"
    phases: Sequence[PhaseLine] = ()
    tasks: Sequence[Asked] = ()
    done: Sequence[Asked] = ()
    possible: Sequence[str] = ()
    printed: dict[str, str] | None = None  # names of people by id
    pictures_here: frozenset[str] = frozenset()
    link_up: bool = True
    alarms: Sequence[str] = ()
    may_answer: bool = True
    may_tell: str = ""  # mode, step: which of them this person may
    samples: Sequence[str] = ()  # sampling points that running phases have reached
    reached: Sequence[tuple[str, str]] = ()  # transitions that wait for a person, and why
    person: str = ""  # printed name of who is signed in
    others: Sequence[tuple[str, int]] = ()  # other units, and how many tasks wait there

    def name(self, person: str | None) -> str:
        """A person's printed name."""
        return (self.printed or {}).get(person or "", person or "")


def choose_task(tasks: Sequence[Asked], wanted: str, now: str) -> Asked | None:
    """The one that is shown: the wanted one, or the first that can be done now, or the first that can be done soon."""
    chosen = next((each for each in tasks if each.prompt == wanted), None)
    able = (each for each in tasks if not each.after and (each.opens_at is None or each.opens_at <= now))
    timed = sorted((each for each in tasks if each.opens_at), key=lambda each: each.opens_at or "")
    return chosen or next(able, None) or next(iter(timed), None) or next(iter(tasks), None)


# ---- the page ---------------------------------------------------------------------------------------


def work_page(work: Work, person: Person, *, now: str, task: str) -> Markup:
    """The whole page; `part` is asked for again and again."""
    return h(
        "main.work",
        h("div.away", mark("stop", "The site does not answer."), " What you have typed stays here. Trying again …", role="alert", hidden=True),
        h("div.refusal.stray", role="alert"),
        h("iso-work", work_part(work, task=task, now=now), src=f"/units/{work.unit}/part", data_now=now, data_me=person.id, data_task=task or None),
        sign_dialog(),
        decline_dialog(),
        correct_dialog(),
        command_dialog(work.batch),
        formula_dialog(),
        hand_over_dialog(),
    )


def work_part(work: Work, *, task: str, now: str) -> Markup:
    """What changes."""
    chosen = choose_task(work.tasks, task, now)
    return join(
        _top(work),
        [h("div.notice.stop", mark("stop", each), role="alert") for each in work.alarms],
        h("div.notice.stands", mark("warn", f"The batch is {work.state}.")) if work.batch and work.state not in ("running", "complete") else None,
        [h("div.notice.sample", mark("warn", f"Take a sample: {each}")) for each in work.samples],
        [
            h("button.row.second", h("b", _goes_on(work, place, why)), h("span", "let it go on …"), type="button", data_dialog="#commands")
            for place, why in work.reached
        ],
        _card(work, chosen, now) if chosen else _nothing(work),
        _waiting(work, chosen),
        _done(work),
    )


def _goes_on(work: Work, place: str, why: str) -> str:
    title = next((each.title for each in work.phases if each.phase == place), place.replace("_", " "))
    return f"Waits for you: {title}, {why}"


def _top(work: Work) -> Markup:
    link = None if work.link_up else mark("silent", "no link; the work here goes on")
    of = [each for each in (work.batch, work.product) if each]
    running = next((each for each in work.phases if each.state == "running"), None)
    return join(
        h(
            "header.bar",
            h("div.where", h("h1", work.unit), h("p", ", ".join(of) if of else "free")),
            h(
                "div.buttons",
                h("button.second", "Batch", type="button", data_dialog="#commands", data_may=work.may_tell) if work.batch else None,
                h("a.button.second", "Tasks", href="/"),
                h(
                    "button.second",
                    h("span", work.person, h("small", "hand over")),
                    type="button",
                    data_hand_over=True,
                    title="Sign out, and let the next person sign in",
                ),
            ),
        ),
        h("p.link", link) if link else None,
        h("div.progress", strip(work.phases, small=True), h("span", running.title if running else work.state)) if work.phases else None,
    )


UNITS = {"degC": "°C", "1e6 cell/mL": "10⁶ cells/mL", "1": ""}


def _unit(unit: str) -> str:
    return UNITS.get(unit, unit)


def _shown(asked: Asked, answer: str | None) -> str:
    """An answer as people read it."""
    if asked.kind == "confirm":
        return "Done"
    if asked.kind == "choice":
        return choice_words(asked).get(answer or "", answer or "")
    return f"{answer} {_unit(asked.measured_in)}".strip()


def site_words(text: str) -> tuple[str, str]:
    """A question in the site's words, and the approved text where that is another."""
    approved, _, here = text.partition(" | ")
    here = here.partition(" | ")[0]
    return (here, approved) if here else (approved, "")


def choice_words(asked: Asked) -> dict[str, str]:
    """Each choice in the site's words, where the site has some; what is recorded is the recipe's."""
    worded = asked.text.split(" | ")[2:]
    here = worded[0].split(" / ") if worded else []
    return dict(zip(asked.choices, here, strict=True)) if len(here) == len(asked.choices) else {each: each for each in asked.choices}


def _card(work: Work, asked: Asked, now: str) -> Markup:
    words, approved = site_words(asked.text)
    return h(
        "section.card",
        h("p.count", _count(work, asked), h("span", f"takes: {asked.competence.replace('_', ' ')}", class_="tag") if asked.competence else None),
        h("h2.ask", words, h("small", approved) if approved else None),
        _picture(work, asked),
        _trouble(asked),
        _way(work, asked, now) if work.may_answer or asked.given else h("p.wait", "It waits for an operator of this site."),
        data_task=f"{asked.batch}/{asked.prompt}",
        data_kind=asked.kind,
        data_signed="true" if asked.signed else None,
        data_words=words,
        data_path=f"/api/batches/{asked.batch}/prompts/{asked.prompt}",
        data_unit=_unit(asked.measured_in),
    )


def _count(work: Work, asked: Asked) -> str:
    mine = [each for each in (*work.done, *work.tasks) if each.phase == asked.phase]
    at = next((place for place, each in enumerate(sorted(mine, key=lambda each: each.place), 1) if each.prompt == asked.prompt), 1)
    title = next((each.title for each in work.phases if each.phase == asked.phase), asked.phase)
    return f"{title}: {at} of {len(mine)}"


def _picture(work: Work, asked: Asked) -> Markup | None:
    if not asked.picture:
        return None
    if asked.picture not in work.pictures_here:
        return h("p.wait", mark("warn", "The picture has not arrived at this site yet."))
    return h("img.picture", src=f"/pictures/{asked.picture}", alt=site_words(asked.text)[0])


def _trouble(asked: Asked) -> Markup | None:
    said = []
    if asked.refused:
        said.append(h("p", mark("stop", "This label was refused"), *(h("span", f"{why[:1].upper()}{why[1:]}.") for why in asked.refused)))
    if asked.declined:
        said.append(h("p", mark("warn", "The second person did not find it so"), h("span", asked.declined)))
    return h("div.trouble", *said, role="alert") if said else None


# ---- the ways to answer -----------------------------------------------------------------------------


def _way(work: Work, asked: Asked, now: str) -> Markup:
    if asked.given:
        return _witness(work, asked)
    if asked.after:
        return h("p.wait", mark("quiet", "First the step before: it starts the time of this one."))
    ways = {"confirm": _confirm, "choice": _choices, "number": _number, "text": _text, "scan": _scan}
    way = ways[asked.kind](asked)
    if asked.opens_at and asked.opens_at > now:
        return _timer(asked, opens=True)
    return join(_timer(asked, opens=False) if asked.closes_at else None, h("div.refusal", role="alert"), way, _signs(asked))


def _signs(asked: Asked) -> Markup | None:
    if asked.witness:
        return h("p.note", "You sign, then a second person checks and signs.")
    return h("p.note", "You sign.") if asked.signed else None


def _timer(asked: Asked, *, opens: bool) -> Markup:
    until = asked.opens_at if opens else asked.closes_at
    words = "Wait. It can be answered in" if opens else "Time left for the answer"
    return h("div.timer" + (".wait" if opens else ""), h("span", words), h("b", "…", data_until=until), h("span.at", "at ", day_second(until)))


def _confirm(asked: Asked) -> Markup:
    return h("div.way", h("button.big", "Done", type="button", data_answer="yes", data_entered="chosen"))


def _choices(asked: Asked) -> Markup:
    return h(
        "div.way.choices",
        *(h("button.big.second", here, type="button", data_answer=each, data_entered="chosen") for each, here in choice_words(asked).items()),
    )


def limits_of(asked: Asked) -> str:
    """The limits of a number, in words; empty where it has none."""
    low, high = ("" if each is None else f"{each:g}" for each in (asked.low, asked.high))
    if not low and not high:
        return ""
    return (f"{low} to {high}" if low and high else f"at least {low}" if low else f"at most {high}") + f" {_unit(asked.measured_in)}".rstrip()


def _number(asked: Asked) -> Markup:
    unit = _unit(asked.measured_in)
    field = h(
        "input",
        type="text",
        name="answer",
        inputmode="none",
        autocomplete="off",
        maxlength="20",
        data_number=True,
        aria_label=site_words(asked.text)[0],
    )
    limits = limits_of(asked)
    pad = [h("button.key.second", each, type="button", data_key=each) for each in KEYS]
    return h(
        "form.way.number",
        h("div.field", field, h("span.unit", unit) if unit else None),
        h("p.limits", "Limits ", h("b", limits)) if limits else None,
        h(
            "div.pad",
            *pad,
            h("button.key.second", "⌫", type="button", data_key="back", aria_label="delete"),
            h("button.key.send", "Record", type="submit"),
        ),
    )


def _text(asked: Asked) -> Markup:
    field = h("input", type="text", name="answer", autocomplete="off", maxlength="200", data_scan="text", aria_label=site_words(asked.text)[0])
    return h("form.way.scan", h("div.field", field), h("button.big", "Record", type="submit"), h("p.note", "Scan it or type it."))


def _scan(asked: Asked) -> Markup:
    field = h(
        "input",
        type="text",
        name="answer",
        inputmode="none",
        autocomplete="off",
        spellcheck="false",
        maxlength="400",
        data_scan="label",
        placeholder="Ready for the scanner",
        aria_label=EXPECTED.get(asked.expects, "Scan the label"),
    )
    return h(
        "form.way.scan",
        h("p.expects", EXPECTED.get(asked.expects, "Scan the label")),
        h("div.field", field),
        h(
            "div.buttons",
            h("button.big.second", "Type it instead", type="button", data_type_instead=True),
            h("button.big.typed", "Record", type="submit"),
        ),
    )


def _witness(work: Work, asked: Asked) -> Markup:
    return h(
        "div.way.second-person",
        h("p.given", h("b", _shown(asked, asked.given)), f"by {work.name(asked.given_by)}"),
        h("p.note", "A second person looks at the thing itself, then signs."),
        h("div.refusal", role="alert"),
        h(
            "div.buttons",
            h("button.big", "It is so: sign", type="button", data_witness=_shown(asked, asked.given)),
            h("button.big.second", "It is not so", type="button", data_decline=True),
        ),
    )


def _nothing(work: Work) -> Markup:
    if not work.batch:
        start = h("a.button.big", "Start a batch", href=f"/start?unit={work.unit}")
        return h("section.card.calm", h("h2.ask", f"{work.unit} is free"), start if work.may_answer else None)
    running = next((each for each in work.phases if each.state == "running"), None)
    following = next((each for each in work.phases if each.state == "planned"), None)
    return h(
        "section.card.calm",
        h("h2.ask", "Nothing to do" if not work.reached else "The next step waits for you"),
        h("p", f"{running.title}, since ", day_time(running.started_at)) if running else None,
        h("p.note", f"Next: {following.title}") if following else None,
        h("p.note", "Batch record so far: ", record_links(work.batch)),
    )


def _waiting(work: Work, chosen: Asked | None) -> Markup | None:
    rest = [each for each in work.tasks if chosen is None or each.prompt != chosen.prompt]
    rows = [
        h(
            "button.row.second",
            h("b", site_words(each.text)[0]),
            h("span", _how_it_stands(each)),
            type="button",
            data_pick=each.prompt,
            data_scannable="true" if each.kind == "scan" and not each.given and not each.after else None,
        )
        for each in rest
    ]
    rows += [
        h("a.row.button.second", h("b", unit), h("span", count_of(waiting, "task")), href=f"/units/{unit}")
        for unit, waiting in work.others
        if waiting
    ]
    return h("section.rest", h("h3", "Also waiting"), *rows) if rows else None


def _how_it_stands(asked: Asked) -> Child:
    if asked.given:
        return "waits for a second person"
    if asked.after:
        return "after the step before"
    if asked.opens_at:
        return h("span", "in ", h("b", "…", data_until=asked.opens_at))
    return ""


def _done(work: Work) -> Markup | None:
    if not work.done:
        return None
    rows = []
    for each in list(reversed(work.done))[:DONE_SHOWN]:
        words = site_words(each.text)[0]
        second = f", witnessed by {work.name(each.witnessed_by)}" if each.witnessed_by else ""
        put_right = f", corrected {each.corrections} ×" if each.corrections else ""
        rows.append(
            h(
                "div.row.done",
                h(
                    "div",
                    h("b", _shown(each, each.answer)),
                    h("span", words),
                    h("small", f"{work.name(each.answered_by)}, ", day_time(each.answered_at), f", {each.entered}{second}{put_right}"),
                ),
                h(
                    "button.second",
                    "Correct",
                    type="button",
                    data_correct=f"/api/batches/{each.batch}/prompts/{each.prompt}/correction",
                    data_words=words,
                    data_was=_shown(each, each.answer),
                    data_kind=each.kind,
                    data_current="true" if each.current else None,
                    data_choices="\n".join(each.choices),
                )
                if work.may_answer and (each.kind != "confirm" or each.current)
                else None,
            )
        )
    return h("section.rest", h("h3", "Done"), *rows)


# ---- starting a batch ---------------------------------------------------------------------------------


def start_screen(*, recipes: Sequence[tuple[str, int, str]], units: Sequence[tuple[str, str, str]], unit: str, may_start: bool) -> Markup:
    """Recipe, unit and lot; every note of the gate at once, before and after. `units`: id, title, what is on it."""
    if not may_start:
        return h("section.card.calm", h("h2.ask", "Starting a batch takes an operator of this site"), h("a.button.big", "Tasks", href="/"))
    return h(
        "form.start",
        h("div.bar", h("h1", "Start a batch"), h("a.button.second", unit or "Tasks", href=f"/units/{unit}" if unit else "/")),
        h(
            "fieldset",
            h("legend", "Recipe"),
            *(
                _pick("recipe", f"{recipe}/{version}", f"{recipe} version {version}", title, on=at == 0)
                for at, (recipe, version, title) in enumerate(recipes)
            ),
        )
        if recipes
        else h("p.wait", "No recipe has been accepted at this site yet."),
        h(
            "fieldset",
            h("legend", "Unit"),
            *(
                _pick("unit", name, name, f"{plain_words(title)}, {on or 'free'}", on=name == unit or (not unit and at == 0))
                for at, (name, title, on) in enumerate(units)
            ),
        ),
        h(
            "label.field",
            h("span", "Lot number of what it yields"),
            h(
                "input",
                type="text",
                name="lot",
                required=True,
                maxlength="40",
                autocomplete="off",
                autocapitalize="characters",
                placeholder="LOT-…",
                data_scan="text",
            ),
        ),
        h(
            "label.field",
            h("span", "Patient's code, where the lot is made for one patient: scan it"),
            h("input", type="text", name="patient", maxlength="40", autocomplete="off", autocapitalize="characters"),
        ),
        h("div.refusal", role="alert"),
        h("div.gate", role="status"),
        h("div.buttons", h("button.big", "Start", type="submit"), h("button.big.second", "Look first", type="button", data_look=True)),
    )


def _pick(name: str, value: str, title: str, words: str, *, on: bool) -> Markup:
    return h("label.choice.tall", h("input", type="radio", name=name, value=value, required=True, checked=on), h("span", h("b", title), words))
