"""Certificates of one network: its own authority, one certificate for each node.

Guarantees: a node proves who it is by a certificate that this network's authority signed
(mutual TLS); the common name is the node id. The control site's certificate is for being called
under its names, a site's for calling only, so no site can pass for the control site. Private keys
are for the node's own user and never overwritten. No public authority is asked, so a network
works where there is no internet.
Leaves to others: what a node may do once it is known, and revocation (the directory).
"""

from __future__ import annotations

import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from isogenic.errors import NotAllowed, NotTrusted, NotValid
from isogenic.records.durable import make_folder, write_whole
from isogenic.records.folder import read_file

__all__ = [
    "CONTROL",
    "NODE_DAYS",
    "Authority",
    "client_context",
    "expiry_notice",
    "install_certificate",
    "issue_certificates",
    "node_key",
    "pem",
    "read_certificate",
    "requested_key",
    "server_files",
    "signing_request",
]

CONTROL = "CONTROL"  # the one node that is called
AUTHORITY_YEARS = 20
NODE_DAYS = 2 * 365  # of a real node: short enough that a stolen key ends, long enough for a yearly round
WARN_DAYS = 60
VALID_YEARS = 10  # of a demonstration
SKEW = timedelta(days=1)  # a node whose clock is a little behind still accepts its peers


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass(frozen=True, slots=True)
class Authority:
    """The authority of one network: its private key belongs on a medium that is not connected to anything."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def new(cls, network: str, *, now: datetime, years: int = AUTHORITY_YEARS) -> Authority:
        """A fresh authority."""
        key, name = ec.generate_private_key(ec.SECP256R1()), _name(f"{network} authority")
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(now + timedelta(days=365 * years))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        return cls(key, certificate)

    def save(self, folder: Path, *, passphrase: str = "") -> None:
        """Write key and certificate; with a passphrase the key is in a box that it opens."""
        write_private(folder / "authority.key", self.key, passphrase=passphrase)
        write_whole(folder / "authority.crt", pem(self.certificate))

    @classmethod
    def load(cls, folder: Path, *, passphrase: str = "") -> Authority:
        """Read what `save` wrote."""
        certificate = read_certificate(read_file(folder / "authority.crt"))
        try:
            key = serialization.load_pem_private_key(read_file(folder / "authority.key"), passphrase.encode() or None)
        except (ValueError, TypeError) as trouble:
            raise NotTrusted(
                "cannot open the authority's key", why="the passphrase is wrong, or the file is none", possible="--passphrase-file"
            ) from trouble
        if not isinstance(key, ec.EllipticCurvePrivateKey) or key.public_key() != certificate.public_key():
            raise NotTrusted("cannot use this authority", why="its key is not that of its certificate")
        return cls(key, certificate)

    def issue(self, node: str, public: ec.EllipticCurvePublicKey, *, now: datetime, until: datetime, hosts: Sequence[str] = ()) -> x509.Certificate:
        """A certificate for a node. With `hosts` it may be called under these names, as the control site is; without, it may only call."""
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts if not _is_address(host)]
        names += [x509.IPAddress(ipaddress.ip_address(host)) for host in hosts if _is_address(host)]
        use = (
            ExtendedKeyUsageOID.SERVER_AUTH if hosts else ExtendedKeyUsageOID.CLIENT_AUTH
        )  # else one site could pass for the control site to another
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(node))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(min(until, self.certificate.not_valid_after_utc))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        )
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def write_private(path: Path, key: ec.EllipticCurvePrivateKey, *, passphrase: str = "") -> None:
    """A private key, for the node's own user only. One that is there is never overwritten."""
    if path.exists():
        raise NotAllowed(f"cannot write {path.name}", why="there is one already; it would be lost", possible="move it away by hand, if you mean it")
    make_folder(path.parent)
    path.parent.chmod(0o700)
    box = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    write_whole(path, key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, box), mode=0o600)


def node_key(folder: Path) -> ec.EllipticCurvePrivateKey:
    """The TLS key in `folder/tls`, made where there is none yet."""
    path = folder / "tls" / "node.key"
    if not path.exists():
        write_private(path, ec.generate_private_key(ec.SECP256R1()))
    try:
        key = serialization.load_pem_private_key(read_file(path), None)
    except (ValueError, TypeError) as trouble:
        raise NotValid("cannot read tls/node.key", why="it is no private key") from trouble
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise NotValid("cannot read tls/node.key", why="it is not an elliptic-curve key")
    return key


