"""The record explorer: facts, newest first, each with how far it has come."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from isogenic.web.messages import FactLine, FactsPage
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import empty, head, mark, panel, second

__all__ = ["records_screen"]

STAGES = ("noted", "sent", "witnessed", "archived")
VALUE_MAX = 600  # characters of one value on the page; the API gives the rest
DEPTH_MAX = 3


def records_screen(page: FactsPage, *, asked: Mapping[str, str], ledgers: Sequence[str], kinds: Mapping[str, int], total: int) -> Markup:
    """The page."""
    rows = [_fact(each) for each in page.facts]
    columns = h("div.fact-head", *(h("span", name) for name in ("When", "What", "About", "By", "Ledger and position", "Stage")))
    query = {key: value for key, value in asked.items() if value and key != "after"}
    further = h("a.button.second", "Older facts", href="/records?" + urlencode({**query, "after": page.next})) if page.next else None
    first = h("a.button.second", "Newest facts", href="/records?" + urlencode(query)) if asked.get("after") else None
    return join(
        head(
            "Records",
            sub=f"{total:,} facts are held here, in {len(ledgers)} ledgers, each verified and under a signed root.".replace(",", "\u202f", 1)
            if total >= 10_000
            else f"{total} facts are held here, in {len(ledgers)} ledgers, each verified and under a signed root.",
        ),
        h(
            "div.stack",
            h("section.panel", h("div.in", _search(asked, ledgers, kinds))),
            panel("Facts", h("div.scroll", columns, *rows) if rows else empty("No fact matches."), aside="newest first"),
            h("div.buttons", first, further),
        ),
    )


def _search(asked: Mapping[str, str], ledgers: Sequence[str], kinds: Mapping[str, int]) -> Markup:
    def options(values: Sequence[tuple[str, str]], chosen: str) -> list[Markup]:
        return [h("option", words, value=value, selected=value == chosen) for value, words in values]

    return h(
        "form.search",
        h(
            "label.field",
            h("span", "Look for"),
            h("input", type="search", name="text", value=asked.get("text", ""), placeholder="a batch, a lot, a person, a word", maxlength="200"),
        ),
        h(
            "label.field",
            h("span", "What"),
            h(
                "select",
                *options([("", "everything"), *((kind, f"{_words(kind)} ({count})") for kind, count in kinds.items())], asked.get("kind", "")),
                name="kind",
            ),
        ),
        h(
            "label.field",
            h("span", "Ledger"),
            h("select", *options([("", "all ledgers"), *((each, each) for each in ledgers)], asked.get("ledger", "")), name="ledger"),
        ),
        h("button", "Search", type="submit"),
        method="get",
        action="/records",
        role="search",
    )


def _words(kind: str) -> str:
    room, _, what = kind.partition(".")
    return f"{room}: {what.replace('_', ' ')}"


def _stage(stage: str) -> Markup:
    reached = STAGES.index(stage) if stage in STAGES else -1
    bars = h("i", *(h("b.on" if at <= reached else "b") for at in range(len(STAGES))), aria_hidden="true")
    return h("span.stage", bars, stage)


def _fact(fact: FactLine) -> Markup:
    when = join(second(fact.at), "" if fact.clock in ("good", "simulated") else mark("warn", "clock"))
    return h(
        "details.fact",
        h(
            "summary",
            h("span", when, title=f"clock: {fact.clock}"),
            h("span", _words(fact.kind), title=fact.kind),
            h("span", fact.subject, title=fact.subject),
            h("span", f"{fact.actor}, {fact.role.replace('_', ' ')}" if fact.role != "node" else fact.actor),
            h("span", f"#{fact.position} {fact.ledger.partition('/')[2] or fact.ledger}", title=f"{fact.ledger}#{fact.position}"),
            _stage(fact.stage),
        ),
        h("div.body", _body(fact.body), h("p.empty", f"{fact.ledger}#{fact.position}, clock {fact.clock}")),
    )


def _body(body: Mapping[str, Any], depth: int = 0) -> Markup:
    return h("dl.pairs", *(join(h("dt", key.replace("_", " ")), h("dd", _value(value, depth))) for key, value in body.items()))


def _value(value: Any, depth: int) -> Child:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case Mapping() if value and depth < DEPTH_MAX:
            return _body(value, depth + 1)
        case list() if value and all(isinstance(each, str) for each in value):
            return ", ".join(value)[:VALUE_MAX]
        case list() if value and depth < DEPTH_MAX:
            return h("ol", *(h("li", _value(each, depth + 1)) for each in value[:20]))
    text = str(value)
    return text if len(text) <= VALUE_MAX else text[:VALUE_MAX] + "…"
