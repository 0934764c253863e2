"""What a new version reaches at each site, and that it reaches nothing else."""

from __future__ import annotations

import re
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recipe_desk import GENERAL, changed, plant_of, text, unit_of
from two_units import TWO_UNITS

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId
from isogenic.recipes.affected import affected, reach_digest, rebased
from isogenic.recipes.changes import What, changes
from isogenic.recipes.derive import derive_control, derive_master, derive_unit_procedures
from isogenic.recipes.general import load_general
from isogenic.recipes.roles import slices
from isogenic.recipes.site import derive_site, load_site

OLD = load_general(GENERAL)
SITES = [load_site(text(f"{site}.site.yaml")) for site in ("leeds", "ghent", "porto")]
STIRRER = "title: Agitation, value: 100 rpm"


def reached(*pairs: tuple[str, str]) -> dict[str, tuple[str, ...]]:
    new = changed("version: 1", "version: 2")
    for old, other in pairs:
        new = changed(old, other, of=new)
    return {str(each.site): each.reached for each in affected(OLD, load_general(new), SITES) if each.affected}


def test_a_changed_value_reaches_the_sites_that_do_not_set_it_themselves():
    assert reached((STIRRER, "title: Agitation, value: 110 rpm")) == {"GHENT": ("formula.agitation.value: 100.0 rpm -> 110.0 rpm",)}


def test_a_changed_range_reaches_every_site():
    assert set(reached(("low: 60 rpm, high: 200 rpm", "low: 80 rpm, high: 200 rpm"))) == {"LEEDS", "GHENT", "PORTO"}


@pytest.mark.parametrize(
    "pair",
    [
        ("title: Monoclonal antibody A, fed-batch", "title: Antibody A"),
        ("description: CHO", "description: A CHO"),
        ("formula:\n", "formula:\n  spare: {title: Spare, value: 1 h, low: 1 h, high: 2 h}\n"),
        ("# The general recipe", "# A general recipe"),
    ],
)
def test_what_reaches_no_unit_changes_no_digest(pair):
    assert reached(pair) == {}


@pytest.mark.parametrize(
    ("pair", "line"),
    [
        (("value: 0.875 mL/h", "value: 0.85 mL/h"), "formula.feed_rate.value: 0.875 mL/h -> 0.85 mL/h"),
        (('feed_flow_sp: "@feed_rate"', "feed_flow_sp: 0 mL/h"), "setpoints.feed_flow_sp: @feed_rate -> 0 mL/h"),
        (("until: elapsed >= @growth_time", "until: elapsed >= 2 d"), "until: elapsed >= @growth_time -> elapsed >= 2 d"),
        (("title: Inoculate", "title: Inoculate the vessel"), "title: Inoculate -> Inoculate the vessel"),
        (("  ph: {low: 6.8 pH", "  ph: {low: 6.7 pH"), "needs.ph.low: 6.8 pH -> 6.7 pH"),
    ],
)
def test_what_reaches_all_is_named_at_each(pair, line):
    found = reached(pair)
    assert set(found) == {"LEEDS", "GHENT", "PORTO"}
    assert all(any(each.endswith(line) for each in lines) for lines in found.values())


def test_a_site_whose_difference_no_longer_fits_is_affected_with_the_reason():
    new = load_general(changed(STIRRER + ", low: 60 rpm, high: 200 rpm", "title: Agitation, value: 100 rpm, low: 60 rpm, high: 130 rpm"))
    leeds = next(each for each in affected(OLD, new, SITES) if each.site == "LEEDS")
    assert (leeds.affected, leeds.refused) == (True, "line 10: agitation: 140 rpm is above its highest 130 rpm")


def test_a_site_renews_the_value_that_its_document_replaces():
    new = load_general(changed(STIRRER, "title: Agitation, value: 110 rpm"))
    assert [each.renew for each in affected(OLD, new, SITES)] == [
        ("parameter agitation: declared against 100 rpm, the recipe now says 110 rpm",),
        (),
        ("parameter agitation: declared against 100 rpm, the recipe now says 110 rpm",),
    ]
    assert derive_site(new, rebased(SITES[0], new)).formula["agitation"].value.value == 140.0


def test_the_same_version_reaches_nobody():
    assert reached() == {}


def reach(general, document) -> list[str]:
    return [reach_digest(each) for each in slices(derive_site(general, rebased(document, general)))]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([line for line in GENERAL.splitlines() if "value:" in line and line.startswith("  ")]), st.floats(0.0, 1.0))
