"""Signing: who, in which role, with which meaning, when; and the password again (21 CFR 11.50, 11.200)."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.authority.people import Person
from isogenic.web.screens.markup import Child, Markup, h
from isogenic.web.screens.parts import pairs, second

__all__ = ["choice", "signature_dialog"]


def choice(name: str, value: str, title: str, words: str) -> Markup:
    """One of several, with what it means."""
    return h("label.choice", h("input", type="radio", name=name, value=value, required=True), h("span", h("b", title), words))


def signature_dialog(
    person: Person,
    *,
    role: str,
    title: str,
    meaning: str,
    now: str,
    post: str,
    button: str,
    takes: str = "",
    hidden: Sequence[tuple[str, str]] = (),
    about: Sequence[tuple[str, Child]] = (),
    id_: str = "sign",
    field: Markup | None = None,
    then: str = "",
) -> Markup:
    """The dialog: printed name, role, meaning and time are shown before the password is asked for."""
    return h(
        "dialog",
        h(
            "form",
            h("h2", title),
            h(
                "div.signing",
                h("div.who", person.printed_name),
                h("p.meaning", meaning),
                pairs(
                    ("Signs as", role),
                    ("Time", h("span", second(now), ", as this page was shown; the signature carries the time of signing, UTC")),
                    *about,
                ),
            ),
            field,
            *(h("input", type="hidden", name=name, value=value) for name, value in hidden),
            h(
                "label.field",
                h("span", f"Password of {person.printed_name}"),
                h("input", type="password", name="password", required=True, autocomplete="current-password", maxlength="256"),
            ),
            h("div.buttons", h("button", button, type="submit"), h("button.second", "Cancel", type="button", data_close=True)),
            data_post=post,
            data_with=takes or None,
            data_then=then or None,
        ),
        id=id_,
        aria_label=title,
    )
