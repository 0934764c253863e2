"""Documents as YAML text: tables, lists and texts, written so that `documents` reads them back.

Guarantees: `plain(written(value)) == value` for tables, lists and texts of what may be recorded;
the same value gives the same text.
Leaves to others: what the values mean.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from isogenic.documents import Plain

__all__ = ["written"]

_BARE = re.compile(r"[A-Za-z0-9][A-Za-z0-9 _./+()=<>é-]*[A-Za-z0-9)%]|[A-Za-z0-9]")
WIDTH = 140


def written(value: dict[str, Plain], *, comment: str = "") -> str:
    """A document; `comment` stands above it, line by line."""
    head = "".join(f"# {line}\n" for line in comment.splitlines())
    return head + "\n".join(_block(value, 0)) + "\n"


def _block(value: Plain, depth: int) -> Iterator[str]:
    start = "  " * depth
    if isinstance(value, dict):
        for key, inner in value.items():
            if isinstance(inner, str) or not inner or (depth > 0 and _fits(inner, start)):
                yield f"{start}{_scalar(key)}: {_flow(inner)}"
            else:
                yield f"{start}{_scalar(key)}:"
                yield from _block(inner, depth + 1)
    elif isinstance(value, list):
        for inner in value:
            if isinstance(inner, str) or not inner or _fits(inner, start):
                yield f"{start}- {_flow(inner)}"
            elif isinstance(inner, list):
                yield f"{start}-"
                yield from _block(inner, depth + 1)
            else:
                lines = list(_block(inner, depth + 1))
                yield f"{start}- {lines[0].lstrip()}"
                yield from lines[1:]


def _fits(value: Plain, start: str) -> bool:
    """Short and without a table in a table in a table: one line reads better than ten."""
    return len(start) + len(_flow(value)) < WIDTH and _depth(value) <= 2


def _depth(value: Plain) -> int:
    inner = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return 1 + max((_depth(each) for each in inner), default=0) if not isinstance(value, str) else 0


def _flow(value: Plain) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(text: str) -> str:
    return text if _BARE.fullmatch(text) else json.dumps(text, ensure_ascii=False)
