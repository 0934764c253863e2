"""A site's own words for questions and their choices: shown at the site, while the recipe's are recorded."""

from __future__ import annotations

import pytest

from asked_recipe import recipe_with
from isogenic.errors import NotValid
from isogenic.recipes.comparison import check_site_recipe
from isogenic.recipes.general import load_general
from isogenic.recipes.site import derive_site, load_site
from isogenic.web.messages import Asked
from isogenic.web.screens.steps import choice_words, site_words

SITE = """isogenic: site-recipe/1
site: GHENT
recipe: MAB-FB
version: 1
language: nl
wording:
  bag_seen: {text: Hoe ziet het medium eruit?, choices: CHOICES}
"""


def derived(choices: str):
    document = load_site(SITE.replace("CHOICES", choices))
    made = derive_site(load_general(recipe_with()), document)
    return document, made, next(each for phase in made.procedure.phases for each in phase.prompts if each.name == "bag_seen")


def test_choices_are_shown_in_the_words_of_the_site_and_stay_those_of_the_recipe():
    document, made, prompt = derived("[helder, troebel]")
    assert (prompt.text, prompt.how.choices) == ("Look of it? | Hoe ziet het medium eruit? | helder / troebel", ("clear", "cloudy"))
    assert [str(each.severity) for each in check_site_recipe(made, document)] == ["good"]
    asked = Asked.model_construct(text=prompt.text, choices=list(prompt.how.choices))
    assert site_words(asked.text) == ("Hoe ziet het medium eruit?", "Look of it?")
    assert choice_words(asked) == {"clear": "helder", "cloudy": "troebel"}
    assert choice_words(Asked.model_construct(text="Look of it?", choices=["clear", "cloudy"])) == {"clear": "clear", "cloudy": "cloudy"}


@pytest.mark.parametrize(
    ("choices", "why"),
    [
        ("[helder]", "1 choices of bag_seen are worded; it has 2, in this order: clear, cloudy"),
        ("[helder, helder]", "one is given twice"),
        ("[helder / blank, troebel]", "without ' / '"),
        ('["helder | blank", troebel]', "without ' / '"),
        (f"[{'x' * 41}, troebel]", "at most 40 characters"),
    ],
)
def test_choices_that_do_not_fit_are_complained_of(choices, why):
    with pytest.raises(NotValid) as refused:
        derived(choices)
    assert why in str(refused.value)
