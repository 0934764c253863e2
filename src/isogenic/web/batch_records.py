"""The executed batch record over HTTP: as a page to read, as PDF and as text, at the control site and at a site.

Guarantees: what leaves is listed in the node's journal before it leaves; the page brings no
script and fetches nothing. PDF is set off the node's thread, so that nothing waits for it.
Leaves to others: what is in the record (quality.executed).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from fastapi import FastAPI, Response

from isogenic.errors import NotFound
from isogenic.ids import BatchId
from isogenic.network.disclosing import hand_over
from isogenic.quality.executed.html import POLICY, as_html
from isogenic.quality.executed.model import ExecutedRecord
from isogenic.quality.executed.pdf import as_pdf
from isogenic.quality.executed.text import as_text
from isogenic.records.disclosures import Journal
from isogenic.web.guard import Asker
from isogenic.web.messages import BatchText
from isogenic.web.problems import PROBLEMS

__all__ = ["FORMS", "record_bytes", "record_routes"]

FORMS: Mapping[str, tuple[str, str]] = {  # form -> media type, and how a browser takes it
    "html": ("text/html; charset=utf-8", "inline"),
    "pdf": ("application/pdf", "attachment"),
    "txt": ("text/plain; charset=utf-8", "attachment"),
}


def record_bytes(record: ExecutedRecord, form: str) -> bytes:
    """The record in one of the forms."""
    if form == "pdf":
        return as_pdf(record)
    return (as_html(record) if form == "html" else as_text(record)).encode()


def record_routes(app: FastAPI, record_of: Callable[[BatchId], ExecutedRecord], journal: Journal | None) -> None:
    """`record_of`: the record of a batch of this node, or `NotFound`."""

    @app.get(
        "/api/batches/{batch}/record.{form}",
        responses=PROBLEMS | {200: {"description": "the record", "content": {media.partition(";")[0]: {} for media, _ in FORMS.values()}}},
        response_class=Response,
        tags=["reading"],
        summary="Executed batch record",
    )
    async def record(batch: BatchText, form: str, guest: Asker) -> Response:
        """The executed batch record as a page (html), as PDF (pdf) or as text (txt)."""
        if form not in FORMS:
            raise NotFound(f"no batch record as {form[:20]}", why="this node does not write that form", possible=", ".join(FORMS))
        found = record_of(BatchId(batch))
        data = await asyncio.to_thread(record_bytes, found, form)
        ledgers = {each.ledger: each.size for each in found.held if each.size}
        hand_over(journal, guest.person, data, what="batch record", about=f"{batch}.{form}", ledgers=ledgers)
        media, taken = FORMS[form]
        headers = {
            "Content-Disposition": f'{taken}; filename="{batch}.record.{form}"',
            "Content-Security-Policy": POLICY,
            "Cache-Control": "no-store",
        }
        return Response(data, media_type=media, headers=headers)
