"""Payloads to bytes and back, exactly.

Guarantees: `encode` gives the same bytes for the same value on every machine (sorted keys,
UTF-8 in NFC, no floats: a float is its shortest decimal text); `decoder(cls)` rebuilds the
value or refuses with the path of what is wrong. Known types: str, ids, int, bool, float,
datetime, enums, bytes-free dataclasses, `Quantity`, tuples, string-keyed dicts, optionals.
What has no record form (a number that is not finite or beyond 64 bits, a time without a
zone, text that is not Unicode) is refused before it is written.
Leaves to others: envelopes, hashing, signatures.
"""

from __future__ import annotations

import math
import types
import typing
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import StrEnum
from functools import cache
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import orjson

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotValid
from isogenic.ids import Id
from isogenic.records.compiled import SLOW, reader, writer

__all__ = ["decoder", "dumps", "loads", "plain", "read", "recorded"]

T = TypeVar("T")
LOADS_MAX = 16 * 1024 * 1024  # bytes of one JSON document from outside


def dumps(value: object) -> bytes:
    """Canonical bytes of plain data (dict, list, str, int, bool, None)."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError as trouble:
        raise NotValid("cannot record this", why=f"{trouble}"[:120]) from trouble


def loads(data: bytes, *, what: str = "JSON") -> Any:
    """Plain data from bytes; refuses anything that is not JSON."""
    if len(data) > LOADS_MAX:
        raise NotValid(f"cannot read {what}", why=f"{len(data)} bytes are more than {LOADS_MAX}")
    try:
        return orjson.loads(data)
    except (orjson.JSONDecodeError, RecursionError) as trouble:
        raise NotValid(f"cannot read {what}", why=str(trouble)[:120]) from trouble


def plain(value: Any) -> Any:
    """A payload as plain data: what `dumps` takes and people can read."""
    kind = type(value)
    return (_PLAIN.get(kind) or _plain_of(kind))(value)


def _same(value: Any) -> Any:
    return value


def _plain_str(value: str) -> str:
    return value if value.isascii() else unicodedata.normalize("NFC", value)


def _plain_float(value: float) -> str:
    if not math.isfinite(value):
        raise NotValid(f"cannot record {value}", why="a recorded number is finite")
    return repr(float(value))


def _plain_datetime(value: datetime) -> str:
    if value.tzinfo is None:
        raise NotValid(f"cannot record {value}", why="a recorded time has a zone")
    return text_of_time(value)


def _plain_list(value: Any) -> list[Any]:
    return [plain(each) for each in value]


def _plain_mapping(value: Mapping[Any, Any]) -> dict[str, Any]:
    table = {plain(key): plain(each) for key, each in value.items()}
    if len(table) != len(value):
        raise NotValid("cannot record a table", why="two of its keys are the same text in NFC")
    return table


_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: _plain_str,
    int: _same,
    bool: _same,
    type(None): _same,
    float: _plain_float,
    dict: _plain_mapping,
    tuple: _plain_list,
    list: _plain_list,
}
_FAMILIES: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (Id, str),
    (StrEnum, str),
    (datetime, _plain_datetime),
    (float, _plain_float),  # numpy's too
    (tuple, _plain_list),
    (Mapping, _plain_mapping),
)


def _plain_of(kind: type) -> Callable[[Any], Any]:
    """The function for a type met for the first time; remembered, because a page holds hundreds of the same."""
    found = next((encode for base, encode in _FAMILIES if issubclass(kind, base)), None)
    if found is None:
        if not is_dataclass(kind):
            raise TypeError(f"no record form for {kind.__name__}")  # our own mistake: a payload of an unknown type
        found = _plain_dataclass(kind)
    _PLAIN[kind] = found
    return found


def _plain_dataclass(kind: type) -> Callable[[Any], dict[str, Any]]:
    names, fast = tuple(field.name for field in fields(kind)), writer(kind)

    def encode(value: Any) -> dict[str, Any]:
        found = fast(value)
        return {name: plain(getattr(value, name)) for name in names} if found is SLOW else found[0]

    return encode


def recorded(value: T) -> tuple[dict[str, Any], T]:
    """A dataclass as plain data, and as it will be read back from it."""
    found = writer(typing.cast("Any", type(value)))(value)
    if found is not SLOW:
        return found  # type: ignore[no-any-return]
    data = plain(value)
    return data, read(type(value), data)


def read(cls: type[T], data: Any, *, what: str = "") -> T:
    """`cls` from plain data, or `NotValid` naming the path of what is wrong."""
    value: T = decoder(typing.cast("Any", cls))(data, what or cls.__name__)
    return value


Path = Any  # a text, or (path, step) put together only when something is wrong
Decode = Callable[[Any, Path], Any]


def _text(path: Path) -> str:
    return path if isinstance(path, str) else _text(path[0]) + path[1][:60]


@cache
def decoder(hint: Any) -> Decode:
    """The function (plain data, path) -> value for a type."""
    origin, args = get_origin(hint), get_args(hint)
    if hint is Any:
        return lambda data, path: data
    if origin in (typing.Union, types.UnionType):
        return _optional(args)
    if origin is tuple:
        return _tuple(args)
    if origin is dict or origin is Mapping or origin is getattr(types, "MappingProxyType", None):
        return _mapping(args[0], args[1])
    if isinstance(hint, type):
        if issubclass(hint, (Id, StrEnum)):
            return _text_type(hint)
        if is_dataclass(hint):
            return _dataclass(hint)
    simple = _SIMPLE.get(hint)
    if simple is None:
        raise TypeError(f"no record form for {hint!r}")
    return simple


def _wrong(path: Path, wanted: str, data: Any) -> NotValid:
    return NotValid(f"cannot read {_text(path)}", why=f"{str(data)[:40]!r} is not {wanted}")


def _str(data: Any, path: Path) -> str:
    if type(data) is not str:
        raise _wrong(path, "a text", data)
    return data


def _int(data: Any, path: Path) -> int:
    if type(data) is not int:
        raise _wrong(path, "a whole number", data)
    return data


def _bool(data: Any, path: Path) -> bool:
    if type(data) is not bool:
        raise _wrong(path, "true or false", data)
    return data


def _float(data: Any, path: Path) -> float:
    if type(data) is str:
        try:
            value = float(data)
        except ValueError:
            raise _wrong(path, "a decimal number", data) from None
    elif type(data) in (int, float):
        value = float(data)
    else:
        raise _wrong(path, "a decimal number", data)
    if not math.isfinite(value):
        raise _wrong(path, "a finite number", data)
    return value


def _datetime(data: Any, path: Path) -> datetime:
    try:
        return time_of_text(_str(data, path))
    except NotValid as trouble:
        raise NotValid(f"cannot read {_text(path)}", why=str(trouble)) from trouble


_SIMPLE: dict[Any, Decode] = {str: _str, int: _int, bool: _bool, float: _float, datetime: _datetime}


def _text_type(kind: type) -> Decode:
    def decode(data: Any, path: Path) -> Any:
        text = _str(data, path)
        try:
            return kind(text)
        except NotValid as trouble:
            raise NotValid(f"cannot read {_text(path)}", why=str(trouble)) from trouble
        except ValueError:
            raise _wrong(path, f"a {kind.__name__}", data) from None

    return decode


def _optional(args: tuple[Any, ...]) -> Decode:
    inner = [each for each in args if each is not type(None)]
    if len(inner) != 1 or len(inner) == len(args):
        raise TypeError("a record union is a type or None")
    decode = decoder(inner[0])
    return lambda data, path: None if data is None else decode(data, path)


def _tuple(args: tuple[Any, ...]) -> Decode:
    if len(args) != 2 or args[1] is not Ellipsis:
        raise TypeError("a record tuple is tuple[X, ...]")
    decode = decoder(args[0])

    def many(data: Any, path: Path) -> Any:
        if type(data) is not list:
            raise _wrong(path, "a list", data)
        return tuple(decode(each, (path, f"[{at}]")) for at, each in enumerate(data))

    return many


def _mapping(key_type: Any, value_type: Any) -> Decode:
    decode_key, decode = decoder(key_type), decoder(value_type)

    def table(data: Any, path: Path) -> Any:
        if type(data) is not dict:
            raise _wrong(path, "a table", data)
        return {decode_key(key, path): decode(each, (path, "." + key)) for key, each in data.items()}

    return table


def _dataclass(kind: type, fast: Callable[[Any], Any] | None = None) -> Decode:
    hints = get_type_hints(kind)
    plan = [
        (field.name, "." + field.name, decoder(hints[field.name]), field.default is MISSING and field.default_factory is MISSING)
        for field in fields(kind)
        if field.init
    ]
    known = {name for name, _, _, _ in plan}

    fast = fast or reader(kind)

    def decode(data: Any, path: Path) -> Any:
        found = fast(data)
        if found is not SLOW:
            return found
        if type(data) is not dict:
            raise _wrong(path, "a table", data)
        if not data.keys() <= known:
            strange = data.keys() - known
            raise NotValid(
                f"cannot read {_text(path)}", why=f"unknown field {sorted(map(str, strange))[0][:40]!r}", possible=", ".join(sorted(known))
            )
        given = {}
        for name, step, decode_field, needed in plan:
            if name in data:
                given[name] = decode_field(data[name], (path, step))
            elif needed:
                raise NotValid(f"cannot read {_text(path)}", why=f"field {name!r} is missing")
        try:
            return kind(**given)
        except NotValid as trouble:
            raise NotValid(f"cannot read {_text(path)}", why=str(trouble)) from trouble
        except (ValueError, TypeError, OverflowError) as trouble:  # a value that the type itself will not take
            raise NotValid(f"cannot read {_text(path)}", why=str(trouble)[:120]) from trouble

    return decode
