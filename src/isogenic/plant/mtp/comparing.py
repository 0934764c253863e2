"""Are two modules of the same type? What differs between two manifests, typed.

Guarantees: two manifests are of the same type exactly if nothing that a recipe can depend on
differs: services, procedures and their numbers, parameters and values with class, unit and
range, the variables of every data assembly and what may be done with them. Then, and only
then, their `type_digest` is equal. Addresses, titles, versions and defaults are told too,
but belong to an installation or a revision, not to the type.
Leaves to others: whether a type is the one that a recipe needs (checking).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from isogenic.plant.mtp.model import DataAssembly, Element, Manifest, Procedure, Service

__all__ = ["Change", "Difference", "Part", "compare", "same_type", "type_digest"]


class Part(StrEnum):
    """What kind of thing differs."""

    MODULE = "module"
    SERVICE = "service"
    PROCEDURE = "procedure"
    PARAMETER = "parameter"  # or a value in or out, a report
    ASSEMBLY = "data assembly"
    VARIABLE = "variable"


class Change(StrEnum):
    """How it differs."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing in which two manifests differ."""

    change: Change
    part: Part
    where: str  # service/procedure/parameter, or a data assembly
    what: str  # the property; empty for the thing itself
    old: str
    new: str
    of_type: bool  # whether it makes them different types

    def __str__(self) -> str:
        text = f"{self.change} {self.part} {self.where}"
        if self.change is Change.CHANGED:
            text += f": {self.what} {self.old or 'none'} -> {self.new or 'none'}"
        return text


@dataclass(frozen=True, slots=True)
class _Key:
    part: Part
    where: str
    what: str


_OFFERED = ""  # the property of a thing that it is there at all


def compare(old: Manifest, new: Manifest) -> list[Difference]:
    """Everything in which two manifests differ: what makes them different types first."""
    one, other = dict(_type(old)), dict(_type(new))
    found = [*_differences(one, other, of_type=True), *_differences(dict(_installation(old)), dict(_installation(new)), of_type=False)]
    moved = _moved(old, new)
    if moved:
        found.append(Difference(Change.CHANGED, Part.MODULE, new.name, "addresses", "", f"{moved} variables stand elsewhere", False))
    return found


def same_type(old: Manifest, new: Manifest) -> bool:
    """Whether one can stand in for the other under the same recipe."""
    return type_digest(old) == type_digest(new)


def type_digest(manifest: Manifest) -> str:
    """SHA-256 over everything that makes a type, and nothing else."""
    told = sorted([key.part, key.where, key.what, value] for key, value in _type(manifest))
    return hashlib.sha256(json.dumps(told, separators=(",", ":")).encode()).hexdigest()


def _differences(old: Mapping[_Key, str], new: Mapping[_Key, str], *, of_type: bool) -> Iterator[Difference]:
    """One line for a thing that is only on one side, not one for each of its parts."""
    gone = {key.where for key in old.keys() - new.keys() if key.what == _OFFERED}
    come = {key.where for key in new.keys() - old.keys() if key.what == _OFFERED}
    for key in dict.fromkeys((*old, *new)):
        if old.get(key) == new.get(key):
            continue
        side = gone if key in old and key not in new else come if key in new and key not in old else set()
        if _within(key, side):
            continue
        if key.what == _OFFERED:
            change = Change.REMOVED if key in old else Change.ADDED
            yield Difference(change, key.part, key.where, "", old.get(key, ""), new.get(key, ""), of_type)
        else:
            yield Difference(Change.CHANGED, key.part, key.where, key.what, old.get(key, ""), new.get(key, ""), of_type)


def _within(key: _Key, things: set[str]) -> bool:
    """Whether a property belongs to a thing that is told as a whole, or to a part of one."""
    inside = key.where in things and key.what != _OFFERED
    return inside or any(key.where.startswith(f"{thing}/") for thing in things)


# ---- what makes a type ----


def _type(manifest: Manifest) -> Iterator[tuple[_Key, str]]:
    for service in manifest.services:
        yield from _of_service(service)
    for assembly in manifest.assemblies:
        yield from _of_assembly(assembly)


def _of_service(service: Service) -> Iterator[tuple[_Key, str]]:
    where = service.name
    yield _Key(Part.SERVICE, where, _OFFERED), "offered"
    yield _Key(Part.SERVICE, where, "control"), service.control.name if service.control else ""
    for element in service.configuration:
        yield from _of_element(element, where)
    for procedure in service.procedures:
        yield from _of_procedure(procedure, where)


def _of_procedure(procedure: Procedure, inside: str) -> Iterator[tuple[_Key, str]]:
    where = f"{inside}/{procedure.name}"
    yield _Key(Part.PROCEDURE, where, _OFFERED), "offered"
    yield _Key(Part.PROCEDURE, where, "number"), str(procedure.number)
    yield _Key(Part.PROCEDURE, where, "completes itself"), "yes" if procedure.self_completing else "no"
    for element in procedure.elements:
        yield from _of_element(element, where)


def _of_element(element: Element, inside: str) -> Iterator[tuple[_Key, str]]:
    where = f"{inside}/{element.name}"
    yield _Key(Part.PARAMETER, where, _OFFERED), "offered"
    yield _Key(Part.PARAMETER, where, "kind"), str(element.kind)
    yield _Key(Part.PARAMETER, where, "data assembly"), element.assembly.name if element.assembly else ""


_RANGE = ("VMin", "VMax", "VSclMin", "VSclMax")


def _of_assembly(assembly: DataAssembly) -> Iterator[tuple[_Key, str]]:
    where = f"#{assembly.name}"  # a name of its own: a service and its control are often called alike
    yield _Key(Part.ASSEMBLY, where, _OFFERED), "offered"
    yield _Key(Part.ASSEMBLY, where, "class"), assembly.cls
    if "VUnit" in assembly.values:
        yield _Key(Part.ASSEMBLY, where, "unit"), assembly.unit or f"code {assembly.values['VUnit']}"
    for word in _RANGE:
        if word in assembly.values:
            number = assembly.number(word)
            yield _Key(Part.ASSEMBLY, where, word), assembly.values[word] if number is None else f"{number:g}"
    for variable, item in assembly.items.items():
        yield _Key(Part.VARIABLE, f"{where}/{variable}", _OFFERED), "bound"
        yield _Key(Part.VARIABLE, f"{where}/{variable}", "access"), str(item.access)


# ---- what belongs to an installation or a revision ----


def _installation(manifest: Manifest) -> Iterator[tuple[_Key, str]]:
    for what, value in (
        ("name", manifest.name),
        ("version", manifest.version),
        ("revision", manifest.revision),
        ("manufacturer", manifest.manufacturer),
        ("manifest", str(manifest.dialect)),
        ("endpoint", manifest.endpoint),
    ):
        yield _Key(Part.MODULE, "module", what), value
    for service in manifest.services:
        yield _Key(Part.SERVICE, service.name, "title"), service.title
        for procedure in service.procedures:
            yield _Key(Part.PROCEDURE, f"{service.name}/{procedure.name}", "default"), "yes" if procedure.default else "no"
            yield _Key(Part.PROCEDURE, f"{service.name}/{procedure.name}", "title"), procedure.title


def _moved(old: Manifest, new: Manifest) -> int:
    """How many variables of both stand at another address."""
    before = {(each.name, variable): item.node for each in old.assemblies for variable, item in each.items.items()}
    after = {(each.name, variable): item.node for each in new.assemblies for variable, item in each.items.items()}
    return sum(before[key] != after[key] for key in before.keys() & after.keys())
