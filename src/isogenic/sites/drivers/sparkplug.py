"""Telemetry by MQTT Sparkplug B: the site as host application, edge nodes and their devices as modules.

    unborn --NBIRTH--> born --gap, unknown alias, nonsense--> unborn (and a rebirth is asked for)
    born --NDEATH of this birth--> dead --NBIRTH--> born;  a device: DBIRTH, DDEATH, while its node is born

Guarantees: a value counts from a birth on, in the order of the sequence numbers (Sparkplug 3.0, 6.4.5); a gap, a
value that no birth named, or bytes that are no payload make every signal of that node BAD, and ask for a rebirth,
at most once in `REBIRTH_S`. A death makes them BAD at once, a broker that is gone all of them. A death of an
earlier birth (bdSeq) is none. What arrives `LATE_S` later than its birth did is UNCERTAIN; what a node recorded
earlier (is_historical) changes no reading. The site announces its own state, and withdraws it by its will.
Leaves to others: what must not be lost: a broker is a pipe, and its gaps are only seen. The payloads are the public
library's; its client is not used, because one malformed message ends its thread. Needs the extra `mqtt`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from isogenic.clock import Clock, monotonic_seconds, wall_seconds
from isogenic.errors import NotFound, NotValid
from isogenic.ids import ModuleId
from isogenic.plant.model import Module, SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.plant.settings import read_text
from isogenic.sites.drivers.links import Channel, Comings, Connection, channels_of, refusal_of

__all__ = ["EdgeNode", "SparkplugDriver", "Value"]

NAMESPACE = "spBv1.0"
SEQ = 256  # sequence numbers: 0 to 255, and around
REBIRTH_S = 10.0  # wall clock between two that are asked of one node
LATE_S = 10.0  # beyond what the birth took: older than most scans
BIRTHS_S = 5.0  # between the birth of a node and those of its devices
KEEPALIVE_S = 5  # a broker that is silent for one and a half of these is gone
FIRST_LIMIT_S = 5.0  # wait for the first births
PAYLOAD_MAX = 1_000_000  # bytes; a birth with ten thousand metrics has half of that
METRICS_MAX = 50_000  # of one node
REBIRTH = "Node Control/Rebirth"
_Lib = Any
log = logging.getLogger(__name__)


def libraries() -> tuple[_Lib, _Lib]:
    """The payloads and the MQTT client, or a refusal that says how to get them."""
    try:
        import pysparkplug
        from paho.mqtt import client
    except ImportError as trouble:
        raise NotValid("cannot speak MQTT Sparkplug B", why="the extra mqtt is not installed", possible='pip install "isogenic[mqtt]"') from trouble
    return pysparkplug, client


@dataclass(frozen=True, slots=True)
class Value:
    """What a metric was last."""

    raw: object
    certain: bool


@dataclass(slots=True)
class EdgeNode:
    """One edge node as its messages tell it. Pure: bytes and times in, nothing out but its state."""

    lib: _Lib
    born: bool = False
    why: str = "no birth yet"  # it is not born
    asks: bool = True  # for a rebirth
    devices: set[str] = field(default_factory=set)  # that are born; the node itself is ""
    values: dict[tuple[str, str], Value] = field(default_factory=dict)  # by device and metric
    awaited: dict[str, float] = field(default_factory=dict)  # devices that were there before this birth of their node, since when
    _births: dict[str, _Lib] = field(default_factory=dict)
    _types: dict[tuple[str, str], _Lib] = field(default_factory=dict)
    _seq: int = 0  # the next
    _bd_seq: object = None
    _lag: float = math.inf  # seconds that the birth took to arrive, by two clocks

    def take(self, kind: str, device: str, data: bytes, *, at: float) -> None:
        """One message that arrived now; whatever it holds, nothing raises."""
        try:
            self._take(kind, device, data, at)
        except Exception as trouble:  # the library raises many unrelated types on malformed bytes
            self.lose(f"{kind} that cannot be read: {type(trouble).__name__} {trouble}"[:160])

    def lose(self, why: str, *, asks: bool = True) -> None:
        """From now on nothing of this node is known, until a birth."""
        self.born, self.why, self.asks = False, why, asks
        self.devices.clear()
        self.values.clear()

    def type_of(self, device: str, metric: str) -> _Lib | None:
        """The data type that the birth gave a metric."""
        return self._types.get((device, metric))

    def _take(self, kind: str, device: str, data: bytes, at: float) -> None:
        if len(data) > PAYLOAD_MAX:
            raise NotValid("too long", why=f"{len(data)} bytes")
        if kind == "NBIRTH":
            self._node_birth(data, at)
        elif kind == "NDEATH":
            if self.born and self.lib.NDeath.decode(data).bd_seq_metric.value == self._bd_seq:
                self.lose("it died", asks=False)
        elif not self.born:
            self.asks = True
        elif kind == "DBIRTH":
            birth = self.lib.DBirth.decode(data)
            if self._in_order(birth.seq):
                self._begin(device, birth, at)
        elif kind == "DDEATH":
            if self._in_order(self.lib.DDeath.decode(data).seq):
                self._forget(device)
                self.awaited.pop(device, None)
        elif kind in ("NDATA", "DDATA"):
            self._data(kind, device, data, at)

    def _node_birth(self, data: bytes, at: float) -> None:
        birth = self.lib.NBirth.decode(data)
        if not 0 <= birth.seq < SEQ:
            raise NotValid("no sequence number", why=str(birth.seq))
        before = set(self.devices)
        self.lose("")
        self.awaited = dict.fromkeys(before - {""}, at)
        self._births.clear()
        self._types.clear()
        self._seq = (birth.seq + 1) % SEQ
        self._bd_seq = next((each.value for each in birth.metrics if each.name == "bdSeq"), None)
        self._lag = at - birth.timestamp / 1000
        self._begin("", birth, at)
        self.born, self.asks = True, False

    def _begin(self, device: str, birth: _Lib, at: float) -> None:
        self._forget(device)
        self.awaited.pop(device, None)
        if len(self.values) + len(birth.metrics) > METRICS_MAX:
            raise NotValid("too many metrics", why=f"more than {METRICS_MAX}")
        self._births[device] = birth
        self.devices.add(device)
        for metric in birth.metrics:
            self._types[device, metric.name] = metric.datatype
            self._show(device, metric, birth.timestamp, at)

    def _data(self, kind: str, device: str, data: bytes, at: float) -> None:
        device = "" if kind == "NDATA" else device
        birth = self._births.get(device)
        if birth is None or device not in self.devices:
            raise NotValid("data before a birth", why=device)
        message = getattr(self.lib, "NData" if kind == "NDATA" else "DData").decode(data, birth=birth)
        if not self._in_order(message.seq):
            return
        for metric in message.metrics:
            if (device, metric.name) not in self._types:
                raise NotValid("a metric that no birth named", why=str(metric.name)[:60])
            if not metric.is_historical:
                self._show(device, metric, message.timestamp, at)

    def _show(self, device: str, metric: _Lib, sent: int, at: float) -> None:
        said = metric.timestamp if metric.timestamp is not None else sent
        late = abs(at - said / 1000 - self._lag) > LATE_S
        self.values[device, metric.name] = Value(None if metric.is_null else metric.value, not late)

    def _in_order(self, seq: int) -> bool:
        if seq != self._seq:
            self.lose(f"message {self._seq} is missing: {seq} came")
            return False
        self._seq = (seq + 1) % SEQ
        return True

    def _forget(self, device: str) -> None:
        self.devices.discard(device)
        for key in [key for key in self.values if key[0] == device]:
            del self.values[key]


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a module's metrics come from."""

    broker: str  # scheme://host:port
    group: str
    node: str
    device: str  # empty: the node itself

    @classmethod
    def of(cls, module: Module) -> _Place:
        scheme, _, rest = module.endpoint.partition("://")
        parts = rest.split("/")
        if scheme not in ("mqtt", "mqtts") or len(parts) not in (3, 4) or not parts[0].rpartition(":")[2].isdigit():
            raise NotValid(f"cannot reach {module.id} at {module.endpoint!r}", why="the form is mqtts://broker:port/group/node/device")
        return cls(f"{scheme}://{parts[0]}", parts[1], parts[2], parts[3] if len(parts) == 4 else "")


