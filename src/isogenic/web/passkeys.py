"""What people sign with: a password given again, or a passkey that answers for the very thing that is signed.

    enrol      signed in with a password: the browser makes a passkey, and the personal key signs for it
    sign in    the browser answers a random challenge; whose passkey it is, the directory says
    sign       the challenge is the digest of what is signed; the answer is kept in the fact

Guarantees: each challenge is asked once, answered once and soon, and in a signing only for what
was shown; origin and domain are those of this node, the person was verified by the
authenticator, and a counter that goes back refuses the passkey (it may have been copied). The
first signature of a session takes both components (21 CFR 11.200(a)(1)(i)), and every one says
its meaning (11.50(a)(3)). A passkey is enrolled with the personal key, so it cannot be given to anybody.
Leaves to others: what is signed (decisions), the facts, the browser's half (static/isogenic.js).
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from webauthn import generate_authentication_options, generate_registration_options, verify_authentication_response, verify_registration_response
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url, decode_credential_public_key, decoded_public_key_to_cryptography, encode_cbor
from webauthn.helpers import options_to_json_dict as json_of
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from isogenic.authority.passkeys import LOCAL, check_key, is_within, verify_evidence
from isogenic.authority.people import Passkey, Person
from isogenic.authority.rules import Act
from isogenic.authority.signatures import MEANINGS, Intent, PasskeyPen, Pen, passkey_statement
from isogenic.clock import text_of_time
from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.records.notes import Signer
from isogenic.records.signatures import PASSKEY, PasskeyEvidence, Signature
from isogenic.web.guard import Guest, let_in
from isogenic.web.messages import PasskeyAnswer, PasskeySignIn, SignedInAs, Signing
from isogenic.web.problems import PROBLEMS
from isogenic.web.signin import At, Door, Session

__all__ = ["Pens", "SignatureAsked", "passkey_sign_in"]

NAME = "Isogenic"  # what a browser calls this house when it asks for a passkey
CHALLENGE_BYTES, NONCE_BYTES = 32, 16
ANSWER_WITHIN = timedelta(minutes=2)  # the time in a signature is the time of asking: it must stay the time of signing
CHALLENGES_MAX = 1_000  # open at one node; the oldest goes first
PASSKEYS_MAX = 10  # of one person, removed ones included: what a person can keep an eye on


class SignatureAsked(Exception):
    """Nothing was refused: the authenticator is to be asked first."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__("the authenticator is to be asked")
        self.answer = answer


@dataclass(frozen=True, slots=True)
class _Asked:
    """A challenge that waits for its answer."""

    until: datetime
    session: str = ""  # whose it is; empty: of somebody who signs in
    intent: Intent | None = None
    nonce: str = ""


