"""Who may make what where: licences with their leases, master files, the three-way difference, competences, commitments."""

from __future__ import annotations

from isogenic.web.authority_api import AuthorityPage
from isogenic.web.screens.markup import Markup, h, join
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, minute, panel

__all__ = ["authority_screen"]

LAWS = ("uk", "us", "eu")
_STATE = {"active": "good", "held": "good", "in force": "good", "suspended": "stop", "ceased": "stop", "withdrawn": "stop", "ended": "stop"}


def authority_screen(page: AuthorityPage) -> Markup:
    """The page."""
    stops = [each for each in page.differences if each.severity == "stop"]
    said = (
        f"{count_of(len(stops), 'difference')} would make a batch that is not as authorised" if stops else "Commitments, master file and recipe agree"
    )
    return join(
        head("Authority", sub=f"{said}. What a site may start is checked at the site, from what it holds."),
        h(
            "div.stack",
            panel("Licences and leases", _licences(page)),
            panel("Three-way difference", _differences(page), aside=count_of(len(page.differences), "difference")),
            panel("Master files", _files(page)),
            panel("Competences", _competences(page)),
            panel("Commitments", h("div", *(h("p", each) for each in page.commitments)) if page.commitments else empty("None is on file.")),
        ),
    )


def _licences(page: AuthorityPage) -> Markup:
    rows = [
        (
            h("span.main", each.licence),
            each.site,
            mark(_STATE.get(each.state, "warn"), each.state),
            minute(each.since),
            h("span", minute(each.lease_until), "" if each.lease_taken or not each.lease_until else " (not yet at the site)"),
            each.why,
        )
        for each in page.licences
    ]
    return listing(("Licence", "Site", "State", "Since", "Lease until", "Why"), rows, nothing="No licence was applied for.")


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


def _files(page: AuthorityPage) -> Markup:
    rows = [
        (
            h("span.main", f"{each.master_file} version {each.version}"),
            mark(_STATE.get(each.state, "warn"), each.state),
            minute(each.effective_from),
            f"{each.change}: {each.why}",
            ", ".join(signed.printed_name for signed in each.signatures) or "nobody",
            h("span", *(_document(each.master_file, what, law) for what in ("annual-report", "registration") for law in LAWS)),
        )
        for each in page.files
    ]
    return listing(("Version", "State", "Effective", "Change", "Signed by", "Documents"), rows, nothing="No master file was put forward.")


def _document(master_file: str, what: str, law: str) -> Markup:
    return h("a", f"{what.replace('-', ' ')} {law.upper()} ", href=f"/api/master-files/{master_file}/{what}/{law}?form=pdf")


def _competences(page: AuthorityPage) -> Markup:
    rows = [
        (
            h("span.main", each.person),
            each.competence.replace("_", " "),
            mark(_STATE.get(each.state, "warn"), each.state),
            minute(each.until),
            each.words,
            each.by,
        )
        for each in page.competences
    ]
    return listing(("Person", "Competence", "State", "Until", "Why", "Signed by"), rows, nothing="Nobody was granted a competence.")