class SparkplugDriver:
    """All modules of one site that tell by Sparkplug B."""

    def __init__(self, plant: SitePlant, *, clock: Clock, folder: Path | None = None) -> None:
        """`folder`: `ca.pem` (whom the site trusts as a broker), `user` and `password`."""
        lib, mqtt = libraries()
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        modules = channels_of(plant, self.index)
        self._lib, self._comings = lib, Comings(clock, modules)
        self._modules = {module.id: (_Place.of(module), module, channels) for module, channels in modules.values()}
        self._of_tag = {channel.signal.tag: (module, channel) for module, _, channels in self._with_ids() for channel in channels}
        self._nodes = {(place.broker, place.group, place.node): EdgeNode(lib) for place, _, _ in self._modules.values()}
        host = f"isogenic-{plant.site}"
        self._brokers = {
            broker: _Broker(mqtt, lib, broker, host, {key[1:]: node for key, node in self._nodes.items() if key[0] == broker}, self._news, folder)
            for broker in {key[0] for key in self._nodes}
        }
        self._told: Mapping[str, str] = {}
        self._first = asyncio.Event()
        self.connections, self.since, self.changes = self._comings.connections, self._comings.since, self._comings.changes

    def _with_ids(self) -> list[tuple[ModuleId, Module, tuple[Channel, ...]]]:
        return [(module, known, channels) for module, (_, known, channels) in self._modules.items()]

    async def start(self) -> None:
        """Begin to connect, and wait a while for the first births."""
        for broker in self._brokers.values():
            broker.start(asyncio.get_running_loop())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LIMIT_S):
                await self._first.wait()

    async def close(self) -> None:
        """Withdraw the site's state, and go."""
        await asyncio.gather(*(broker.close() for broker in self._brokers.values()))

    async def __aenter__(self) -> SparkplugDriver:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _node(self, place: _Place) -> EdgeNode:
        return self._nodes[place.broker, place.group, place.node]

    def _news(self) -> None:
        """Something came: who is there, and who is not."""
        for module, (place, _, _) in self._modules.items():
            node, up = self._node(place), self._brokers[place.broker].up
            if up and node.born and place.device in node.devices:
                self._comings.become(module, Connection.CONNECTED)
            elif up and node.born and wall_seconds() - node.awaited.get(place.device, -math.inf) < BIRTHS_S:
                continue  # its node was born again, and its own birth follows
            elif self._comings.state(module) is Connection.CONNECTED:
                why = "the broker is gone" if not up else node.why if not node.born else "the device died"
                self._comings.become(module, Connection.LOST, why)
        if all(state is Connection.CONNECTED for state in self._comings.connections().values()):
            self._first.set()

    async def read(self, at: datetime) -> Frame:
        """The newest value of every signal; those of a node that is not born, or of which something is missing, are BAD."""
        values = np.full(len(self.index.tags), math.nan)
        quality = np.full(len(self.index.tags), int(Quality.BAD), dtype=np.uint8)
        told: dict[str, str] = {}
        self._news()
        for broker in self._brokers.values():
            broker.ask_for_rebirths()
        for module, (place, known, channels) in self._modules.items():
            if self._comings.state(module) is not Connection.CONNECTED:
                continue
            node = self._node(place)
            for channel in channels:
                now = node.values.get((place.device, channel.signal.node))
                if now is not None:
                    values[channel.column], quality[channel.column] = channel.judge(now.raw, certain=now.certain)
            for setting in known.settings.values():
                now = node.values.get((place.device, setting.node))
                told[setting.key] = "" if now is None else read_text(now.raw)
        self._told = self._told if told == self._told else told
        return Frame(at, self.index, values, quality)

    async def settings(self) -> Mapping[str, str]:
        """What the modules told of their settings."""
        return self._told

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """Command set-points (NCMD, DCMD); gives the tags that were refused, and why. What came of it is read back."""
        refused: dict[str, str] = {}
        orders: dict[_Place, list[tuple[str, _Lib]]] = {}
        for tag, value in setpoints.items():
            if tag not in self._of_tag:
                refused[tag] = "the plant document does not name it"
                continue
            module, channel = self._of_tag[tag]
            place = self._modules[module][0]
            kind = self._node(place).type_of(place.device, channel.signal.node)
            if why := refusal_of(channel.signal, value):
                refused[tag] = why
            elif self._comings.state(module) is not Connection.CONNECTED:
                refused[tag] = f"module {module} is {self._comings.state(module)}"
            elif kind is None or kind.name not in _NUMBERS:
                refused[tag] = "the device has no metric of that name that holds a number"
            else:
                native = channel.to_native(value)
                number = native if kind.name in ("FLOAT", "DOUBLE") else round(native)
                orders.setdefault(place, []).append(
                    (tag, self._lib.Metric(timestamp=_now_ms(), name=channel.signal.node, datatype=kind, value=number))
                )
        for place, metrics in orders.items():
            if why := self._brokers[place.broker].command(place, [metric for _, metric in metrics]):
                refused.update({tag: why for tag, _ in metrics})
        return refused


