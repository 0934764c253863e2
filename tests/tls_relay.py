"""Between a site and the control site, with the keys of both: requests and answers that are lost, repeated, late and overtaken, under real TLS.

The relay shows the site the control site's certificate and the control site the site's, so it can do to whole requests what
a network does to packets. In front of it stands a line that can be cut in the middle of a byte.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections import Counter
from pathlib import Path
from random import Random

from isogenic.errors import NotReachable
from isogenic.records.link import Answer
from isogenic.records.tls import server_files
from isogenic.sim.proxy import Line
from isogenic.sites.courier import POLL_WAIT_S
from isogenic.sites.link import HttpsLink

LUCK = ("request lost", "answer lost", "request repeated", "request late", "repeated late", "slow", "answer slow")
SLOW_S, LATE_S = 0.3, 1.5  # at most
HEAD_MAX = 64 * 1024


class Relay:
    """One site's way to the control site."""

    def __init__(self, *, site: Path, control: Path, dice: Random, badness: float) -> None:
        """`badness` is the share of requests to which something happens."""
        self.site, self.dice, self.badness = site, dice, badness
        self.mishaps: Counter[str] = Counter()
        self.carried = 0
        self.link: HttpsLink | None = None
        files = server_files(control)
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=files["ssl_ca_certs"])
        self._context.load_cert_chain(files["ssl_certfile"], files["ssl_keyfile"])
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._strays: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._line: Line | None = None

    @property
    def line(self) -> Line:
        """The cable between the site and here."""
        assert self._line is not None
        return self._line

    async def start(self) -> str:
        """Listen; gives the address that the site calls."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context, limit=HEAD_MAX)
        self._line = Line(int(self._server.sockets[0].getsockname()[1]))
        return f"https://127.0.0.1:{await self._line.start()}"

    async def lead_to(self, url: str) -> None:
        """Where the control site answers now."""
        before, self.link = self.link, HttpsLink(url, home=self.site, wait_s=POLL_WAIT_S)
        if before is not None:
            await before.close()

    async def stop(self) -> None:
        """Carry nothing any more."""
        for stray in self._strays:
            stray.cancel()
        if self._server is not None:
            self._server.close()
            await self.line.stop()
        if self.link is not None:
            await self.link.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, ssl.SSLError, NotReachable):
            while True:
                method, path, body = await _request(reader)
                answer = await self._carry(method, path, body)
                head = f"HTTP/1.1 {answer.status} X\r\ncontent-length: {len(answer.body)}\r\n\r\n".encode()
                writer.write(head if method == "HEAD" else head + answer.body)
                await writer.drain()
        writer.transport.abort()

    async def _carry(self, method: str, path: str, body: bytes) -> Answer:
        luck = self.dice.choice(LUCK) if self.dice.random() < self.badness else ""
        self.mishaps[luck] += bool(luck)
        if luck == "slow":
            await asyncio.sleep(self.dice.random() * SLOW_S)
        if luck == "request late":
            self._later(method, path, body)
        if luck in ("request lost", "request late"):
            raise NotReachable("lost", why="by the relay")
        answer = await self._send(method, path, body)
        if luck == "request repeated":
            answer = await self._send(method, path, body)
        if luck == "repeated late":
            self._later(method, path, body)
        if luck == "answer slow":
            await asyncio.sleep(self.dice.random() * SLOW_S)
        if luck == "answer lost":
            raise NotReachable("lost", why="by the relay")
        return answer

    async def _send(self, method: str, path: str, body: bytes) -> Answer:
        if self.link is None:
            raise NotReachable("nobody is there", why="the control site has not started yet")
        self.carried += 1
        return await self.link.call(method, path, body)

    def _later(self, method: str, path: str, body: bytes) -> None:
        """It arrives when newer ones have overtaken it; nobody waits for its answer."""

        async def deliver() -> None:
            await asyncio.sleep(self.dice.random() * LATE_S)
            with contextlib.suppress(NotReachable):
                await self._send(method, path, body)

        stray = asyncio.create_task(deliver())
        self._strays.add(stray)
        stray.add_done_callback(self._strays.discard)


async def _request(reader: asyncio.StreamReader) -> tuple[str, str, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, path, _ = head[0].split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    return method, path, await reader.readexactly(int(headers.get("content-length", "0")))