def test_the_digest_moves_exactly_with_what_is_derived(line, share):
    """Any parameter set anywhere in its range: a site is listed if and only if what is derived for it is not the same."""
    name = line.split(":")[0].strip()
    one = OLD.formula[name]
    value = one.low.value + share * (one.high.value - one.low.value)
    new = load_general(changed(line, line.replace(f"value: {line.split('value: ')[1].split(',')[0]}", f"value: {value!r} {one.value.unit}")))
    for each, document in zip(affected(OLD, new, SITES), SITES, strict=True):
        before, after = derive_site(OLD, document).formula[name], derive_site(new, rebased(document, new)).formula[name]
        assert each.affected is (before != after)
        assert each.affected is (reach(OLD, document) != reach(new, document))


def test_every_change_has_a_type():
    new = changed("version: 1", "version: 2")
    for old, other in (
        ("value: 0.875 mL/h, low: 0.80 mL/h", "value: 0.85 mL/h, low: 0.82 mL/h"),
        ("  ph: {low: 6.8 pH", "  ph: {low: 6.7 pH"),
        ("title: Inoculate", "title: Inoculate the vessel"),
        ("until: elapsed >= @growth_time", "until: elapsed >= 2 d"),
        ("text: Lot number of the inoculum", "text: Lot of the inoculum"),
        ("high: 0.64 L, per: volume", "high: 0.64 L"),
        (
            "dissolved_oxygen: {title: Dissolved oxygen, value: 40 %, low: 30 %, high: 60 %, critical: true}",
            "dissolved_oxygen: {title: Dissolved oxygen, value: 40 %, low: 30 %, high: 60 %}",
        ),
    ):
        new = changed(old, other, of=new)
    assert {(each.what, each.path) for each in changes(OLD, load_general(new))} == {
        (What.IDENTITY, "version"),
        (What.SETPOINT, "formula.feed_rate.value"),
        (What.RANGE, "formula.feed_rate.range"),
        (What.NEED, "needs.ph"),
        (What.PROMPT, "procedure.inoculate.ask.inoculum_lot"),
        (What.WORDING, "procedure.inoculate.title"),
        (What.PROCEDURE, "procedure.growth.until"),
        (What.CRITICAL, "formula.dissolved_oxygen.critical"),
        (What.SCALE, "formula.medium_volume.per"),
    }


# --- against brute force ------------------------------------------------------------------------

DECIDED = TWO_UNITS.replace(
    "  wash_time:", "  turn: {title: Turn, value: 5 mM, low: 1 mM, high: 9 mM}\n  dense: {title: D, value: 4 mM, low: 1 mM, high: 9 mM}\n  wash_time:"
).replace(
    TWO_UNITS[TWO_UNITS.index("  - unit_procedure: resting") :],
    """  - choose:
      - when: glucose < @turn
        do:
          - unit_procedure: resting
            on: second
            on_hold: [{phase: calm, title: Calm, setpoints: {agitation_sp: 70 rpm}, until: elapsed > 5 min}]
            on_exception:
              - {operation: rescue, phases: [{phase: cool, title: Cool, setpoints: {temperature_sp: 36.5 degC}, until: elapsed > 2 h}]}
            operations:
              - operation: rest
                phases:
                  - phase: stir
                    title: Stir
                    setpoints: {agitation_sp: "@stirring"}
                    exceptions: [{name: warm, when: temperature > 38 degC, for: 5 min, then: rescue}]
                    samples: [{sample: cells, what: 5 mL, when: elapsed > 1 h}]
                    enter: [{parameter: stirring, text: Speed that was set}]
                    until: elapsed > 3 h
      - otherwise:
          - {unit_procedure: idling, on: second, operations: [{operation: idle, phases: [{phase: idle, title: Idle, until: elapsed > 1 h}]}]}
""",
)
AT_LEEDS = load_site("isogenic: site-recipe/1\nsite: LEEDS\nrecipe: GROW-FILL\nversion: 2\n")
PLACES = [  # every number, switch, consequence and title, and what stands there instead
    *((found.start(), found.end(), f"{float(found[0]) * 1.01:.6g}") for found in re.finditer(r"(?<=[ \[<>])\d+(?:\.\d+)?(?= [a-zA-Z%])", DECIDED)),
    *((found.start(), found.end(), str(int(found[0]) + 1)) for found in re.finditer(r"(?<=at_most: )\d+", DECIDED)),
    *((found.start(), found.end(), "false") for found in re.finditer(r"\btrue\b", DECIDED)),
    *((found.start(), found.end(), "alarm") for found in re.finditer(r"(?<=then: )hold", DECIDED)),
    *((found.start(), found.end(), "Other") for found in re.finditer(r"(?<=title: )[A-Z]\w+(?=, setp|, until|, value)", DECIDED)),
    *((found.start(), found.end(), "@dense") for found in re.finditer(r"@turn", DECIDED)),
]


