"""The record as PDF/A-3a, set by typst: the same record gives the same bytes.

Guarantees: texts reach the page as data (JSON) only, never as markup; a sign that the page's
face lacks is shown as its code point; the record's facts in plain form are attached, so that
a program need not read the page. Its date is that of the newest fact in it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Any

from isogenic.quality.certificate import shown
from isogenic.quality.executed.blocks import Block, Grid, Heading, PageBreak, Pairs, Paragraph, Table
from isogenic.quality.executed.layout import TITLE, layout
from isogenic.quality.executed.model import ExecutedRecord
from isogenic.records import codec

__all__ = ["as_pdf", "as_pictures", "blocks_pdf", "blocks_pictures"]

LONG_WORD = re.compile(r"\S{25,}")
BREAK = "\u200b"  # a zero-width space: typst breaks a long word nowhere else


def as_pdf(record: ExecutedRecord) -> bytes:
    """The whole record as a PDF."""
    newest = max((line.at for line in record.lines), default=record.started_at)
    return blocks_pdf(TITLE, str(record.batch), layout(record), at=newest, data=codec.dumps(codec.plain(record)).decode())


def as_pictures(record: ExecutedRecord, *, ppi: float = 90.0) -> list[bytes]:
    """Its pages as PNG."""
    return blocks_pictures(TITLE, str(record.batch), layout(record), ppi=ppi)


def blocks_pdf(title: str, about: str, blocks: Sequence[Block], *, at: datetime, data: str = "") -> bytes:
    """Blocks as a PDF dated `at`, with `data` attached."""
    import typst  # 80 MB, so only where a page is really set

    made: bytes = typst.compile(
        _template(),
        sys_inputs=_inputs(title, about, blocks, data),
        ignore_system_fonts=True,  # another machine's faces would give other bytes
        pdf_standards="a-3a",
        timestamp=int(at.timestamp()),
    )
    return made


def blocks_pictures(title: str, about: str, blocks: Sequence[Block], *, ppi: float = 90.0) -> list[bytes]:
    """The pages as PNG."""
    import typst

    made = typst.compile(_template(), sys_inputs=_inputs(title, about, blocks, ""), ignore_system_fonts=True, format="png", ppi=ppi)
    return made if isinstance(made, list) else [made]


@cache
def _template() -> bytes:
    return files(__package__).joinpath("record.typ").read_bytes()


def _inputs(title: str, about: str, blocks: Sequence[Block], data: str) -> dict[str, str]:
    page = {"title": title, "about": about, "blocks": [_plain(each) for each in blocks]}
    return {"page": codec.dumps(_soft(shown(page))).decode(), "data": data}


def _plain(block: Block) -> dict[str, Any]:
    match block:
        case Heading(text, level, aside):
            return {"is": "heading", "text": text, "level": level, "aside": aside}
        case Paragraph(text, tone):
            return {"is": "paragraph", "text": text, "tone": str(tone)}
        case Pairs(rows):
            return {"is": "pairs", "rows": [[name, _cell(value)] for name, value in rows]}
        case Grid(entries):
            return {"is": "grid", "rows": [[name, _cell(value)] for name, value in entries]}
        case Table(columns, rows):
            heads = [{"head": each.head, "share": each.share, "right": each.right} for each in columns]
            return {"is": "table", "columns": heads, "rows": [[_cell(each) for each in row] for row in rows]}
        case PageBreak():
            return {"is": "break"}


def _cell(value: Any) -> list[str]:
    return [value.text, str(value.tone), value.under]


def _soft(value: Any) -> Any:
    """Every text with places where a long word may break."""
    if isinstance(value, str):
        return LONG_WORD.sub(lambda found: BREAK.join(found[0][at : at + 8] for at in range(0, len(found[0]), 8)), value)
    if isinstance(value, dict):
        return {key: _soft(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_soft(each) for each in value]
    return value
