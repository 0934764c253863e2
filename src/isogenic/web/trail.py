"""The audit trail over HTTP: searched, exported with a digest, reviewed.

Guarantees: what is exported is what was found, newest first, with the SHA-256 of its bytes in
`Repr-Digest` (RFC 9530); a review is signed over the very lines that were shown, and refused
where they have changed since. Times and places are those of the ledgers.
Leaves to others: what a line says (quality.trail), noting a review (network.reviewing).
"""

from __future__ import annotations

import asyncio
import base64
import csv
import io
from collections.abc import Awaitable, Callable, Collection, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Query, Response
from pydantic import BaseModel, Field

from isogenic.clock import text_of_time, time_of_text
from isogenic.errors import NotFound, NotValid
from isogenic.network.disclosing import hand_over
from isogenic.quality.trail import EXPORT_MAX, TRAIL, TrailLine, TrailPage, TrailPlace, Wanted, all_lines, exported, find_trail
from isogenic.records import codec
from isogenic.records.derived import FACTS, Derived, Tables
from isogenic.records.disclosures import Journal
from isogenic.records.ledger import Ledger
from isogenic.web.guard import READER, Asker
from isogenic.web.problems import PROBLEMS

__all__ = ["COLUMNS", "Follower", "TrailAnswer", "TrailRow", "row_of", "trail_answer", "trail_routes", "wanted_of"]

ROWS_MAX = 500  # to a page
FOLLOW_PAGE = 200  # facts at a time: about 10 ms of a site's one thread
COLUMNS = ("at", "clock", "who", "role", "what", "thing", "field", "old", "new", "why", "ledger", "position", "part")
CSV, JSON = "text/csv; charset=utf-8", "application/json"
Stage = Callable[[str, int], str]
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class Signed(BaseModel):
    """A signature wherever the signed record is shown (21 CFR 11.50(b))."""

    printed_name: str
    at: str
    meaning: str


class TrailRow(BaseModel):
    """Who changed what, from what to what, when, where and why."""

    at: str
    clock: str = Field(description="quality of the clock that claimed the time")
    who: str
    role: str
    what: str = Field(description="kind of the fact")
    thing: str
    field: str = Field(description="what of the thing was changed; empty: the fact changed nothing that it names")
    old: str
    new: str
    why: str
    ledger: str
    position: int
    part: int
    stage: str = Field(default="", description="noted, sent, witnessed or archived")
    signed: Signed | None = Field(default=None, description="the signature that the fact carries")


class TrailAnswer(BaseModel):
    """Some lines, newest first."""

    lines: list[TrailRow]
    next: str | None = Field(default=None, description="hand this in as `after` for the page that follows")


Text = Annotated[str, Query(max_length=200)]


def wanted_of(*, since: str = "", until: str = "", changes: bool = False, **words: Any) -> Wanted:
    """What these words look for; times as RFC 3339 has them."""
    times = [text_of_time(time_of_text(each)) if each else "" for each in (since, until)]
    return Wanted(**words, since=times[0], until=times[1], changes=changes)


async def asked_for(
    who: Text = "",
    role: Text = "",
    what: Annotated[str, Query(max_length=80, description="kind of fact; may end in *")] = "",
    thing: Text = "",
    field: Text = "",
    old: Text = "",
    new: Text = "",
    why: Text = "",
    since: Annotated[str, Query(max_length=40, description="RFC 3339, this time included")] = "",
    until: Annotated[str, Query(max_length=40, description="RFC 3339, this time not included")] = "",
    ledger: Text = "",
    batch: Text = "",
    text: Annotated[str, Query(max_length=200, description="anywhere in the fact")] = "",
    changes: Annotated[bool, Query(description="only what changed something")] = False,
) -> Wanted:
    """What a request looks for. A coroutine, so that it runs on the node's one thread."""
    words = {"who": who, "role": role, "what": what, "thing": thing, "field": field, "old": old, "new": new, "why": why}
    return wanted_of(**words, since=since, until=until, ledger=ledger, batch=batch, text=text, changes=changes)


def row_of(line: TrailLine, stage: Stage | None = None) -> TrailRow:
    """A line as it is shown."""
    return TrailRow(
        at=line.at,
        clock=line.clock,
        who=line.who,
        role=line.role,
        what=line.what,
        thing=line.thing,
        field=line.field,
        old=line.old,
        new=line.new,
        why=line.why,
        ledger=line.ref.ledger,
        position=line.ref.position,
        part=line.part,
        stage=stage(line.ref.ledger, line.ref.position) if stage else "",
    )


def trail_answer(db: Tables, wanted: Wanted, *, after: str, limit: int, stage: Stage | None) -> TrailAnswer:
    """One page."""
    page: TrailPage = find_trail(db, wanted, after=_place(after) if after else None, limit=limit)
    rows = [row_of(line, stage).model_copy(update={"signed": _signature(db, line)}) for line in page.lines]
    return TrailAnswer(lines=rows, next=_text(page.next) if page.next else None)


