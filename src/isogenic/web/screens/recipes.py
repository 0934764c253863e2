"""Recipes: which version is signed by whom, and what each site answered."""

from __future__ import annotations

from collections.abc import Sequence

from isogenic.web.control_messages import RecipeLine
from isogenic.web.screens.markup import Markup, h, join
from isogenic.web.screens.parts import empty, head, listing, mark, pairs, panel, second
from isogenic.web.screens.recipe import put_forward

__all__ = ["recipes_screen"]


def recipes_screen(recipes: Sequence[tuple[RecipeLine, str]], *, may_submit: bool = False) -> Markup:
    """The page: each version with its title, and the way to put one forward."""
    words = "A general recipe as its document. It is checked line by line; nothing is approved by putting it forward."
    return join(
        head(
            "Recipes",
            sub="A version takes effect at a site once two people have signed it and the site has accepted it.",
            aside=h("button", "Put a recipe forward …", type="button", data_open="#submit-recipe") if may_submit else None,
        ),
        put_forward("/api/recipes", "Put a recipe forward", words, id_="submit-recipe", then="/recipes") if may_submit else None,
        h("div.stack", *(_recipe(line, title) for line, title in recipes)) if recipes else panel("Recipes", empty("No recipe has been put forward.")),
    )


def _recipe(line: RecipeLine, title: str) -> Markup:
    signatures = listing(
        ("Signature", "Meaning", "Role", "Date and time"),
        [(h("span.main", each.printed_name), each.meaning, each.role.replace("_", " "), second(each.at)) for each in line.signatures],
        nothing="Nobody has signed it yet.",
    )
    sites = pairs(*((site, mark("good", answer) if answer.startswith("accepted") else mark("warn", answer)) for site, answer in line.sites.items()))
    return panel(
        f"{line.recipe} version {line.version}",
        h("p", h("a", title, href=f"/recipes/{line.recipe}/{line.version}"), style="font-size:17px;font-weight:600;margin-bottom:14px"),
        h("div.grid.cols-2", h("div", signatures), h("div", sites if line.sites else empty("It is published to no site."))),
        aside=join(f"{line.product}, SHA-256 ", h("code", line.digest[:24] + "…")),
    )
