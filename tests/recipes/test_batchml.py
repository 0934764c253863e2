"""BatchML in and out: nothing is lost in silence, and nothing from outside does more than be read or refused."""

from __future__ import annotations

import contextlib
from dataclasses import replace
from pathlib import Path
from unicodedata import normalize

import pytest
import recipe_desk
from hypothesis import example, given, settings
from hypothesis import strategies as st
from recipe_desk import GENERAL
from test_blocks import USE, using
from two_units import TWO_UNITS

from isogenic.documents import Document, Plain
from isogenic.errors import NotValid
from isogenic.recipes import batchml, pages
from isogenic.recipes.batchml import COURTESY, INSIDE, Node
from isogenic.recipes.batchml_mapping import document_of, recipe_of
from isogenic.recipes.general import load_general
from isogenic.recipes.writing import written

REAL = Path(__file__).resolve().parents[2] / "../shared/data/mtp/BatchML_MasterRecipe1.xml"


@pytest.fixture(scope="module")
def real() -> bytes:
    """A real master recipe of another make (see the data's own README)."""
    if not REAL.exists():
        pytest.skip("no ../shared/data/mtp/BatchML_MasterRecipe1.xml beside this checkout")
    return REAL.read_bytes()


def plain(text: str) -> dict[str, Plain]:
    return Document.read(text, what="recipe", kind="isogenic: general-recipe/1").plain_table()


# --- our own --------------------------------------------------------------------------------------


def test_our_recipe_comes_back_as_the_same_recipe():
    data, _ = pages.export_batchml(GENERAL)
    came_back, listed = pages.import_batchml(data)
    assert listed == ()
    assert replace(load_general(came_back), digest="") == replace(load_general(GENERAL), digest="")


@pytest.mark.parametrize(
    "recipe", [TWO_UNITS, recipe_desk.text("cart-a.general.yaml"), using(USE, USE.replace("use: warm_up", "use: warm_up, as: late"))]
)
def test_units_charts_and_blocks_come_back_as_the_same_recipe(recipe):
    """Blocks come back written out: what they make is the same recipe."""
    data, said = pages.export_batchml(recipe)
    came_back, listed = pages.import_batchml(data)
    assert (listed, said[0] == "blocks are written out where they are used") == ((), "blocks:" in recipe)
    assert replace(load_general(came_back), digest="") == replace(load_general(recipe), digest="")
    assert pages.export_batchml(came_back)[0] == data


def test_the_file_says_whose_language_it_is_and_is_the_same_each_time():
    data, listed = pages.export_batchml(GENERAL)
    assert COURTESY.encode() in data
    assert data == pages.export_batchml(GENERAL)[0]
    assert "cell_culture/prepare/charge_medium: dose is carried for our own reading only" in listed


def test_others_can_read_the_parts_that_the_standard_has():
    recipe, missed = batchml.read(pages.export_batchml(GENERAL)[0])
    assert missed == ()
    assert (recipe.said("ID"), recipe.said("Version"), recipe.said("Header", "ProductID")) == ("MAB-FB", "1", "MAB-A")
    feed = next(each for each in recipe.one("Formula").all("Parameter") if each.said("ID") == "feed_rate")
    assert (feed.said("Value", "ValueString"), feed.said("Value", "UnitOfMeasure"), feed.said("ScaleReference")) == ("0.875", "mL/h", "volume")
    culture = recipe.all("RecipeElement")[-2]
    assert [each.said("Condition") for each in culture.one("ProcedureLogic").all("Transition")] == [
        "True",
        "Step cell_culture/prepare is Completed",
        "Step cell_culture/culture is Completed",
        "Step cell_culture/finish is Completed",
    ]


CHART: dict[str, Plain] = {
    "isogenic": "general-recipe/1",
    "recipe": "CELLS",
    "version": "3",
    "product": "CAR-T",
    "title": 'Cells <and> "beads" & more',
    "equipment_class": "stirred_bioreactor",
    "needs": {},
    "formula": {},
    "procedure": [
        {
            "unit_procedure": "one",
            "operations": [
                {
                    "operation": "both",
                    "phases": [
                        {"phase": "a", "title": "A", "until": "elapsed >= 1 h"},
                        {
                            "parallel": [
                                [{"phase": "b", "title": "B", "until": "dosed"}, {"phase": "c", "title": "C", "until": "elapsed > 2 h"}],
                                [{"phase": "d", "title": "D", "until": "answered"}],
                            ]
                        },
                        {
                            "choose": [
                                {"when": "glucose < 5 mM", "do": [{"phase": "e", "title": "E", "until": "elapsed > 1 h"}]},
                                {"otherwise": [{"phase": "f", "title": "F", "until": "elapsed > 1 h"}]},
                            ]
                        },
                        {
                            "repeat": {
                                "do": [{"phase": "g", "title": "G", "until": "elapsed > 1 h"}],
                                "until": "ph > 7 pH",
                                "at_most": "3",
                                "then": "hold",
                            }
                        },
                        {"repeat": {"do": [{"parallel": [[], [{"phase": "h", "title": "H", "until": "dosed"}]]}], "until": "dosed", "at_most": "2"}},
                    ],
                }
            ],
        }
    ],
}