def _signature(db: Tables, line: TrailLine) -> Signed | None:
    """The signature in a line's fact, where it carries one."""
    found = db.execute("SELECT body FROM facts WHERE ledger = ? AND position = ?", (line.ref.ledger, line.ref.position)).fetchone()
    body = codec.loads(str(found[0]).encode()) if found is not None and '"signature":{' in str(found[0]) else None
    said = body.get("signature") if isinstance(body, dict) else None
    names = ("printed_name", "at", "meaning")
    if not isinstance(said, dict) or not all(isinstance(said.get(name), str) for name in names):
        return None  # of another form, or of a newer version: the records show it whole
    return Signed(**{name: str(said[name]) for name in names})


def _csv(lines: Sequence[TrailLine]) -> bytes:
    told = io.StringIO()
    writer = csv.writer(told, lineterminator="\r\n")  # RFC 4180
    writer.writerow(COLUMNS)
    for line in lines:
        row = row_of(line).model_dump()
        writer.writerow([_cell(str(row[name])) for name in COLUMNS])
    return told.getvalue().encode()


def _cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: what people wrote goes into these files."""
    return "'" + text if text.startswith(_FORMULA) else text


class Follower:
    """The tables of a site's own ledgers: made when somebody first asks, in a file that may be deleted, and followed a little at a time."""

    def __init__(self, path: Path, ledgers: Callable[[], Collection[Ledger]]) -> None:
        self.path, self._ledgers = path, ledgers
        self._derived: Derived | None = None
        self._alone = asyncio.Lock()

    @property
    def kinds(self) -> list[str]:
        """Every kind of fact that was followed so far."""
        return [] if self._derived is None else list(self._derived.kinds())

    async def tables(self) -> Tables:
        """The tables, with everything that is noted now. The scan loop goes on between two pages."""
        async with self._alone:
            if self._derived is None:
                self._derived = Derived(self.path, views=(FACTS, TRAIL))
            derived = self._derived
            for ledger in self._ledgers():
                if derived.size(ledger.origin) > ledger.size:  # of a ledger that was restored: what was derived from the other is of no use
                    derived.rebuild(())
                while (at := derived.size(ledger.origin)) < ledger.size:
                    derived.feed(ledger.store.bodies(at, min(ledger.size, at + FOLLOW_PAGE)), ledger=ledger.origin, start=at)
                    await asyncio.sleep(0)
            return derived.db


def trail_routes(app: FastAPI, tables: Callable[[], Awaitable[Tables | None]], *, stage: Stage, journal: Journal | None = None) -> None:
    """Search and export, of the control site and of a site. `journal`: of what leaves, which lists each export."""

    async def db() -> Tables:
        found = await tables()
        if found is None:
            raise NotFound("no trail to look through", why="this node keeps no derived tables")
        return found

    @app.get("/api/trail", responses=PROBLEMS, dependencies=READER, tags=["trail"], summary="Audit trail")
    async def trail(
        wanted: Annotated[Wanted, Depends(asked_for)],
        after: Annotated[str, Query(max_length=300, description="`next` of the page before")] = "",
        limit: Annotated[int, Query(ge=1, le=ROWS_MAX)] = 50,
    ) -> TrailAnswer:
        """Who changed what, from what to what, when, where and why; every filter that is given must fit."""
        return trail_answer(await db(), wanted, after=after, limit=limit, stage=stage)

    @app.get(
        "/api/trail.{form}",
        responses=PROBLEMS | {200: {"description": "the lines, with the SHA-256 of these bytes in Repr-Digest", "content": {CSV: {}, JSON: {}}}},
        response_class=Response,
        tags=["trail"],
        summary="Export the audit trail",
    )
    async def export(form: str, wanted: Annotated[Wanted, Depends(asked_for)], guest: Asker) -> Response:
        """As CSV or JSON, at most 50,000 lines, newest first."""
        if form not in ("csv", "json"):
            raise NotFound(f"no export as {form[:20]}", why="this node does not write that form", possible="csv or json")
        lines = list(all_lines(await db(), wanted))
        whole, lines = len(lines) <= EXPORT_MAX, lines[:EXPORT_MAX]
        data = _csv(lines) if form == "csv" else exported(lines, wanted, whole=whole)
        digest = base64.b64encode(sha256(data).digest()).decode()
        headers = {
            "Repr-Digest": f"sha-256=:{digest}:",
            "X-Whole": "yes" if whole else "no",
            "Content-Disposition": f'attachment; filename="audit-trail.{form}"',
            "Cache-Control": "no-store",
        }
        hand_over(journal, guest.person, data, what="trail", about=f"audit-trail.{form}, {len(lines)} lines")
        return Response(data, media_type=CSV if form == "csv" else JSON, headers=headers)


def _text(place: TrailPlace) -> str:
    return f"{place.at}~{place.position}~{place.part}~{place.ledger}"


def _place(text: str) -> TrailPlace:
    parts = text.split("~", 3)
    if len(parts) != 4 or not all(each.isascii() and each.isdigit() and len(each) < 16 for each in parts[1:3]) or not parts[3]:
        raise NotValid("cannot go on from there", why="it is not what the page before gave", possible="begin without `after`")
    return TrailPlace(parts[0], parts[3], int(parts[1]), int(parts[2]))
