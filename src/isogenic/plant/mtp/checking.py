"""Does a module offer what an equipment class asks for? Every answer at once, each with its reason.

Guarantees: a check is a named function that returns notes; a stop says that a recipe for the
class could not run on the module. Names are matched as the binding says; without one, by the
name itself, or by it without the prefix that all of a module's names share (`HC10_Dosing` is
`dosing`). A unit that cannot be converted, a variable that is not bound or may not be
written, a procedure without a number are stops, never guesses.
Leaves to others: binding (plant documents), acting on it (whoever publishes a plant).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from isogenic.checks import Note, Severity
from isogenic.errors import NotValid
from isogenic.plant.model import BoundService, EquipmentClass, Role, ServiceClass, ServiceParameter, Signal, SignalClass
from isogenic.plant.mtp.model import Access, DataAssembly, Element, Kind, Manifest, Procedure, Service
from isogenic.plant.services import STATE_SIGNAL
from isogenic.units import converter

__all__ = [
    "CONTROL_READ",
    "CONTROL_WRITTEN",
    "Names",
    "check_module",
    "check_services",
    "check_signals",
    "found_parameter",
    "found_procedure",
    "found_service",
    "names_of",
]

# What has to be there to drive a service at all (2658-4, tables 2, 3 and 13).
CONTROL_READ = ("StateCur", "CommandEn", "ProcedureReq", "StateAutAct", "SrcExtAct")
CONTROL_WRITTEN = ("CommandExt", "ProcedureExt", "StateAutOp", "SrcExtOp")
_OWNER = "process engineer"


@dataclass(frozen=True, slots=True)
class Names:
    """What a module calls the things of a class; a name that is not in here is looked for by itself."""

    services: Mapping[str, str] = field(default_factory=dict)
    procedures: Mapping[str, str] = field(default_factory=dict)  # "service.procedure" -> theirs
    parameters: Mapping[str, str] = field(default_factory=dict)  # "service.parameter" -> theirs
    signals: Mapping[str, str] = field(default_factory=dict)  # signal -> data assembly, or data assembly.VARIABLE
    units: Mapping[str, str] = field(default_factory=dict)  # "service.parameter" or signal -> the unit that the binding states


def names_of(services: Iterable[BoundService], signals: Mapping[str, Signal]) -> Names:
    """What a plant document says that a module's things are called; what it calls the same is looked for by itself."""
    bound = tuple(services)
    states = {f"{each.cls.name}{STATE_SIGNAL}" for each in bound}
    return Names(
        services={each.cls.name: each.theirs for each in bound if each.theirs != each.cls.name},
        procedures={f"{each.cls.name}.{ours}": theirs for each in bound for ours, theirs in each.procedures.items() if ours != theirs},
        parameters={f"{each.cls.name}.{ours}": theirs for each in bound for ours, theirs in each.parameters.items() if ours != theirs},
        signals={name: signal.node for name, signal in signals.items() if name not in states},
        units={f"{each.cls.name}.{ours}": unit for each in bound for ours, unit in each.native_units.items()}
        | {name: signal.native_unit for name, signal in signals.items() if name not in states},
    )


def check_module(manifests: Iterable[Manifest], cls: EquipmentClass, *, names: Names | None = None) -> list[Note]:
    """Hold the modules of one unit, often only one, against the class that a recipe asks for."""
    modules, names = tuple(manifests), names or Names()
    return [*check_services(modules, cls, names), *check_signals(modules, cls, names)]


def check_services(modules: Iterable[Manifest], cls: EquipmentClass, names: Names) -> list[Note]:
    """Every service of the class, with its procedures and parameters."""
    modules, notes = tuple(modules), []
    for wanted in cls.services.values():
        found = [service for module in modules if (service := found_service(module, wanted.name, names))]
        if len(found) != 1:
            why = "no module offers it" if not found else f"{len(found)} modules offer it"
            notes.append(_stop("check_services", f"service {wanted.name}: {why}"))
            continue
        inner = [*_control(found[0], wanted), *_procedures(found[0], wanted, names)]
        notes += inner or [_good("check_services", f"service {wanted.name}: {found[0].name}, {len(wanted.procedures)} procedures")]
    return notes


