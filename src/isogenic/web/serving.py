"""Where the screens are served: plain on this machine, over TLS beyond it, or not at all.

Guarantees: beyond loopback nothing is served without TLS (passwords and sessions go over this
line, and browsers keep passkeys from any other); a certificate that cannot serve is refused
before the port is opened.
Leaves to others: what is served; making certificates (records.tls).

    tls/screen.crt, tls/screen.key   a certificate that people's browsers trust, for the name under which they open the screens
    tls/node.crt, tls/node.key       the control site's own, where there is no other: browsers must be told of the network's authority
"""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

import uvicorn
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from isogenic.errors import NotValid
from isogenic.records.tls import server_files

__all__ = ["is_loopback", "screen_config"]

CERTIFICATE, KEY = "screen.crt", "screen.key"


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach a server that listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def screen_config(app: Any, *, home: Path, host: str, port: int) -> uvicorn.Config:
    """How to serve the screens of a node. Raises `NotValid` where they would go over the line in the clear."""
    files = {} if is_loopback(host) else _certificate(home, host)
    return uvicorn.Config(app, host=host, port=port, log_level="warning", access_log=False, timeout_graceful_shutdown=2, **files)


def _certificate(home: Path, host: str) -> dict[str, Any]:
    refused = f"cannot show screens on {host}"
    possible = f"put tls/{CERTIFICATE} and tls/{KEY} into the node's folder, or listen on 127.0.0.1"
    own, key = home / "tls" / CERTIFICATE, home / "tls" / KEY
    if not own.exists():
        files = server_files(home)
        own, key = Path(files["ssl_certfile"]), Path(files["ssl_keyfile"])
    try:
        certificate = x509.load_pem_x509_certificate(own.read_bytes())
    except (OSError, ValueError) as trouble:
        raise NotValid(refused, why=f"beyond this machine they go over TLS only, and {own.name} cannot be read", possible=possible) from trouble
    if not key.exists():
        raise NotValid(refused, why=f"{own.name} has no {key.name} beside it", possible=possible)
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    if ExtendedKeyUsageOID.SERVER_AUTH not in uses:
        raise NotValid(refused, why=f"{own.name} is of a node that only calls others, and serves nobody", possible=possible)
    return {"ssl_certfile": str(own), "ssl_keyfile": str(key)}
