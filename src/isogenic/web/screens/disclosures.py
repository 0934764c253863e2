"""What left this node, when and to whom; and who may have which ledger."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isogenic.records.disclosures import Disclosure
from isogenic.web.control_messages import SignatureLine
from isogenic.web.messages import time
from isogenic.web.screens.markup import Markup, h, join
from isogenic.web.screens.parts import count_of, head, listing, mark, panel, second
from isogenic.web.screens.signing import signed_line

__all__ = ["EntitlementRow", "disclosures_screen"]

LINES_SHOWN = 200  # newest first; the API and the command line give all
EntitlementRow = tuple[str, str, str, str, SignatureLine | None]  # ledger, party, granted or ended, why, by whom


def disclosures_screen(found: Sequence[Disclosure], entitlements: Sequence[EntitlementRow], *, asked: Mapping[str, str]) -> Markup:
    """The page: what left, newest first, and under it who may have what."""
    newest = list(reversed(found))[:LINES_SHOWN]
    total = sum(each.size for each in found)
    rows = [
        (
            second(time(each.at)),
            h("span.main", each.to),
            each.what,
            each.about,
            f"{each.size:,}",
            h("code", each.digest[:16]) if each.digest else "counted",
        )
        for each in newest
    ]
    form = h(
        "form.trail-search",
        h(
            "label.field",
            h("span", "To whom"),
            h("input", type="search", name="to", value=asked["to"], placeholder="node LEEDS, person QUI, or the id alone"),
        ),
        h("label.field", h("span", "From, UTC"), h("input", type="search", name="since", value=asked["since"], placeholder="2026-11-01T00:00:00Z")),
        h("button", "Show", type="submit"),
        method="get",
        action="/disclosures",
    )
    left = listing(("When", "To whom", "What", "Of what", "#Bytes", "SHA-256"), rows, nothing="Nothing has left this node that fits.")
    held = [
        (h("span.main", ledger), party, mark("good" if state == "granted" else "warn", state), why, _by(by))
        for ledger, party, state, why, by in entitlements
    ]
    may = listing(("Ledger", "Party", "State", "Why", "By"), held, nothing="No entitlement is noted.")
    return join(
        head("Disclosures", sub="What left this node is listed before it leaves. What cannot be listed does not leave."),
        h(
            "div.stack",
            panel(
                "What left",
                form,
                h("div", left, style="margin-top:14px"),
                aside=f"{count_of(len(found), 'line')}, {total:,} bytes" + (f"; the newest {LINES_SHOWN}" if len(found) > LINES_SHOWN else ""),
            ),
            panel("Who may have which ledger", may),
        ),
    )


def _by(signature: SignatureLine | None) -> Markup | str:
    if signature is None:
        return "–"
    return h("span", signature.role.replace("_", " "), signed_line(printed_name=signature.printed_name, at=signature.at, meaning=signature.meaning))
