"""A decision on a received lot, by signature: what a person may decide where it stands, each in a dialog of its own.

Guarantees: what a person may not do is not offered; the dialog names the lot, and the meaning that is recorded.
Leaves to others: deciding (sites.materials, network.materials), sending (static/isogenic.js).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS
from isogenic.web.screens.markup import Child, Markup, h
from isogenic.web.screens.signing import signature_dialog
from isogenic.web.site_materials import ReceiptLine

__all__ = ["Pen", "decisions"]

DECISIONS = {  # what can be decided from here, by where a lot stands
    "quarantine": ("release", "reject"),
    "released": ("reject", "recall"),
    "used_up": ("recall",),
    "expired": ("reject",),
}
MEANS = {
    "release": "Its certificate was checked against the order; it may be used",
    "reject": "It may not be used",
    "recall": "It is taken back; whatever it went into is looked at",
}


class Pen:
    """Who would sign, and the dialogs that it takes."""

    def __init__(self, person: Person, roles: Mapping[Act, str], now: str, first: bool) -> None:
        self.person, self.roles, self.now, self.first = person, roles, now, first

    def dialog(
        self,
        act: Act,
        *,
        id_: str,
        title: str,
        sentence: str,
        post: str,
        hidden: tuple[str, str],
        about: Sequence[tuple[str, Child]],
        field: Markup | None = None,
    ) -> Markup:
        return signature_dialog(
            self.person,
            role=self.roles[act],
            title=title,
            meaning=(MEANINGS[act], sentence),
            now=self.now,
            post=post,
            button="Sign",
            hidden=[hidden],
            about=about,
            id_=id_,
            field=field,
            first=self.first,
        )


def decisions(lot: ReceiptLine, pen: Pen, *, site: str, post: str) -> Markup:
    """The buttons and dialogs for what this person can decide on a lot."""
    buttons, dialogs = [], []
    for command in DECISIONS.get(lot.state, ()):
        act = Act.RELEASE_MATERIAL if command == "release" else Act.BLOCK_MATERIAL
        if act not in pen.roles:
            continue
        id_ = f"{command}-{lot.receipt}"
        buttons.append(h("button.second.small", f"{command.capitalize()} …", type="button", data_open=f"#{id_}"))
        why = h("label.field", h("span", "Why"), h("input", type="text", name="why", required=True, maxlength="300", autocomplete="off"))
        dialogs.append(
            pen.dialog(
                act,
                id_=id_,
                title=f"{command.capitalize()} {lot.receipt}",
                sentence=MEANS[command],
                post=post,
                hidden=("command", command),
                about=[("Lot", f"{lot.title}, {lot.supplier}, lot {lot.lot}"), ("Site", site), ("Now", lot.state.replace("_", " "))],
                field=why,
            )
        )
    return h("span.buttons", *buttons, *dialogs)