_NUMBERS = frozenset({"INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FLOAT", "DOUBLE"})


def _now_ms() -> int:
    return round(wall_seconds() * 1000)


class _Broker:
    """One connection to one broker. Its library's thread only hands messages over; everything is decided on the event loop."""

    def __init__(
        self,
        mqtt: _Lib,
        lib: _Lib,
        address: str,
        host: str,
        nodes: Mapping[tuple[str, str], EdgeNode],
        news: Callable[[], None],
        folder: Path | None,
    ) -> None:
        scheme, _, place = address.partition("://")
        self._name, _, port = place.rpartition(":")
        self._mqtt, self._lib, self._port, self._host, self._nodes, self._news = mqtt, lib, int(port), host, nodes, news
        self.up = False
        self._born_at = 0  # of the site's own state: its death says the same time
        self._asked: dict[tuple[str, str], float] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closing = False
        self._client = mqtt.Client(client_id=host, clean_session=True)
        self._client.on_connect, self._client.on_disconnect, self._client.on_message = self._connected, self._disconnected, self._message
        self._client.reconnect_delay_set(min_delay=1, max_delay=5)
        if scheme == "mqtts":
            if folder is None or not (folder / "ca.pem").exists():
                raise NotFound(
                    f"nobody trusts the broker {place}", why="sparkplug/ca.pem is missing", possible="put its authority's certificate there"
                )
            self._client.tls_set(ca_certs=str(folder / "ca.pem"))
        if folder is not None and (folder / "user").exists():
            password = (folder / "password").read_text().strip("\r\n") if (folder / "password").exists() else None
            self._client.username_pw_set((folder / "user").read_text().strip(), password)

    @property
    def _state_topic(self) -> str:
        return f"{NAMESPACE}/STATE/{self._host}"

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._will()
        self._client.connect_async(self._name, self._port, keepalive=KEEPALIVE_S)
        self._client.loop_start()

    def _will(self) -> None:
        """Before each connection: the state that the broker tells when the site is gone (Sparkplug 3.0, 5.2)."""
        self._born_at = _now_ms()
        self._client.will_set(self._state_topic, self._lib.State(timestamp=self._born_at, online=False).encode(), qos=1, retain=True)

    async def close(self) -> None:
        self._closing = True
        with contextlib.suppress(Exception):
            self._client.publish(self._state_topic, self._lib.State(timestamp=self._born_at, online=False).encode(), qos=1, retain=True)
            self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    # ---- on the library's thread: hand over, and nothing else ----

    def _hand_over(self, call: Callable[..., None], *told: object) -> None:
        with contextlib.suppress(RuntimeError):  # the event loop has ended
            if self._loop is not None:
                self._loop.call_soon_threadsafe(call, *told)

    def _connected(self, client: _Lib, userdata: object, flags: object, code: int) -> None:
        self._hand_over(self._take_connected, code)

    def _disconnected(self, client: _Lib, userdata: object, code: int) -> None:
        self._hand_over(self._take_disconnected)

    def _message(self, client: _Lib, userdata: object, message: _Lib) -> None:
        self._hand_over(self._take, message.topic, bytes(message.payload[: PAYLOAD_MAX + 1]))

    # ---- on the event loop ----

    def _take_connected(self, code: int) -> None:
        if code != 0:
            log.error("broker %s:%s refuses: %s", self._name, self._port, self._mqtt.connack_string(code))
            return
        self.up = True
        for group, node in self._nodes:
            self._client.subscribe([(f"{NAMESPACE}/{group}/+/{node}", 0), (f"{NAMESPACE}/{group}/+/{node}/+", 0)])
        self._client.subscribe(self._state_topic, 1)
        self._announce()
        for known in self._nodes.values():
            known.lose("the site was not there", asks=True)
        self._asked.clear()
        self.ask_for_rebirths()
        self._news()

    def _announce(self) -> None:
        self._client.publish(self._state_topic, self._lib.State(timestamp=self._born_at, online=True).encode(), qos=1, retain=True)

    def _take_disconnected(self) -> None:
        self.up = False
        for known in self._nodes.values():
            known.lose("the broker is gone", asks=False)
        if not self._closing:
            self._will()
        self._news()

    def _take(self, topic: str, data: bytes) -> None:
        if topic == self._state_topic:
            self._hold_on_to_state(data)
            return
        parts = topic.split("/")
        if len(parts) not in (4, 5) or parts[0] != NAMESPACE:
            return
        known = self._nodes.get((parts[1], parts[3]))
        if known is None or parts[2] not in ("NBIRTH", "NDEATH", "DBIRTH", "DDEATH", "NDATA", "DDATA"):
            return
        if parts[2].startswith("D") is not (len(parts) == 5):
            return
        known.take(parts[2], parts[4] if len(parts) == 5 else "", data, at=wall_seconds())
        self.ask_for_rebirths()
        self._news()

    def _hold_on_to_state(self, data: bytes) -> None:
        """An old will that arrives late must not say that the site is gone (Sparkplug 3.0, 5.4)."""
        with contextlib.suppress(Exception):
            if not self._lib.State.decode(data).online and self.up and not self._closing:
                self._announce()

    def ask_for_rebirths(self) -> None:
        """Ask nodes of which something is missing to say everything again."""
        now = monotonic_seconds()
        for (group, node), known in self._nodes.items():
            if self.up and known.asks and not known.born and now - self._asked.get((group, node), -math.inf) >= REBIRTH_S:
                self._asked[group, node] = now
                metric = self._lib.Metric(timestamp=_now_ms(), name=REBIRTH, datatype=self._lib.DataType.BOOLEAN, value=True)
                self._send(f"{NAMESPACE}/{group}/NCMD/{node}", self._lib.NCmd(timestamp=_now_ms(), metrics=(metric,)))

    def command(self, place: _Place, metrics: list[_Lib]) -> str:
        """Tell a node or a device; why that was not possible."""
        kind, end = ("DCMD", f"/{place.device}") if place.device else ("NCMD", "")
        payload = (self._lib.DCmd if place.device else self._lib.NCmd)(timestamp=_now_ms(), metrics=tuple(metrics))
        return self._send(f"{NAMESPACE}/{place.group}/{kind}/{place.node}{end}", payload)

    def _send(self, topic: str, payload: _Lib) -> str:
        sent = self._client.publish(topic, payload.encode(include_dtypes=True), qos=0)
        return "" if sent.rc == 0 else f"the broker does not take it: {self._mqtt.error_string(sent.rc)}"
