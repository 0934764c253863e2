"""Signing: who, in which role, with which meaning, when; and the components again, or a passkey (21 CFR 11.50, 11.200)."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.web.screens.markup import Child, Markup, h
from isogenic.web.screens.parts import pairs, second

__all__ = ["choice", "components", "manifestation", "signature_dialog", "signed_line"]

METHODS = {"password": "id and password, with the personal key", "passkey": "passkey, person verified by the authenticator"}


def choice(name: str, value: str, title: str, words: str) -> Markup:
    """One of several, with what it means."""
    return h("label.choice", h("input", type="radio", name=name, value=value, required=True), h("span", h("b", title), words))


def components(person: Person, *, first: bool) -> tuple[Markup | None, Markup]:
    """Id and password; the id at the first signature of a session only (21 CFR 11.200(a)(1)(i))."""
    identity = h(
        "label.field",
        h("span", "Your id, as at sign-in"),
        h(
            "input",
            type="text",
            name="person",
            required=True,
            data_typed=True,
            autocomplete="username",
            maxlength="40",
            autocapitalize="characters",
            spellcheck="false",
        ),
    )
    password = h(
        "label.field",
        h("span", f"Password of {person.printed_name}"),
        h("input", type="password", name="password", required=True, data_typed=True, autocomplete="current-password", maxlength="256"),
    )
    return (identity if first else None), password


def manifestation(*, printed_name: str | None, role: str, at: str | None, meaning: str, method: str = "") -> Markup:
    """A signature wherever the signed record is shown (21 CFR 11.50(b)): printed name, time with zone, meaning."""
    return h(
        "div.signature",
        h("div.who", printed_name),
        h("p", second(at)),
        h("p", f"{meaning[:1].upper()}{meaning[1:]}{f', as {role.replace(chr(95), chr(32))}' if role else ''}."),
        h("p.small", f"By {METHODS.get(method, method)}.") if method else None,
    )


def signed_line(*, printed_name: str | None, at: str | None, meaning: str) -> Markup:
    """The same on one line of a list (21 CFR 11.50(b)): printed name, date and time with zone, meaning."""
    return h("span.under", f"Signed by {printed_name}, ", second(at), f", meaning: {meaning}")


def signature_dialog(
    person: Person,
    *,
    role: str,
    title: str,
    meaning: tuple[str, str],
    now: str,
    post: str,
    button: str,
    takes: str = "",
    hidden: Sequence[tuple[str, str]] = (),
    about: Sequence[tuple[str, Child]] = (),
    id_: str = "sign",
    field: Markup | None = None,
    then: str = "",
    first: bool = True,
) -> Markup:
    """The dialog: printed name, role and time are shown, and the meaning is asked for, before id and password or a passkey.

    `meaning`: the word that is recorded, and the sentence that it stands for. `first`: nobody has signed in this session yet.
    """
    word, sentence = meaning
    identity, password = components(person, first=first)
    has_passkey = any(each.removed_at is None for each in person.passkeys)
    return h(
        "dialog",
        h(
            "form",
            h("h2", title),
            h(
                "div.signing",
                h("div.who", person.printed_name),
                pairs(
                    ("Signs as", role),
                    ("Time", h("span", second(now), ", as this page was shown; the signature carries the time of signing, UTC")),
                    *about,
                ),
            ),
            field,
            *(h("input", type="hidden", name=name, value=value) for name, value in hidden),
            h("fieldset", h("legend", "What your signature means"), choice("meaning", word, word.capitalize(), sentence)),
            identity,
            password,
            h(
                "div.buttons",
                h("button", button, type="submit"),
                h("button.second", "Sign with a passkey", type="button", data_passkey="sign") if has_passkey else None,
                h("button.second", "Cancel", type="button", data_close=True),
            ),
            data_post=post,
            data_with=takes or None,
            data_then=then or None,
        ),
        id=id_,
        aria_label=title,
    )
