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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import Any, NamedTuple, TypeVar

from isogenic.clock import EPOCH, ClockQuality, Moment, text_of_time, time_of_text
from isogenic.errors import NotTrusted, NotValid
from isogenic.records import codec
from isogenic.records.compiled import maker

__all__ = [
    "FACT_BYTES_MAX",
    "UNREADABLE",
    "Actor",
    "Fact",
    "FactRef",
    "Payload",
    "UnknownPayload",
    "check_place",
    "decode_fact",
    "encode_fact",
    "encode_facts",
    "fact",
    "fact_in_place",
    "known_kinds",
    "later_forms",
]

FACT_BYTES_MAX = 65_535  # the C2SP entry length is an unsigned 16-bit number; larger content goes by digest
UNREADABLE = "unreadable"  # the kind of a fact whose bytes say nothing that can be read; no room has it, so nothing folds it

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
        missing = set(range(1, version)) - set(upgrades or {})
        if missing:
            raise TypeError(f"{name} cannot read its version {min(missing)}")
        _KINDS[name] = _Kind(name, version, subject, house, cls, upgrades or {})
        cls.fact_name = name  # type: ignore[attr-defined]
        return cls

    return register


def known_kinds() -> dict[str, type]:
    """Every registered fact name and its payload class."""
    return {name: kind.cls for name, kind in sorted(_KINDS.items())}


def later_forms() -> str:
    """Which kinds have a later form than their first: what tables made of facts depend on, beside the facts."""
    return ", ".join(f"{name} {kind.version}" for name, kind in sorted(_KINDS.items()) if kind.version > 1)


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


_fact = maker(Fact)


def encode_fact(payload: Payload, *, ref: FactRef, actor: Actor, moment: Moment) -> bytes:
    """The bytes of a new fact: what is hashed, signed and stored."""
    bodies, _ = encode_facts([payload], ledger=ref.ledger, start=ref.position, actor=actor, moment=moment)
    return bodies[0]


def encode_facts(payloads: Sequence[Payload], *, ledger: str, start: int, actor: Actor, moment: Moment) -> tuple[list[bytes], list[Fact]]:
    """The bytes of new facts from position `start` on, and the facts as `decode_fact` will read them.

    Each payload is rebuilt from its plain form before it is noted, so what cannot be read back is never written,
    and a node lives on the same values that it will find after a restart. The parts of the envelope that a whole
    page shares are written once; the keys stand in sorted order, as `codec.dumps` would put them.
    """
    head = b'{"actor":' + codec.dumps({"id": actor.id, "method": actor.method, "role": actor.role})
    offset = None if moment.offset_ms is None else codec.plain(moment.offset_ms)
    at = text_of_time(moment.at)
    head += b',"at":' + codec.dumps(at) + b',"body":'
    clock = codec.dumps({"offset_ms": offset, "quality": str(moment.quality), "source": moment.source})
    origin = codec.dumps(ledger)
    kept = _moment(at, moment.source, str(moment.quality), offset)
    bodies, facts = [], []
    for position, payload in enumerate(payloads, start):
        kind = _KINDS[type(payload).fact_name]
        plain, read_back = codec.recorded(payload)
        subject = plain[kind.subject]
        if type(subject) is not str:
            subject = str(subject)
        data = b'%b%b,"clock":%b,"kind":"%b","ledger":%b,"pos":%d,"subject":%b,"v":%d}' % (
            head,
            codec.dumps(plain),
            clock,
            kind.name.encode(),
            origin,
            position,
            codec.dumps(subject),
            kind.version,
        )
        if len(data) > FACT_BYTES_MAX:
            raise NotValid(
                f"cannot note {kind.name}", why=f"{len(data)} bytes are more than {FACT_BYTES_MAX}", possible="refer to large content by digest"
            )
        bodies.append(data)
        facts.append(_fact(FactRef(ledger, position), kind.name, kind.version, subject, actor, kept, read_back))
    return bodies, facts


def check_place(bodies: Sequence[bytes], *, ledger: str, start: int) -> None:
    """Refuse facts that name another ledger or position than where they stand, or that two readers could read differently.

    Each is read as JSON and written again: only the canonical form comes back byte for byte, so a key that is there twice
    cannot hide a false place. About 1.7 microseconds for a fact of 500 bytes. Nothing else is looked at: a fact that is wrong
    in itself is held and shown as unreadable, because refusing it would cut off everything that its writer notes after it.
    """
    if _all_in_place(bodies, ledger, start):
        return
    for position, body in enumerate(bodies, start):
        why = _misplaced(body, ledger, position)
        if why:
            raise NotTrusted(f"fact {position} of {ledger} refused", why=why)


def _all_in_place(bodies: Sequence[bytes], ledger: str, start: int) -> bool:
    """Whether all of them are; says nothing of which is not.

    They are written again in one go. Each was read as one whole object, and no object is the beginning of another, so the
    joined texts are alike only where each is.
    """
    try:
        said = [codec.loads(body, what="a fact") for body in bodies]
        if codec.dumps(said) != b"[" + b",".join(bodies) + b"]":
            return False
    except NotValid:
        return False
    return all(
        type(each) is dict and each.get("ledger") == ledger and type(each.get("pos")) is int and each["pos"] == position
        for position, each in enumerate(said, start)
    )