def test_branches_and_loops_come_back_as_they_were():
    recipe, _ = recipe_of(CHART)
    again, missed = batchml.read(batchml.written(recipe))
    carried = document_of(again, missed=missed)
    assert (carried.document, carried.listed) == (CHART, ())


NAMES = st.text("abcdefgh", min_size=1, max_size=6)


def _items(depth: int) -> st.SearchStrategy[list[Plain]]:
    phase = st.just("elapsed > 1 h").map(lambda until: {"phase": "?", "title": "Any", "until": until})
    if depth == 0:
        return st.lists(phase, max_size=2)  # type: ignore[arg-type]
    inner = _items(depth - 1)
    both = st.lists(inner, min_size=2, max_size=3).map(lambda ways: {"parallel": ways})
    one = st.tuples(inner, inner).map(lambda ways: {"choose": [{"when": "dosed", "do": ways[0]}, {"otherwise": ways[1]}]})
    loop = inner.map(lambda body: {"repeat": {"do": body, "until": "ph > 7 pH", "at_most": "3"}})
    return st.lists(phase | both | one | loop, max_size=3)  # type: ignore[arg-type]


def _numbered(value: Plain, count: list[int]) -> Plain:
    if isinstance(value, dict):
        if value.get("phase") == "?":
            count[0] += 1
            return {**value, "phase": f"p{count[0]}"}
        return {key: _numbered(inner, count) for key, inner in value.items()}
    return [_numbered(each, count) for each in value] if isinstance(value, list) else value


@settings(max_examples=60, deadline=None)
@given(_items(2))
def test_any_chart_comes_back(items):
    document = {**CHART, "procedure": [{"unit_procedure": "one", "operations": [{"operation": "all", "phases": _numbered(items, [0])}]}]}
    carried = document_of(batchml.read(batchml.written(recipe_of(document)[0]))[0])
    assert carried.document == document


# --- a stranger's ---------------------------------------------------------------------------------


def test_a_real_file_is_read_whole_and_written_as_it_was(real):
    recipe, missed = batchml.read(real)
    assert missed == ("BatchInformation@schemaLocation",)
    assert batchml.read(batchml.written(recipe)) == (recipe, ())


def test_a_real_file_becomes_a_draft_that_lists_what_is_missing(real):
    text, listed = pages.import_batchml(real)
    assert "no equipment class is named that is known here: choose one" in listed
    assert "constraint 'Material constraint': 'Material == H2O' is no capability with a range" in listed
    draft = plain(text)
    assert len(draft["formula"]) == 6
    phases = draft["procedure"][0]["operations"][0]["phases"]  # type: ignore[index]
    assert [phase["service"]["name"] for phase in phases] == ["MixingOfLiquids", "Dosing", "HeatingOfLiquids"]  # type: ignore[index]
    assert all(line in text for line in listed)


def test_the_draft_of_a_real_file_comes_back_as_it_was(real):
    draft = document_of(batchml.read(real)[0]).document
    again = document_of(batchml.read(batchml.written(recipe_of(draft)[0]))[0]).document
    assert again == draft


# --- bad input ------------------------------------------------------------------------------------

LAUGHS = b'<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]><MasterRecipe><ID>&b;</ID></MasterRecipe>'
OUTSIDE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/hostname">]><MasterRecipe><ID>&a;</ID></MasterRecipe>'


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (LAUGHS, "document type or entities"),
        (OUTSIDE, "document type or entities"),
        (b"", "no XML"),
        (b"recipe: yes", "no XML"),
        (b"<ControlRecipe/>", "no MasterRecipe but 'ControlRecipe'"),
        (b"<MasterRecipe>" + b"<RecipeElement>" * 30 + b"</RecipeElement>" * 30 + b"</MasterRecipe>", "nested deeper than 24"),
        (b"<MasterRecipe>" + b"<Description/>" * 50_001 + b"</MasterRecipe>", "more than 50000 elements"),
        (b"<MasterRecipe>" + b"<a/>" * 999_000 + b"</MasterRecipe>", "more than 50000 elements"),
        (b"<a>" * 500_000, "more than 50000 elements"),
        (b"<a>" * 90_000, "it is no XML"),
        (b" " * 4_000_001, "bytes are more than"),
        (b'<!DOCTYPE x [<!ENTITY a "' + b"y" * 9_000 + b'">]><MasterRecipe x="' + b"&a;" * 9_000 + b'"/>', "it is no XML|document type"),
        (b'<!DOCTYPE x [<!ENTITY % p SYSTEM "file:///etc/hostname"> %p;]><MasterRecipe/>', "document type or entities"),
        (b"<?xml version='1.0' encoding='nosuch'?><MasterRecipe/>", "it is no XML"),
        (b"<?xml version='1.0' encoding='utf-8'?><MasterRecipe><ID>\xff</ID></MasterRecipe>", "it is no XML"),
        (b"<?xml version='1.0' encoding='utf-7'?><MasterRecipe/>+ADw-", "it is no XML"),
        ("<MasterRecipe><Description>a\u202eb</Description></MasterRecipe>".encode(), "U\\+202E changes the order"),
        (b"<MasterRecipe><ID>" + b"x" * 20_001 + b"</ID></MasterRecipe>", "more than 20000 characters"),
    ],
)
def test_what_is_no_master_recipe_is_refused(data, why):
    with pytest.raises(NotValid, match=why):
        batchml.read(data)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "iso-8859-1"])
