"""YAML documents that people write, read with a line number for every complaint.

Guarantees: any text or bytes give either typed values or one `NotValid` that lists every
complaint with its line, oldest line first; nothing is executed, no tag is followed, no
alias is expanded (a YAML bomb is refused at its first anchor); size, depth and number of
nodes are bounded before anything is built. Keys may not be given twice; a key that nobody
asked for is a complaint, with the nearest known key beside it.
Leaves to others: what the values mean. A room reads its document like this:

    document = Document.read(text, what="general recipe", kind="isogenic: general-recipe/1")
    title = document.root.text("title")
    for each in document.root.tables("parameters"): ...
    document.done()  # raises all complaints; until then, a wrong value is a placeholder

A method that complains returns a placeholder of the right type, so that a room's reading
code runs to its end and all complaints come together; `done()` must be called before
anything read is used.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from isogenic.errors import NotValid
from isogenic.ids import Id
from isogenic.units import Quantity, same_dimension

__all__ = ["BYTES_MAX", "DEPTH_MAX", "NODES_MAX", "Complaint", "Document", "Node", "Plain", "Table", "Value", "complain_of_direction", "meant"]

BYTES_MAX = 262_144  # a master recipe has about 10 kB; 256 KiB is read in seconds even on a small machine
DEPTH_MAX = 16  # people stop reading at 6
NODES_MAX = 20_000
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")  # embeddings, overrides and isolates
COMPLAINTS_SHOWN = 40  # more do not fit a screen; the count of the rest is said
SHOWN = 60  # characters of a wrong value that are repeated

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_WHOLE = re.compile(r"[+-]?\d{1,15}")
AnyId = TypeVar("AnyId", bound=Id)
AnyChoice = TypeVar("AnyChoice", bound=StrEnum)


@dataclass(frozen=True, slots=True, order=True)
class Complaint:
    """What is wrong, and where."""

    line: int  # from 1
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.text}"


@dataclass(slots=True)
class Node:
    """A scalar (text), a list (items) or a table (entries, in order)."""

    line: int
    text: str | None = None
    quoted: bool = False
    items: list[Node] | None = None
    entries: dict[str, Node] | None = None

    @property
    def shape(self) -> str:
        if self.entries is not None:
            return "a table"
        if self.items is not None:
            return "a list"
        return f"{shown(self.text or '')!r}" if self.text or self.quoted else "nothing"


Plain: TypeAlias = "str | dict[str, Plain] | list[Plain]"


def _plain(node: Node) -> Plain:
    if node.entries is not None:
        return {key: _plain(inner) for key, inner in node.entries.items()}
    if node.items is not None:
        return [_plain(each) for each in node.items]
    return (node.text or "").strip()


def shown(text: str) -> str:
    """At most `SHOWN` characters of what was given."""
    return text if len(text) <= SHOWN else text[:SHOWN] + "…"


def meant(name: str, known: Iterable[str], *, there: str = "there") -> str:
    """What stands behind a name that is not known: the nearest that is, else all of them."""
    names = list(known)
    near = get_close_matches(name[:SHOWN], names, n=1)
    return f"did you mean {near[0]}?" if near else f"{there} are {', '.join(names) or 'none'}"


class Document:
    """One document and the complaints about it."""

    def __init__(self, root: Node, *, what: str) -> None:
        self.what = what
        self.complaints: list[Complaint] = []
        self._tables: list[Table] = []
        self._root = root
        self.root = self._table(root, "")

    @classmethod
    def read(cls, text: str | bytes, *, what: str, kind: str) -> Document:
        """Read a document whose first key says what it is: `isogenic: general-recipe/1`.

        Raises `NotValid` where the text is not YAML of plain tables, lists and texts, or is of another kind.
        """
        complaints: list[Complaint] = []
        root = _compose(_text(text, what), complaints, what)
        if root is None or root.entries is None:
            raise NotValid(f"cannot read {what}", why="; ".join(map(str, complaints[:1])) or "it is not a table of keys and values")
        key, _, wanted = kind.partition(": ")
        given = root.entries.get(key)
        if given is None or given.text != wanted:
            found = given.shape if given else "nothing"
            raise NotValid(f"cannot read {what}", why=f"line {given.line if given else root.line}: {key} is {found}", possible=f"begin with {kind}")
        document = cls(root, what=what)
        document.complaints += complaints
        document.root.asked(key)
        return document

    def rebuilt(self, by: Callable[[Node], Node]) -> None:
        """Put another tree in the place of the one that was read, before anything is asked for: reusable parts written out."""
        asked = self._tables[0]
        self._root = by(self._root)
        self._tables.clear()
        self.root = self._table(self._root, "")
        for key in asked.asked_for():
            self.root.asked(key)

    @property
    def tree(self) -> Node:
        """What was read, for rooms that look at it whole."""
        return self._root

    def plain_table(self) -> dict[str, Plain]:
        """All of it as tables, lists and texts, before anything is asked for: for documents that are carried on as they are."""
        return {key: _plain(inner) for key, inner in (self._root.entries or {}).items()}

    def complain(self, line: int, text: str) -> None:
        """Add a complaint of the room's own."""
        self.complaints.append(Complaint(line, text))

    def done(self) -> None:
        """Raise one `NotValid` with every complaint, if there is any."""
        for table in self._tables:
            table.complain_of_unknown()
        self._tables.clear()
        if not self.complaints:
            return
        lines = [str(each) for each in sorted(set(self.complaints))]
        if len(lines) > COMPLAINTS_SHOWN:
            lines[COMPLAINTS_SHOWN:] = [f"and {len(lines) - COMPLAINTS_SHOWN} more"]
        raise NotValid(f"cannot use {self.what}", why=lines[0] if len(lines) == 1 else "".join(f"\n  {each};" for each in lines)[:-1])

    def _table(self, node: Node, path: str) -> Table:
        table = Table(self, node, path)
        self._tables.append(table)
        return table