class Pens:
    """The passkeys of one node's people, and what they sign with."""

    def __init__(self, door: Door) -> None:
        self.door = door
        self._asked: dict[bytes, _Asked] = {}

    @property
    def domain(self) -> str:
        """The WebAuthn RP ID of this node."""
        return self.door.keeping.domain

    # ---- signing ----

    async def pen(self, guest: Guest, body: Signing, act: Act) -> Signer | Pen:
        """What the person signs with, once they have said who they are, what it means, and proved it."""
        if body.meaning != MEANINGS[act]:
            raise NotValid(
                "cannot sign", why=f"who signs says what it means, and this means {MEANINGS[act]!r}", possible=f"give the meaning {MEANINGS[act]!r}"
            )
        if body.passkey == "ask":
            return _AskingPen(self, guest)
        if isinstance(body.passkey, PasskeyAnswer):
            return self._answered(guest, body.passkey)
        return await self.password_again(guest, body.person, body.password)

    async def password_again(self, guest: Guest, person: str, password: str) -> Signer:
        """The personal key, opened with the password; at the first signature of a session both components are given (21 CFR 11.200(a)(1)(i))."""
        if not password:
            raise NotValid("cannot sign", why="no password was given, and no passkey")
        given, first = person.strip().upper(), not self.door.has_signed(guest.session)
        if (given or first) and given != guest.person.id:
            raise NotTrusted(
                "cannot sign",
                why="the first signature of a session takes id and password, both of the person who is signed in",
                possible="give your id, too",
            )
        signer = await self.door.signer(guest.session, password)
        self.door.signed(guest.session)
        return signer

    def ask(self, guest: Guest, intent: Intent) -> dict[str, Any]:
        """What is about to be signed, and what the browser asks the authenticator: its challenge is the digest of that."""
        usable = [each for each in guest.person.passkeys if each.removed_at is None and each.domain == self.domain]
        if not usable:
            raise NotAllowed("cannot sign with a passkey", why="you have none on file here", possible="sign with your password, or enrol a passkey")
        nonce = self.door.entropy(NONCE_BYTES).hex()
        text = passkey_statement(intent.person, role=intent.role, meaning=intent.meaning, at=intent.at, digest=intent.digest, nonce=nonce)
        challenge = sha256(text).digest()
        self._remember(challenge, _Asked(self.door.now() + ANSWER_WITHIN, guest.session.token, intent, nonce))
        shown = {
            "printed_name": intent.printed_name,
            "role": intent.role,
            "meaning": intent.meaning,
            "at": text_of_time(intent.at),
            "digest": intent.digest,
        }
        return {"shown": shown, "options": self._options(challenge, usable)}

    def _answered(self, guest: Guest, answer: PasskeyAnswer) -> Pen:
        with self.door.noting(guest.person.id, At.PASSKEY):
            asked, passkey, evidence = self._evidence(answer, guest.person, guest.host, session=guest.session.token)
            if asked.intent is None:
                raise NotTrusted("cannot sign", why="this challenge was not for a signature")
        self.door.signed(guest.session)
        return PasskeyPen(asked.intent, passkey, evidence, base64.b64encode(base64url_to_bytes(answer.response.signature)).decode())

    # ---- signing in ----

    def ask_to_sign_in(self) -> dict[str, Any]:
        """What the browser asks whichever authenticator is there."""
        challenge = self.door.entropy(CHALLENGE_BYTES)
        self._remember(challenge, _Asked(self.door.now() + ANSWER_WITHIN))
        return self._options(challenge, [])

    def sign_in(self, answer: PasskeyAnswer, host: str) -> Session:
        """A session for the person whose passkey answered."""
        person = self.door.holder(answer.id)
        with self.door.noting(person.id if person else "", At.PASSKEY):
            if person is None:
                raise NotTrusted("cannot sign in", why="this passkey is not on file here", possible="sign in with your password")
            self._evidence(answer, person, host, session="")
        assert person is not None
        return self.door.enter(person.id, PASSKEY)

    # ---- enrolling ----

    def ask_to_enrol(self, guest: Guest) -> dict[str, Any]:
        """What the browser asks an authenticator to make."""
        self._may_enrol(guest)
        challenge = self.door.entropy(CHALLENGE_BYTES)
        self._remember(challenge, _Asked(self.door.now() + ANSWER_WITHIN, guest.session.token))
        options = generate_registration_options(
            rp_id=self.domain,
            rp_name=NAME,
            user_id=guest.person.id.encode(),
            user_name=str(guest.person.id),
            user_display_name=guest.person.printed_name,
            challenge=challenge,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
            ),
            exclude_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.id)) for each in guest.person.passkeys],
        )
        return dict(json_of(options))

    def enrol(self, guest: Guest, answer: PasskeyAnswer, *, title: str) -> Passkey:
        """The passkey that the browser made, checked; nothing is on file by that."""
        self._may_enrol(guest)
        refused = "cannot enrol this passkey"
        try:
            challenge, origin = _said(answer)
            asked = self._take(challenge, guest.session.token)
            if asked.intent is not None:
                raise NotTrusted(refused, why="its challenge was for a signature")
            made = verify_registration_response(
                credential=_whole(answer),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self._origin(origin, guest.host),
                require_user_verification=True,
            )
            public = decoded_public_key_to_cryptography(decode_credential_public_key(made.credential_public_key))
        except (WebAuthnException, ValueError, KeyError, TypeError) as trouble:
            raise NotTrusted(refused, why=str(trouble)[:200] or "it is malformed") from trouble
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        passkey = Passkey(bytes_to_base64url(made.credential_id), base64.b64encode(der).decode(), self.domain, title.strip())
        check_key(passkey)
        if self.door.holder(passkey.id) is not None:
            raise NotAllowed(refused, why="it is on file already, and a credential is never given to a second person")
        self.door.accounts.count(passkey.id, made.sign_count)
        return passkey

    def _may_enrol(self, guest: Guest) -> None:
        if len(guest.person.passkeys) >= PASSKEYS_MAX:
            raise NotAllowed("cannot enrol a passkey", why=f"you have {PASSKEYS_MAX} on file already, removed ones included")

    # ---- challenges and answers ----

    def _evidence(self, answer: PasskeyAnswer, person: Person, host: str, *, session: str) -> tuple[_Asked, Passkey, PasskeyEvidence]:
        """What the answer proves, once the library and our own check (which strangers repeat from the files) both say that it does."""
        refused = "passkey refused"
        passkey = person.passkey(answer.id)
        if passkey is None or passkey.removed_at is not None:
            raise NotTrusted(refused, why="it is not on file for this person, or was removed")
        try:
            challenge, origin = _said(answer)
            asked = self._take(challenge, session)
            raw = {name: base64url_to_bytes(getattr(answer.response, name)) for name in ("authenticatorData", "clientDataJSON", "signature")}
            done = verify_authentication_response(
                credential=_whole(answer),
                expected_challenge=challenge,
                expected_rp_id=self.domain,
                expected_origin=self._origin(origin, host),
                credential_public_key=_cose(passkey),
                credential_current_sign_count=0,  # looked at below, where it can be told apart from a wrong signature
                require_user_verification=True,
            )
        except (WebAuthnException, ValueError, KeyError, TypeError) as trouble:
            raise NotTrusted(refused, why=str(trouble)[:200] or "it is malformed") from trouble
        data, client, signature = (base64.b64encode(raw[name]).decode() for name in ("authenticatorData", "clientDataJSON", "signature"))
        evidence = PasskeyEvidence(passkey.id, data, client, asked.nonce)
        verify_evidence(passkey, evidence, signature=signature, challenge=challenge)
        known = self.door.accounts.counter(passkey.id)
        if (done.new_sign_count or known) and done.new_sign_count <= known:
            raise NotTrusted(
                refused, why=f"its counter is {done.new_sign_count} after {known}: it may have been copied", possible="report it as lost"
            )
        self.door.accounts.count(passkey.id, done.new_sign_count)
        return asked, passkey, evidence

    def _origin(self, said: str, host: str) -> str:
        """The origin that a page of this node has, as the browser knows the node: the host of the request, over TLS or on this machine."""
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if not is_within(name.lower(), self.domain):
            raise NotTrusted(
                "passkey refused", why=f"this page was opened as {host[:80]}, passkeys belong to {self.domain}", possible=f"open it as {self.domain}"
            )
        return f"http://{host}" if name == LOCAL and said.startswith("http://") else f"https://{host}"

    def _options(self, challenge: bytes, passkeys: list[Passkey]) -> dict[str, Any]:
        options = generate_authentication_options(
            rp_id=self.domain,
            challenge=challenge,
            allow_credentials=[PublicKeyCredentialDescriptor(id=base64url_to_bytes(each.id)) for each in passkeys],
            user_verification=UserVerificationRequirement.REQUIRED,
        )
        return dict(json_of(options))

    def _remember(self, challenge: bytes, asked: _Asked) -> None:
        now = self.door.now()
        self._asked = {each: waiting for each, waiting in self._asked.items() if waiting.until > now}
        while len(self._asked) >= CHALLENGES_MAX:
            del self._asked[next(iter(self._asked))]
        self._asked[challenge] = asked

    def _take(self, challenge: bytes, session: str) -> _Asked:
        asked = self._asked.pop(challenge, None)
        if asked is None or asked.session != session or asked.until <= self.door.now():
            raise NotTrusted("passkey refused", why="its challenge was not asked here, or too long ago", possible="begin again")
        return asked


