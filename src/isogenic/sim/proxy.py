"""A TCP line between two processes that can be cut for real and put back.

A cut line drops what is open and takes nothing new, as a broken cable does: no answer, no
refusal of the far end's.
"""

from __future__ import annotations

import asyncio
import contextlib

__all__ = ["Line"]

CHUNK = 65_536


class Line:
    """Listens on a free port of 127.0.0.1 and carries bytes to `port` while it is up."""

    def __init__(self, port: int) -> None:
        self.target = port
        self.up = True
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listen; gives the port."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """Drop every open connection and take no new one."""
        self.up = False
        for writer in list(self._open):
            writer.transport.abort()

    def mend(self) -> None:
        """Carry again."""
        self.up = True

    async def stop(self) -> None:
        """Close the line for good."""
        self.cut()
        if self._server is not None:
            self._server.close()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not self.up:
            writer.transport.abort()
            return
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        self._open |= {writer, far_writer}
        try:
            if not self.up:  # cut while the far end was being called
                return
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))
        finally:
            self._open -= {writer, far_writer}
            for each in (writer, far_writer):
                with contextlib.suppress(OSError):
                    each.transport.abort() if not self.up else each.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(CHUNK):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        with contextlib.suppress(OSError):
            writer.close()
