"""Facts: what happened, frozen, past tense and whole.

A *payload* is a frozen dataclass of the room it belongs to (`PhaseStarted` of batches),
registered here under a name that never changes. A *fact* is a payload in its envelope:
ledger, position, subject, actor, time and what is known of the clock. The bytes that
`to_bytes` gives are what is hashed, signed and stored; they are never serialised again.

Guarantees: bytes -> fact -> payload of the registered class, old schema versions upgraded
on reading; a kind this version does not know is kept whole as `UnknownPayload`.
Leaves to others: order and durability (ledger), what a fact means (its room).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from isogenic.clock import ClockQuality, Moment, text_of_time, time_of_text
from isogenic.errors import NotValid
from isogenic.records import codec

__all__ = ["FACT_BYTES_MAX", "Actor", "Fact", "FactRef", "Payload", "UnknownPayload", "decode_fact", "encode_fact", "fact", "known_kinds"]

FACT_BYTES_MAX = 65_535  # the C2SP entry length is an unsigned 16-bit number; larger content goes by digest

Payload = Any  # a frozen dataclass registered with @fact
PayloadClass = TypeVar("PayloadClass", bound=type)
Upgrade = Callable[[dict[str, Any]], dict[str, Any]]


class _Kind(NamedTuple):
    name: str
    version: int
    subject: str
    house: bool
    cls: type
    upgrades: Mapping[int, Upgrade]


_KINDS: dict[str, _Kind] = {}


def fact(
    name: str, *, subject: str, version: int = 1, house: bool = False, upgrades: Mapping[int, Upgrade] | None = None
) -> Callable[[PayloadClass], PayloadClass]:
    """Register a frozen dataclass as the payload of facts called `name` (`room.past_tense`).

    `subject` names the field that says what the fact is about. `house` facts go to the node's
    own ledger, all others to the sponsor's. `upgrades[v]` turns a body of version v into v + 1.
    """

    def register(cls: PayloadClass) -> PayloadClass:
        if name in _KINDS and _KINDS[name].cls.__qualname__ != cls.__qualname__:
            raise TypeError(f"two payloads are called {name}")
        _KINDS[name] = _Kind(name, version, subject, house, cls, upgrades or {})
        cls.fact_name = name  # type: ignore[attr-defined]
        return cls

    return register


def known_kinds() -> dict[str, type]:
    """Every registered fact name and its payload class."""
    return {name: kind.cls for name, kind in sorted(_KINDS.items())}


def is_house(payload: Payload) -> bool:
    """Whether a payload belongs to the node's own ledger."""
    return _KINDS[type(payload).fact_name].house


def subject_of(payload: Payload) -> str:
    """What a payload is about."""
    kind = _KINDS[type(payload).fact_name]
    return str(getattr(payload, kind.subject))


class FactRef(NamedTuple):
    """The identity of a fact: its ledger's origin and its position there. Unique for ever, because ledgers only grow."""

    ledger: str
    position: int

    def __str__(self) -> str:
        return f"{self.ledger}#{self.position}"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who did it: a person in a role, signed in by a method, or a node by itself."""

    id: str
    role: str = "node"
    method: str = "key"

    @classmethod
    def node(cls, name: str) -> Actor:
        """A node acting by itself."""
        return cls(name)


@dataclass(frozen=True, slots=True)
class UnknownPayload:
    """A payload of a kind that this version does not know, kept whole."""

    kind: str
    version: int
    body: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fact:
    """A payload in its envelope."""

    ref: FactRef
    kind: str
    version: int
    subject: str
    actor: Actor
    moment: Moment
    payload: Payload

    @property
    def position(self) -> int:
        """The fact's place in its ledger; the first is 0."""
        return self.ref.position

    @property
    def at(self) -> datetime:
        """The time claimed by the writer's clock."""
        return self.moment.at

    def body(self) -> dict[str, Any]:
        """The payload as plain data, for people and screens."""
        if isinstance(self.payload, UnknownPayload):
            return self.payload.body
        body: dict[str, Any] = codec.plain(self.payload)
        return body


def encode_fact(payload: Payload, *, ref: FactRef, actor: Actor, moment: Moment) -> bytes:
    """The bytes of a new fact: what is hashed, signed and stored."""
    kind = _KINDS[type(payload).fact_name]
    data = codec.dumps(
        {
            "actor": {"id": actor.id, "method": actor.method, "role": actor.role},
            "at": text_of_time(moment.at),
            "body": codec.plain(payload),
            "clock": {
                "offset_ms": None if moment.offset_ms is None else repr(moment.offset_ms),
                "quality": str(moment.quality),
                "source": moment.source,
            },
            "kind": kind.name,
            "ledger": ref.ledger,
            "pos": ref.position,
            "subject": str(getattr(payload, kind.subject)),
            "v": kind.version,
        }
    )
    if len(data) > FACT_BYTES_MAX:
        raise NotValid(
            f"cannot note {kind.name}", why=f"{len(data)} bytes are more than {FACT_BYTES_MAX}", possible="refer to large content by digest"
        )
    return data


@dataclass(frozen=True, slots=True)
class _ActorFields:
    id: str
    method: str
    role: str


@dataclass(frozen=True, slots=True)
class _ClockFields:
    quality: ClockQuality
    source: str
    offset_ms: float | None = None


@dataclass(frozen=True, slots=True)
class _Envelope:
    actor: _ActorFields
    at: str
    body: dict[str, Any]
    clock: _ClockFields
    kind: str
    ledger: str
    pos: int
    subject: str
    v: int


def decode_fact(data: bytes) -> Fact:
    """Read stored bytes; refuses malformed ones with the place of the fault."""
    if len(data) > FACT_BYTES_MAX:
        raise NotValid("cannot read a fact", why=f"{len(data)} bytes are more than {FACT_BYTES_MAX}")
    envelope = codec.read(_Envelope, codec.loads(data, what="a fact"), what="fact")
    if envelope.pos < 0 or envelope.v < 1:
        raise NotValid("cannot read a fact", why=f"position {envelope.pos} and version {envelope.v} are not both in range")
    return Fact(
        ref=FactRef(envelope.ledger, envelope.pos),
        kind=envelope.kind,
        version=envelope.v,
        subject=envelope.subject,
        actor=Actor(envelope.actor.id, envelope.actor.role, envelope.actor.method),
        moment=Moment(time_of_text(envelope.at), envelope.clock.source, envelope.clock.quality, envelope.clock.offset_ms),
        payload=_payload(envelope.kind, envelope.v, envelope.body),
    )


def _payload(name: str, version: int, body: dict[str, Any]) -> Payload:
    kind = _KINDS.get(name)
    if kind is None or version > kind.version:
        return UnknownPayload(name, version, body)
    while version < kind.version:
        body = kind.upgrades[version](body)
        version += 1
    return codec.read(kind.cls, body, what=name)
