"""Lines between nodes that live in one process."""

from __future__ import annotations

from isogenic.errors import NotReachable
from isogenic.ids import NodeId
from isogenic.network.desk import Desk
from isogenic.records.link import Answer

__all__ = ["DirectLine"]


class DirectLine:
    """Carries a site's requests to a desk in the same process, as the certificate `peer` would."""

    def __init__(self, desk: Desk, peer: NodeId) -> None:
        self.desk, self.peer, self.up = desk, peer, True

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        if not self.up:
            raise NotReachable("the control site does not answer", why="the line is down")
        return await self.desk.handle(self.peer, method, path, body)