def check_signals(modules: Iterable[Manifest], cls: EquipmentClass, names: Names) -> list[Note]:
    """Every signal of the class but the states of its services, which come from the services themselves."""
    modules, notes = tuple(modules), []
    states = {f"{each}{STATE_SIGNAL}" for each in cls.services}
    for wanted in cls.signals.values():
        if wanted.name in states:
            continue
        found = [each for module in modules if (each := _found_value(module, wanted, names))]
        if len(found) != 1:
            why = "no module shows it" if not found else f"{len(found)} modules show it"
            notes.append(_stop("check_signals", f"signal {wanted.name}: {why}"))
            continue
        notes += _signal(wanted, *found[0], names)
    return notes


def found_service(module: Manifest, name: str, names: Names) -> Service | None:
    """The service of a module that is meant by the class's name for it."""
    known = {each.name: each for each in module.services}
    return known.get(_matched(names.services.get(name), name, known) or "")


def _control(service: Service, wanted: ServiceClass) -> list[Note]:
    control = service.control
    if control is None:
        return [_stop("check_services", f"service {wanted.name}: {service.name} has no ServiceControl")]
    missing = [word for word in (*CONTROL_READ, *CONTROL_WRITTEN) if word not in control.items]
    shut = [word for word in CONTROL_WRITTEN if word in control.items and control.items[word].access not in (Access.WRITE, Access.BOTH)]
    told = [f"{', '.join(missing)} not bound"] if missing else []
    told += [f"{', '.join(shut)} may not be written"] if shut else []
    return [_stop("check_services", f"service {wanted.name}: {'; '.join(told)}")] if told else []


def _procedures(service: Service, wanted: ServiceClass, names: Names) -> list[Note]:
    notes = []
    for way in wanted.procedures:
        procedure = found_procedure(service, wanted, way, names)
        what = f"procedure {wanted.name}.{way}"
        if procedure is None:
            offered = ", ".join(each.name for each in service.procedures) or "none"
            notes.append(_stop("check_services", f"{what}: {service.name} has no such procedure; it has {offered}"))
            continue
        if not procedure.number or sum(each.number == procedure.number for each in service.procedures) > 1:
            notes.append(_stop("check_services", f"{what}: {procedure.name} has no number of its own"))
        if not procedure.self_completing:
            notes.append(_warn("check_services", f"{what}: {procedure.name} runs until it is told; a phase that waits for it never ends by itself"))
        for parameter in wanted.parameters.values():
            notes += _parameter(service, procedure, parameter, f"{wanted.name}.{parameter.name}", way, names)
    return notes


def found_procedure(service: Service, wanted: ServiceClass, way: str, names: Names) -> Procedure | None:
    """The procedure that is meant; where both sides have only one, that one."""
    known, key = {each.name: each for each in service.procedures}, f"{wanted.name}.{way}"
    found = known.get(_matched(names.procedures.get(key), way, known) or "")
    alone = len(wanted.procedures) == 1 and len(service.procedures) == 1 and key not in names.procedures
    return found or (service.procedures[0] if alone else None)


def found_parameter(service: Service, procedure: Procedure, name: str, key: str, names: Names) -> Element | None:
    """The parameter that is meant, of the procedure or of the service's configuration."""
    known = {each.name: each for each in (*procedure.of(Kind.PARAMETER), *service.configuration)}
    return known.get(_matched(names.parameters.get(key), name, known) or "")


def _parameter(service: Service, procedure: Procedure, wanted: ServiceParameter, key: str, way: str, names: Names) -> list[Note]:
    what = f"parameter {key} of {way}"
    element = found_parameter(service, procedure, wanted.name, key, names)
    if element is None or element.assembly is None:
        known = ", ".join(each.name for each in (*procedure.of(Kind.PARAMETER), *service.configuration))
        return [_stop("check_services", f"{what}: {procedure.name} has no such parameter; it has {known or 'none'}")]
    assembly = element.assembly
    missing = [word for word in ("VExt", "VReq", "VOut") if word not in assembly.items]
    if missing:
        return [_stop("check_services", f"{what}: {', '.join(missing)} of {element.name} not bound")]
    return _range(what, wanted.unit, wanted.low, wanted.high, assembly, names.units.get(key))


