"""Serialised labels of a running batch, at the site."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from fastapi import FastAPI

from isogenic.authority.rules import Act
from isogenic.ids import BatchId
from isogenic.records.facts import Payload
from isogenic.sites.labelling import account_for_labels, issue_labels, label_texts
from isogenic.sites.node import SiteNode
from isogenic.web.guard import READER, Asker, Guest
from isogenic.web.messages import AccountLabels, BatchText, IssueLabels, Reasoned
from isogenic.web.problems import PROBLEMS

__all__ = ["label_routes"]

Asking = Callable[[Guest, str], AbstractContextManager[None]]
Note = Callable[[Sequence[Payload], Guest, Act], Reasoned]


def label_routes(app: FastAPI, node: SiteNode, asking: Asking, note: Note) -> None:
    """`asking` notes what is refused, `note` what is done."""

    @app.get("/api/batches/{batch}/labels", responses=PROBLEMS, dependencies=READER, tags=["reading"], summary="Serialised labels")
    async def labels(batch: BatchText) -> list[str]:
        """The text of every label that was issued for the batch, for the printer."""
        return label_texts(node.state, BatchId(batch))

    @app.post("/api/batches/{batch}/labels", status_code=201, responses=PROBLEMS, tags=["acting"], summary="Issue labels")
    async def issue(batch: BatchText, body: IssueLabels, guest: Asker) -> Reasoned:
        """So many more labels, numbered on from those before."""
        with asking(guest, Act.ANSWER_PROMPT):
            said = issue_labels(node.state, guest.person, batch=BatchId(batch), count=body.count)
        return note(said, guest, Act.ANSWER_PROMPT)

    @app.post("/api/batches/{batch}/labels/accounting", status_code=201, responses=PROBLEMS, tags=["acting"], summary="Account for labels")
    async def account(batch: BatchText, body: AccountLabels, guest: Asker) -> Reasoned:
        """Applied, destroyed with the reason, or kept; a label that was used before, or is another lot's, is refused."""
        with asking(guest, Act.ANSWER_PROMPT):
            said = account_for_labels(node.state, guest.person, batch=BatchId(batch), scanned=body.scanned, fate=body.fate, why=body.why)
        return note(said, guest, Act.ANSWER_PROMPT)
