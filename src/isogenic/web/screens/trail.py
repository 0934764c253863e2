"""The audit trail: who changed what, from what to what, when, where and why; and its review."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from isogenic.authority.people import Person
from isogenic.web.messages import TrailReviewPage
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import empty, head, mark, pairs, panel, second
from isogenic.web.screens.signing import manifestation, signature_dialog, signed_line
from isogenic.web.screens.words import plain_words
from isogenic.web.trail import TrailAnswer, TrailRow

__all__ = ["trail_screen"]

FIELDS = (
    ("who", "Who", "a person or a node"),
    ("batch", "Batch", "BAT-…"),
    ("thing", "Thing", "a lot, a person, a recipe, …"),
    ("field", "What of it", "state, set-point, …"),
    ("old", "Old value", ""),
    ("new", "New value", ""),
    ("why", "Why", ""),
    ("since", "From, UTC", "2026-11-23T00:00:00Z"),
    ("until", "Before, UTC", "2026-11-24T00:00:00Z"),
    ("text", "Anywhere", "a word"),
)
SHOWN = 70  # characters of a key or a digest


def trail_screen(
    answer: TrailAnswer,
    *,
    asked: Mapping[str, str],
    kinds: Sequence[str],
    ledgers: Sequence[str],
    review: TrailReviewPage | None,
    why_no_review: str,
    person: Person,
    role: str,
    may_review: bool,
    now: str,
    first: bool,
    back: tuple[str, str] | None = None,
) -> Markup:
    """The page. `review`: of the batch that is asked for, where there is one to review. `back`: where to go from here; default: the batch."""
    query = {key: value for key, value in asked.items() if value and key != "after"}
    further = h("a.button.second", "Older lines", href="/trail?" + urlencode({**query, "after": answer.next})) if answer.next else None
    newest = h("a.button.second", "Newest lines", href="/trail?" + urlencode(query)) if asked.get("after") else None
    exports = [h("a.button.second", f"Export as {form.upper()}", href=f"/api/trail.{form}?" + urlencode(query)) for form in ("csv", "json")]
    batch = asked.get("batch", "")
    return join(
        head(
            "Audit trail",
            sub=f"Of {batch}." if batch else "Every change, as the ledgers tell it. Nothing here can be changed or left out.",
            trail=[back] if back else [(f"/batches/{batch}", batch)] if batch else (),
        ),
        h(
            "div.stack",
            h("section.panel", h("div.in", _search(asked, kinds, ledgers))),
            _review(batch, review, why_no_review, person=person, role=role, may_review=may_review, now=now, first=first) if batch else None,
            panel("Changes", _lines(answer.lines), aside="newest first, times in UTC"),
            h("div.buttons", newest, further, *exports),
        ),
    )


def _search(asked: Mapping[str, str], kinds: Sequence[str], ledgers: Sequence[str]) -> Markup:
    def choose(name: str, words: str, everything: str, values: Sequence[str]) -> Markup:
        options = [h("option", everything, value=""), *(h("option", _words(each), value=each, selected=each == asked.get(name)) for each in values)]
        return h("label.field", h("span", words), h("select", *options, name=name))

    def fields(names: Sequence[tuple[str, str, str]]) -> list[Markup]:
        return [
            h(
                "label.field",
                h("span", words),
                h("input", type="search", name=name, value=asked.get(name, ""), placeholder=hint, maxlength="200"),
            )
            for name, words, hint in names
        ]

    only = h(
        "label.tick", h("input", type="checkbox", name="changes", value="true", checked=asked.get("changes") == "true"), "only what changed a value"
    )
    return h(
        "form.trail-search",
        *fields(FIELDS[:2]),
        choose("what", "Act", "everything", kinds),
        *fields(FIELDS[2:]),
        choose("ledger", "Where", "all ledgers", ledgers),
        only,
        h("button", "Search", type="submit"),
        method="get",
        action="/trail",
        role="search",
    )


def _words(kind: str) -> str:
    room, dot, what = kind.partition(".")
    return f"{room}: {what.replace('_', ' ')}" if dot and "/" not in kind else kind


def _lines(rows: Sequence[TrailRow]) -> Markup:
    if not rows:
        return empty("Nothing matches.")
    columns = h("tr", *(h("th", name) for name in ("When", "Who", "What", "Old", "New", "Why", "Where")))
    return h("div.scroll", h("table.list.close.trail", h("thead", columns), h("tbody", *(_line(each) for each in rows))))


def _line(row: TrailRow) -> Markup:
    when = join(second(row.at), "" if row.clock in ("good", "simulated") else h("span.under", f"clock {row.clock}"))
    who = h("span", row.who, h("span.under", row.role.replace("_", " "))) if row.role != "node" else h("span", row.who, h("span.under", "by itself"))
    what = h("span", h("span.main", f"{row.thing}: {plain_words(row.field)}" if row.field else row.thing), h("span.under", _words(row.what)))
    if row.signed is not None:
        what = join(what, signed_line(printed_name=row.signed.printed_name, at=row.signed.at, meaning=row.signed.meaning))
    where = h(
        "span",
        f"{row.ledger.partition('/')[2] or row.ledger} #{row.position}",
        h("span.under", row.stage) if row.stage else None,
        title=f"{row.ledger}#{row.position}",
    )
    cells: list[Child] = [when, who, what, _value(row.old), _value(row.new), _value(row.why), where]
    return h("tr", *(h("td", cell) for cell in cells))


def _value(text: str) -> Child:
    if not text:
        return "–"
    return h("span", text if len(text) <= SHOWN else text[:SHOWN] + "…", title=text if len(text) > SHOWN else None)


def _review(
    batch: str, review: TrailReviewPage | None, why_not: str, *, person: Person, role: str, may_review: bool, now: str, first: bool
) -> Markup:
    if review is None:
        return panel("Review", empty(why_not))
    done = [
        h(
            "div",
            manifestation(
                printed_name=each.printed_name, role=each.role, at=each.at, meaning=f"{each.meaning} facts 0 to {each.stop - 1}", method=each.method
            ),
            h("p", each.remark, style="margin-top:8px") if each.remark else None,
        )
        for each in review.reviews
    ]
    whole = any(each.stop >= review.stop for each in review.reviews)
    state = mark("good", "reviewed") if whole else mark("warn", "not reviewed" if not done else "reviewed in part")
    about: list[tuple[str, Child]] = [
        ("Ledger", review.ledger),
        ("Facts", f"0 to {review.stop - 1}, root {review.root[:16]}…"),
        ("Lines", f"{review.lines}, SHA-256 {review.digest[:24]}…"),
    ]
    act = h("button", "Sign the review …", type="button", data_open="#review") if may_review and not whole else None
    dialog = signature_dialog(
        person,
        role=role,
        title=f"Review of the audit trail of {batch}",
        meaning=("reviewed", "I have reviewed every line of this audit trail, and every change has a reason that I accept or remark on here"),
        now=now,
        post=f"/api/batches/{batch}/trail/review",
        button="Sign the review",
        hidden=[("digest", review.digest)],
        about=about,
        id_="review",
        field=h("label.field", h("span", "Remark"), h("textarea", name="remark", maxlength="500", placeholder="What was found, or nothing")),
        first=first,
    )
    content = h("div.grid.cols-2", h("div.stack", *done) if done else empty("Nobody has reviewed it yet."), h("div", pairs(*about)))
    return join(panel("Review", content, h("div.buttons", act, style="margin-top:12px") if act else None, aside=state), dialog if act else None)