def signing_request(node: str, key: ec.EllipticCurvePrivateKey) -> bytes:
    """A certificate signing request (PKCS #10), signed with the key that it is for."""
    return x509.CertificateSigningRequestBuilder().subject_name(_name(node)).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def requested_key(request: bytes, *, node: str) -> ec.EllipticCurvePublicKey:
    """The public key of a request that was signed with it, for this node; `NotTrusted` else."""
    try:
        found = x509.load_pem_x509_csr(request)
        named = [each.value for each in found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
        public = found.public_key()
        sound = found.is_signature_valid and named == [node] and isinstance(public, ec.EllipticCurvePublicKey)
    except (ValueError, TypeError, UnsupportedAlgorithm) as trouble:
        raise NotValid("cannot read a certificate request", why="it is no PKCS #10 request") from trouble
    if not sound or not isinstance(public, ec.EllipticCurvePublicKey):
        raise NotTrusted("certificate request refused", why=f"it is not signed with its own key for {node}")
    return public


def read_certificate(data: bytes) -> x509.Certificate:
    """A certificate from PEM."""
    try:
        return x509.load_pem_x509_certificate(data)
    except ValueError as trouble:
        raise NotValid("cannot read a certificate", why="it is no X.509 certificate in PEM") from trouble


def pem(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def install_certificate(folder: Path, certificate: bytes, authority: bytes) -> None:
    """Put a node's certificate beside its key, once it is for that key and of that authority. One file is replaced whole, so this is safe to cut."""
    mine, above, key = read_certificate(certificate), read_certificate(authority), node_key(folder)
    try:
        mine.verify_directly_issued_by(above)
    except (ValueError, TypeError, InvalidSignature) as trouble:
        raise NotTrusted("certificate refused", why="it was not issued by this authority") from trouble
    if mine.public_key() != key.public_key():
        raise NotTrusted("certificate refused", why="it is for another key than this node's")
    write_whole(folder / "tls" / "authority.crt", authority)
    write_whole(folder / "tls" / "node.crt", certificate)


def expiry_notice(folder: Path, *, now: datetime) -> str:
    """What people should know of the end of a node's certificate; empty while it is far away."""
    found = [read_certificate(read_file(folder / "tls" / name)).not_valid_after_utc for name in ("node.crt", "authority.crt")]
    until = min(found)
    days = (until - now).days
    if until <= now:
        return f"the certificate of this node ended on {until:%Y-%m-%d}: no other node talks to it; renew it with isogenic keys"
    if days <= WARN_DAYS:
        return f"the certificate of this node ends on {until:%Y-%m-%d}, in {days} days; renew it with isogenic keys"
    return ""


def issue_certificates(homes: dict[str, Path], *, network: str, now: datetime, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")) -> None:
    """A fresh authority and a certificate for each node, written to `homes[node]/tls`: for demonstrations and tests, on one machine.

    The authority's private key is used here and then forgotten. `isogenic keys` is for real networks.
    """
    authority = Authority.new(network, now=now, years=VALID_YEARS)
    for node, home in homes.items():
        for name in ("node.key", "node.crt"):
            (home / "tls" / name).unlink(missing_ok=True)  # what was issued before is issued anew
        issued = authority.issue(
            node, node_key(home).public_key(), now=now, until=now + timedelta(days=365 * VALID_YEARS), hosts=hosts if node == CONTROL else ()
        )
        install_certificate(home, pem(issued), pem(authority.certificate))


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def server_files(home: Path) -> dict[str, str]:
    """The certificate files of a node, as uvicorn names its settings."""
    folder = home / "tls"
    return {
        "ssl_keyfile": str(folder / "node.key"),
        "ssl_certfile": str(folder / "node.crt"),
        "ssl_ca_certs": str(folder / "authority.crt"),
    }


def client_context(home: Path) -> ssl.SSLContext:
    """The TLS settings with which a node calls another of its network, and shows its own certificate."""
    folder = home / "tls"
    context = ssl.create_default_context(cafile=str(folder / "authority.crt"))
    context.load_cert_chain(str(folder / "node.crt"), str(folder / "node.key"))
    return context
