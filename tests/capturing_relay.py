"""A relay between a site and the control site that ends TLS on both sides and keeps every byte of both: what an eavesdropper
with all keys would see. It is the second opinion of what left."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from isogenic.records.tls import client_context, server_files


@dataclass
class Asked:
    method: str
    path: str
    body: bytes


@dataclass
class Session:
    up: bytearray = field(default_factory=bytearray)
    down: bytearray = field(default_factory=bytearray)

    def exchanges(self) -> list[tuple[Asked, int, bytes]]:
        """Each request with its answer, from the captured bytes alone."""
        asked, at = [], 0
        up, down = bytes(self.up), bytes(self.down)
        while at < len(up):
            (method, path, _), body, at = _message(up, at)
            asked.append(Asked(method, path, body))
        found, at = [], 0
        for each in asked:
            (_, status, *_), body, at = _message(down, at, bodiless=each.method == "HEAD")
            found.append((each, int(status), body))
        assert at == len(down), "every byte is part of an answer"
        return found


def _message(data: bytes, at: int, *, bodiless: bool = False) -> tuple[list[str], bytes, int]:
    """One HTTP/1.1 message that says its length: the words of its first line, its body, and where the next begins."""
    end = data.index(b"\r\n\r\n", at)
    first, *headers = data[at:end].decode("latin-1").split("\r\n")
    said = dict(line.lower().split(": ", 1) for line in headers)
    assert "transfer-encoding" not in said
    size = 0 if bodiless else int(said.get("content-length", "0"))
    return first.split(" "), data[end + 4 : end + 4 + size], end + 4 + size


class Relay:
    def __init__(self) -> None:
        self.sessions: list[Session] = []
        self.url = ""

    @property
    def everything(self) -> bytes:
        return b"".join(bytes(each.up) + bytes(each.down) for each in self.sessions)

    def exchanges(self) -> list[tuple[Asked, int, bytes]]:
        return [found for session in self.sessions for found in session.exchanges()]


@asynccontextmanager
async def relay(port: int, *, control: Path, site: Path) -> AsyncIterator[Relay]:
    """Listens with the control site's certificate, and calls the control site's port with the site's."""
    made = Relay()
    files = server_files(control)
    inward = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    inward.load_cert_chain(files["ssl_certfile"], files["ssl_keyfile"])
    inward.load_verify_locations(files["ssl_ca_certs"])
    inward.verify_mode = ssl.CERT_REQUIRED
    tasks: set[asyncio.Task[None]] = set()

    async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: bytearray) -> None:
        try:
            while data := await source.read(65_536):
                kept += data
                sink.write(data)
                await sink.drain()
        except (OSError, ssl.SSLError):
            pass
        finally:
            sink.close()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session()
        made.sessions.append(session)
        out_reader, out_writer = await asyncio.open_connection("127.0.0.1", port, ssl=client_context(site), server_hostname="localhost")
        for pair in ((reader, out_writer, session.up), (out_reader, writer, session.down)):
            task = asyncio.create_task(pump(*pair))
            tasks.add(task)
            task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=inward)
    made.url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    try:
        yield made
    finally:
        server.close()
        for task in tuple(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
