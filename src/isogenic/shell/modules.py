"""The site's own OPC UA certificate, and the modules' certificates that a person trusts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isogenic.clock import SystemClock
from isogenic.errors import NotFound, NotTrusted, NotValid
from isogenic.ids import ModuleId

__all__ = ["make_opcua_certificate", "trust_module"]


def make_opcua_certificate(folder: Path, *, hosts: tuple[str, ...], certificate: Path | None) -> list[str]:
    """Make the site's application certificate, or take the one that its own authority issued for the key that lies there."""
    from isogenic.records.durable import write_whole
    from isogenic.sites.drivers.certificates import FOLDER, application_uri, check_matches_key, fingerprint_of, make_identity
    from isogenic.sites.home import SiteHome

    settings, place = SiteHome.open(folder).settings, folder / FOLDER
    if certificate is not None:
        der = check_matches_key(place, certificate.read_bytes() if certificate.exists() else b"")
        write_whole(place / "own.der", der)
        return [f"{place / 'own.der'}: {fingerprint_of(der)}"]
    uri = application_uri(settings.network, settings.site)
    made = make_identity(place, uri=uri, hosts=hosts, now=SystemClock().now().at)
    return [f"{place / 'own.der'}: {uri}", f"  {made}", "  have every module trust it; the key beside it never leaves this folder"]


def trust_module(folder: Path, module: str, *, fingerprint: str) -> list[str]:
    """Show the certificate that a module shows, and trust it once the fingerprint is the one that was read out at the module."""
    from isogenic.plant.model import Protocol
    from isogenic.sites.drivers.certificates import FOLDER, OpcUaTrust, fingerprint_of, show_certificate
    from isogenic.sites.home import SiteHome

    plant = SiteHome.open(folder).plant
    known = {each.id: each for unit in plant.units.values() for each in unit.modules.values()}
    if module not in known:
        raise NotFound(f"no module {module[:40]} at {plant.site}", why="the plant document does not name it", possible=", ".join(sorted(known)))
    asked = known[ModuleId(module)]
    if asked.protocol not in (Protocol.OPCUA, Protocol.MTP):
        raise NotValid(f"{module} has no certificate to trust here", why=f"it speaks {asked.protocol}")
    der = asyncio.run(show_certificate(asked.endpoint))
    shown = fingerprint_of(der)
    if not fingerprint:
        return [f"{module} shows {shown}", "  nothing is trusted yet: compare it at the module, and give it as --fingerprint"]
    if fingerprint.removeprefix("sha256:").lower() != shown.removeprefix("sha256:"):
        raise NotTrusted(f"{module} is not trusted", why=f"it shows {shown}")
    return [f"{OpcUaTrust(folder / FOLDER).trust(asked.id, der)}: {module} is trusted with {shown}"]
