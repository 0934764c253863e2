"""One recipe version at its four levels: general, each site's differences, the masters they give, and who signed what."""

from __future__ import annotations

from isogenic.clock import text_of_time
from isogenic.recipes.approval import RecipeAccepted
from isogenic.recipes.changes import FOR_EACH
from isogenic.recipes.model import Difference
from isogenic.records.signatures import Signature
from isogenic.web.recipe_views import AtOneSite, RecipeView
from isogenic.web.screens.markup import Child, Markup, h, join, raw
from isogenic.web.screens.parts import count_of, empty, head, listing, mark, pairs, panel, second
from isogenic.web.screens.signing import signature_dialog

__all__ = ["put_forward", "recipe_screen"]

AUTHOR, APPROVER = "sign_recipe_as_author", "approve_recipe"
MEANS = {
    AUTHOR: ("authored", "I wrote or checked this text as the process engineer, with what each site does otherwise"),
    APPROVER: ("approved", "I approve this text for manufacture, with what each site does otherwise"),
}
CHANGES_SHOWN = 40  # lines: a longer list is read with `isogenic recipe diff`


def recipe_screen(view: RecipeView, *, role: str, now: str, first: bool) -> Markup:
    """The page. `first`: the person has not signed in this session yet."""
    general = view.general
    name = f"{general.recipe} version {general.version}"
    top = head(name, sub=general.title, trail=(("/recipes", "Recipes"), (f"/recipes/{general.recipe}/{general.version}", name)))
    return join(
        top,
        h(
            "div.stack",
            _status(view, role=role, now=now, first=first),
            _change(view),
            *(_site(view, each, role=role, now=now, first=first) for each in view.sites),
            _general(view),
            panel("Procedure", h("div.scroll", raw(view.chart), style="text-align:center"), aside="step, transition; double lines: side by side"),
        ),
    )


def put_forward(post: str, title: str, words: str, *, id_: str, then: str) -> Markup:
    """A dialog in which a document is pasted."""
    text = h("textarea", name="text", required=True, maxlength="60000", rows="18", spellcheck="false", style="font-family:monospace;width:100%")
    buttons = h("div.buttons", h("button", "Put forward", type="submit"), h("button.second", "Cancel", type="button", data_close=True))
    form = h("form", h("h2", title), h("p", words), h("label.field", h("span", "Document (YAML)"), text), buttons, data_post=post, data_then=then)
    return h("dialog", form, id=id_, aria_label=title)


def _signatures(signatures: tuple[Signature, ...], nothing: str) -> Markup:
    rows = [(h("span.main", each.printed_name), each.meaning, each.role.replace("_", " "), second(text_of_time(each.at))) for each in signatures]
    return listing(("Signature", "Meaning", "Role", "Date and time"), rows, nothing=nothing, close=True)


def _dialog(
    view: RecipeView, act: str, *, post: str, what: str, about: list[tuple[str, Child]], id_: str, role: str, now: str, first: bool
) -> Markup:
    word = "author" if act == AUTHOR else "approver"
    return signature_dialog(
        view.person,
        role=role,
        title=f"Sign {what} as its {word}",
        meaning=MEANS[act],
        now=now,
        post=post,
        button="Sign",
        hidden=[("act", act)],
        about=about,
        id_=id_,
        first=first,
    )


def _acts(view: RecipeView, signatures: tuple[Signature, ...]) -> list[str]:
    """What this person may sign and has not."""
    if view.signed(signatures):
        return []
    meanings = {each.meaning for each in signatures}
    acts = [AUTHOR] if view.may_author and "authored" not in meanings else []
    return acts + ([APPROVER] if view.may_approve and "approved" not in meanings and "authored" in meanings else [])


def _status(view: RecipeView, *, role: str, now: str, first: bool) -> Markup:
    general, submitted = view.general, view.submitted
    path = f"/api/recipes/{general.recipe}/{general.version}"
    documents = [each for each in view.sites if each.document is not None]
    about: list[tuple[str, Child]] = [
        ("Recipe", f"{general.recipe} version {general.version}"),
        ("Digest signed", h("code", submitted.digest[:32] + "…")),
        ("Signed with it", ", ".join(f"document of {each.site} ({_count(each)})" for each in documents) or "no site's document"),
    ]
    buttons, dialogs = [], []
    for act in _acts(view, view.signatures):
        buttons.append(h("button", "Sign as author" if act == AUTHOR else "Sign as approver", type="button", data_open=f"#{act}"))
        post = f"{path}/signatures"
        dialogs.append(_dialog(view, act, post=post, what="the recipe", about=about, id_=act, role=role, now=now, first=first))
    waiting = [each for each in view.sites if each.ready and not each.published]
    if view.may_approve and waiting and len({each.meaning for each in view.signatures}) == 2:
        publish = h("button", f"Publish to {', '.join(each.site for each in waiting)}", type="submit")
        buttons.append(h("form", publish, data_post=f"{path}/publication", style="display:inline"))
    if view.may_author:
        buttons.append(h("button.second", "Put a site's document forward", type="button", data_open="#site-document"))
        words = "What one site does otherwise, each difference with its type and its reason. It is signed by two people before it is published."
        dialogs.append(put_forward("/api/site-documents", "Put a site's document forward", words, id_="site-document", then=""))
    counted = f"{count_of(len(general.formula), 'parameter')}, {count_of(len(general.procedure.phases), 'phase')}"
    reached = sum(each.published for each in view.sites)
    levels = pairs(
        (
            "General",
            f"{counted}, {len(view.signatures)} of 2 signatures",
        ),
        ("Site", ", ".join(f"{each.site}: {_count(each)}" for each in documents) or "no document"),
        ("Master", ", ".join(f"{name}: {part.equipment_class.replace('_', ' ')}" for name, part in general.roles.items())),
        ("Control", f"published to {reached} of {len(view.sites)} sites; each derives its own for every unit and batch"),
    )
    return panel(
        "Levels and signatures",
        h("div.grid.cols-2", h("div", levels), h("div", _signatures(view.signatures, "Nobody has signed it yet."))),
        h("div.buttons", *buttons, style="margin-top:14px") if buttons else None,
        *dialogs,
        aside=join(f"{general.product}, SHA-256 ", h("code", submitted.digest[:24] + "…")),
    )


