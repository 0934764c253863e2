"""The site's link to the control site: HTTPS, outbound, with the node's own certificate.

Guarantees: an answer is taken as it stands on the wire, never unpacked, and only up to the size of the largest blob.
"""

from __future__ import annotations

from pathlib import Path

import httpx2

from isogenic.errors import NotReachable
from isogenic.records.blobs import BLOB_BYTES_MAX
from isogenic.records.link import Answer
from isogenic.records.tls import client_context

__all__ = ["HttpsLink"]

CONNECT_S = 2.0  # a dead line is noticed quickly, so that a returned one is used quickly
ANSWER_BYTES_MAX = BLOB_BYTES_MAX  # the largest thing that is ever asked for
PLAIN = {"accept-encoding": "identity"}
ANSWER_S = 10.0  # beyond the time that the other side may hold a question open


class HttpsLink:
    """One keep-alive session with the control site."""

    def __init__(self, url: str, *, home: Path, wait_s: float) -> None:
        """`wait_s` is how long a question may be held open by the other side."""
        timeout = httpx2.Timeout(ANSWER_S + wait_s, connect=CONNECT_S)
        self._client = httpx2.AsyncClient(base_url=url, verify=client_context(home), timeout=timeout, trust_env=False)

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        try:
            async with self._client.stream(method, path, content=body, headers=PLAIN) as response:
                coding = response.headers.get("content-encoding", "identity")
                if coding != "identity":  # nothing is unpacked that was not asked for: a few kB may be gigabytes
                    raise NotReachable("the control site does not answer", why=f"its answer is coded as {coding[:40]}")
                parts, size = [], 0
                async for part in response.aiter_raw():
                    size += len(part)
                    if size > ANSWER_BYTES_MAX:
                        raise NotReachable("the control site does not answer", why=f"its answer is more than {ANSWER_BYTES_MAX} bytes")
                    parts.append(part)
        except httpx2.HTTPError as trouble:
            raise NotReachable("the control site does not answer", why=str(trouble) or type(trouble).__name__) from trouble
        return Answer(response.status_code, b"".join(parts))

    async def close(self) -> None:
        """Let go of the session."""
        await self._client.aclose()