@dataclass(frozen=True, slots=True)
class Value:
    """A text with its line, for rooms that parse it further and may complain."""

    text: str
    line: int
    path: str


class Table:
    """A table of a document. Every method that reads a key complains by itself where it must."""

    def __init__(self, document: Document, node: Node, path: str) -> None:
        self.document, self.path, self.line = document, path, node.line
        self._entries = node.entries or {}
        self._asked: dict[str, None] = {}

    def asked(self, key: str) -> None:
        """Say that `key` is known here."""
        self._asked[key] = None

    def has(self, key: str) -> bool:
        """Whether the key is there."""
        self.asked(key)
        return key in self._entries

    def is_table(self, key: str) -> bool:
        """Whether the value is a table, where a text may stand as well."""
        return key in self._entries and self._entries[key].entries is not None

    def is_list(self, key: str) -> bool:
        """Whether the value is a list, where a text may stand as well."""
        return key in self._entries and self._entries[key].items is not None

    def names(self) -> tuple[str, ...]:
        """All keys, for tables whose keys are data; each counts as known."""
        for key in self._entries:
            self.asked(key)
        return tuple(self._entries)

    def line_of(self, key: str) -> int:
        """The line of a key's value, or of the table where the key is missing."""
        return self._entries[key].line if key in self._entries else self.line

    def name_of(self, key: str) -> str:
        """The dotted path of a key, as complaints say it."""
        return f"{self.path}.{key}" if self.path else key

    def complain(self, key: str, text: str) -> None:
        """Complain about the value of a key."""
        self.document.complain(self.line_of(key), f"{self.name_of(key)}: {text}")

    def asked_for(self) -> tuple[str, ...]:
        """The keys that were asked for."""
        return tuple(self._asked)

    def complain_of_unknown(self) -> None:
        """Complain about every key that nobody asked for."""
        for key, node in self._entries.items():
            if key not in self._asked:
                self.document.complain(node.line, f"unknown key {shown(self.name_of(key))!r}; {meant(key, sorted(self._asked), there='known')}")

    # --- single values --------------------------------------------------------------------------

    def value(self, key: str, *, default: str | None = None) -> Value:
        """A text with its line."""
        return Value(self.text(key, default=default), self.line_of(key), self.name_of(key))

    def text(self, key: str, *, default: str | None = None) -> str:
        """A text."""
        node = self._get(key, needed=default is None)
        if node is None:
            return default or ""
        if node.text is None or (not node.text and not node.quoted):
            self.complain(key, f"{node.shape} is not a text")
            return default or ""
        return node.text.strip()

    def number(self, key: str, *, default: float | None = None, low: float = -math.inf, high: float = math.inf) -> float:
        """A decimal number within [low, high]."""
        text = self._plain(key, needed=default is None)
        if text is None:
            return 0.0 if default is None else default
        value = float(text) if _NUMBER.fullmatch(text) else math.nan
        if not math.isfinite(value):
            self.complain(key, f"{shown(text)!r} is not a number")
            return 0.0 if default is None else default
        if not low <= value <= high:
            self.complain(key, f"{value:g} is not within {low:g} to {high:g}")
        return value

    def whole(self, key: str, *, default: int | None = None, low: int = -(10**15), high: int = 10**15) -> int:
        """A whole number within [low, high]."""
        text = self._plain(key, needed=default is None)
        if text is None:
            return default or 0
        if not _WHOLE.fullmatch(text):
            self.complain(key, f"{shown(text)!r} is not a whole number")
            return default or 0
        value = int(text)
        if not low <= value <= high:
            self.complain(key, f"{value} is not within {low} to {high}")
        return value

    def flag(self, key: str, *, default: bool | None = None) -> bool:
        """`true` or `false`."""
        text = self._plain(key, needed=default is None)
        if text is None:
            return bool(default)
        if text not in ("true", "false"):
            self.complain(key, f"{shown(text)!r} is neither true nor false")
        return text == "true"

    def quantity(self, key: str, *, like: str | None = None, default: Quantity | None = None) -> Quantity:
        """A number with its unit, of the dimension of `like` where that is given."""
        text = self._plain(key, needed=default is None)
        if text is None:
            return default or Quantity(0.0, like or "1")
        try:
            quantity = Quantity.parse(text)
            if like is not None and not same_dimension(quantity.unit, like):
                raise NotValid(f"{quantity} does not measure the same as {like or '1'}")
        except NotValid as trouble:
            self.complain(key, str(trouble))
            return default or Quantity(0.0, like or "1")
        return quantity

    def unit(self, key: str, *, like: str | None = None, default: str | None = None) -> str:
        """A unit, of the dimension of `like` where that is given."""
        text = self._plain(key, needed=default is None)
        if text is None:
            return default or like or "1"
        try:
            if not same_dimension(text, text if like is None else like):
                raise NotValid(f"{text!r} does not measure the same as {like!r}")
        except NotValid as trouble:
            self.complain(key, str(trouble))
            return default or like or "1"
        return text

    def id(self, key: str, kind: type[AnyId], *, default: AnyId | None = None) -> AnyId:
        """An id of this kind."""
        text = self._plain(key, needed=default is None)
        if text is not None:
            try:
                return kind(text)
            except NotValid as trouble:
                self.complain(key, str(trouble))
        return default if default is not None else kind(kind.prefix + "X0")

    def choice(self, key: str, kind: type[AnyChoice], *, default: AnyChoice | None = None) -> AnyChoice:
        """One of an enumeration's words."""
        text = self._plain(key, needed=default is None)
        if text is not None:
            try:
                return kind(text)
            except ValueError:
                self.complain(key, f"{shown(text)!r} is not one of {', '.join(kind)}")
        return default if default is not None else next(iter(kind))

    # --- many -----------------------------------------------------------------------------------

    def texts(self, key: str, *, needed: bool = True) -> tuple[str, ...]:
        """A list of texts."""
        return tuple(each.text for each in self.values(key, needed=needed))

    def values(self, key: str, *, needed: bool = True) -> tuple[Value, ...]:
        """A list of texts with their lines."""
        found = []
        for at, node in enumerate(self._items(key, needed=needed), 1):
            if node.text:
                found.append(Value(node.text.strip(), node.line, f"{self.name_of(key)}[{at}]"))
            else:
                self.document.complain(node.line, f"{self.name_of(key)}[{at}]: {node.shape} is not a text")
        return tuple(found)

    def table(self, key: str, *, needed: bool = True) -> Table:
        """A table; an empty one where it is missing."""
        node = self._get(key, needed=needed)
        if node is not None and node.entries is None:
            self.complain(key, f"{node.shape} is not a table")
            node = None
        return self.document._table(node or Node(self.line_of(key), entries={}), self.name_of(key))

    def tables(self, key: str, *, needed: bool = True) -> tuple[Table, ...]:
        """A list of tables."""
        found = []
        for at, node in enumerate(self._items(key, needed=needed), 1):
            if node.entries is None:
                self.document.complain(node.line, f"{self.name_of(key)}[{at}]: {node.shape} is not a table")
            else:
                found.append(self.document._table(node, f"{self.name_of(key)}[{at}]"))
        return tuple(found)

    def branches(self, key: str) -> tuple[Table, ...]:
        """A list of lists, as tables whose key `do` holds each list."""
        found = []
        for at, node in enumerate(self._items(key, needed=True), 1):
            path = f"{self.name_of(key)}[{at}]"
            if node.items is None:
                self.document.complain(node.line, f"{path}: {node.shape} is not a list")
            else:
                found.append(self.document._table(Node(node.line, entries={"do": node}), path))
        return tuple(found)

    def named_tables(self, key: str, *, needed: bool = True) -> dict[str, Table]:
        """A table of tables whose keys are names chosen by the writer."""
        outer = self.table(key, needed=needed)
        return {name: outer.table(name) for name in outer.names()}

    # --- inside ---------------------------------------------------------------------------------

    def _get(self, key: str, *, needed: bool) -> Node | None:
        self.asked(key)
        node = self._entries.get(key)
        if node is None and needed:
            self.document.complain(self.line, f"{self.name_of(key)} is missing")
        return node

    def _plain(self, key: str, *, needed: bool) -> str | None:
        node = self._get(key, needed=needed)
        if node is None:
            return None
        if node.text is None or not node.text.strip():
            self.complain(key, f"{node.shape} is not a value")
            return None
        return node.text.strip()

    def _items(self, key: str, *, needed: bool) -> list[Node]:
        node = self._get(key, needed=needed)
        if node is None:
            return []
        if node.items is None:
            self.complain(key, f"{node.shape} is not a list")
            return []
        return node.items


