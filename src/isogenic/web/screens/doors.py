"""Pages that need no NiceGUI: the sign-in of every node."""

from __future__ import annotations

from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import logo

__all__ = ["document", "sign_in_page"]


def document(title: str, *content: Child, body: str = "") -> str:
    """A whole HTML document with our own style and script."""
    top = h(
        "head",
        raw('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        h("title", title),
        h("link", rel="stylesheet", href="/static/isogenic.css"),
        h("script", src="/static/isogenic.js", defer=True),
    )
    return "<!doctype html>" + str(h("html", top, h("body", *content, class_=body or None), lang="en"))


def sign_in_page(place: str, *, then: str = "/") -> str:
    """Person and password; nothing else to see."""
    form = h(
        "form",
        h(
            "label.field",
            h("span", "Person"),
            h(
                "input",
                type="text",
                name="person",
                required=True,
                autocomplete="username",
                maxlength="40",
                autofocus=True,
                autocapitalize="characters",
                spellcheck="false",
            ),
        ),
        h(
            "label.field",
            h("span", "Password"),
            h("input", type="password", name="password", required=True, autocomplete="current-password", maxlength="256"),
        ),
        h("button", "Sign in", type="submit"),
        h("button.second", "Sign in with a passkey", type="button", data_passkey="sign-in"),
        data_post="/api/sign-in",
        data_then=then,
    )
    card: Markup = h(
        "main.door-card",
        h("div.brand", logo(), "Isogenic"),
        h("p.place", place),
        h("div.panel", form),
        h("p.small", "Every sign-in is on record. After five wrong passwords in a row an account is locked for 15 minutes."),
    )
    return document(f"Sign in, {place}", join(card), body="door")
