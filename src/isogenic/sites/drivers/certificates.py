"""Who the site is to its modules, and which modules it trusts: OPC UA application certificates (OPC 10000-4, 6.1).

    <site>/opcua/own.der, own.key        the site's application certificate, and its key, which stays here
    <site>/opcua/trusted/MODULE/*.der    certificates that a person trusts for that module, or the authority that issues them
    <site>/opcua/passwords/MODULE        the password of the user named in the plant document

Guarantees: where the plant document asks for security, a module is spoken to only over an endpoint with
that policy and mode, whose certificate is the pinned one or lies in the module's own folder of trusted
ones, is valid today and names the application that answers. What is trusted for one module is trusted for
no other. Another certificate is refused whatever it claims to be: a rogue may copy a name, not a key.
Every refusal says the fingerprint that was shown, so that a person can compare it with the one read out
at the module. Nothing is trusted at first sight.
Leaves to others: the channel itself (asyncua), the network's own certificates (records.tls).
"""

from __future__ import annotations

import contextlib
import re
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncua.ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isogenic.clock import SystemClock
from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid
from isogenic.ids import ModuleId
from isogenic.plant.model import Module, Security
from isogenic.records.durable import write_whole

__all__ = ["FOLDER", "OpcUaTrust", "application_uri", "check_matches_key", "check_shown", "fingerprint_of", "make_identity", "show_certificate"]

KEY_BITS = 2048  # what every policy in use allows; OPC 10000-7 lets Aes256Sha256RsaPss have 2048 to 4096
DAYS = 1825  # five years: longer than most campaigns, shorter than a controller's life
SKEW = timedelta(minutes=5)
FOLDER = "opcua"
CERTIFICATES_MAX = 50  # of one module
BYTES_MAX = 64 * 1024
_Ua = Any
ua: _Ua = asyncua.ua


def application_uri(network: str, site: str) -> str:
    """Who the site says it is (OPC 10000-4, 7.2)."""
    return f"urn:isogenic:{network}:{site}"


def fingerprint_of(der: bytes) -> str:
    """As it is read out and written into a plant document."""
    return f"sha256:{sha256(der).hexdigest()}"


@dataclass(frozen=True, slots=True)
class OpcUaTrust:
    """The site's folder of certificates."""

    folder: Path
    now: Callable[[], datetime] = lambda: SystemClock().now().at  # certificates live by the calendar, not by process time

    def own(self) -> tuple[bytes, bytes]:
        """The site's certificate (DER) and its key (PEM), or `NotFound`."""
        certificate, key = self.folder / "own.der", self.folder / "own.key"
        if not (certificate.exists() and key.exists()):
            raise NotFound("the site has no OPC UA certificate", why=f"{FOLDER}/own.der is missing", possible="isogenic keys opcua")
        return _read(certificate), _read(key)

    def trusted(self, module: ModuleId) -> list[bytes]:
        """What a person trusts for one module, as DER."""
        place = self.folder / "trusted" / module
        paths = sorted(path for path in place.glob("*") if path.suffix in (".der", ".crt", ".cer", ".pem"))[:CERTIFICATES_MAX]
        return [_as_der(_read(path), path.name) for path in paths]

    def trust(self, module: ModuleId, der: bytes) -> Path:
        """Keep a certificate as trusted for one module."""
        _certificate(der)
        path = self.folder / "trusted" / module / f"{sha256(der).hexdigest()[:16]}.der"
        write_whole(path, der)
        return path

    def password(self, module: ModuleId) -> str:
        """The password of the user that the plant document names, or `NotFound`."""
        path = self.folder / "passwords" / module
        if not path.exists():
            raise NotFound(
                f"no password for {module}", why=f"{FOLDER}/passwords/{module} is missing", possible="one line of text, readable by the site only"
            )
        return _read(path).decode(errors="replace").strip("\r\n")

    async def secure(self, client: Client, module: Module) -> None:
        """Make a client that is not yet connected speak as the plant document asks; `NotTrusted` where that cannot be."""
        asked = module.security
        assert asked is not None
        certificate, key = self.own()
        mode = ua.MessageSecurityMode.SignAndEncrypt if asked.encrypted else ua.MessageSecurityMode.Sign
        policy = getattr(security_policies, f"SecurityPolicy{asked.policy}")
        client.application_uri = _uri_of(_certificate(certificate))
        endpoint = _endpoint(await client.connect_and_get_server_endpoints(), policy.URI, mode, module, asked)
        der = _first_of_chain(bytes(endpoint.ServerCertificate or b""))
        check_shown(der, endpoint.Server.ApplicationUri or "", module=module.id, asked=asked, trusted=self.trusted(module.id), now=self.now())
        await client.set_security(
            policy,
            CertProperties(certificate, extension="der"),
            CertProperties(key, extension="pem"),
            server_certificate=CertProperties(der, extension="der"),
            mode=mode,
        )
        if asked.user:
            client.set_user(asked.user)
            client.set_password(self.password(module.id))


def check_shown(der: bytes, uri: str, *, module: ModuleId, asked: Security, trusted: list[bytes], now: datetime) -> None:
    """Whether the certificate that a module shows is one that the site may speak to; `NotTrusted` says which it was."""
    shown = fingerprint_of(der)
    try:
        certificate = _certificate(der)
    except NotValid as trouble:
        raise NotTrusted(f"{module} shows no certificate that can be read", why=str(trouble)) from trouble
    if asked.fingerprint and sha256(der).hexdigest() != asked.fingerprint:
        raise NotTrusted(f"{module} shows another certificate than the plant document pins", why=f"it is {shown}")
    if not asked.fingerprint and not any(der == each or _issued(certificate, each, now) for each in trusted):
        raise NotTrusted(
            f"{module} shows a certificate that nobody trusts for it",
            why=f"it is {shown}",
            possible="isogenic keys trust, once it is the one read out at the module",
        )
    if not certificate.not_valid_before_utc - SKEW <= now <= certificate.not_valid_after_utc:
        raise NotTrusted(
            f"the certificate of {module} is not valid today",
            why=f"it is from {certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}",
        )
    if uri not in _uris(certificate):
        raise NotTrusted(
            f"the certificate of {module} is not of the application that answers", why=f"{uri[:100] or 'an application without a name'} is not in it"
        )