# --- from text to nodes -------------------------------------------------------------------------


def _text(text: str | bytes, what: str) -> str:
    try:
        data = text.encode() if isinstance(text, str) else text
        text = data.decode()
    except (UnicodeEncodeError, UnicodeDecodeError) as trouble:
        raise NotValid(f"cannot read {what}", why="it is not UTF-8") from trouble
    if len(data) > BYTES_MAX:
        raise NotValid(f"cannot read {what}", why=f"{len(data)} bytes are more than {BYTES_MAX}")
    # A record keeps texts in Unicode form C; a document in another form would get another digest on its way through a fact.
    if not unicodedata.is_normalized("NFC", text):
        raise NotValid(f"cannot read {what}", why="its text is not in Unicode normal form C", possible="save it composed (NFC)")
    complain_of_direction(text, f"cannot read {what}")
    return text


def complain_of_direction(text: str, what: str) -> None:
    """Refuse signs that make people read another order than machines do: nobody could know what he signs (Unicode TR 36, 3.3)."""
    found = _DIRECTION.search(text)
    if found:
        line = text.count("\n", 0, found.start()) + 1
        raise NotValid(what, why=f"line {line}: U+{ord(found[0]):04X} changes the order in which text is shown", possible="leave it out")


def _compose(text: str, complaints: list[Complaint], what: str) -> Node | None:
    """The tree of the only document in `text`, built from parser events without recursion."""
    try:
        return _build(_events(text), complaints)
    except NotValid as trouble:
        raise NotValid(f"cannot read {what}", why=trouble.what) from trouble


