"""Live values between the processes of one control site, over NATS: what a site says of itself to one is shown by all.

Guarantees: a heartbeat that one process has taken is told to the others, who read it with the
same limits as if the site had sent it to them; what cannot be read, or names no site of this
network, changes nothing. It is never evidence, and nothing waits for it: with the server
away, each process shows what it hears itself, and the lane opens again when it is back.
Leaves to others: everything that must not be lost (ledgers), when a site was last heard (processes).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from importlib import import_module
from typing import Any

from isogenic.errors import NotValid, Refusal
from isogenic.ids import NodeId
from isogenic.network.desk import HEARTBEAT_BYTES_MAX
from isogenic.records.database import INSTALL, public_name

__all__ = ["Lane"]

log = logging.getLogger(__name__)
ON_THE_WAY_MAX = 256  # heartbeats not yet brought; what is beyond is dropped: the next one is a second away
WAITING_BYTES_MAX = 4 * 1024 * 1024  # heartbeats that came and were not looked at yet
AGAIN_S = 1.0  # between two tries to reach the server


class Lane:
    """One process's end of the lane."""

    def __init__(self, url: str, *, network: str, hear: Callable[[NodeId, bytes], None]) -> None:
        """`hear(peer, heartbeat)` takes what another process has heard; it may refuse it."""
        try:
            self._nats: Any = import_module("nats")
        except ImportError as missing:
            raise NotValid("cannot tell live values over NATS", why="nats is not installed", possible=INSTALL) from missing
        self._url, self._hear_it = url, hear
        # Names of networks may have dots, which part NATS subjects: a digest has none.
        self._subject = f"isogenic.{sha256(network.encode()).hexdigest()[:24]}.live"
        self._client: Any = None
        self._on_the_way: set[asyncio.Task[None]] = set()
        self._up = True  # so that the first failure is told

    @property
    def open(self) -> bool:
        """Whether the server is reached now."""
        return self._client is not None and bool(self._client.is_connected)

    def tell(self, peer: NodeId, heartbeat: bytes) -> None:
        """Tell the others what a site has said here; dropped where nobody listens or too much is on the way."""
        if self.open and len(self._on_the_way) < ON_THE_WAY_MAX:
            task = asyncio.get_running_loop().create_task(self._tell(peer, heartbeat))
            self._on_the_way.add(task)
            task.add_done_callback(self._on_the_way.discard)

    async def _tell(self, peer: NodeId, heartbeat: bytes) -> None:
        with suppress(self._nats.errors.Error, OSError):
            await self._client.publish(f"{self._subject}.{peer}", heartbeat)

    async def run(self) -> None:
        """Keep the lane open, until cancelled."""
        try:
            while self._client is None:
                await self._connect()
            await asyncio.Event().wait()
        finally:
            client, self._client = self._client, None
            if client is not None:
                with suppress(self._nats.errors.Error, OSError, TimeoutError):
                    await client.close()

    async def _connect(self) -> None:
        client = self._nats.aio.client.Client()
        try:
            await client.connect(
                self._url,
                no_echo=True,  # what this process has told it knows
                max_reconnect_attempts=-1,
                reconnect_time_wait=AGAIN_S,
                pending_size=WAITING_BYTES_MAX,
                error_cb=self._trouble,
                disconnected_cb=self._away,
                reconnected_cb=self._back,
            )
            await client.subscribe(f"{self._subject}.*", cb=self._heard, pending_bytes_limit=WAITING_BYTES_MAX)
        except (self._nats.errors.Error, OSError, TimeoutError, ValueError) as trouble:
            await self._trouble(trouble)
            await asyncio.sleep(AGAIN_S)
            return
        self._client = client
        await self._back()

    async def _heard(self, message: Any) -> None:
        self.hear(str(message.subject), bytes(message.data))

    def hear(self, subject: str, data: bytes) -> None:
        """Take what came over the lane, if it is what it should be."""
        try:
            if len(data) > HEARTBEAT_BYTES_MAX:
                raise NotValid("cannot read a heartbeat", why=f"{len(data)} bytes are more than {HEARTBEAT_BYTES_MAX}")
            self._hear_it(NodeId(subject.rpartition(".")[2]), data)
        except Refusal as refusal:
            log.warning("a message on the live lane is not taken: %s", refusal)

    async def _trouble(self, trouble: Exception) -> None:
        if self._up:
            log.warning("live values are not told to other processes: %s: %s", public_name(self._url), type(trouble).__name__)
        self._up = False

    async def _away(self) -> None:
        await self._trouble(ConnectionError("the server is away"))

    async def _back(self) -> None:
        if not self._up:
            log.warning("live values are told to other processes again")
        self._up = True