def _signal(wanted: SignalClass, assembly: DataAssembly, variable: str, names: Names) -> list[Note]:
    what = f"signal {wanted.name}"
    if variable not in assembly.items:
        return [_stop("check_signals", f"{what}: {variable or 'the value'} of {assembly.name} not bound")]
    if wanted.role is Role.SETPOINT and assembly.items[variable].access not in (Access.WRITE, Access.BOTH):
        return [_stop("check_signals", f"{what}: {assembly.name}.{variable} may not be written")]
    unit, notes = _unit(what, wanted.unit, assembly, names.units.get(wanted.name))
    return notes or [_good("check_signals", f"{what}: {assembly.name}.{variable}" + (f" in {unit}" if unit not in ("", "1") else ""))]


def _found_value(module: Manifest, wanted: SignalClass, names: Names) -> tuple[DataAssembly, str] | None:
    known = {each.name: each for each in module.assemblies}
    said = names.signals.get(wanted.name)
    if said is not None and said not in known:
        name, _, variable = said.rpartition(".")
        return (known[name], variable) if name in known else None
    name = _matched(said, wanted.name, known) or ""
    if name not in known:
        return None
    written = next((each for each in ("VMan", "VOp", "VExt") if each in known[name].items), "")
    return known[name], written if wanted.role is Role.SETPOINT and written else known[name].value


def _range(what: str, unit: str, low: float, high: float, assembly: DataAssembly, stated: str | None) -> list[Note]:
    native, notes = _unit(what, unit, assembly, stated)
    ends = assembly.number("VMin"), assembly.number("VMax")
    if notes or None in ends:
        return notes
    ours = sorted(converter(native, unit)(each) for each in ends if each is not None)
    if ours[0] > low or ours[1] < high:
        text = f"{what}: {assembly.name} takes {ours[0]:g} to {ours[1]:g} {unit}, the class may be asked for {low:g} to {high:g}"
        return [_warn("check_range", text)]
    return []


def _unit(what: str, unit: str, assembly: DataAssembly, stated: str | None) -> tuple[str, list[Note]]:
    """In which unit a module holds a value; a stated one that the manifest contradicts is a stop."""
    said = assembly.unit
    native = stated or said or ("1" if unit == "1" else "")
    if not native:
        code = assembly.values.get("VUnit", "none")
        return unit, [_stop("check_unit", f"{what}: the unit of {assembly.name} is not known (code {code}); the plant document has to state it")]
    try:
        turned = converter(native, unit)
        if stated and said and abs(turned(1.0) - converter(said, unit)(1.0)) > 1e-9 * max(abs(turned(1.0)), 1.0):
            return native, [_stop("check_unit", f"{what}: the plant document says {stated}, the manifest {said}")]
    except NotValid as trouble:
        return native, [_stop("check_unit", f"{what}: {trouble}")]
    return native, []


def _matched(said: str | None, wanted: str, known: Iterable[str]) -> str | None:
    """The name that is meant: the one that the binding says, the same, or the same without the prefix that all share."""
    names = list(known)
    if said is not None:
        return said if said in names else None
    if wanted in names:
        return wanted
    prefix = _shared_prefix(names)
    found = [each for each in names if wanted in (_plain(each), _plain(each[len(prefix) :]))]
    found = found or [each for each in names if _plain(each).endswith(f"_{wanted}")]
    return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _shared_prefix(names: list[str]) -> str:
    """What all names begin with, up to a sign between words."""
    first, last = (min(names), max(names)) if names else ("", "")
    at = next((at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), min(len(first), len(last)))
    cut = max((first.rfind(sign, 0, at) for sign in "_-. "), default=-1)
    return first[: cut + 1] if len(names) > 1 else ""


def _stop(check: str, text: str) -> Note:
    return Note(check, Severity.STOP, text, _OWNER)


def _warn(check: str, text: str) -> Note:
    return Note(check, Severity.WARN, text, _OWNER)


def _good(check: str, text: str) -> Note:
    return Note(check, Severity.GOOD, text)
