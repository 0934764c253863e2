"""Are two skids of the same type? And does a module offer what a class asks for?"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mtp_setup import hc10, old_dialect

from isogenic.checks import stops
from isogenic.plant.classes import CLASSES
from isogenic.plant.classes.signals import equipment_class, measured, parameter, service, set_point
from isogenic.plant.mtp.checking import Names, check_module
from isogenic.plant.mtp.comparing import Change, Part, compare, same_type, type_digest
from isogenic.plant.mtp.model import Access, Dialect, Manifest
from isogenic.plant.mtp.reading import read_manifest
from isogenic.plant.mtp.writing import write_manifest
from isogenic.sim.pea import PeaDefinition, PeaParameter, PeaProcedure, PeaService, PeaValue, definition_of
from isogenic.sim.pea_manifest import manifest_of

VOLUME = PeaParameter("volume", "L", 0.0, 50.0)


def doser(**changed: object) -> PeaDefinition:
    known = {
        "services": (PeaService("dose", (PeaProcedure("by_volume", 1, parameters=(VOLUME,)), PeaProcedure("slow", 2))),),
        "assemblies": (PeaValue("level", "L", 0.0, 100.0), PeaValue("speed_sp", "rpm", 0.0, 100.0, settable=True)),
    }
    return PeaDefinition("DOSER", **(known | changed))  # type: ignore[arg-type]


def dosers(*procedures: PeaProcedure) -> Manifest:
    return manifest_of(doser(services=(PeaService("dose", procedures),)))


BASE = manifest_of(doser(), endpoint="opc.tcp://a:4840")


def told(other: Manifest) -> list[tuple[str, str, str, str, str, str]]:
    return [(each.change, each.part, each.where, each.what, each.old, each.new) for each in compare(BASE, other) if each.of_type]


def test_a_manifest_is_of_its_own_type_in_either_dialect_at_any_address():
    other = read_manifest(
        write_manifest(manifest_of(replace(doser(), namespace="urn:elsewhere"), endpoint="opc.tcp://b:1", dialect=Dialect.V1_0)), name="b"
    )
    assert compare(BASE, BASE) == []
    assert [each.what for each in compare(BASE, other)] == ["manifest", "endpoint", "addresses"]
    assert (same_type(BASE, other), type_digest(BASE)) == (True, type_digest(other))


@pytest.mark.parametrize(
    ("other", "difference"),
    [
        (dosers(PeaProcedure("by_volume", 1, parameters=(VOLUME,))), (Change.REMOVED, Part.PROCEDURE, "dose/slow", "", "offered", "")),
        (
            dosers(PeaProcedure("by_volume", 1, parameters=(VOLUME,)), PeaProcedure("slow", 3)),
            (Change.CHANGED, Part.PROCEDURE, "dose/slow", "number", "2", "3"),
        ),
        (
            dosers(PeaProcedure("by_volume", 1, parameters=(VOLUME,)), PeaProcedure("slow", 2, self_completing=False)),
            (Change.CHANGED, Part.PROCEDURE, "dose/slow", "completes itself", "yes", "no"),
        ),
        (
            dosers(PeaProcedure("by_volume", 1, parameters=(replace(VOLUME, unit="mL"),)), PeaProcedure("slow", 2)),
            (Change.CHANGED, Part.ASSEMBLY, "#dose.volume", "unit", "L", "mL"),
        ),
        (manifest_of(doser(services=())), (Change.REMOVED, Part.SERVICE, "dose", "", "offered", "")),
    ],
)
def test_what_a_recipe_depends_on_makes_another_type(other, difference):
    assert difference in told(other)
    assert not same_type(BASE, other)


def test_a_range_and_an_access_are_of_the_type():
    narrow = dosers(PeaProcedure("by_volume", 1, parameters=(replace(VOLUME, high=20.0),)), PeaProcedure("slow", 2))
    assert [(each[3], each[4], each[5]) for each in told(narrow)] == [("VMax", "50", "20"), ("VSclMax", "50", "20")]
    level = BASE.assembly("level")
    shut = replace(level, items=level.items | {"V": replace(level.items["V"], access=Access.BOTH)})
    other = replace(BASE, assemblies=tuple(shut if each is level else each for each in BASE.assemblies))
    assert told(other) == [(Change.CHANGED, Part.VARIABLE, "#level/V", "access", "read", "read and write")]


def test_a_real_module_is_of_another_type_than_its_next_revision_without_a_service():
    one = read_manifest(hc10(), name="HC10.aml")
    other = replace(one, services=one.services[1:], revision="1.0.2")
    found = compare(one, other)
    assert [(str(each), each.of_type) for each in found] == [
        ("removed service HC10_Dosing", True),
        ("changed module module: revision 1.0.1 -> 1.0.2", False),
        *[(str(each), False) for each in found if each.where.startswith("HC10_Dosing") and not each.of_type],
    ]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.booleans(), st.sampled_from(["L", "mL", "1"])),
        max_size=3,
        unique_by=lambda row: row[0],
    ),
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 3), st.booleans(), st.sampled_from(["L", "mL", "1"])),
        max_size=3,
        unique_by=lambda row: row[0],
    ),
)
def test_the_digest_of_a_type_is_equal_exactly_where_nothing_of_it_differs(one, other):
    made = [dosers(*(PeaProcedure(a, b, c, (replace(VOLUME, name=f"p{a}", unit=d),)) for a, b, c, d in rows)) for rows in (one, other)]
    differ = any(each.of_type for each in compare(*made))
    assert (type_digest(made[0]) == type_digest(made[1])) is not differ


# ---- against a class ----

CLASS = equipment_class(
    "doser",
    "Doser",
    (measured("level", "L", "Level", 0.0, 100.0), set_point("speed_sp", "rpm", "Speed", 100.0)),
    capabilities={},
    services=(service("dose", "Dose", parameter("volume", "mL", "Volume", 0.0, 40_000.0), procedures=("by_volume",)),),
)


def said(manifest: Manifest, names: Names | None = None) -> list[str]:
    return [f"{each.severity}: {each.text}" for each in check_module([manifest], CLASS, names=names)]


def test_a_module_that_offers_what_a_class_asks_for():
    assert said(BASE) == ["good: service dose: dose, 1 procedures", "good: signal level: level.V in L", "good: signal speed_sp: speed_sp.VMan in rpm"]


def test_a_real_module_is_no_bioreactor_and_every_reason_is_told():
    notes = check_module([read_manifest(hc10(), name="HC10.aml")], CLASSES["stirred_bioreactor"])
    assert {each.text for each in stops(notes)} >= {"signal glucose: no module shows it", "signal feed_flow_sp: no module shows it"}
    assert len(stops(notes)) == len(CLASSES["stirred_bioreactor"].signals)


def test_a_real_module_offers_services_by_names_without_their_prefix_or_by_a_binding():
    asked = equipment_class(
        "preparation",
        "Preparation",
        (measured("temperature", "degC", "Temperature", 0.0, 100.0),),
        capabilities={},
        services=(service("heating", "Heat", parameter("set_temp", "degC", "Temperature", 1.0, 100.0), procedures=("set_temp",)),),
    )
    module = read_manifest(hc10(), name="HC10.aml")
    loose = [each.text for each in stops(check_module([module], asked))]
    assert loose[0].startswith("procedure heating.set_temp: HC10_Heating has no such procedure; it has HC10_Heating_SetTemp")
    names = Names(
        procedures={"heating.set_temp": "HC10_Heating_SetTemp"},
        parameters={"heating.set_temp": "HC10_Set_Temp_Heating"},
        signals={"temperature": "HC10_TempView_T10"},
    )
    assert [f"{each.severity}: {each.text}" for each in check_module([module], asked, names=names)] == [
        "good: service heating: HC10_Heating, 1 procedures",
        "good: signal temperature: HC10_TempView_T10.V in degC",
    ]


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        (Names(services={"dose": "Dosing"}), "stop: service dose: no module offers it"),
        (Names(procedures={"dose.by_volume": "fast"}), "stop: procedure dose.by_volume: dose has no such procedure; it has by_volume, slow"),
        (Names(procedures={"dose.by_volume": "slow"}), "stop: parameter dose.volume of by_volume: slow has no such parameter; it has none"),
        (Names(units={"dose.volume": "kg"}), "stop: parameter dose.volume of by_volume: cannot convert 'kg' to 'mL'"),
        (Names(units={"level": "mL"}), "stop: signal level: the plant document says mL, the manifest L"),
        (Names(signals={"speed_sp": "level"}), "stop: signal speed_sp: level.V may not be written"),
        (Names(signals={"level": "level.VOut"}), "stop: signal level: VOut of level not bound"),
    ],
)
def test_what_is_missing_is_a_stop_with_its_reason(names, reason):
    assert any(each.startswith(reason) for each in said(BASE, names))


def test_warnings_say_what_a_recipe_has_to_know():
    manifest = dosers(PeaProcedure("by_volume", 1, self_completing=False, parameters=(replace(VOLUME, high=20.0),)))
    assert [each for each in said(manifest) if each.startswith("warn")] == [
        "warn: procedure dose.by_volume: by_volume runs until it is told; a phase that waits for it never ends by itself",
        "warn: parameter dose.volume of by_volume: dose.volume takes 0 to 20000 mL, the class may be asked for 0 to 40000",
    ]


def test_a_service_that_cannot_be_driven_is_a_stop():
    [wanted] = BASE.services
    bare = {name: item for name, item in wanted.control.items.items() if name not in ("CommandEn", "SrcExtOp")}
    bare["CommandExt"] = replace(bare["CommandExt"], access=Access.READ)
    other = replace(BASE, services=(replace(wanted, control=replace(wanted.control, items=bare)),))
    assert "stop: service dose: CommandEn, SrcExtOp not bound; CommandExt may not be written" in said(other)


def test_an_older_manifest_without_units_needs_a_binding_that_states_them():
    notes = [each.text for each in stops(check_module([read_manifest(old_dialect(), name="x")], CLASS))]
    assert notes[0] == "service dose: CommandEn, ProcedureReq, StateAutAct, SrcExtAct, ProcedureExt, StateAutOp, SrcExtOp not bound"


@pytest.mark.parametrize("name", [name for name, cls in CLASSES.items() if cls.services])
def test_the_simulated_modules_of_every_class_offer_what_it_asks_for(name):
    notes = check_module([manifest_of(definition_of(CLASSES[name], name="X"))], CLASSES[name])
    assert {each.text for each in stops(notes)} == {
        f"{where}: the unit of {what} is not known (code 1998); the plant document has to state it" for where, what in unlisted(name)
    }


def unlisted(name: str) -> list[tuple[str, str]]:
    """Values of a class in a unit that the standard's list does not have."""
    from isogenic.plant.mtp.units import NO_UNIT, code_of

    cls = CLASSES[name]
    found = [(f"signal {each.name}", each.name) for each in cls.signals.values() if code_of(each.unit) == NO_UNIT]
    for each in cls.services.values():
        for p in each.parameters.values():
            if code_of(p.unit) == NO_UNIT:
                found += [(f"parameter {each.name}.{p.name} of {way}", f"{each.name}.{p.name}") for way in each.procedures]
    return found