def _events(text: str) -> Iterator[Any]:
    from ruamel.yaml import YAML  # slow to import, so only where a document is really read

    try:
        yield from YAML(typ="safe", pure=True).parse(text)
    except NotValid:
        raise
    except Exception as trouble:  # the YAML parser raises many unrelated types on malformed text
        mark = getattr(trouble, "problem_mark", None)
        where = f"line {mark.line + 1}: " if mark is not None else ""
        said = getattr(trouble, "problem", None) or str(trouble).splitlines()[0] if str(trouble) else type(trouble).__name__
        raise NotValid(f"{where}not YAML: {str(said)[:120]}") from trouble


def _build(events: Iterator[Any], complaints: list[Complaint]) -> Node | None:
    root: Node | None = None
    open_nodes: list[tuple[Node, list[Node]]] = []  # container and, for a table, its pending key
    count = 0
    for event in events:
        kind = type(event).__name__
        if kind in ("MappingEndEvent", "SequenceEndEvent"):
            open_nodes.pop()
            continue
        if kind not in ("ScalarEvent", "MappingStartEvent", "SequenceStartEvent", "AliasEvent"):
            continue
        count += 1
        node = _node(event, kind, count=count, depth=len(open_nodes))
        if open_nodes:
            _place(node, *open_nodes[-1], complaints)
        elif root is None:
            root = node
        else:
            raise NotValid(f"line {node.line}: a second document begins")
        if node.text is None:
            open_nodes.append((node, []))
    return root


