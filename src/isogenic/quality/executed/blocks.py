"""What a page is made of, before it is text, HTML or PDF: headings, pairs, tables, paragraphs. All of it is text; none of it is markup."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

__all__ = ["Block", "Cell", "Column", "Grid", "Heading", "PageBreak", "Pairs", "Paragraph", "Row", "Table", "Tone", "cell"]


class Tone(StrEnum):
    """How a text is set."""

    PLAIN = "plain"
    QUIET = "quiet"
    STRONG = "strong"
    STOP = "stop"  # what a reviewer must not pass over
    MONO = "mono"  # digests and names of ledgers
    GOOD = "good"


@dataclass(frozen=True, slots=True)
class Cell:
    """A text, and how it is set; `under` stands smaller beneath it."""

    text: str
    tone: Tone = Tone.PLAIN
    under: str = ""


def cell(text: object, tone: Tone = Tone.PLAIN, under: str = "") -> Cell:
    """A cell from anything that prints."""
    return Cell(str(text), tone, under)


@dataclass(frozen=True, slots=True)
class Heading:
    """Level 1: a section; 2: a step; 3: within it."""

    text: str
    level: int = 1
    aside: str = ""


@dataclass(frozen=True, slots=True)
class Paragraph:
    """A sentence or more."""

    text: str
    tone: Tone = Tone.PLAIN


@dataclass(frozen=True, slots=True)
class Pairs:
    """Names with their values."""

    rows: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its head, its share of the width, and whether it holds numbers."""

    head: str
    share: float
    right: bool = False


Row = tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under heads."""

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Grid:
    """Names with a count or a word each, in columns: the whole page of exceptions at a glance."""

    entries: tuple[tuple[str, Cell], ...]


@dataclass(frozen=True, slots=True)
class PageBreak:
    """The next begins on a page of its own."""


Block = Heading | Paragraph | Pairs | Table | Grid | PageBreak
