"""Pages that need no NiceGUI: the sign-in of every node, and the renewal of a password."""

from __future__ import annotations

from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import ICON, logo

__all__ = ["document", "inside", "password_page", "renewal_form", "sign_in_page"]

THEN_MAX = 2_000  # characters of an address


def document(title: str, *content: Child, body: str = "") -> str:
    """A whole HTML document with our own style and script."""
    top = h(
        "head",
        raw('<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'),
        h("title", title),
        h("link", rel="icon", href=ICON),
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


def inside(then: str) -> str:
    """Where to go after the sign-in: a path of this node, or its first page.

    Browsers drop tabs and line ends from an address, and read a backslash as a slash, before they
    look at where it leads; so nothing that a path need not have is let through.
    """
    plain = then.isascii() and then.isprintable() and not set(then) & set(" \\")
    return then if plain and len(then) <= THEN_MAX and then.startswith("/") and not then.startswith("//") else "/"


def renewal_form(then: str = "") -> Markup:
    """The password now, and another."""
    return h(
        "form",
        h(
            "label.field",
            h("span", "Password now"),
            h("input", type="password", name="password", required=True, autocomplete="current-password", maxlength="256"),
        ),
        h(
            "label.field",
            h("span", "New password, at least 15 characters"),
            h("input", type="password", name="new_password", required=True, autocomplete="new-password", minlength="15", maxlength="128"),
        ),
        h("button", "Change the password", type="submit"),
        data_post="/api/password",
        data_then=then or None,
    )


def password_page(place: str, why: str) -> str:
    """All that can be done before a password is renewed. `why` it is due; empty where the person asked for it."""
    due = f"Your password has to be changed: {why}. Nothing else can be done before." if why else "Choose another password. Your key stays the same."
    card = h(
        "main.door-card",
        h("div.brand", logo(), "Isogenic"),
        h("p.place", place),
        h("div.panel", h("p.empty", due, style="padding:0 0 14px"), renewal_form("/")),
        h("p.small", h("a", "Not now: back", href="/")) if not why else None,
        h("p.small", "Four or five words that do not belong together make a good one. It is on record that you changed it, never what it is."),
    )
    return document(f"Change the password, {place}", card, body="door")