def _node(event: Any, kind: str, *, count: int, depth: int) -> Node:
    line = event.start_mark.line + 1
    if kind == "AliasEvent" or getattr(event, "anchor", None) is not None:
        raise NotValid(f"line {line}: anchors and aliases are not read; write the value out")
    if getattr(event, "ctag", None) is not None:
        raise NotValid(f"line {line}: tags are not read; every value is a plain text")
    if count > NODES_MAX:
        raise NotValid(f"line {line}: more than {NODES_MAX} values")
    if depth >= DEPTH_MAX:
        raise NotValid(f"line {line}: nested deeper than {DEPTH_MAX}")
    if kind == "MappingStartEvent":
        return Node(line, entries={})
    if kind == "SequenceStartEvent":
        return Node(line, items=[])
    text = event.value
    if not unicodedata.is_normalized("NFC", text) or any("\ud800" <= sign <= "\udfff" or (sign < " " and sign not in "\n\t") for sign in text):
        raise NotValid(f"line {line}: the text has signs that cannot be recorded")  # written as escapes, so `_text` did not see them
    if _DIRECTION.search(text):
        raise NotValid(f"line {line}: a sign changes the order in which text is shown")
    return Node(line, text=text, quoted=bool(event.style))


def _place(node: Node, container: Node, pending: list[Node], complaints: list[Complaint]) -> None:
    if container.items is not None:
        container.items.append(node)
        return
    assert container.entries is not None
    if not pending:
        if not node.text:
            raise NotValid(f"line {node.line}: a key is a text, not {node.shape}")
        pending.append(node)
        return
    key = pending.pop()
    assert key.text is not None
    if key.text in container.entries:
        complaints.append(Complaint(key.line, f"key {shown(key.text)!r} is given twice, first in line {container.entries[key.text].line}"))
        return
    container.entries[key.text] = node
    if node.text == "" and not node.quoted:
        node.line = key.line  # nothing was written: the complaint belongs to the key, not to the next line
