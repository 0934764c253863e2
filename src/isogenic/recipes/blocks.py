"""Reusable blocks of a procedure, written once and used many times.

    blocks:
      rinse:
        with: [amount, time]                       what a use must say
        do:
          - {phase: rinse_in, title: Rinse, ..., until: elapsed >= $time}
          - {phase: rinse_out, ...}
    procedure: ...
            - use: rinse                           here, as phases
              with: {amount: "@rinse_volume", time: 10 min}
              as: first                            phases are called first_rinse_in, first_rinse_out

A block is written out where it is used, when the document is read: `$name` becomes what the use
says, and what the block names (phases, operations, unit procedures, questions, samples) gets names
of its own: those of the block at its first use, with `as_` before them where the use says `as`,
else with the number of the use behind them. A recipe is signed whole, so its blocks stand in it; a
library (`isogenic: blocks/1`) is pasted in by `assembled`, which names it and its digest.

Guarantees: what is written out is bounded (uses within uses too), a block that uses itself is
refused; each complaint has the line of the use or of the block.
Leaves to others: what the phases mean (general).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches

from isogenic.documents import NODES_MAX, Document, Node, shown
from isogenic.errors import NotValid
from isogenic.recipes.model import digest_of

__all__ = ["KIND", "assembled", "check_library", "write_out"]

KIND = "isogenic: blocks/1"
DEPTH_MAX = 6  # blocks in blocks: people stop following at two
BLOCKS_MAX = 100
_PARAMETER = re.compile(r"\$([a-z][a-z0-9_]*)")
_NAME = re.compile(r"[a-z]([a-z0-9_]{0,28}[a-z0-9])?")
_NAMES = ("unit_procedure", "operation", "phase", "prompt", "sample")  # keys that name something once in a recipe
_NAMING = ("then", "after")  # keys that name it again
_ANSWER = re.compile(r"\banswer\.([a-z][a-z0-9_]*)")


@dataclass(frozen=True, slots=True)
class _Block:
    name: str
    line: int
    takes: tuple[str, ...]
    does: list[Node]


def write_out(document: Document) -> None:
    """Put every use of a block in its document in the block's place; what is wrong is complained of there."""
    document.rebuilt(lambda root: _Writing(document, _blocks(document, root)).whole(root))


def _blocks(document: Document, root: Node) -> dict[str, _Block]:
    found: dict[str, _Block] = {}
    outer = (root.entries or {}).get("blocks")
    if outer is None:
        return found
    if outer.entries is None or len(outer.entries) > BLOCKS_MAX:
        document.complain(outer.line, f"blocks is a table of at most {BLOCKS_MAX} blocks")
        return found
    for name, node in outer.entries.items():
        inner = node.entries or {}
        takes, does = inner.get("with"), inner.get("do")
        for key in inner:
            if key not in ("with", "do", "title"):
                document.complain(inner[key].line, f"blocks.{name} has no {shown(key)!r}; known are title, with, do")
        if "title" in inner and not inner["title"].text:
            document.complain(inner["title"].line, f"blocks.{shown(name)}.title: {inner['title'].shape} is not a text")
        if not _NAME.fullmatch(name):
            document.complain(node.line, f"blocks.{shown(name)} is not a name: small letters, digits and _, at most 30")
        if does is None or does.items is None:
            document.complain(node.line, f"blocks.{name}: do is missing, a list of what the block does")
            continue
        names = [each.text or "" for each in (takes.items or [])] if takes is not None else []
        if takes is not None and (takes.items is None or not all(map(_NAME.fullmatch, names))):
            document.complain(takes.line, f"blocks.{name}.with is a list of names, small letters, digits and _")
            names = []
        found[name] = _Block(name, node.line, tuple(names), does.items)
    return found


