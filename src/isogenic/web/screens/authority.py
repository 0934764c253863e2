"""Who may make what where: licences with their leases, master files, the three-way difference, competences, commitments."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.web.authority_api import AuthorityPage, LicenceLine
from isogenic.web.screens.authority_acts import Signs, competence_acts, file_acts, grant_act, licence_acts, page_acts
from isogenic.web.screens.markup import Markup, h, join
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, minute, panel

__all__ = ["authority_screen", "site_licences"]

LAWS = ("uk", "us", "eu")
_STATE = {"active": "good", "held": "good", "in force": "good", "suspended": "stop", "ceased": "stop", "withdrawn": "stop", "ended": "stop"}


def authority_screen(page: AuthorityPage, signs: Signs | None = None) -> Markup:
    """The page; with `signs`, what that person can sign on it."""
    stops = [each for each in page.differences if each.severity == "stop"]
    rest = len(page.differences) - len(stops)
    said = "Commitments, master file and recipe agree"
    if stops:
        said = f"{count_of(len(stops), 'difference')} would make a batch that is not as authorised"
    elif rest:
        said = f"{count_of(rest, 'difference')} to look at; none would make a batch that is not as authorised"
    grants, granting = grant_act(sorted({each.competence for each in page.competences}), signs) if signs else (None, None)
    return join(
        head(
            "Authority",
            sub=f"{said}. What a site may start is checked at the site, from what it holds.",
            aside=page_acts(page.files, signs) if signs else None,
        ),
        granting,
        h(
            "div.stack",
            panel("Licences and leases", _licences(page, signs)),
            panel("Three-way difference", _differences(page), aside=count_of(len(page.differences), "difference")),
            panel("Master files", _files(page, signs)),
            panel("Competences", _competences(page, signs), aside=grants),
            panel("Commitments", h("div", *(h("p", each) for each in page.commitments)) if page.commitments else empty("None is on file.")),
        ),
    )


def _licences(page: AuthorityPage, signs: Signs | None) -> Markup:
    rows = [
        (
            h("span", h("span.main", each.licence), h("span.under", f"{each.site}, by {each.master_file}")),
            h("span", mark(_STATE.get(each.state, "warn"), each.state), h("span.under", "since ", minute(each.since))),
            _lease(each, page.at),
            each.why,
            licence_acts(each, signs) if signs else None,
        )
        for each in page.licences
    ]
    return listing(("Licence", "State", "Lease", "Why", ""), rows, nothing="No licence was applied for.")


def site_licences(lines: Sequence[LicenceLine], now: str) -> Markup:
    """The licences of one site, as they are known here; whether a batch may start is decided there."""
    rows = [
        (
            h("span", h("span.main", each.licence), h("span.under", f"by {each.master_file}")),
            h("span", mark(_STATE.get(each.state, "warn"), each.state), h("span.under", "since ", minute(each.since))),
            _lease(each, now),
            each.why,
        )
        for each in lines
    ]
    table = listing(("Licence", "State", "Lease", "Why"), rows, nothing="This site has no licence: it starts nothing.")
    return panel("Licences", table, aside=h("a", "Authority", href="/authority"))


def _lease(line: LicenceLine, now: str) -> Markup | str:
    """Until when the site may start; one that has ended, or waits at the control site, is said to."""
    if not line.lease_until:
        return "none"
    if line.lease_until <= now:
        return h("span", mark("stop", "ended"), h("span.under", minute(line.lease_until)))
    return h("span", "until ", minute(line.lease_until), None if line.lease_taken else h("span.under", "not yet at the site"))


def _differences(page: AuthorityPage) -> Markup:
    rows = [
        (
            mark("stop" if each.severity == "stop" else "warn", each.kind.replace("_", " ")),
            h("span.main", each.where),
            each.commitments or "–",
            each.on_file or "–",
            each.executable or "–",
            each.clause or "–",
        )
        for each in page.differences
    ]
    return listing(("What", "Where", "Commitments", "Master file", "Executable", "Clause"), rows, nothing="The three say the same.")


def _files(page: AuthorityPage, signs: Signs | None) -> Markup:
    rows = [
        (
            h("span", h("span.main", f"{each.master_file} version {each.version}"), h("span.under", ", ".join(each.sites))),
            h("span", mark(_STATE.get(each.state, "warn"), each.state), h("span.under", "effective ", minute(each.effective_from))),
            f"{each.change}: {each.why}",
            ", ".join(signed.printed_name for signed in each.signatures) or "nobody",
            h("span", *(_documents(each.master_file, what) for what in ("annual-report", "registration"))),
            file_acts(each, signs) if signs else None,
        )
        for each in page.files
    ]
    return listing(("Version", "State", "Change", "Signed by", "Documents", ""), rows, nothing="No master file was put forward.")


def _documents(master_file: str, what: str) -> Markup:
    """One document, in the words of each jurisdiction."""
    words = what.replace("-", " ").capitalize()
    links = [h("a", law.upper(), href=f"/api/master-files/{master_file}/{what}/{law}?form=pdf", aria_label=f"{words} {law.upper()}") for law in LAWS]
    return h("span.under", f"{words}: ", *(each for link in links for each in (link, " ")))


def _competences(page: AuthorityPage, signs: Signs | None) -> Markup:
    rows = [
        (
            h("span.main", each.person),
            each.competence.replace("_", " "),
            mark(_STATE.get(each.state, "warn"), each.state),
            minute(each.until),
            each.words,
            each.by,
            competence_acts(each, signs) if signs else None,
        )
        for each in page.competences
    ]
    return listing(("Person", "Competence", "State", "Until", "Why", "Signed by", ""), rows, nothing="Nobody was granted a competence.")
