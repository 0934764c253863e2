"""The record as plain text: for diffs, golden files, and readers in thirty years."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from textwrap import wrap

from isogenic.quality.executed.blocks import Block, Cell, Grid, Heading, PageBreak, Pairs, Paragraph, Table, Tone
from isogenic.quality.executed.layout import TITLE, layout
from isogenic.quality.executed.model import ExecutedRecord

__all__ = ["as_text", "blocks_text"]

WIDTH = 120  # characters: a page of A4, landscape, in a typewriter's face
NAME = 18
LONGEST = 64  # a digest


def as_text(record: ExecutedRecord) -> str:
    """The whole record as text; the same record gives the same text."""
    return blocks_text(f"{TITLE} {record.batch}", layout(record))


def blocks_text(title: str, blocks: Sequence[Block]) -> str:
    """Blocks as text."""
    lines = [title, "=" * len(title)]
    for block in blocks:
        lines += _lines(block)
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _lines(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level, aside):
            yield ""
            said = f"{text.upper() if level == 1 else text}{f'  ({aside})' if aside else ''}"
            yield said
            if level < 3:
                yield ("-" if level == 1 else "·") * len(said)
        case Paragraph(text, tone):
            yield from wrap(_marked(text, tone), WIDTH) or [""]
        case Pairs(rows):
            for name, value in rows:
                first, *more = _wrapped(value, WIDTH - NAME)
                yield f"{name:<{NAME}}{first}"
                yield from (" " * NAME + line for line in more)
        case Grid(entries):
            for name, value in entries:
                yield f"{name:.<40} {_marked(value.text, value.tone)}"
        case Table():
            yield from _table(block)
        case PageBreak():
            yield ""


def _marked(text: str, tone: Tone) -> str:
    return f"!! {text}" if tone is Tone.STOP else text


def _wrapped(value: Cell, width: int) -> list[str]:
    lines = wrap(_marked(value.text, value.tone), max(width, 8)) or [""]
    return lines + (wrap(value.under, max(width, 8)) if value.under else [])


def _table(table: Table) -> Iterator[str]:
    total = sum(column.share for column in table.columns)
    room = WIDTH - 2 * (len(table.columns) - 1)
    widths = [max(int(room * column.share / total), len(column.head), 8) for column in table.columns]
    heads = [[column.head] for column in table.columns]
    yield from _row(table, heads, widths)
    yield "-" * (sum(widths) + 2 * (len(widths) - 1))
    for row in table.rows:
        yield from _row(table, [_wrapped(each, width) for each, width in zip(row, widths, strict=True)], widths)


def _row(table: Table, cells: Sequence[Sequence[str]], widths: Sequence[int]) -> Iterator[str]:
    for at in range(max(len(each) for each in cells)):
        parts = []
        for column, lines, width in zip(table.columns, cells, widths, strict=True):
            text = lines[at] if at < len(lines) else ""
            parts.append(f"{text:>{width}}" if column.right else f"{text:<{width}}")
        yield "  ".join(parts)
