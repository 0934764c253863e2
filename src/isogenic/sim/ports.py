"""Where simulated servers listen: on this machine only, on a port that they are told or on one that is free.

Guarantees: a free port that another process takes between its choice and its use is chosen again.
Leaves to others: the server.
"""

from __future__ import annotations

import socket
from collections.abc import Awaitable, Callable

from isogenic.errors import NotReachable

__all__ = ["HOST", "listen"]

HOST = "127.0.0.1"
PORT_TRIES = 5  # another process may take a port between its choice and its use


async def listen(start: Callable[[int], Awaitable[None]], name: str, *, port: int = 0) -> None:
    """Start a server on `port`, or on any free one if it is 0."""
    for attempt in range(PORT_TRIES):
        chosen = port or _free_port()
        try:
            await start(chosen)
            return
        except OSError as trouble:
            if port or attempt == PORT_TRIES - 1:
                raise NotReachable(f"cannot serve {name} on port {chosen}", why=str(trouble)[:120]) from trouble


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as asked:
        asked.bind((HOST, 0))
        return int(asked.getsockname()[1])