def _count(each: AtOneSite) -> str:
    return count_of(len(each.document.differences), "difference") if each.document else "no document"


def _change(view: RecipeView) -> Markup | None:
    """What is new since the version before, and whom it reaches."""
    before = view.before
    if before is None:
        return None
    rows = [
        (
            str(each.what),
            str(each.kind),
            h("span", each.path, h("span.under", "critical") if each.critical else None),
            each.was or "–",
            each.now or "–",
        )
        for each in before.changes[:CHANGES_SHOWN]
    ]
    sites = [
        (
            each.site,
            f"{each.role}, {each.equipment_class.replace('_', ' ')}",
            mark("warn", "affected") if each.affected else mark("good", "equal by digest"),
            each.refused or "; ".join(each.reached[:3]) or h("code", each.after[:24] + "…"),
            "; ".join(each.renew) or "–",
        )
        for each in before.reached
    ]
    affected_sites = len({each.site for each in before.reached if each.affected})
    return panel(
        f"Since version {before.version}",
        listing(("Type", "", "Where", "Was", "Is"), rows, nothing="Nothing changed.", close=True),
        h("p", h("b", "Master recipes at all sites"), style="margin:16px 0 8px"),
        listing(
            ("Site", "Master recipe", "", "What reaches it, or its digest", "To renew in its document"), sites, nothing="No site has one.", close=True
        ),
        aside=f"{count_of(len(before.changes), 'change')}, {count_of(affected_sites, 'site')} affected",
    )


def _site(view: RecipeView, each: AtOneSite, *, role: str, now: str, first: bool) -> Markup:
    general, found = view.general, each.document
    state: Child
    if isinstance(each.answer, RecipeAccepted):
        state = mark("good", f"accepted, for {', '.join(each.answer.units)}")
    elif each.answer is not None:
        state = mark("stop", f"not accepted: {'; '.join(each.answer.reasons)}")
    elif each.published:
        state = mark("quiet", "published, waiting for the site's answer")
    else:
        state = mark("warn", "; ".join(each.against)) if each.against else mark("quiet", "ready to be published")
    if found is None:
        return panel(str(each.site), state)
    buttons, dialogs = [], []
    about: list[tuple[str, Child]] = [("Document", f"{each.site}, {_count(each)}"), ("Digest signed", h("code", each.digest[:32] + "…"))]
    if not each.published and view.signed(view.signatures):  # otherwise it is signed together with the recipe
        for act in _acts(view, each.signatures):
            name = f"{act}-{each.site}".lower()
            buttons.append(h("button.second", f"Sign {each.site}'s document", type="button", data_open=f"#{name}"))
            post = f"/api/recipes/{general.recipe}/{general.version}/sites/{each.site}/signatures"
            what = f"the document of {each.site}"
            dialogs.append(_dialog(view, act, post=post, what=what, about=about, id_=name, role=role, now=now, first=first))
    rows = [_difference(one) for one in found.differences]
    notes = [h("p.small", note) for note in found.notes]
    language = f"{count_of(len(found.wording), 'question')} in {found.language}" if found.wording else f"language {found.language}"
    return panel(
        str(each.site),
        h("p", state, style="margin-bottom:12px"),
        listing(("Type", "What", "General recipe", "Here", "Why"), rows, nothing="As the general recipe says.", close=True),
        *notes,
        _signatures(each.signatures, "Nobody has signed its document yet."),
        h("div.buttons", *buttons, style="margin-top:14px") if buttons else None,
        *dialogs,
        aside=join(f"{language}, SHA-256 ", h("code", each.digest[:24] + "…")),
    )


def _difference(one: Difference) -> tuple[Child, ...]:
    kind = str(one.why_type) if one.why_type else mark("stop", "type not said")
    return (kind, h("span", h("span.main", one.name), h("span.under", str(one.target))), one.was, one.now, one.why)


def _general(view: RecipeView) -> Markup:
    rows = [
        (
            h("span", h("span.main", one.title), h("span.under", name)),
            f"{one.value}{FOR_EACH[one.per]}",
            f"{one.low} to {one.high}",
            ", ".join(word for word, holds in (("critical", one.critical), ("adjustable", one.adjustable)) if holds) or "–",
        )
        for name, one in view.general.formula.items()
    ]
    return panel("Formula", listing(("Parameter", "Value", "Range for sites", ""), rows, nothing="No parameters.", close=True)) if rows else empty("")