def _misplaced(body: bytes, ledger: str, position: int) -> str:
    try:
        said = codec.loads(body, what="a fact")
        if type(said) is not dict or said.get("ledger") != ledger or type(said.get("pos")) is not int or said["pos"] != position:
            return "its bytes name another ledger or position: it was written for another place"
        if codec.dumps(said) != body:
            return "it is not in canonical form: two readers could read it differently"
    except NotValid as trouble:  # not JSON, or nested too deeply to be written
        return str(trouble)
    return ""


def fact_in_place(body: bytes, *, ledger: str, position: int) -> Fact:
    """The fact that stands at a position of a ledger, whatever its bytes claim; never raises.

    Bytes that cannot be read, or that name another place, are the writer's fault: they give a fact of kind `unreadable`, whose
    body has their SHA-256 and the reason, so that whoever goes through a ledger sees it and goes on.
    """
    ref = FactRef(ledger, position)
    try:
        fact = decode_fact(body)
    except NotValid as trouble:
        return _unreadable(body, ref, str(trouble))
    if fact.ref != ref:
        return _unreadable(body, ref, f"its bytes say that it is {str(fact.ref)[:300]}")
    return fact


def _unreadable(body: bytes, ref: FactRef, why: str) -> Fact:
    payload = UnknownPayload(UNREADABLE, 1, {"bytes": len(body), "digest": sha256(body).hexdigest(), "why": why})
    return Fact(ref, UNREADABLE, 1, str(ref), Actor("unknown", "unknown", "none"), Moment(EPOCH, "none", ClockQuality.UNKNOWN), payload)


_ENVELOPE = {"actor", "at", "body", "clock", "kind", "ledger", "pos", "subject", "v"}
_ACTOR = {"id", "method", "role"}
_CLOCK = {"offset_ms", "quality", "source"}


def decode_fact(data: bytes) -> Fact:
    """Read stored bytes; refuses malformed ones with the place of the fault."""
    if len(data) > FACT_BYTES_MAX:
        raise NotValid("cannot read a fact", why=f"{len(data)} bytes are more than {FACT_BYTES_MAX}")
    envelope = _table(codec.loads(data, what="a fact"), _ENVELOPE, "fact")
    actor = _table(envelope["actor"], _ACTOR, "fact.actor")
    clock = _table(envelope["clock"], _CLOCK, "fact.clock")
    ledger, subject, kind = envelope["ledger"], envelope["subject"], envelope["kind"]
    for path, text in (("ledger", ledger), ("subject", subject), ("kind", kind)):
        if type(text) is not str:
            raise NotValid(f"cannot read fact.{path}", why=f"{str(text)[:40]!r} is not a text")
    position, version = envelope["pos"], envelope["v"]
    if type(position) is not int or type(version) is not int or position < 0 or version < 1:
        raise NotValid("cannot read a fact", why=f"position {str(position)[:40]} and version {str(version)[:40]} are not both in range")
    return _fact(  # type: ignore[no-any-return]
        FactRef(ledger, position),
        kind,
        version,
        subject,
        _whole(_actor, actor["id"], actor["role"], actor["method"]),
        _whole(_moment, envelope["at"], clock["source"], clock["quality"], clock["offset_ms"]),
        _payload(kind, version, envelope["body"]),
    )


def _table(data: Any, keys: set[str], path: str) -> dict[str, Any]:
    if type(data) is not dict or data.keys() != keys:
        raise NotValid(f"cannot read {path}", why="its fields are not " + ", ".join(sorted(keys)))
    return data


def _whole(make: Callable[..., Any], *parts: Any) -> Any:
    """Texts (or nothing) to a frozen value, remembered: a page of facts shares a few actors and moments."""
    for part in parts:
        if type(part) is not str and part is not None:
            raise NotValid("cannot read fact", why=f"{str(part)[:40]!r} is not a text")
    return make(*parts)


@lru_cache(maxsize=256)
def _actor(id_: str, role: str, method: str) -> Actor:
    read = codec.decoder(str)
    return Actor(read(id_, "fact.actor.id"), read(role, "fact.actor.role"), read(method, "fact.actor.method"))


@lru_cache(maxsize=256)
def _moment(at: str, source: str, quality: str, offset: str | None) -> Moment:
    return Moment(
        time_of_text(at),
        codec.decoder(str)(source, "fact.clock.source"),
        codec.decoder(ClockQuality)(quality, "fact.clock.quality"),
        None if offset is None else codec.decoder(float)(offset, "fact.clock.offset_ms"),
    )


def _payload(name: str, version: int, body: Any) -> Payload:
    if type(body) is not dict:
        raise NotValid(f"cannot read {name[:80]}", why=f"{str(body)[:40]!r} is not a table")
    kind = _KINDS.get(name)
    if kind is None or version > kind.version:
        return UnknownPayload(name, version, body)
    while version < kind.version:
        try:
            body = kind.upgrades[version](body)
        except (LookupError, TypeError, ValueError, AttributeError) as trouble:  # an old body that is not what it claims
            raise NotValid(f"cannot read {name}", why=f"its version {version} cannot be upgraded: {trouble!r}"[:160]) from trouble
        version += 1
    return codec.read(kind.cls, body, what=name)
