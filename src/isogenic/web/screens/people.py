"""People: who is on file, what lets them in, who tried to; one's own passkeys and password."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.web.credentials_api import AttemptLine, PersonLine
from isogenic.web.screens.doors import renewal_form
from isogenic.web.screens.markup import Child, Markup, h, join
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, panel, second
from isogenic.web.screens.signing import components

__all__ = ["alarm_notice", "people_screen"]

WEIGHT = {"active": "quiet", "no account here": "quiet", "inactive": "quiet", "locked": "stop", "disabled": "stop", "revoked": "stop"}


def alarm_notice(alarm: str) -> Markup:
    """What those who answer for it see on every page until they have looked (21 CFR 11.300(d))."""
    if not alarm:
        return join()
    return h(
        "div.notice.stop.above", h("h3", mark("stop", alarm)), h("p", h("a", "Look at the attempts", href="/people"), " and say what came of it.")
    )


def people_screen(
    people: Sequence[PersonLine], attempts: Sequence[AttemptLine], *, person: Person, keeps: bool, answers: bool, first: bool, domain: str
) -> Markup:
    """The page. `keeps`: the person keeps accounts; `answers`: is told of attempts; `first`: has not signed in this session yet."""
    mine = next(each for each in people if each.person == person.id)
    waiting = sum(not each.acknowledged for each in attempts)
    left = h(
        "div.stack",
        panel("People on file", _people(people, person=person, keeps=keeps), aside=f"{len(people)}, none ever forgotten"),
        panel("Unauthorised attempts", _attempts(attempts), aside=f"{waiting} not looked at" if waiting else "all looked at"),
    )
    right = h(
        "div.stack",
        panel("Your passkeys", _passkeys(mine, person, first=first, domain=domain)),
        panel("Your password", _password(mine)),
        panel("Looked at the attempts", _form("/api/attempts/acknowledgement", "What came of it", "Say so", person, first=first, closes=False))
        if answers and waiting
        else None,
    )
    dialogs = [_dialogs(each, person, first=first) for each in people if keeps and each.person != person.id]
    return join(
        head("People", sub="Ids, names and keys are never given to a second person; who leaves stays on file."),
        h("div.grid.cols-main", left, right),
        *dialogs,
    )


def _people(people: Sequence[PersonLine], *, person: Person, keeps: bool) -> Markup:
    rows: list[Sequence[Child]] = []
    for each in people:
        passkeys = sum(key.removed_at is None for key in each.passkeys)
        state = h("span", mark(WEIGHT.get(each.state, "warn"), each.state), h("span.under", each.why) if each.why else None)
        acts = None
        if keeps and each.person != person.id:
            shut = "Let in …" if each.state == "disabled" else "Shut out …"
            acts = h(
                "div.acts",
                h("button.second.small", shut, type="button", data_open=f"#shut-{each.person}"),
                h("button.second.small", "Replace password …", type="button", data_open=f"#replace-{each.person}"),
            )
        rows.append(
            (
                h("span", h("span.main", each.printed_name), h("span.under", f"{each.person}, {', '.join(each.roles)}")),
                ", ".join(each.sites) or "every site",
                count_of(passkeys, "passkey") if passkeys else "password",
                state,
                acts,
            )
        )
    return listing(("Person", "Works at", "Signs by", "Account here", ""), rows, nothing="Nobody.")


def _attempts(attempts: Sequence[AttemptLine]) -> Markup:
    rows: list[Sequence[Child]] = [
        (second(each.at), each.person or "–", each.what, "looked at" if each.acknowledged else mark("warn", "new")) for each in attempts[:20]
    ]
    return listing(("When", "As whom", "What", ""), rows, nothing="There was none.", close=True)


def _passkeys(mine: PersonLine, person: Person, *, first: bool, domain: str) -> Markup:
    rows: list[Sequence[Child]] = [
        (
            h("span", h("span.main", each.title), h("span.under", each.domain)),
            h("span", "removed ", second(each.removed_at)) if each.removed_at else "in use",
            None if each.removed_at else h("button.second.small", "Remove …", type="button", data_open=f"#remove-{at}"),
        )
        for at, each in enumerate(mine.passkeys)
    ]
    known = listing(("Passkey", "State", ""), rows, nothing="You have none.") if rows else empty("You have none yet.")
    identity, password = components(person, first=first)
    form = h(
        "form.enrol",
        h(
            "label.field",
            h("span", "What you call the thing that holds it"),
            h("input", type="text", name="title", required=True, maxlength="80", autocomplete="off"),
        ),
        identity,
        password,
        h("button", "Enrol a passkey", type="submit"),
        h(
            "p.small",
            f"A passkey signs you in, and signs for you, on pages of {domain}. Your own key signs for it now, so nobody else can enrol one as yours.",
        ),
        data_post="/api/passkeys",
        data_enrol=True,
    )
    dialogs = [
        _dialog(
            f"remove-{at}",
            f"Remove {each.title}",
            "It signs no more; what it signed stays signed.",
            _form(f"/api/people/{mine.person}/passkeys/{each.id}/removal", "Why", "Remove", person, first=first),
        )
        for at, each in enumerate(mine.passkeys)
        if not each.removed_at
    ]
    return join(known, form, *dialogs)


def _password(mine: PersonLine) -> Markup:
    since = join("Changed ", second(mine.password_changed_at)) if mine.password_changed_at else "It is not on record when it was changed."
    return join(h("p.empty", since, style="padding:0 0 12px"), renewal_form())


def _form(post: str, asked: str, button: str, person: Person, *, first: bool, result: str = "", closes: bool = True) -> Markup:
    identity, password = components(person, first=first)
    made = h("dl.pairs", data_made=result, hidden=True) if result else None
    return h(
        "form",
        h("label.field", h("span", asked), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off")),
        identity,
        password,
        made,
        h("div.buttons", h("button", button, type="submit"), h("button.second", "Close", type="button", data_close=True) if closes else None),
        data_post=post,
    )


def _dialog(id_: str, title: str, words: str, form: Markup) -> Markup:
    return h("dialog", h("h2", title), h("p.words", words), form, id=id_, aria_label=title)


def _dialogs(each: PersonLine, person: Person, *, first: bool) -> Markup:
    name = each.printed_name
    if each.state == "disabled":
        shut = ("Let in again", f"{name} can sign in again at every node.", f"/api/people/{each.person}/enabling", "Let in")
    else:
        shut = ("Shut out", f"{name} is out at once, at every node; nothing is deleted.", f"/api/people/{each.person}/disabling", "Shut out")
    title, words, post, button = shut
    replaced = (
        f"The old password and the key behind it stop at once. You get a temporary password for {name}, shown once, "
        "good for 24 hours and only to be changed. Hand it over in person, having seen who it is."
    )
    return join(
        _dialog(f"shut-{each.person}", f"{title}: {name}", words, _form(post, "Why", button, person, first=first)),
        _dialog(
            f"replace-{each.person}",
            f"Replace a lost password: {name}",
            replaced,
            _form(f"/api/people/{each.person}/replacement", "How it was lost", "Replace", person, first=first, result="password until"),
        ),
    )
