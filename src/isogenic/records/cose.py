"""Signed messages of other people's tools: COSE_Sign1 with Ed25519, and the CBOR that it is written in.

Guarantees: `encode` writes the deterministic CBOR of RFC 8949 section 4.2.1; `decode` reads
nothing else (no indefinite lengths, no longer form than needed, no key twice or out of order,
no floats, no tags), to a bounded depth and from bounded bytes, so that two readers of one
message read the same. `sign1` and `verify_sign1` are RFC 9052 section 4.2 with the algorithm
EdDSA (RFC 9053) over Ed25519; the header is signed, and a critical parameter that is not
known here is refused.
Leaves to others: what is signed (statements), and whose key it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cbor2

from isogenic.errors import NotTrusted, NotValid
from isogenic.records.notes import Signer, VerifyingKey

__all__ = ["ALG", "CONTENT_TYPE", "KID", "Sign1", "decode", "encode", "key_id", "read_sign1", "sign1", "verify_sign1"]

ALG, CRIT, CONTENT_TYPE, KID = 1, 2, 3, 4  # header parameters, RFC 9052 table 2
EDDSA, ED25519 = -8, -19  # RFC 9053; RFC 9864 names the curve as well: both are read, the older one is written
TAG = 0xD2  # tag 18: COSE_Sign1
BYTES_MAX = 1024 * 1024  # of one message
DEPTH_MAX = 12  # arrays and maps in one another; a receipt in a statement takes six


# ---- CBOR ----


def encode(value: Any) -> bytes:
    """Deterministic CBOR of ints, texts, bytes, lists, maps, booleans and None."""
    data: bytes = cbor2.dumps(_ordered(value))
    return data


def _ordered(value: Any) -> Any:
    if isinstance(value, Mapping):
        # RFC 8949 4.2.1: keys in the order of their own encoded bytes
        return {key: _ordered(value[key]) for key in sorted(value, key=cbor2.dumps)}
    if isinstance(value, list | tuple):
        return [_ordered(each) for each in value]
    if value is not None and type(value) not in (int, str, bytes, bool):
        raise TypeError(f"no CBOR form for {type(value).__name__}")  # our own mistake
    return value


def decode(data: bytes, *, what: str = "CBOR") -> Any:
    """One deterministic CBOR item, and nothing after it. Own code, because a reader of hostile bytes is to take no more than this."""
    if len(data) > BYTES_MAX:
        raise NotValid(f"cannot read {what}", why=f"{len(data)} bytes are more than {BYTES_MAX}")
    try:
        value, end = _item(data, 0, DEPTH_MAX)
    except (IndexError, UnicodeDecodeError) as trouble:
        raise NotValid(f"cannot read {what}", why="it is cut short, or a text is not UTF-8") from trouble
    except ValueError as trouble:
        raise NotValid(f"cannot read {what}", why=str(trouble)) from trouble
    if end != len(data):
        raise NotValid(f"cannot read {what}", why=f"{len(data) - end} bytes follow it")
    return value


def _head(data: bytes, at: int) -> tuple[int, int, int]:
    """Major type, argument, and where the item goes on (RFC 8949 section 3)."""
    major, short = data[at] >> 5, data[at] & 31
    if short < 24:
        return major, short, at + 1
    if short > 27:
        raise ValueError("a length is indefinite or reserved")
    size = 1 << short - 24
    if at + 1 + size > len(data):
        raise IndexError
    argument = int.from_bytes(data[at + 1 : at + 1 + size], "big")
    if argument < (24 if size == 1 else 1 << 4 * size):
        raise ValueError("a number is written longer than needed")
    return major, argument, at + 1 + size


def _item(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    if depth == 0:
        raise ValueError("it is nested too deeply")
    if data[at] >> 5 == 7:
        if data[at] not in _SIMPLE:
            raise ValueError("it holds a float or another value that is not used here")
        return _SIMPLE[data[at]], at + 1
    major, argument, at = _head(data, at)
    if major == 0:
        return argument, at
    if major == 1:
        return -1 - argument, at
    if major in (2, 3):
        if at + argument > len(data):
            raise IndexError
        piece = data[at : at + argument]
        return piece if major == 2 else piece.decode(), at + argument
    if major == 6:
        raise ValueError("it holds a tag that is not used here")
    if argument > len(data) - at:  # each element takes a byte at least
        raise IndexError
    return _list(data, at, argument, depth) if major == 4 else _map(data, at, argument, depth)


_SIMPLE = {0xF4: False, 0xF5: True, 0xF6: None}


def _list(data: bytes, at: int, count: int, depth: int) -> tuple[list[Any], int]:
    items = []
    for _ in range(count):
        value, at = _item(data, at, depth - 1)
        items.append(value)
    return items, at


def _map(data: bytes, at: int, count: int, depth: int) -> tuple[dict[Any, Any], int]:
    table: dict[Any, Any] = {}
    before = b""
    for _ in range(count):
        start = at
        if data[start] >> 5 > 3:
            raise ValueError("a key is neither a number nor a text nor bytes")
        key, at = _item(data, at, depth - 1)
        if data[start:at] <= before:
            raise ValueError("keys are not in order, or one is there twice")
        before = data[start:at]
        table[key], at = _item(data, at, depth - 1)
    return table, at


# ---- COSE_Sign1 ----


@dataclass(frozen=True, slots=True)
class Sign1:
    """A COSE_Sign1 message. `protected` is the signed header as it was signed; without a payload it is signed over one that travels elsewhere."""

    protected: bytes
    payload: bytes | None
    signature: bytes
    unprotected: Mapping[Any, Any] = field(default_factory=dict)
    header: Mapping[Any, Any] = field(default_factory=dict)  # `protected`, read

    def to_bytes(self) -> bytes:
        """Tagged, as it travels."""
        return bytes([TAG]) + encode([self.protected, self.unprotected, self.payload, self.signature])

    def bare(self) -> bytes:
        """Without what was not signed: the same bytes whatever receipts are put into it later."""
        return replace(self, unprotected={}).to_bytes()


def key_id(key: VerifyingKey) -> bytes:
    """How a message names the key that signed it: name and hash of its vkey."""
    return f"{key.name}+{key.key_id.hex()}".encode()


def sign1(
    payload: bytes, signer: Signer, *, header: Mapping[Any, Any], unprotected: Mapping[Any, Any] | None = None, detached: bool = False
) -> Sign1:
    """Sign `payload` with this header; algorithm and key are added to it."""
    whole = {**header, ALG: EDDSA, KID: key_id(signer.verifying_key)}
    protected = encode(whole)
    signature = signer.sign(_to_be_signed(protected, payload))
    return Sign1(protected, None if detached else payload, signature, unprotected or {}, whole)


def _to_be_signed(protected: bytes, payload: bytes) -> bytes:
    """RFC 9052 section 4.4, without external data."""
    return encode(["Signature1", protected, b"", payload])


def read_sign1(data: bytes, *, what: str = "a COSE message") -> Sign1:
    """Read a tagged COSE_Sign1; raises `NotValid`. Nothing is believed yet."""
    if data[:1] != bytes([TAG]):
        raise NotValid(f"cannot read {what}", why="it does not begin with tag 18, COSE_Sign1")
    parts = decode(data[1:], what=what)
    if not isinstance(parts, list) or len(parts) != 4:
        raise NotValid(f"cannot read {what}", why="it is not an array of four")
    protected, unprotected, payload, signature = parts
    if not (isinstance(protected, bytes) and isinstance(unprotected, dict) and isinstance(payload, bytes | None) and isinstance(signature, bytes)):
        raise NotValid(f"cannot read {what}", why="its four parts are not header, header, payload and signature")
    header = decode(protected, what=f"the header of {what}") if protected else {}
    if not isinstance(header, dict) or set(map(str, header)) & set(map(str, unprotected)):
        raise NotValid(f"cannot read {what}", why="its header is not a table, or one parameter is in both headers")
    return Sign1(protected, payload, signature, unprotected, header)


def verify_sign1(message: Sign1, key: VerifyingKey, *, payload: bytes | None = None) -> bytes:
    """The payload, if this key signed it under this header; `payload` where the message does not carry it. Raises `NotTrusted`."""
    refused = f"signature of {key.name} refused"
    if message.header.get(ALG) not in (EDDSA, ED25519):
        raise NotTrusted(refused, why=f"the algorithm {str(message.header.get(ALG))[:40]} is not Ed25519")
    if CRIT in message.header or CRIT in message.unprotected:
        raise NotTrusted(refused, why="it has a critical header parameter that is not known here")  # RFC 9052 3.1
    if (message.payload is None) == (payload is None):
        raise NotTrusted(refused, why="its payload is neither here nor there, or both")
    signed = message.payload if message.payload is not None else payload
    assert signed is not None
    key.verify(message.signature, _to_be_signed(message.protected, signed))
    return signed
