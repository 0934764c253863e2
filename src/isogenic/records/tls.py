"""Certificates of one network: its own authority, one certificate for each node.

Guarantees: a node proves who it is by a certificate that this network's authority signed
(mutual TLS); the common name is the node id. No public authority is asked, so a network
works where there is no internet.
Leaves to others: what a node may do once it is known, and revocation (the directory).
"""

from __future__ import annotations

import ipaddress
import ssl
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["client_context", "issue_certificates", "server_files"]

VALID_YEARS = 10  # longer than a facility's qualification cycle; replaced by issuing again
SKEW = timedelta(days=1)  # a node whose clock is a little behind still accepts its peers


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))


def issue_certificates(homes: dict[str, Path], *, network: str, now: datetime, hosts: tuple[str, ...] = ("127.0.0.1", "localhost")) -> None:
    """A fresh authority and one certificate for each node, written to `homes[node]/tls`.

    The authority's private key is used here and then forgotten: a later node needs a new issue.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = _name(f"{network} authority")
    until = now + timedelta(days=365 * VALID_YEARS)
    authority = (
        x509.CertificateBuilder()
        .subject_name(authority_name)
        .issuer_name(authority_name)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    for node, home in homes.items():
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.DNSName(host) for host in hosts if not _is_address(host)]
        names += [x509.IPAddress(ipaddress.ip_address(host)) for host in hosts if _is_address(host)]
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(node))
            .issuer_name(authority_name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - SKEW)
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(authority_key, hashes.SHA256())
        )
        folder = home / "tls"
        folder.mkdir(parents=True, exist_ok=True)
        _write_key(folder / "node.key", key)
        (folder / "node.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (folder / "authority.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))


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
