"""Release: every note of every check on one page, then one signature."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.web.control_messages import LotLine, ReleasePage, SignatureLine
from isogenic.web.messages import NoteLine
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, minute, pairs, panel, record_links, said, second
from isogenic.web.screens.review import lot_mark
from isogenic.web.screens.signing import manifestation, signature_dialog, signed_line
from isogenic.web.screens.words import plain_words

__all__ = ["lot_screen"]

ORDER = {"stop": 0, "warn": 1, "good": 2}
WEIGHT = {"stop": "against", "warn": "to look at", "good": "in order"}


def lot_screen(
    lot: LotLine,
    page: ReleasePage | None,
    *,
    person: Person,
    role: str,
    now: str,
    why_no_page: str,
    signature: SignatureLine | None,
    may_release: bool,
    may_reject: bool,
    first: bool = True,
) -> Markup:
    """The page. `first`: the person has not signed in this session yet."""
    top = head(
        lot.lot,
        sub=said(lot_mark(lot.state), f"{lot.product}, made in {lot.batch} at {lot.site}"),
        trail=[("/review", "Review")],
        aside=h("div.clock", h("b", minute(lot.closed_at)) if lot.closed_at else h("b", "running"), "batch ended" if lot.closed_at else "batch"),
    )
    if page is None:
        return join(top, panel("Record", empty(why_no_page)))
    left = h(
        "div.stack",
        _verdict(lot, page),
        panel("Checks", _notes(page.notes), aside=_counted(page.notes)),
        panel("Results", _results(page), aside="certificate of analysis"),
        panel("Deviations", _deviations(page)),
        panel("Signed before", _signed(page), aside="what this lot rests on"),
    )
    right = h(
        "div.stack",
        _decision(lot, page, person=person, role=role, now=now, signature=signature, may_release=may_release, may_reject=may_reject, first=first),
        _record(lot, page),
    )
    return join(top, h("div.grid.cols-main", left, right))


def _verdict(lot: LotLine, page: ReleasePage) -> Markup:
    if lot.state == "released":
        return h("div.notice", h("h3", f"{lot.lot} is released"), h("p", "The checks below are those that were signed."))
    if lot.state == "rejected":
        return h("div.notice.stop", h("h3", mark("stop", f"{lot.lot} is rejected")), h("p", lot.reason))
    against = [note for note in page.notes if note.severity == "stop"]
    if page.allowed:
        return h("div.notice", h("h3", mark("good", f"{lot.lot} may be released")), h("p", f"No check stands against it. {_counted(page.notes)}."))
    return h(
        "div.notice.stop",
        h("h3", mark("stop", f"{lot.lot} cannot be released")),
        h(
            "p",
            f"{count_of(len(against), 'check stands', 'checks stand')} against it: {plain_words(against[0].text)}"
            + (f", and {len(against) - 1} more." if len(against) > 1 else "."),
        ),
    )


def _counted(notes: Sequence[NoteLine]) -> str:
    counts = [
        f"{sum(note.severity == severity for note in notes)} {words}"
        for severity, words in WEIGHT.items()
        if any(note.severity == severity for note in notes)
    ]
    return ", ".join(counts)


def _notes(notes: Sequence[NoteLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (mark(note.severity, WEIGHT[note.severity]), h("span", plain_words(note.text), title=note.check), note.owner)
        for note in sorted(notes, key=lambda note: ORDER[note.severity])
    ]
    return listing(("Verdict", "What was found", "Whose to mend"), rows, nothing="No check was run.", close=True)


def _results(page: ReleasePage) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", each.attribute), h("span.under", each.method)),
            each.result,
            each.limit,
            _judged(each.verdict, required=each.required),
            each.sample,
        )
        for each in page.results
    ]
    return listing(("Attribute", "Result", "Limit", "Verdict", "Sample"), rows, nothing="No result has been reported.")


def _judged(verdict: str, *, required: bool) -> Child:
    if not required:
        return h("span", verdict, h("span.under", "for information"))
    return mark("good", verdict) if verdict == "complies" else mark("stop", verdict)


def _deviations(page: ReleasePage) -> Markup:
    rows: list[Sequence[Child]] = []
    for each in page.deviations:
        done = {"accept": "accepted", "reject": "rejected"}.get(each.disposition or "")
        state: Child = (
            mark(each.severity, f"open, {each.severity}")
            if done is None
            else h(
                "span",
                f"{done}: {each.justification}",
                signed_line(printed_name=each.disposed_by, at=each.disposed_at, meaning=each.disposed_meaning or ""),
            )
        )
        rows.append((h("a", each.deviation, href=f"/deviations/{each.deviation}"), plain_words(each.statement), state))
    return listing(("Deviation", "What departed", "State"), rows, nothing="There was none.")


def _signed(page: ReleasePage) -> Markup:
    """21 CFR 11.50(b): printed name, date and time with zone, meaning."""
    rows: list[Sequence[Child]] = [
        (h("span.main", each.under), h("span", each.printed_name, h("span.under", each.role.replace("_", " "))), each.meaning, second(each.at))
        for each in page.signatures
    ]
    return listing(("What", "Signed by", "Meaning", "Date and time"), rows, nothing="Nothing has been signed yet.")


def _record(lot: LotLine, page: ReleasePage) -> Markup:
    return panel(
        "Record",
        pairs(
            ("Ledger", page.ledger),
            ("Witnessed", f"{page.record_size} facts"),
            ("Root", h("code", page.record_root)),
            ("Batch", h("a", page.batch, href=f"/batches/{page.batch}")),
            ("Facts", h("a", "in the records", href=f"/records?text={page.batch}")),
            ("Executed batch record", record_links(page.batch)),
            ("Audit trail", h("a", "of the batch", href=f"/trail?batch={page.batch}")),
            ("Digest signed" if lot.decided_by else "Page digest", h("code", page.digest)),
        ),
    )


def _decision(
    lot: LotLine,
    page: ReleasePage,
    *,
    person: Person,
    role: str,
    now: str,
    signature: SignatureLine | None,
    may_release: bool,
    may_reject: bool,
    first: bool,
) -> Markup:
    dossier = h("a.button.second", "Download the dossier", href=f"/api/lots/{lot.lot}/dossier")
    if signature is not None:
        shown = manifestation(
            printed_name=signature.printed_name, role=signature.role, at=signature.at, meaning=signature.meaning, method=signature.method
        )
        return panel("Decision", h("div.stack", shown, h("div.buttons", dossier) if lot.state == "released" else None))
    buttons = []
    if may_release:
        buttons.append(h("button", "Release …", type="button", data_open="#sign", disabled=not page.allowed))
    if may_reject:
        buttons.append(h("button.second", "Reject …", type="button", data_open="#reject"))
    words = (
        "Release takes a qualified person."
        if not may_release
        else ("Nothing stands against it." if page.allowed else "The release is closed until every check is in order.")
    )
    about: list[tuple[str, Child]] = [
        ("Lot", f"{lot.lot}, {lot.product}"),
        ("Record", f"{page.record_size} facts, root {page.record_root[:16]}…"),
        ("Digest signed", h("code", page.digest[:32] + "…")),
    ]
    release = signature_dialog(
        person,
        role=role,
        title=f"Release {lot.lot}",
        meaning=("released", f"as {role} I certify that this lot was made and tested as recorded, and release it from quarantine"),
        now=now,
        post=f"/api/lots/{lot.lot}/release",
        button="Sign and release",
        hidden=[("digest", page.digest)],
        about=about,
        first=first,
    )
    reason = h(
        "label.field", h("span", "Reason"), h("textarea", name="reason", required=True, maxlength="500", placeholder="Why this lot is not to be used")
    )
    reject = signature_dialog(
        person,
        role=role,
        title=f"Reject {lot.lot}",
        meaning=("rejected", "this lot is not to be used, for the reason given here"),
        now=now,
        post=f"/api/lots/{lot.lot}/rejection",
        button="Sign and reject",
        about=about[:1],
        id_="reject",
        field=reason,
        first=first,
    )
    return join(
        panel("Decision", h("p.empty", words, style="padding:0 0 12px"), h("div.buttons", *buttons)),
        release if may_release and page.allowed else None,
        reject if may_reject else None,
    )
