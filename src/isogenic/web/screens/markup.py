"""HTML from values: every text is escaped unless it is markup already.

    h("a.site", "Leeds", href="/sites/LEEDS")   ->   <a class="site" href="/sites/LEEDS">Leeds</a>

Guarantees: no text of a person, a site or an instrument reaches a browser as markup.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TypeAlias

__all__ = ["Child", "Markup", "h", "join", "raw"]


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Child: TypeAlias = "str | int | Iterable[Child] | None"
VOID = frozenset({"input", "br", "hr", "path", "circle", "line", "rect", "meta", "link"})


def h(tag: str, *children: Child, **attributes: str | int | float | bool | None) -> Markup:
    """One element. `tag` may carry classes after dots; an attribute that is None or False is left out, `_` in a name is a dash."""
    name, *classes = tag.split(".")
    said = f' class="{" ".join(classes)}"' if classes else ""
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        key = key.rstrip("_").replace("_", "-")
        said += f" {key}" if value is True else f' {key}="{escape(str(value))}"'
    if name in VOID:
        return Markup(f"<{name}{said}>" if name in {"input", "br", "hr", "meta", "link"} else f"<{name}{said}/>")
    return Markup(f"<{name}{said}>{join(*children)}</{name}>")


def join(*children: Child) -> Markup:
    """Children, escaped where they are text."""
    parts = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Markup):
            parts.append(str(child))
        elif isinstance(child, (str, int)):
            parts.append(escape(str(child)))
        else:
            parts.append(join(*child))
    return Markup("".join(parts))


def raw(text: str) -> Markup:
    """Markup of our own that is written out."""
    return Markup(text)