@dataclass
class _Writing:
    document: Document
    blocks: Mapping[str, _Block]
    used: dict[str, int] = field(default_factory=dict)
    count: int = 0

    def whole(self, root: Node) -> Node:
        entries = {key: self.copy(node, ()) for key, node in (root.entries or {}).items() if key != "blocks"}
        return Node(root.line, entries=entries)

    def counted(self) -> None:
        self.count += 1
        if self.count > NODES_MAX:
            raise NotValid(f"cannot read {self.document.what}", why=f"its blocks written out give more than {NODES_MAX} values")

    def copy(self, node: Node, inside: tuple[str, ...]) -> Node:
        self.counted()
        if node.items is not None:
            return Node(node.line, items=[each for item in node.items for each in self.items(item, inside)])
        if node.entries is not None:
            return Node(node.line, entries={key: self.copy(inner, inside) for key, inner in node.entries.items()})
        return Node(node.line, text=node.text, quoted=node.quoted)

    def items(self, item: Node, inside: tuple[str, ...]) -> Iterator[Node]:
        """One item of a list, or where it uses a block, those of the block."""
        if item.entries is None or "use" not in item.entries:
            yield self.copy(item, inside)
            return
        self.counted()
        block = self.wanted(item, inside)
        if block is None:
            return
        told = self.told(item, block)
        self.used[block.name] = number = self.used.get(block.name, 0) + 1
        names = self.names(item, block, number)
        for each in block.does:
            yield from self.items(_written(each, told, names), (*inside, block.name))

    def wanted(self, item: Node, inside: tuple[str, ...]) -> _Block | None:
        assert item.entries is not None
        for key, node in item.entries.items():
            if key not in ("use", "with", "as"):
                self.document.complain(node.line, f"a use of a block has no {shown(key)!r}; known are use, with, as")
        name = item.entries["use"].text or ""
        block = self.blocks.get(name)
        if block is None:
            near = get_close_matches(name, self.blocks, n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; known are {', '.join(self.blocks) or 'none'}"
            self.document.complain(item.line, f"no block {shown(name)!r}{hint}")
        elif name in inside:
            self.document.complain(item.line, f"block {name} uses itself: {' -> '.join((*inside, name))}")
            return None
        elif len(inside) >= DEPTH_MAX:
            self.document.complain(item.line, f"blocks in blocks deeper than {DEPTH_MAX}")
            return None
        return block

    def told(self, item: Node, block: _Block) -> dict[str, str]:
        """What the use says for each name that the block takes."""
        given = (item.entries or {}).get("with")
        said = {} if given is None else given.entries
        if said is None:
            self.document.complain(item.line, f"with of a use of {block.name} is a table")
            said = {}
        for key, node in said.items():
            if key not in block.takes:
                self.document.complain(node.line, f"block {block.name} takes no {shown(key)!r}; it takes {', '.join(block.takes) or 'nothing'}")
            elif node.text is None:
                self.document.complain(node.line, f"{key}: {node.shape} is not a value")
        for key in block.takes:
            if key not in said:
                self.document.complain(item.line, f"block {block.name} needs {key}")
        return {key: said[key].text or "" if key in said else "" for key in block.takes}

    def names(self, item: Node, block: _Block, number: int) -> dict[str, str]:
        """What each thing of the block is called here."""
        prefix = (item.entries or {}).get("as")
        start = prefix.text if prefix is not None else None
        if prefix is not None and not _NAME.fullmatch(start or ""):
            self.document.complain(prefix.line, "as: is not a name: small letters, digits and _")
            start = None
        own = dict.fromkeys(name for each in block.does for name in _named(each))
        if start:
            return {name: f"{start}_{name}" for name in own}
        return {name: name if number == 1 else f"{name}_{number}" for name in own}


def _named(node: Node) -> Iterator[str]:
    for key, inner in (node.entries or {}).items():
        if key in _NAMES and inner.text:
            yield inner.text
        yield from _named(inner)
    for each in node.items or []:
        yield from _named(each)


def _written(node: Node, told: Mapping[str, str], names: Mapping[str, str], key: str = "") -> Node:
    """A copy with what the use says in the place of `$name`, and names of its own."""
    if node.entries is not None:
        return Node(node.line, entries={each: _written(inner, told, names, each) for each, inner in node.entries.items()})
    if node.items is not None:
        return Node(node.line, items=[_written(each, told, names, key) for each in node.items])
    text = _PARAMETER.sub(lambda found: told.get(found[1], found[0]), node.text or "")
    if key in (*_NAMES, *_NAMING):
        text = names.get(text, text)
    return Node(node.line, text=_ANSWER.sub(lambda found: f"answer.{names.get(found[1], found[1])}", text), quoted=node.quoted)


# --- libraries ----------------------------------------------------------------------------------


def check_library(text: str, *, name: str = "library") -> tuple[str, ...]:
    """The names of a library's blocks, or one `NotValid` with every complaint."""
    return tuple(_library(text, name))


def _library(text: str, name: str) -> dict[str, _Block]:
    document = Document.read(text, what=name, kind=KIND)
    document.root.text("title", default="")
    found: dict[str, _Block] = {}

    def kept(root: Node) -> Node:
        found.update(_blocks(document, root))
        return Node(root.line, entries={key: node for key, node in (root.entries or {}).items() if key != "blocks"})

    document.rebuilt(kept)
    document.done()
    return found


def assembled(text: str, libraries: Mapping[str, str]) -> str:
    """The recipe with the blocks that it uses and does not have pasted in from libraries (name -> text): what is signed is whole."""
    outer = _outer(text)
    blocks = outer.get("blocks")
    have = set(blocks.entries or {}) if blocks is not None else set()
    wanted = [name for node in outer.values() for name in _uses(node) if name not in have]
    pasted: list[str] = []
    for library, library_text in libraries.items():
        known = _library(library_text, library)
        lines = library_text.splitlines()
        mine: list[str] = []
        queue = list(wanted)
        while queue:
            name = queue.pop(0)
            if name in known and name not in have:
                have.add(name)
                mine += _source(lines, name)
                queue += [each for node in known[name].does for each in _uses(node)]
        if mine:
            pasted += [f"  # from {library}, SHA-256 {digest_of(library_text)}", *mine]
    if not pasted:
        return text
    if blocks is None:
        return text.rstrip("\n") + "\n\nblocks:\n" + "\n".join(pasted) + "\n"
    lines = text.splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("blocks:")) + 1
    return "\n".join([*lines[:at], *pasted, *lines[at:]]) + "\n"


def _outer(text: str) -> dict[str, Node]:
    return Document.read(text, what="recipe", kind="isogenic: general-recipe/1").tree.entries or {}


def _uses(node: Node) -> Iterator[str]:
    entries = node.entries or {}
    if "use" in entries and entries["use"].text:
        yield entries["use"].text
    for inner in (*entries.values(), *(node.items or [])):
        yield from _uses(inner)


def _source(lines: list[str], name: str) -> list[str]:
    """The lines of one block as they stand in the library, from its name to the next block."""
    start = next((at for at, line in enumerate(lines) if re.match(rf"  {re.escape(name)}\s*:", line)), None)
    if start is None:
        raise NotValid(f"cannot take the block {name} out of its library", why="its name does not stand at the begin of a line, two blanks in")
    end = next((at for at in range(start + 1, len(lines)) if lines[at].strip() and not lines[at].startswith("   ")), len(lines))
    return [line for line in lines[start:end] if line.strip()]
