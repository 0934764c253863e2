"""How simulated servers are secured: their own certificate, whom they let in, who may sign in.

Not secured, a server offers its open endpoint only; secured, none that is open.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import asyncua.ua
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from cryptography.hazmat.primitives.serialization import Encoding

__all__ = ["SIMULATED_URI", "Secured", "secure"]

SIMULATED_URI = "urn:isogenic:simulated:modules"  # of the application that secured servers are
_Ua = Any  # a value of asyncua's, whose types do not say what may be None
ua: _Ua = asyncua.ua


@dataclass(frozen=True, slots=True)
class Secured:
    """How simulated servers are secured: their own certificate and key, whom they let in, and who may sign in."""

    certificate: bytes  # DER; all servers of a facility share it
    key: bytes  # PEM
    clients: Collection[bytes]  # DER of the applications that may connect
    users: Mapping[str, str] = field(default_factory=dict)  # name -> password; empty: nobody has to sign in


async def secure(server: _Ua, secured: Secured | None) -> None:
    """Offer the open endpoint only, or secured ones only."""
    if secured is None:
        server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        server.set_identity_tokens([ua.AnonymousIdentityToken])
        return
    kinds = ua.SecurityPolicyType
    server.set_security_policy([kinds.Aes256Sha256RsaPss_SignAndEncrypt, kinds.Basic256Sha256_SignAndEncrypt])
    server.set_identity_tokens([ua.UserNameIdentityToken] if secured.users else [ua.AnonymousIdentityToken])
    await server.load_certificate(secured.certificate, "der")
    await server.load_private_key(secured.key, format="pem")
    server.set_certificate_validator(partial(_check_client, secured))
    if secured.users:
        server.iserver.set_user_manager(_Users(secured.users))


async def _check_client(secured: Secured, certificate: _Ua, _: _Ua) -> None:
    if certificate.public_bytes(Encoding.DER) not in secured.clients:
        raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)


class _Users:
    """Who may sign in at a simulated server."""

    def __init__(self, users: Mapping[str, str]) -> None:
        self._users = users

    def get_user(self, iserver: _Ua, username: str | None = None, password: str | None = None, certificate: _Ua = None) -> User | None:
        """The user, where name and password are right."""
        right = username is not None and username in self._users and self._users[username] == password
        return User(role=UserRole.User, name=username) if right else None