def make_identity(folder: Path, *, uri: str, hosts: tuple[str, ...] = (), now: datetime, days: int = DAYS) -> str:
    """Make an application's key and self-signed certificate; gives its fingerprint. One that is there is never overwritten."""
    if (folder / "own.key").exists():
        raise NotValid(
            "the certificate is not made", why=f"{folder.name}/own.key is there", possible="move it away, and have every module trust the new one"
        )
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    der = self_signed(key, uri=uri, hosts=hosts or (socket.gethostname(),), now=now, days=days)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    write_whole(folder / "own.key", pem, mode=0o600)
    write_whole(folder / "own.der", der)
    return fingerprint_of(der)


def check_matches_key(folder: Path, data: bytes) -> bytes:
    """A certificate brought from an authority of one's own, as DER, if it is of the key that lies in the folder."""
    der = _as_der(data, "the certificate")
    certificate = _certificate(der)
    _uri_of(certificate)
    kind = (serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    key = serialization.load_pem_private_key(_read(folder / "own.key"), password=None)
    if certificate.public_key().public_bytes(*kind) != key.public_key().public_bytes(*kind):
        raise NotValid("the certificate is not taken", why="it is not of the key in own.key")
    return der


def self_signed(key: rsa.RSAPrivateKey, *, uri: str, hosts: tuple[str, ...], now: datetime, days: int) -> bytes:
    """An application instance certificate (OPC 10000-6, 6.2.2), as DER."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, uri[-64:])])
    names = [x509.UniformResourceIdentifier(uri), *(x509.DNSName(host) for host in hosts)]
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=True,
                key_encipherment=True,
                data_encipherment=True,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=False,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


async def show_certificate(endpoint: str, *, timeout_s: float = 5.0) -> bytes:
    """The certificate that a server shows on its endpoints, as DER: to be compared with what is read out there, not to be trusted for that."""
    client = Client(endpoint, timeout=timeout_s)
    try:
        offered = await client.connect_and_get_server_endpoints()
    except Exception as trouble:  # asyncua raises many unrelated types
        raise NotReachable(f"{endpoint} does not tell its endpoints", why=str(trouble)[:160] or type(trouble).__name__) from trouble
    for each in offered:
        if each.ServerCertificate:
            return _first_of_chain(bytes(each.ServerCertificate))
    raise NotFound(f"{endpoint} has no certificate", why="it offers unsecured endpoints only")


def _endpoint(offered: Any, policy: str, mode: _Ua, module: Module, asked: Security) -> _Ua:
    for each in offered:
        if each.SecurityPolicyUri == policy and each.SecurityMode == mode:
            return each
    said = sorted({f"{str(each.SecurityPolicyUri).rpartition('#')[2]} {ua.MessageSecurityMode(each.SecurityMode).name}" for each in offered})
    raise NotTrusted(f"{module.id} offers no endpoint with {asked.policy} {mode.name}", why=f"it offers {', '.join(said[:8]) or 'none'}")


def _first_of_chain(der: bytes) -> bytes:
    """A server may show its certificate with those of its authorities behind it."""
    if len(der) < 4 or der[:2] != b"\x30\x82":
        return der
    return der[: 4 + int.from_bytes(der[2:4], "big")]


def _certificate(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except Exception as trouble:  # malformed bytes raise many unrelated types
        raise NotValid("these bytes are no certificate", why=str(trouble)[:120]) from trouble


def _as_der(data: bytes, name: str) -> bytes:
    if b"-----BEGIN CERTIFICATE" not in data:
        return data
    try:
        return x509.load_pem_x509_certificate(data).public_bytes(serialization.Encoding.DER)
    except ValueError as trouble:
        raise NotValid(f"cannot read {name}", why=str(trouble)[:120]) from trouble


def _issued(certificate: x509.Certificate, authority: bytes, now: datetime) -> bool:
    """Whether a trusted authority, valid today, issued this certificate itself."""
    with contextlib.suppress(NotValid, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        by = _certificate(authority)
        if not by.extensions.get_extension_for_class(x509.BasicConstraints).value.ca or not by.not_valid_before_utc <= now <= by.not_valid_after_utc:
            return False
        certificate.verify_directly_issued_by(by)
        return True
    return False


def _uris(certificate: x509.Certificate) -> list[str]:
    with contextlib.suppress(x509.ExtensionNotFound, ValueError):
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return list(names.get_values_for_type(x509.UniformResourceIdentifier))
    return []


def _uri_of(certificate: x509.Certificate) -> str:
    found = _uris(certificate)
    if not found or not re.fullmatch(r"[!-~]{1,300}", found[0]):
        raise NotValid("cannot use the site's OPC UA certificate", why="it names no application (URI in the subject's alternative names)")
    return found[0]


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(BYTES_MAX + 1)
    except OSError as trouble:
        raise NotFound(f"cannot read {path.name}", why=str(trouble.strerror or trouble)) from trouble
    if len(data) > BYTES_MAX:
        raise NotValid(f"cannot read {path.name}", why=f"it has more than {BYTES_MAX} bytes")
    return data
