"""What a manifest says, as text for people and as data for programs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from isogenic.checks import Note, Severity, stops
from isogenic.plant.mtp.comparing import Difference, type_digest
from isogenic.plant.mtp.model import DataAssembly, Element, Kind, Manifest, Procedure

__all__ = ["as_data", "checked", "compared", "counts", "described", "show"]

NOTES_SHOWN = 20


def show(manifest: Manifest) -> str:
    """A page: what the module is, what it can be told, what it reports."""
    return "\n".join(_lines(manifest))


def as_data(manifest: Manifest) -> dict[str, object]:
    """The same for programs. `services`, `procedures`, `data_assemblies` and `bound_items` are counts."""
    return {
        "name": manifest.name,
        "version": manifest.version,
        "manifest": str(manifest.dialect),
        "digest": manifest.digest,
        "type_digest": type_digest(manifest),
        "endpoint": manifest.endpoint,
        "manufacturer": manifest.manufacturer,
        "revision": manifest.revision,
        "documents": dict(manifest.documents),
        "services": len(manifest.services),
        "procedures": manifest.procedures,
        "data_assemblies": len(manifest.assemblies),
        "bound_items": manifest.bound_items,
        "offers": [
            {
                "service": service.name,
                "title": service.title,
                "procedures": [
                    {
                        "procedure": procedure.name,
                        "number": procedure.number,
                        "self_completing": procedure.self_completing,
                        **{_KEYS[kind]: [_element(each) for each in procedure.of(kind)] for kind in _KEYS},
                    }
                    for procedure in service.procedures
                ],
                "configuration": [_element(each) for each in service.configuration],
            }
            for service in manifest.services
        ],
        "assemblies": [{"name": each.name, "class": each.cls, "unit": each.unit, "bound": len(each.items)} for each in manifest.assemblies],
        "notes": list(manifest.notes),
    }


_KEYS = {
    Kind.PARAMETER: "parameters",
    Kind.REPORT: "reports",
    Kind.VALUE_IN: "values_in",
    Kind.VALUE_OUT: "values_out",
    Kind.EQUIPMENT: "equipment",
}


def _element(element: Element) -> dict[str, object]:
    assembly = element.assembly
    if assembly is None:
        return {"name": element.name, "class": None}
    return {"name": element.name, "class": assembly.cls, "unit": assembly.unit, "low": assembly.number("VMin"), "high": assembly.number("VMax")}


def _lines(manifest: Manifest) -> Iterator[str]:
    yield f"{manifest.name}  version {manifest.version or '-'}  (manifest {manifest.dialect}, {manifest.manufacturer or 'maker not named'})"
    yield f"digest    {manifest.digest or '-'}"
    yield f"type      {type_digest(manifest)}"
    yield f"endpoint  {manifest.endpoint or '-'}"
    yield f"counts    {counts(manifest)}"
    for part, version in manifest.documents.items():
        yield f"follows   {part} {version}"
    for service in manifest.services:
        yield ""
        yield f"service {service.name}" + (f": {service.title}" if service.title else "")
        for element in service.configuration:
            yield f"    {element.kind}  {described(element)}"
        for procedure in service.procedures:
            yield from _procedure(procedure)
    yield ""
    yield "data assemblies"
    for cls, names in sorted(_by_class(manifest).items()):
        yield f"    {cls} ({len(names)}): {', '.join(names)}"
    if manifest.notes:
        yield ""
        yield "notes"
        for note in manifest.notes[:NOTES_SHOWN]:
            yield f"    {note}"
        if len(manifest.notes) > NOTES_SHOWN:
            yield f"    and {len(manifest.notes) - NOTES_SHOWN} more"


def counts(manifest: Manifest) -> str:
    """How much there is of each kind."""
    services, assemblies = len(manifest.services), len(manifest.assemblies)
    return f"{services} services, {manifest.procedures} procedures, {assemblies} data assemblies, {manifest.bound_items} bound items"


def _procedure(procedure: Procedure) -> Iterator[str]:
    yield f"  {procedure.number:>3}  {procedure.name}  ({'completes itself' if procedure.self_completing else 'runs until told'})"
    for kind in (Kind.PARAMETER, Kind.REPORT, Kind.VALUE_IN, Kind.VALUE_OUT):
        for element in procedure.of(kind):
            yield f"         {kind}  {described(element)}"


def described(element: Element) -> str:
    """A parameter or value with its unit and range."""
    assembly = element.assembly
    if assembly is None:
        return f"{element.name} (linked to nothing)"
    return f"{element.name}{_range(assembly)}  [{assembly.cls}]"


def _range(assembly: DataAssembly) -> str:
    low, high = assembly.number("VMin"), assembly.number("VMax")
    if low is None or high is None:
        low, high = assembly.number("VSclMin"), assembly.number("VSclMax")
    ends = f" {low:g} to {high:g}" if low is not None and high is not None else ""
    return ends + (f" {assembly.unit}" if assembly.unit and assembly.unit != "1" else "")


def _by_class(manifest: Manifest) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for each in manifest.assemblies:
        found.setdefault(each.cls, []).append(each.name)
    return found


def compared(one: Manifest, other: Manifest, differences: Sequence[Difference]) -> str:
    """Whether two modules are of the same type, and every difference."""
    of_type = [each for each in differences if each.of_type]
    rest = [each for each in differences if not each.of_type]
    verdict = "different types" if of_type else "the same type"
    lines = [f"{one.name} {one.version or '-'} and {other.name} {other.version or '-'}: {verdict}"]
    for title, found in (("what makes them different types", of_type), ("what belongs to the installation or revision", rest)):
        if found:
            lines += ["", f"{title} ({len(found)})", *(f"    {each}" for each in found)]
    return "\n".join(lines)


def checked(names: Sequence[str], cls: str, notes: Sequence[Note]) -> str:
    """Whether modules offer what a class asks for, every note with its weight."""
    stopped = stops(notes)
    verdict = f"does not offer what {cls} asks for ({len(stopped)} reasons)" if stopped else f"offers what {cls} asks for"
    order = {Severity.STOP: 0, Severity.WARN: 1, Severity.GOOD: 2}
    lines = [f"    {each.severity:<4}  {each.text}" for each in sorted(notes, key=lambda each: order[each.severity])]
    return "\n".join([f"{', '.join(names)} {verdict}", *lines])
