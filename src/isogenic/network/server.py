"""The wire's socket: HTTPS with mutual TLS, one small ASGI application.

Guarantees: the peer's name is the common name of the certificate it proved; without one
the handshake fails. Bodies are bounded while they arrive.
Leaves to others: answering (desk).
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Awaitable, Callable, Generator, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from isogenic.errors import NotReachable, NotTrusted, NotValid
from isogenic.ids import NodeId
from isogenic.network.desk import BODY_BYTES_MAX, Desk
from isogenic.records.link import Answer, problem
from isogenic.records.tls import server_files

__all__ = ["application", "node_server", "quiet_server", "started"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class PeerProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which also says who the peer's certificate names."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        tls = self.transport.get_extra_info("ssl_object")
        shown = (tls.getpeercert() or {}) if tls is not None else {}
        subject = shown.get("subject", ())
        names = [value for part in subject for key, value in part if key == "commonName"]
        self.scope["isogenic.peer"] = names[0] if names else ""  # type: ignore[typeddict-unknown-key]
        self.scope["isogenic.peer_until"] = shown.get("notAfter", "")  # type: ignore[typeddict-unknown-key]


def application(desk: Desk) -> Callable[[Scope, Receive, Send], Awaitable[None]]:
    """The ASGI application that brings requests to the desk."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            body = await _body(receive)
            peer = NodeId(scope.get("isogenic.peer") or "")
            target = scope["path"] + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
            if peer in desk.live and (until := scope.get("isogenic.peer_until")):
                desk.live[peer].certificate_until = datetime.fromtimestamp(ssl.cert_time_to_seconds(until), UTC)
            answer = await desk.handle(peer, scope["method"], target, body)
        except (NotValid, NotTrusted) as refusal:
            answer = problem(refusal)
        await _answer(send, answer)

    return app


async def _body(receive: Receive) -> bytes:
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise NotValid("request refused", why="it ended before it was whole")
        part = message.get("body", b"")
        size += len(part)
        if size > BODY_BYTES_MAX:
            raise NotValid("request refused", why=f"it is longer than {BODY_BYTES_MAX} bytes")
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


async def _answer(send: Send, answer: Answer) -> None:
    headers = [(b"content-length", str(len(answer.body)).encode()), (b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class _QuietServer(uvicorn.Server):
    """A server that leaves the process's signals, and the process's end, to the process."""

    def install_signal_handlers(self) -> None:
        """Nothing: the command line stops its servers itself."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """Nothing, as above."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen; where that fails, say so instead of ending the process."""
        try:
            await super().startup(sockets)
        except SystemExit:
            self.should_exit = True


def quiet_server(config: uvicorn.Config) -> uvicorn.Server:
    """A uvicorn server that runs as one task among others."""
    return _QuietServer(config)


def node_server(desk: Desk, *, home: Path, host: str, port: int) -> uvicorn.Server:
    """The server that sites call; run it with `await server.serve()`."""
    config = uvicorn.Config(
        application(desk),
        host=host,
        port=port,
        http=PeerProtocol,
        ssl_cert_reqs=ssl.CERT_REQUIRED,
        log_level="warning",
        access_log=False,
        lifespan="off",
        timeout_keep_alive=60,
        timeout_graceful_shutdown=3,
        **server_files(home),  # type: ignore[arg-type]
    )
    return quiet_server(config)


async def started(server: uvicorn.Server) -> int:
    """Wait until the server listens; gives its port. Raises `NotReachable` where the port cannot be had."""
    while not server.started:
        if server.should_exit:
            raise NotReachable(
                f"cannot listen on {server.config.host} port {server.config.port}",
                why="the port is taken or not allowed",
                possible="0: any free port",
            )
        await asyncio.sleep(0.02)
    return int(server.servers[0].sockets[0].getsockname()[1])