class _AskingPen:
    """Makes no signature: it finds out what would be signed, and asks the authenticator for that."""

    def __init__(self, pens: Pens, guest: Guest) -> None:
        self._ask: Callable[[Intent], dict[str, Any]] = lambda intent: pens.ask(guest, intent)

    def sign(self, person: Person, intent: Intent) -> Signature:
        """Raises `SignatureAsked` with what the browser needs."""
        raise SignatureAsked(self._ask(intent))


def _said(answer: PasskeyAnswer) -> tuple[bytes, str]:
    """Challenge and origin, as the browser says them; neither is believed by that."""
    said = json.loads(base64url_to_bytes(answer.response.clientDataJSON))
    if not isinstance(said, dict) or not isinstance(said.get("challenge"), str) or not isinstance(said.get("origin"), str):
        raise ValueError("its client data name no challenge and origin")
    return base64url_to_bytes(said["challenge"]), said["origin"]


def _whole(answer: PasskeyAnswer) -> dict[str, Any]:
    response = {name: value for name, value in answer.response.model_dump().items() if value}
    return {"id": answer.id, "rawId": answer.rawId, "type": answer.type, "response": response, "clientExtensionResults": {}}


def _cose(passkey: Passkey) -> bytes:
    """The key on file as the library wants it, a COSE_Key (RFC 9053)."""
    key = check_key(passkey)
    if isinstance(key, ec.EllipticCurvePublicKey):
        point = key.public_numbers()
        return bytes(encode_cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")}))
    if isinstance(key, ed25519.Ed25519PublicKey):
        return bytes(encode_cbor({1: 1, 3: -8, -1: 6, -2: key.public_bytes(Encoding.Raw, PublicFormat.Raw)}))
    numbers = key.public_numbers()
    size = (numbers.n.bit_length() + 7) // 8
    return bytes(encode_cbor({1: 3, 3: -257, -1: numbers.n.to_bytes(size, "big"), -2: numbers.e.to_bytes(3, "big")}))


def passkey_sign_in(app: FastAPI, door: Door, pens: Pens) -> None:
    """Sign-in with a passkey, and the answer to who signs with one."""

    async def asked(request: Request, question: Exception) -> Response:
        assert isinstance(question, SignatureAsked)
        return JSONResponse(question.answer, status_code=202, headers={"Cache-Control": "no-store"})

    app.add_exception_handler(SignatureAsked, asked)

    @app.post("/api/sign-in/passkey/question", responses=PROBLEMS, tags=["sign-in"], summary="Begin to sign in with a passkey")
    async def question() -> dict[str, Any]:
        """What the browser asks the authenticator."""
        return pens.ask_to_sign_in()

    @app.post("/api/sign-in/passkey", responses=PROBLEMS, tags=["sign-in"], summary="Sign in with a passkey")
    async def sign_in(body: PasskeySignIn, request: Request, response: Response) -> SignedInAs:
        """A session for the person whose passkey answered."""
        return let_in(door, pens.sign_in(body.passkey, request.headers.get("host", "")), request, response)