def test_a_file_is_read_in_the_encoding_that_it_names(encoding):
    data = f"<?xml version='1.0' encoding='{encoding}'?><MasterRecipe><ID>Nährlösung</ID></MasterRecipe>".encode(encoding)
    assert batchml.read(data)[0].said("ID") == "Nährlösung"


def test_a_flood_of_attributes_is_listed_in_so_many_lines_and_no_more():
    data = b"<MasterRecipe" + b"".join(b" a%d=''" % at for at in range(100_000)) + b"/>"
    missed = batchml.read(data)[1]
    assert (len(missed), missed[0], missed[-1]) == (201, "MasterRecipe@a0", "and 99800 more")


def test_the_title_of_a_draft_is_one_line():
    draft, _ = pages.import_batchml(b"<MasterRecipe><ID>A</ID><Description>One\n\n  and\ttwo</Description></MasterRecipe>")
    assert plain(draft)["title"] == "One and two"


def test_what_has_no_place_is_listed_with_its_path():
    data = (
        b'<MasterRecipe lang="en"><ID>A<b/></ID><Colour>red</Colour><Formula>loose<Parameter><ID>p</ID><Taste/></Parameter></Formula></MasterRecipe>'
    )
    assert batchml.read(data)[1] == (
        "MasterRecipe@lang",
        "MasterRecipe/ID/b",
        "MasterRecipe/Colour",
        "MasterRecipe/Formula: the text 'loose'",
        "MasterRecipe/Formula/Parameter/Taste",
    )


@pytest.mark.parametrize("said", ['{"a": 1}', "[[[[[[[[[[[[[[1]]]]]]]]]]]]]]", '"', "[" * 5_000])
def test_what_pretends_to_be_ours_is_refused(said):
    other = Node("OtherInformation", "", (Node("ID", "isogenic:dose"), Node("Value", "", (Node("ValueString", said),))))
    with pytest.raises(NotValid):
        document_of(Node("MasterRecipe", "", (Node("ID", "A"), other)))


TEXTS = st.sampled_from(
    ["", "S1", "S2", "T1", "Begin", "Phase", "StartParallel", "EndParallel", "StartLoop", "EndLoop", "StartBranch", "x", "1e9 m"]
) | st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"), max_size=8)


def _nodes(tag: str, depth: int) -> st.SearchStrategy[Node]:
    if tag not in INSIDE:
        return TEXTS.map(lambda text: Node(tag, normalize("NFC", text).strip()))
    if depth == 0:
        return st.just(Node(tag))
    order = INSIDE[tag]
    some = st.lists(st.sampled_from(order).flatmap(lambda each: _nodes(each, depth - 1)), max_size=5)
    return some.map(lambda inside: Node(tag, "", tuple(sorted(inside, key=lambda node: order.index(node.tag)))))


@settings(max_examples=100, deadline=None)
@given(_nodes("MasterRecipe", 4))
def test_whatever_a_file_says_gives_a_document_or_one_refusal(recipe):
    again, missed = batchml.read(batchml.written(recipe))
    assert (again, missed) == (recipe, ())
    try:
        carried = document_of(again)
    except NotValid:
        return
    text = written(carried.document)
    assert plain(text) == carried.document


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=200) | st.tuples(st.integers(0, 15_000), st.binary(max_size=6)))
@example((200, b"<!"))
def test_damaged_bytes_are_read_or_refused(damage):
    whole = pages.export_batchml(GENERAL)[0]
    data = damage if isinstance(damage, bytes) else whole[: damage[0]] + damage[1] + whole[damage[0] + len(damage[1]) :]
    with contextlib.suppress(NotValid):
        document_of(batchml.read(data)[0])
