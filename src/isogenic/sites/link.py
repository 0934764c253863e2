"""The site's link to the control site: HTTPS, outbound, with the node's own certificate."""

from __future__ import annotations

from pathlib import Path

import httpx2

from isogenic.errors import NotReachable
from isogenic.records.link import Answer
from isogenic.records.tls import client_context

__all__ = ["HttpsLink"]

CONNECT_S = 2.0  # a dead line is noticed quickly, so that a returned one is used quickly
ANSWER_S = 10.0  # beyond the time that the other side may hold a question open


class HttpsLink:
    """One keep-alive session with the control site."""

    def __init__(self, url: str, *, home: Path, wait_s: float) -> None:
        """`wait_s` is how long a question may be held open by the other side."""
        timeout = httpx2.Timeout(ANSWER_S + wait_s, connect=CONNECT_S)
        self._client = httpx2.AsyncClient(base_url=url, verify=client_context(home), timeout=timeout, trust_env=False)

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        try:
            response = await self._client.request(method, path, content=body)
        except httpx2.HTTPError as trouble:
            raise NotReachable("the control site does not answer", why=str(trouble) or type(trouble).__name__) from trouble
        return Answer(response.status_code, response.content)

    async def close(self) -> None:
        """Let go of the session."""
        await self._client.aclose()
