"""Fast ways through the codec: for a dataclass, functions written out from the types of its fields.

Guarantees: where a fast way gives an answer, it is the answer of the codec's own way. Where anything
is not plainly right (a field missing, a text that is not ASCII, a number of another type, a value
that its type refuses) it gives `SLOW`, and the codec's own way decides, and names the place.
A class with a field that is not known here has no fast way.
Leaves to others: every refusal.

What is written out is Python text made of field names and of the names below; nothing that was read
from outside is ever in it.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime
from enum import StrEnum
from functools import cache
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotValid
from isogenic.ids import Id

__all__ = ["SLOW", "maker", "reader", "replaced", "writer"]

SLOW: Final = object()
KNOWN_MAX = 4_096  # texts of one type of id that are remembered: those of the batches that run, not of all that ever were
_REFUSALS = (NotValid, KeyError, ValueError, TypeError, OverflowError, AttributeError)

T = TypeVar("T")
Reader = Callable[[Any], Any]  # plain data -> a value of the class, or SLOW
Writer = Callable[[Any], Any]  # a value of the class -> (plain data, the value as it would be read back), or SLOW


class _NoFastWayError(Exception):
    """A type that is not known here."""


@cache
def reader(cls: type) -> Reader:
    """The fast way from plain data to a value of this dataclass."""
    try:
        return _Text("reader").reading(cls)
    except _NoFastWayError:
        return lambda data: SLOW


@cache
def writer(cls: type) -> Writer:
    """The fast way from a value of this dataclass to plain data."""
    try:
        return _Text("writer").writing(cls)
    except _NoFastWayError:
        return lambda value: SLOW


@cache
def maker(cls: type) -> Callable[..., Any]:
    """Makes a frozen dataclass with slots from all its fields, in order: twice as fast as its own `__init__`, which must do nothing else."""
    text = _Text("maker")
    names = [field.name for field in fields(cls)]
    lines = text.making(cls, names)
    return text.function(", ".join(names), [*lines, "return o"])


def replaced(value: T, **changes: Any) -> T:
    """`dataclasses.replace` for a wide frozen value with plain slots, at a tenth of the time: a fold does it for each fact."""
    cls: type = type(value)
    made: T = _replacer(cls, tuple(changes))(value, *changes.values())
    return made


@cache
def _replacer(cls: type, names: tuple[str, ...]) -> Callable[..., Any]:
    """Written out for a class and the fields that change: the others are taken over from the value."""
    known = [field.name for field in fields(cls)]
    if not _has_plain_slots(cls):
        raise TypeError(f"{cls.__name__} has no plain slots")
    if unknown := set(names).difference(known):
        raise TypeError(f"{cls.__name__} has no {', '.join(sorted(unknown))}")
    text = _Text("replacer")
    lines = text.making(cls, [f"new_{name}" if name in names else f"old.{name}" for name in known])
    return text.function(", ".join(["old", *(f"new_{name}" for name in names)]), [*lines, "return o"])


def _remembering(kind: type) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    """A memory of texts that are valid as `kind`, and what looks at a new one."""
    known: dict[str, Any] = {}

    def look(text: Any) -> Any:
        if type(text) is not str:
            raise TypeError
        made = kind(text)
        if len(known) >= KNOWN_MAX:
            known.clear()
        known[text] = made
        return made

    return known, look


def _has_plain_slots(cls: type) -> bool:
    """Whether a value is its slots and nothing else happens when it is made."""
    return "__slots__" in cls.__dict__ and not hasattr(cls, "__post_init__") and all(field.init for field in fields(cls))


class _Text:
    """One function while it is written out: its lines, and the names that they use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.names: dict[str, Any] = {"SLOW": SLOW, "REFUSALS": _REFUSALS, "UTC": UTC, "datetime": datetime}
        self.names |= {"text_of_time": text_of_time, "time_of_text": time_of_text}

    def call(self, value: Any) -> str:
        """A name for a value that the text uses."""
        name = f"n{len(self.names)}"
        self.names[name] = value
        return name

    def function(self, arguments: str, lines: list[str]) -> Callable[..., Any]:
        text = f"def {self.name}({arguments}):\n" + "\n".join("    " + line for line in lines)
        exec(text, self.names)  # noqa: S102 - made of field names and the names above
        made: Callable[..., Any] = self.names[self.name]
        return made

    def making(self, cls: type, values: list[str]) -> list[str]:
        """Lines that leave a new value of the class in `o`."""
        if not _has_plain_slots(cls):
            return [f"o = {self.call(cls)}({', '.join(values)})"]
        setters = [self.call(getattr(cls, field.name).__set__) for field in fields(cls)]
        return [f"o = {self.call(object.__new__)}({self.call(cls)})", *(f"{each}(o, {value})" for each, value in zip(setters, values, strict=True))]

    # ---- reading ----

    def reading(self, cls: type) -> Reader:
        hints, parts = get_type_hints(cls), [field for field in fields(cls) if field.init]
        if len(parts) != len(fields(cls)):
            raise _NoFastWayError
        lines = ["if type(d) is not dict: return SLOW", f"n = {len(parts)}"]
        values = []
        for at, field in enumerate(parts):
            var = f"a{at}"
            values.append(var)
            if field.default is MISSING:  # what is missing here, or has a fresh default, the codec's own way sees to
                lines += [f"{var} = d[{field.name!r}]", *self.read(hints[field.name], var)]
            else:
                lines += [f"if {field.name!r} in d:", f"    {var} = d[{field.name!r}]", *_deeper(self.read(hints[field.name], var))]
                lines += ["else:", f"    {var} = {self.call(field.default)}", "    n -= 1"]
        lines += ["if len(d) != n: return SLOW", *self.making(cls, values), "return o"]
        return self.function("d", ["try:", *_deeper(lines), "except REFUSALS:", "    return SLOW"])

    def read(self, hint: Any, var: str) -> list[str]:
        """Lines that turn the plain data in `var` into a value of the type, in place."""
        origin, args = get_origin(hint), get_args(hint)
        if hint is Any:
            return []
        if origin in (typing.Union, types.UnionType):
            return [f"if {var} is not None:", *_deeper(self.read(_one(args), var))]
        if origin is tuple:
            return self.read_many(args, var)
        if origin in (dict, Mapping):
            return self.read_table(args, var)
        if hint in (str, int, bool):
            return [f"if type({var}) is not {hint.__name__}: return SLOW"]
        if hint is float:  # of what is not finite, the difference is not zero
            return [f"if type({var}) is not str: return SLOW", f"{var} = float({var})", f"if {var} - {var} != 0.0: return SLOW"]
        if hint is datetime:
            return [f"{var} = time_of_text({var})"]
        if isinstance(hint, type) and issubclass(hint, (Id, StrEnum)):
            known, look = _remembering(hint)
            return [f"x = {self.call(known.get)}({var})", f"{var} = {self.call(look)}({var}) if x is None else x"]
        if isinstance(hint, type) and is_dataclass(hint):
            return [f"{var} = {self.call(reader(hint))}({var})", f"if {var} is SLOW: return SLOW"]
        raise _NoFastWayError

    def read_many(self, args: tuple[Any, ...], var: str) -> list[str]:
        if len(args) != 2 or args[1] is not Ellipsis:
            raise _NoFastWayError
        each = var + "e"
        loop = [*self.read(args[0], each), f"{var}t.append({each})"]
        return [f"if type({var}) is not list: return SLOW", f"{var}t = []", f"for {each} in {var}:", *_deeper(loop), f"{var} = tuple({var}t)"]

    def read_table(self, args: tuple[Any, ...], var: str) -> list[str]:
        key, each = var + "k", var + "e"
        loop = [*self.read(args[0], key), *self.read(args[1], each), f"{var}t[{key}] = {each}"]
        return [
            *(f"if type({var}) is not dict: return SLOW", f"{var}t = {{}}", f"for {key}, {each} in {var}.items():"),
            *_deeper(loop),
            f"{var} = {var}t",
        ]

    # ---- writing ----

    def writing(self, cls: type) -> Writer:
        if not _has_plain_slots(cls):
            raise _NoFastWayError
        hints, lines, values, plain = get_type_hints(cls), [], [], []
        for at, field in enumerate(fields(cls)):
            var = f"a{at}"
            lines += [f"{var} = v.{field.name}", *self.write(hints[field.name], var)]
            values.append(var)
            plain.append(f"{field.name!r}: {var}p")
        lines += [f"p = {{{', '.join(plain)}}}", *self.making(cls, values), "return p, o"]
        return self.function(
            "v", ["try:", *_deeper([f"if type(v) is not {self.call(cls)}: return SLOW", *lines]), "except REFUSALS:", "    return SLOW"]
        )

    def write(self, hint: Any, var: str) -> list[str]:
        """Lines that leave the plain data of `var` in `varp`, and in `var` what would be read back: a table is made anew, all else stays."""
        origin, args = get_origin(hint), get_args(hint)
        if origin in (typing.Union, types.UnionType):
            return [f"if {var} is None:", f"    {var}p = None", "else:", *_deeper(self.write(_one(args), var))]
        if origin is tuple:
            return self.write_many(args, var)
        if origin in (dict, Mapping):
            return self.write_table(args, var)
        if hint is str:
            return [f"if type({var}) is not str or not {var}.isascii(): return SLOW", f"{var}p = {var}"]
        if hint in (int, bool):
            return [f"if type({var}) is not {hint.__name__}: return SLOW", f"{var}p = {var}"]
        if hint is float:
            return [f"if type({var}) is not float or {var} - {var} != 0.0: return SLOW", f"{var}p = repr({var})"]
        if hint is datetime:
            fit = f"type({var}) is datetime and {var}.tzinfo is UTC and {var}.microsecond % 1000 == 0"
            return [f"if not ({fit}): return SLOW", f"{var}p = text_of_time({var})"]
        if isinstance(hint, type) and issubclass(hint, (Id, StrEnum)):
            return [f"if type({var}) is not {self.call(hint)}: return SLOW", f"{var}p = str({var})", f"if not {var}p.isascii(): return SLOW"]
        if isinstance(hint, type) and is_dataclass(hint):
            return [f"x = {self.call(writer(hint))}({var})", "if x is SLOW: return SLOW", f"{var}p, {var} = x"]
        raise _NoFastWayError

    def write_many(self, args: tuple[Any, ...], var: str) -> list[str]:
        if len(args) != 2 or args[1] is not Ellipsis:
            raise _NoFastWayError
        each = var + "e"
        loop = [*self.write(args[0], each), f"{var}p.append({each}p)", f"{var}t.append({each})"]
        start = [f"if type({var}) is not tuple: return SLOW", f"{var}p, {var}t = [], []", f"for {each} in {var}:"]
        return [*start, *_deeper(loop), f"{var} = tuple({var}t)"]

    def write_table(self, args: tuple[Any, ...], var: str) -> list[str]:
        key, each = var + "k", var + "e"
        loop = [*self.write(args[0], key), *self.write(args[1], each), f"{var}p[{key}p] = {each}p", f"{var}t[{key}] = {each}"]
        start = [f"if type({var}) is not dict: return SLOW", f"{var}p, {var}t = {{}}, {{}}", f"for {key}, {each} in {var}.items():"]
        return [*start, *_deeper(loop), f"{var} = {var}t"]


def _deeper(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def _one(args: tuple[Any, ...]) -> Any:
    inner = [each for each in args if each is not type(None)]
    if len(inner) != 1 or len(inner) == len(args):
        raise _NoFastWayError
    return inner[0]