def by_force(general, role: str) -> object:
    """Everything that is derived for the unit of a role, every need and range of what it names, and when it begins."""
    master = derive_master(derive_site(general, AT_LEEDS), plant_of("leeds"))
    try:
        parts: object = derive_unit_procedures(master, unit_of("leeds"), role)
        control = derive_control(master, unit_of("leeds"), batch=BatchId("BAT-1"), lot=LotId("LOT-1"))
    except NotAllowed as refusal:
        return refusal.why
    return parts, control.chart, master.roles[role]


@cache
def before_any_change():
    """The recipe that nobody changed."""
    return load_general(DECIDED)


@cache
def by_force_before(role: str) -> object:
    """What is derived of the recipe that nobody changed: the same for every change, so it is derived once."""
    return by_force(before_any_change(), role)


@settings(max_examples=50, deadline=None)
@given(st.sampled_from(PLACES))
def test_what_is_listed_is_what_derives_otherwise(place):
    """Any one number, switch or title: a role whose recipe derives otherwise is listed, each listed one differs, and the change is told."""
    start, end, instead = place
    before = before_any_change()
    try:
        after = load_general(DECIDED[:start] + instead + DECIDED[end:])
    except NotValid:  # out of its range, say
        return
    assert changes(before, after) != ()
    for each in affected(before, after, [AT_LEEDS]):
        same = by_force_before(each.role) == by_force(after, each.role)
        assert each.affected or same
        part = {
            name: next(one for one in slices(derive_site(of, AT_LEEDS)) if one.role == each.role) for name, of in (("was", before), ("now", after))
        }
        assert each.affected is (part["was"] != part["now"])


def test_a_parameter_that_only_decides_which_way_is_taken_reaches_every_role():
    after = load_general(DECIDED.replace("value: 5 mM", "value: 7 mM"))
    found = affected(load_general(DECIDED), after, [AT_LEEDS])
    assert [(each.role, each.reached) for each in found] == [(role, ("formula.turn.value: 5.0 mM -> 7.0 mM",)) for role in ("reactor", "second")]


def test_a_parameter_that_is_only_waited_for_once_entered_reaches_its_role():
    place = "until: elapsed > 3 h}\n"
    entering = 'enter: [{parameter: wash_time, text: Time}], until: "answered and entered.wash_time > 1 h"}\n'
    before = TWO_UNITS.replace('setpoints: {agitation_sp: "@stirring"}, until: elapsed >= @wash_time', "until: elapsed > 1 h")
    before = before.replace(place, entering)
    assert before.count("wash_time") == 3
    found = affected(load_general(before), load_general(before.replace("high: 4 h", "high: 5 h")), [AT_LEEDS])
    assert [(each.role, each.affected) for each in found] == [("reactor", False), ("second", True)]


@pytest.mark.parametrize(
    ("pair", "told"),
    [
        (("glucose < @turn", "glucose < 4 mM"), [(What.PROCEDURE, "chart")]),
        (("at_most: 3", "at_most: 9"), [(What.PROCEDURE, "chart.growing.prepare")]),
        (("adjustable: true", "adjustable: false"), [(What.ADJUSTABLE, "formula.stirring.adjustable")]),
        (("witness: true", "witness: false"), [(What.PROMPT, "procedure.look.ask.clear.witness")]),
        (("low: 36 degC, high: 38 degC}}\n", "low: 35 degC, high: 38 degC}}\n"), [(What.NEED, "units.reactor.needs.temperature")]),
        (("elapsed > 5 min", "elapsed > 6 min"), [(What.PROCEDURE, "procedure.calm.until")]),
        (("36.5 degC", "36.6 degC"), [(What.SETPOINT, "procedure.cool.setpoints.temperature_sp")]),
        (("value: 80 rpm", "value: 80.0000001 rpm"), [(What.SETPOINT, "formula.stirring.value")]),
        (("product: MAB-A", "product: MAB-Z"), [(What.IDENTITY, "product")]),
    ],
)
def test_a_change_of_chart_question_or_role_is_told(pair, told):
    assert DECIDED.count(pair[0]) == 1
    after = load_general(DECIDED.replace(*pair))
    assert [(each.what, each.path) for each in changes(load_general(DECIDED), after)] == told
    assert any(each.affected for each in affected(load_general(DECIDED), after, [AT_LEEDS]))
