"""What a person can sign on the page of authority: commands to licences, master files, competences; each in a dialog of its own.

Guarantees: only what the state table takes and the person's roles allow is offered; every other is refused by the node anyway.
Leaves to others: deciding (network.licensing, network.competences), what a signature says (screens.signing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from isogenic.authority.licences import ACTS, NEXT, Command, State
from isogenic.authority.people import Person
from isogenic.authority.rules import Act, may, roles_that_may
from isogenic.authority.signatures import MEANINGS
from isogenic.checks import stops
from isogenic.ids import PersonId, SiteId
from isogenic.web.authority_api import CompetenceLine, FileLine, LicenceLine
from isogenic.web.screens.markup import Child, Markup, h
from isogenic.web.screens.recipe import put_forward
from isogenic.web.screens.signing import signature_dialog

__all__ = ["Signs", "competence_acts", "file_acts", "grant_act", "licence_acts", "page_acts"]

CONSEQUENCES = {
    Command.QUALIFY: "I have seen the evidence that this site can work by the master file.",
    Command.ACTIVATE: "This site may start batches under this licence from now on.",
    Command.PAUSE: "This site starts no batch under this licence until it is resumed; running batches go on.",
    Command.RESUME: "This site may start batches under this licence again.",
    Command.SUSPEND: "This site starts no batch under this licence, and its running batches follow the master file's rule of safe completion.",
    Command.REINSTATE: "The cause of the suspension is put right; the licence can be activated again.",
    Command.CEASE: "This licence ends for good, and running batches follow the master file's rule of safe completion.",
}
FILE_ACTS = {
    Act.AUTHOR_MASTER_FILE: ("Sign as author …", "I wrote this master file and answer for what it says."),
    Act.APPROVE_MASTER_FILE: ("Approve …", "I have reviewed this master file and approve it."),
}
GRANTS = "I have seen the record of the training, and this person is able to do it."
WITHDRAWS = "This person is not to do it any more, from now on, at every site."


@dataclass(frozen=True, slots=True)
class Signs:
    """Who looks at the page, and what it offers them."""

    person: Person
    people: Sequence[tuple[str, str]]  # id and printed name of everybody who may be granted something
    sites: Sequence[str]
    now: str
    until: str  # what is proposed for the end of a competence
    first: bool = True  # of the session

    def may(self, act: Act, *, site: str = "", author: str = "") -> bool:
        """Whether the rules leave the act to this person."""
        return not stops(may(self.person, act, site=SiteId(site) if site else None, author=PersonId(author) if author else None))

    def dialog(self, act: Act, id_: str, title: str, sentence: str, post: str, button: str, **more: object) -> Markup:
        """The dialog in which this person signs an act."""
        role = next((role.words for role in roles_that_may(act) if role in self.person.roles), "")
        meaning = (MEANINGS[act], sentence)
        return signature_dialog(
            self.person,
            role=role,
            title=title,
            meaning=meaning,
            now=self.now,
            post=post,
            button=button,
            id_=id_,
            first=self.first,
            **more,  # type: ignore[arg-type]
        )


def _opens(words: str, id_: str) -> Markup:
    return h("button.second.small", words, type="button", data_open=f"#{id_}")


def _line(name: str, words: str, *, value: str = "", maxlength: str = "300", in_path: bool = False) -> Markup:
    return h(
        "label.field",
        h("span", words),
        h("input", type="text", name=name, value=value, required=True, maxlength=maxlength, autocomplete="off", data_in_path=in_path or None),
    )


def _one_of(name: str, words: str, found: Sequence[tuple[str, str]], *, in_path: bool = False) -> Markup:
    options = [h("option", said, value=value) for value, said in found]
    return h("label.field", h("span", words), h("select", *options, name=name, required=True, data_in_path=in_path or None))


# ---- licences ----


def licence_acts(line: LicenceLine, signs: Signs) -> Markup:
    """The commands that the licence takes and this person may give."""
    buttons, dialogs = [], []
    for command, state in NEXT[State(line.state)].items():
        if not signs.may(ACTS[command], site=line.site, author=line.applicant):
            continue
        id_ = f"{command}-{line.licence}"
        about: list[tuple[str, Child]] = [
            ("Licence", line.licence),
            ("Site", line.site),
            ("Master file", line.master_file),
            ("State", f"{line.state}, then {state}"),
        ]
        buttons.append(_opens(f"{command.capitalize()} …", id_))
        dialogs.append(
            signs.dialog(
                ACTS[command],
                id_,
                f"{command.capitalize()} {line.licence}",
                CONSEQUENCES[command],
                f"/api/licences/{line.licence}/commands",
                f"Sign: {command}",
                about=about,
                hidden=[("command", str(command))],
                field=_line("why", "Why, as the site and every inspector will read it"),
            )
        )
    return h("div.acts", *buttons, *dialogs)


# ---- master files ----


def file_acts(line: FileLine, signs: Signs) -> Markup:
    """Signing and publishing a version, where that is still to be done."""
    path = f"/api/master-files/{line.master_file}/{line.version}"
    signed = {each.meaning: each.person for each in line.signatures}
    if line.state == "approved":
        if not signs.may(Act.APPROVE_MASTER_FILE):
            return Markup("")
        return h("form", h("button.small", "Publish to its sites", type="submit"), data_post=f"{path}/publication")
    author = signed.get(MEANINGS[Act.AUTHOR_MASTER_FILE], "")
    act = Act.APPROVE_MASTER_FILE if author else Act.AUTHOR_MASTER_FILE
    if line.state not in ("submitted", "signed by one") or signs.person.id in signed.values() or not signs.may(act, author=author):
        return Markup("")
    words, sentence = FILE_ACTS[act]
    id_ = f"sign-{line.master_file}-{line.version}"
    about: list[tuple[str, Child]] = [
        ("Master file", f"{line.master_file} version {line.version}"),
        ("Change", f"{line.change}: {line.why}"),
        ("Sites", ", ".join(line.sites)),
        ("Digest signed", h("code", line.digest[:32] + "…")),
    ]
    hidden = [("act", str(act))]
    return h(
        "div.acts",
        _opens(words, id_),
        signs.dialog(act, id_, f"Sign {line.master_file} version {line.version}", sentence, f"{path}/signatures", "Sign", about=about, hidden=hidden),
    )


# ---- competences ----


def competence_acts(line: CompetenceLine, signs: Signs) -> Markup:
    """Withdrawing what is held."""
    if line.state in ("withdrawn", "ended") or not signs.may(Act.WITHDRAW_COMPETENCE):
        return Markup("")
    id_, post = f"withdraw-{line.person}-{line.competence}", f"/api/people/{line.person}/competences/{line.competence}/withdrawal"
    about: list[tuple[str, Child]] = [("Person", line.person), ("Competence", line.competence.replace("_", " "))]
    why = _line("why", "Why")
    title = f"Withdraw {line.competence.replace('_', ' ')} from {line.person}"
    return h(
        "div.acts",
        _opens("Withdraw …", id_),
        signs.dialog(Act.WITHDRAW_COMPETENCE, id_, title, WITHDRAWS, post, "Sign the withdrawal", about=about, field=why),
    )


def grant_act(known: Sequence[str], signs: Signs) -> tuple[Child, Child]:
    """The button and the dialog by which a competence is granted to somebody else."""
    others = [(id_, f"{name} ({id_})") for id_, name in signs.people if id_ != signs.person.id]
    if not others or not signs.may(Act.GRANT_COMPETENCE):
        return None, None
    fields = h(
        "div",
        _one_of("whom", "To whom", others, in_path=True),
        _line("competence", f"Which, in lower case with _ between words{': ' + ', '.join(known) if known else ''}", maxlength="60"),
        _line("until", "Until, UTC", value=signs.until, maxlength="40"),
        _line("basis", "On what it rests: which training, and where its record is"),
    )
    dialog = signs.dialog(
        Act.GRANT_COMPETENCE, "grant", "Grant a competence", GRANTS, "/api/people/{whom}/competences", "Sign the grant", field=fields
    )
    return _opens("Grant a competence …", "grant"), dialog


# ---- the page ----


def page_acts(files: Sequence[FileLine], signs: Signs) -> Markup:
    """Putting a master file forward, and applying for a licence."""
    buttons: list[Child] = []
    if signs.may(Act.AUTHOR_MASTER_FILE):
        words = "A master file as its document. It is checked line by line; nothing is effective by putting it forward."
        buttons += [
            h("button.second", "Put a master file forward …", type="button", data_open="#submit-file"),
            put_forward("/api/master-files", "Put a master file forward", words, id_="submit-file", then="/authority"),
        ]
    published = sorted({each.master_file for each in files if each.state in ("published", "in force", "superseded")})
    if published and signs.may(Act.APPLY_LICENCE):
        fields = h(
            "div",
            _line("licence", "Its name, as LIC-SITE-PRODUCT", maxlength="40"),
            _one_of("site", "Site", [(each, each) for each in signs.sites]),
            _one_of("master_file", "Master file", [(each, each) for each in published]),
            _line("reference", "Reference of the application, or of the authorisation that it stands under", maxlength="120"),
            _line("why", "Why"),
        )
        sentence = "The licence holder asks that this site may work by this master file."
        buttons += [
            h("button", "Apply for a licence …", type="button", data_open="#apply"),
            signs.dialog(Act.APPLY_LICENCE, "apply", "Apply for a licence", sentence, "/api/licences", "Sign the application", field=fields),
        ]
    return h("div.acts", *buttons)
