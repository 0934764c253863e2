"""Materials of the whole network at the control site: what waits for quality, the changeover matrices, assemblies used twice.

Guarantees: what a person may not do is not offered; a decision is signed in a dialog that names the lot and its certificate's state.
Leaves to others: deciding (network.materials), sending (static/isogenic.js).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from isogenic.authority.people import Person
from isogenic.authority.rules import Act
from isogenic.web.control_materials import ChangeoverLine, SiteReceipt, UsedTwice
from isogenic.web.screens.deciding import Pen, decisions
from isogenic.web.screens.markup import Markup, h, join
from isogenic.web.screens.parts import count_of, head, listing, mark, minute, panel
from isogenic.web.screens.recipe import put_forward

__all__ = ["materials_screen"]

SHOWN = 60  # received lots on the page; the API has all
_MARKS = {"released": "good", "quarantine": "warn", "used_up": "quiet"}


def materials_screen(
    stock: Sequence[SiteReceipt],
    matrices: Sequence[ChangeoverLine],
    twice: Sequence[UsedTwice],
    *,
    person: Person,
    roles: Mapping[Act, str],
    now: str,
    first: bool,
) -> Markup:
    """The page. `roles`: the acts that this person may do, and as what. `first`: the person has not signed in this session yet."""
    waiting = sum(each.received.state == "quarantine" for each in stock)
    shown = sorted(stock, key=lambda each: each.received.state != "quarantine")[:SHOWN]
    pen = Pen(person, roles, now, first)
    return join(
        head("Materials", sub=f"{count_of(waiting, 'received lot')} in quarantine. A line is cleared at its site, by the matrix that is in force."),
        h(
            "div.stack",
            panel("Used more than once", *(h("p", mark("stop", each.piece), " ", "; ".join(each.uses)) for each in twice)) if twice else None,
            panel("Received lots", _stock(shown, pen), aside=f"{len(shown)} of {len(stock)}"),
            panel("Changeover matrices", *_matrices(matrices, pen)),
        ),
    )


def _stock(stock: Sequence[SiteReceipt], pen: Pen) -> Markup:
    rows = []
    for each in stock:
        lot = each.received
        rows.append(
            (
                h("span", h("span.main", lot.title), h("span.under", f"{lot.supplier}, lot {lot.lot}, {lot.receipt}")),
                each.site,
                lot.quantity + (f", {lot.used} of {lot.serials} used" if lot.serials else ""),
                minute(lot.expires) if lot.expires else "no expiry",
                mark(_MARKS.get(lot.state, "stop"), lot.state.replace("_", " ")),
                decisions(lot, pen, site=each.site, post=f"/api/stock/{each.site}/{lot.receipt}/decision"),
            )
        )
    return listing(("What", "Site", "Quantity", "Expires", "State", ""), rows, nothing="No site has received anything yet.")


def _matrices(matrices: Sequence[ChangeoverLine], pen: Pen) -> list[Markup]:
    rows, found = [], []
    for each in matrices:
        path, buttons, dialogs = f"/api/changeover/{each.name}/{each.version}", [], []
        for act, word in ((Act.SIGN_RECIPE_AS_AUTHOR, "author"), (Act.APPROVE_RECIPE, "approver")):
            if (
                act in pen.roles
                and len(each.signed_by) == (word == "approver")
                and not any(pen.person.printed_name in said for said in each.signed_by)
            ):
                id_ = f"{word}-{each.name}-{each.version}"
                buttons.append(h("button.second.small", f"Sign as {word} …", type="button", data_open=f"#{id_}"))
                dialogs.append(
                    pen.dialog(
                        act,
                        id_=id_,
                        title=f"Sign {each.name} version {each.version} as its {word}",
                        sentence=f"I {'wrote or checked' if word == 'author' else 'approve'} what is done on a line between two batches",
                        post=f"{path}/signatures",
                        hidden=("act", str(act)),
                        about=[("Digest signed", h("code", each.digest[:32] + "…"))],
                    )
                )
        if len(each.signed_by) == 2 and not each.in_force and Act.APPROVE_RECIPE in pen.roles:
            buttons.append(h("form", h("button.small", "Publish", type="submit"), data_post=f"{path}/publication", style="display:inline"))
        text = h("details", h("summary", "Its text"), h("pre", each.text))
        rows.append(
            (
                h("span", h("span.main", f"{each.name} version {each.version}"), text),
                mark("good", "in force") if each.in_force else mark("quiet", "not in force"),
                "; ".join(each.signed_by) or "nobody",
                h("span.buttons", *buttons, *dialogs),
            )
        )
    found.append(listing(("Version", "State", "Signed by", ""), rows, nothing="None was put forward: after its first batch, no line can be cleared."))
    if Act.SIGN_RECIPE_AS_AUTHOR in pen.roles:
        words = "What is done on a line between one product or patient and the next. Two people sign it before it is published to every site."
        found.append(h("div.buttons", h("button.second", "Put a matrix forward", type="button", data_open="#matrix"), style="margin-top:14px"))
        found.append(put_forward("/api/changeover", "Put a changeover matrix forward", words, id_="matrix", then=""))
    return found
