"""What the one-task screen asks in front of everything else: signatures, corrections, commands, the next person.

Guarantees: each dialog that signs shows what is signed and what the signature means before id and password, or a
passkey, are given (21 CFR 11.50, 11.200(a)(1)).
Leaves to others: filling them and sending what was given (static/steps.js).
"""

from __future__ import annotations

from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS
from isogenic.web.screens.markup import Markup, h

__all__ = ["command_dialog", "correct_dialog", "decline_dialog", "formula_dialog", "hand_over_dialog", "sign_dialog"]

WHY = ("As planned.", "An alarm of the unit.", "A leak.", "Foam.", "Something was not as it should be.", "The supervisor asked for it.")
REASONS = ("A slip of the finger.", "The wrong thing was scanned.", "Read from the wrong display.", "It changed after it was recorded.")


def _who(button: str, *, passkey: str) -> list[Markup]:
    """Id and password, or a passkey: both components, each time (21 CFR 11.200(a)(1))."""
    return [
        h("div.refusal", role="alert"),
        h(
            "label.field",
            h("span", "Your id, or scan your badge"),
            h(
                "input",
                type="text",
                name="person",
                required=True,
                maxlength="40",
                autocomplete="off",
                autocapitalize="characters",
                spellcheck="false",
            ),
        ),
        h(
            "label.field",
            h("span", "Password"),
            h("input", type="password", name="password", required=True, maxlength="256", autocomplete="off"),
        ),
        h(
            "div.buttons",
            h("button.big", button, type="submit"),
            h("button.big.second", "Passkey", type="button", data_with_passkey=passkey),
            h("button.big.second", "Cancel", type="button", data_close=True),
        ),
    ]


def sign_dialog() -> Markup:
    """Who did it, or who has seen it: what is signed, and what the signature means, stand above."""
    return h(
        "dialog.tall",
        h(
            "form",
            h("h2", "Sign", data_slot="title"),
            h("div.signing", h("p", data_slot="words"), h("p.who", data_slot="answer"), h("p.small", data_slot="meaning")),
            *_who("Sign", passkey="sign"),
        ),
        id="sign",
        data_performed=MEANINGS[Act.ANSWER_PROMPT],
        data_witnessed=MEANINGS[Act.WITNESS_ANSWER],
    )


def decline_dialog() -> Markup:
    """Why it is not so."""
    reason = h("label.field", h("span", "What is not so?"), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off"))
    return h("dialog.tall", h("form", h("h2", "It is not so"), reason, *_who("Say so", passkey="decline")), id="decline")


def correct_dialog() -> Markup:
    """Another answer, or none, and why."""
    reasons = [h("button.second.chip", each, type="button", data_reason=each) for each in REASONS]
    return h(
        "dialog.tall",
        h(
            "form",
            h("h2", "Correct an answer"),
            h(
                "div.signing",
                h("p", data_slot="words"),
                h("p.who", data_slot="was"),
                h("p.small", "It stays on record, with your name beside the new one."),
            ),
            h(
                "label.field.right",
                h("span", "What is right"),
                h("input", type="text", name="answer", required=True, maxlength="400", autocomplete="off"),
            ),
            h("div.choices.small", data_slot="choices"),
            h(
                "label.choice.tall.undo",
                h("input", type="checkbox", name="undo"),
                h("span", h("b", "It was not done"), "The question is open again."),
            ),
            h("label.field", h("span", "Why"), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off")),
            h("div.chips", *reasons),
            h("p.note", f"Your signature means: {MEANINGS[Act.CORRECT_ANSWER]}."),
            *_who("Sign the correction", passkey="correct"),
        ),
        id="correct",
        data_meaning=MEANINGS[Act.CORRECT_ANSWER],
    )


def command_dialog(batch: str) -> Markup:
    """What can be told to the batch now; the script fills it from what the site says is possible."""
    return h(
        "dialog.tall",
        h(
            "form",
            h("h2", f"Command {batch}"),
            h("p.note", data_slot="mode"),
            h("div.refusal", role="alert"),
            h("label.field", h("span", "Why"), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off")),
            h("div.chips", *(h("button.second.chip", each, type="button", data_reason=each) for each in WHY)),
            h("div.choices", data_slot="commands"),
            h("div.rest", data_slot="steps"),
            h("div.buttons", h("button.big.second", "Back", type="button", data_close=True)),
            data_batch=batch,
        ),
        id="commands",
    )


def formula_dialog() -> Markup:
    """Another value for a parameter of the running batch, by signature."""
    return h(
        "dialog.tall",
        h(
            "form",
            h("h2", "Change a parameter"),
            h("div.signing", h("p", data_slot="name"), h("p.who", data_slot="was"), h("p.small", data_slot="limits")),
            h(
                "label.field",
                h("span", "New value", data_slot="unit"),
                h("input", type="text", name="value", required=True, maxlength="60", inputmode="decimal", autocomplete="off"),
            ),
            h("label.field", h("span", "Why"), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off")),
            h("p.note", f"Your signature means: {MEANINGS[Act.CHANGE_FORMULA]}."),
            *_who("Sign the change", passkey="formula"),
        ),
        id="formula",
        data_meaning=MEANINGS[Act.CHANGE_FORMULA],
    )


def hand_over_dialog() -> Markup:
    """The next person, in place."""
    return h(
        "dialog.tall",
        h("form", h("h2", "Sign in"), h("p.note", data_slot="said"), *_who("Sign in", passkey="enter")),
        id="enter",
    )
