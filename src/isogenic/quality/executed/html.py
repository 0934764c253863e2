"""The record as one self-contained HTML page: no script, nothing from outside, and it prints.

Guarantees: every text is escaped; the page forbids itself scripts and anything that would be
fetched (Content-Security-Policy), so that it stays what it is wherever it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from html import escape
from importlib.resources import files

from isogenic.quality.executed.blocks import Block, Cell, Grid, Heading, PageBreak, Pairs, Paragraph, Table
from isogenic.quality.executed.layout import TITLE, layout
from isogenic.quality.executed.model import ExecutedRecord

__all__ = ["as_html", "blocks_html"]

POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def as_html(record: ExecutedRecord) -> str:
    """The whole record as a page; the same record gives the same bytes."""
    return blocks_html(TITLE, f"{record.batch}", layout(record))


def blocks_html(title: str, about: str, blocks: Sequence[Block]) -> str:
    """Blocks as a page."""
    body = "\n".join(part for block in blocks for part in _parts(block))
    return (
        f'<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n<title>{escape(title)} {escape(about)}</title>\n'
        f"<style>\n{_style()}</style>\n</head>\n<body>\n<main>\n<header><h1>{escape(title)}</h1><p>{escape(about)}</p></header>\n{body}\n</main>\n</body>\n</html>\n"
    )


def _parts(block: Block) -> Iterator[str]:
    match block:
        case Heading(text, level, aside):
            said = f" <small>{escape(aside)}</small>" if aside else ""
            yield f"<h{level + 1}>{escape(text)}{said}</h{level + 1}>"
        case Paragraph(text, tone):
            yield f'<p class="{tone}">{escape(text)}</p>'
        case Pairs(rows):
            yield f"<dl>{''.join(f'<dt>{escape(name)}</dt><dd>{_cell(value)}</dd>' for name, value in rows)}</dl>"
        case Grid(entries):
            yield f'<ul class="grid">{"".join(f"<li><span>{escape(name)}</span>{_cell(value)}</li>" for name, value in entries)}</ul>'
        case Table():
            yield _table(block)
        case PageBreak():
            yield "<hr>"


def _table(table: Table) -> str:
    total = sum(column.share for column in table.columns)
    widths = "".join(f'<col style="width:{100 * column.share / total:.1f}%">' for column in table.columns)
    right = [' class="right"' if column.right else "" for column in table.columns]
    heads = "".join(f"<th{side}>{escape(column.head)}</th>" for column, side in zip(table.columns, right, strict=True))
    rows = "".join("<tr>" + "".join(f"<td{side}>{_cell(each)}</td>" for each, side in zip(row, right, strict=True)) + "</tr>\n" for row in table.rows)
    return f"<table><colgroup>{widths}</colgroup><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>"


def _cell(value: Cell) -> str:
    under = f'<span class="under">{escape(value.under)}</span>' if value.under else ""
    return f'<span class="{value.tone}">{escape(value.text)}</span>{under}'


@cache
def _style() -> str:
    return files(__package__).joinpath("record.css").read_text()
