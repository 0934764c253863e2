"""A simulated Sparkplug B edge node with one device, built with the public library: telemetry, commands, births on demand.

Guarantees: births, data and deaths go through a real broker, in the form and order of the specification, unless it
is told to leave a message out, to send bytes that are none, or to send late. Messages are the library's. Its births
are out when it has been entered. A connection that is lost comes back by itself with a new birth, which says what
was told meanwhile; nobody who tells it something has to know.
Leaves to others: the broker, and who listens (sites.drivers.sparkplug). Needs the extra `mqtt`.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from isogenic.clock import wall_seconds

__all__ = ["SimulatedEdge"]

SEQ = 256
BIRTH_LIMIT_S = 30.0  # from the connection to the first births
KEEPALIVE_S = 60  # a peer on the same machine is gone by its socket: a shorter one takes a busy machine for a dead broker


@dataclass
class SimulatedEdge:
    """One edge node, `GROUP/NODE`, with a device of these metrics. Numbers are doubles, texts strings."""

    port: int
    group: str = "Plant1"
    node: str = "EDGE"
    device: str = "REACTOR"
    metrics: dict[str, float | str] = field(default_factory=lambda: {"Temperature": 36.9, "Speed": 120.0, "Target": 37.0, "Firmware": "1.4.0"})
    births: int = 0
    commands: list[dict[str, Any]] = field(default_factory=list)
    rebirths: bool = True  # it answers a request for one
    _client: Any = None
    _seq: int = 0
    _bd_seq: int = 0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __enter__(self) -> SimulatedEdge:
        from pysparkplug import Client, MessageType, QoS, Topic

        born = threading.Event()

        def connected(_: object) -> None:
            self.give_birth()
            born.set()

        self._client = Client(client_id=f"{self.group}-{self.node}")
        self._client._client.on_disconnect = self._cut_off
        self._will()
        for kind, device in ((MessageType.NCMD, None), (MessageType.DCMD, self.device)):
            topic = Topic(message_type=kind, group_id=self.group, edge_node_id=self.node, device_id=device)
            self._client.subscribe(topic, QoS.AT_LEAST_ONCE, self._commanded)
        self._client.connect("127.0.0.1", port=self.port, keepalive=KEEPALIVE_S, callback=connected)
        if not born.wait(BIRTH_LIMIT_S):
            self._client.disconnect()
            raise TimeoutError(f"edge node {self.node}: the broker on port {self.port} did not let it in within {BIRTH_LIMIT_S:g} s")
        return self

    def __exit__(self, *_: object) -> None:
        """In good order: the death is published, because a clean goodbye tells no will."""
        self._publish("NDEATH", self._death(), device=False)
        self._client.disconnect()
        self._bd_seq = (self._bd_seq + 1) % SEQ

    def _death(self) -> Any:
        """The death of the birth of now."""
        from pysparkplug import DataType, Metric, NDeath

        bd = Metric(timestamp=self.now(), name="bdSeq", datatype=DataType.INT64, value=self._bd_seq)
        return NDeath(timestamp=self.now(), bd_seq_metric=bd)

    def _will(self) -> None:
        """Before each connection: the death that the broker tells when it is lost (Sparkplug 3.0, 5.4)."""
        from pysparkplug import Message, MessageType, QoS, Topic

        topic = Topic(message_type=MessageType.NDEATH, group_id=self.group, edge_node_id=self.node)
        self._client.set_will(Message(topic=topic, payload=self._death(), qos=QoS.AT_LEAST_ONCE, retain=False))

    def _cut_off(self, _client: object, _userdata: object, code: int) -> None:
        """The library connects again by itself: with the will of another birth, so that a late death of this one is none of that."""
        if code != 0:
            with self._lock:
                self._bd_seq = (self._bd_seq + 1) % SEQ
                self._will()

    @staticmethod
    def now() -> int:
        """Milliseconds, as payloads have them."""
        return round(wall_seconds() * 1000)

    def cut(self) -> None:
        """The connection is lost; the library connects again by itself."""
        self._client._client.socket().shutdown(socket.SHUT_RDWR)

    def break_off(self) -> None:
        """The cable is pulled: the broker tells the will."""
        paho = self._client._client
        paho.reconnect_delay_set(min_delay=60, max_delay=60)
        paho.socket().shutdown(socket.SHUT_RDWR)
        paho.loop_stop()
        self._bd_seq = (self._bd_seq + 1) % SEQ

    def give_birth(self, *, late_s: float = 0.0) -> None:
        """NBIRTH and DBIRTH."""
        from pysparkplug import DataType, DBirth, Metric, NBirth

        with self._lock:
            self.births += 1
            self._seq = 0
            at = self.now() - round(late_s * 1000)
            bd = Metric(timestamp=at, name="bdSeq", datatype=DataType.INT64, value=self._bd_seq)
            again = Metric(timestamp=at, name="Node Control/Rebirth", datatype=DataType.BOOLEAN, value=False)
            self._publish("NBIRTH", NBirth(timestamp=at, seq=self.next(), metrics=(bd, again)), device=False)
            metrics = tuple(self._metric(name, value, at, alias) for alias, (name, value) in enumerate(self.metrics.items()))
            self._publish("DBIRTH", DBirth(timestamp=at, seq=self.next(), metrics=metrics))

    def tell(self, values: Mapping[str, float | str | None], *, late_s: float = 0.0, historical: bool = False, by_alias: bool = False) -> None:
        """DDATA with these metrics; None is null."""
        from pysparkplug import DData, Metric

        with self._lock:
            at = self.now() - round(late_s * 1000)
            told = []
            for name, value in values.items():
                known = self.metrics[name]
                if value is not None and not historical:
                    self.metrics[name] = value
                whole = self._metric(name, known if value is None else value, at, list(self.metrics).index(name))
                told.append(
                    Metric(
                        timestamp=at,
                        name=None if by_alias else name,
                        datatype=whole.datatype,
                        value=whole.value,
                        alias=whole.alias if by_alias else None,
                        is_null=value is None,
                        is_historical=historical,
                    )
                )
            self._publish("DDATA", DData(timestamp=at, seq=self.next(), metrics=tuple(told)), types=not by_alias)

    def die(self) -> None:
        """DDEATH: the device is gone, the node is there."""
        from pysparkplug import DDeath

        with self._lock:
            self._publish("DDEATH", DDeath(timestamp=self.now(), seq=self.next()))

    def skip(self) -> None:
        """One message is lost on the way."""
        self.next()

    def send_raw(self, kind: str, data: bytes) -> None:
        """Bytes under a topic of this device, whatever they are."""
        self._client._client.publish(f"spBv1.0/{self.group}/{kind}/{self.node}/{self.device}", data, qos=0)

    def next(self) -> int:
        """The next sequence number."""
        with self._lock:
            seq, self._seq = self._seq, (self._seq + 1) % SEQ
            return seq

    def _metric(self, name: str, value: float | str, at: int, alias: int) -> Any:
        from pysparkplug import DataType, Metric

        kind = DataType.STRING if isinstance(value, str) else DataType.DOUBLE
        return Metric(timestamp=at, name=name, datatype=kind, value=value, alias=alias)

    def _publish(self, kind: str, payload: Any, *, device: bool = True, types: bool = True) -> None:
        from pysparkplug import Message, MessageType, MQTTError, QoS, Topic

        topic = Topic(message_type=MessageType(kind), group_id=self.group, edge_node_id=self.node, device_id=self.device if device else None)
        with contextlib.suppress(MQTTError):  # cut off: the next birth says it, and the will was the death
            self._client.publish(Message(topic=topic, payload=payload, qos=QoS.AT_MOST_ONCE, retain=False), include_dtypes=types)

    def _commanded(self, _: object, message: Any) -> None:
        told = {metric.name: metric.value for metric in message.payload.metrics}
        self.commands.append(told)
        if "Node Control/Rebirth" in told:
            if self.rebirths:
                self.give_birth()
            return
        self.tell({name: value for name, value in told.items() if name in self.metrics})
