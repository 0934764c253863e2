"""Secured connections to modules: who is let in, who is refused and what is said, over real sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from asyncua import ua
from asyncua.client.client import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.clock import ManualClock, SystemClock
from isogenic.errors import NotFound, NotTrusted, NotValid
from isogenic.ids import ModuleId, UnitId
from isogenic.plant.documents import load_plant, with_endpoints
from isogenic.plant.model import Security, SitePlant
from isogenic.plant.readings import Quality
from isogenic.shell.modules import make_opcua_certificate, trust_module
from isogenic.sim.facility import Facility
from isogenic.sim.servers import SIMULATED_URI, Secured, serve_facility
from isogenic.sim.world import build_world, document
from isogenic.sites.drivers.certificates import OpcUaTrust, application_uri, check_shown, fingerprint_of, make_identity, show_certificate
from isogenic.sites.drivers.opcua import Connection, OpcUaDriver

UNIT, VESSEL = UnitId("SB-200"), ModuleId("SB-200-VESSEL")
NOW = SystemClock().now().at
PINNED = Security("Aes256Sha256RsaPss")


class Party:
    """Somebody with a key and a certificate."""

    def __init__(self, folder: Path, uri: str, *, now: datetime = NOW, days: int = 30) -> None:
        self.fingerprint = make_identity(folder, uri=uri, hosts=("localhost",), now=now, days=days)
        self.folder, self.der, self.key = folder, (folder / "own.der").read_bytes(), (folder / "own.key").read_bytes()


@pytest.fixture(scope="module")
def parties(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Party]:
    place = tmp_path_factory.mktemp("parties")
    return {
        "site": Party(place / "site" / "opcua", application_uri("aster", "PORTO")),
        "module": Party(place / "module", SIMULATED_URI),
        "rogue": Party(place / "rogue", SIMULATED_URI),  # the same name, another key
        "expired": Party(place / "expired", SIMULATED_URI, now=NOW - timedelta(days=60)),
        "stranger": Party(place / "stranger", application_uri("aster", "PORTO")),
    }


@pytest.fixture(scope="module")
def plant() -> SitePlant:
    """One module, so that few servers are built."""
    whole = load_plant(document("porto.plant.yaml"), name="porto")
    unit = whole.units[UNIT]
    signals = {name: each for name, each in unit.signals.items() if each.module == VESSEL}
    return replace(whole, units={UNIT: replace(unit, modules={VESSEL: unit.modules[VESSEL]}, signals=signals)})


def secured_plant(plant: SitePlant, endpoints: dict[ModuleId, str], security: Security) -> SitePlant:
    unit = with_endpoints(plant, endpoints).units[UNIT]
    return replace(plant, units={UNIT: replace(unit, modules={VESSEL: replace(unit.modules[VESSEL], security=security)})})


@asynccontextmanager
async def served(
    plant: SitePlant, shown: Party | None, clients: list[Party], *, users: dict[str, str] | None = None
) -> AsyncIterator[dict[ModuleId, str]]:
    secured = None if shown is None else Secured(shown.der, shown.key, {each.der for each in clients}, users or {})
    async with serve_facility(plant, Facility(plant, seed=1), ManualClock(), secured=secured) as endpoints:
        yield endpoints


async def tried(plant: SitePlant, endpoints: dict[ModuleId, str], security: Security, trust: OpcUaTrust) -> tuple[Connection, str, set[int]]:
    """How the connection stands after the first try, why, and the qualities that a scan sees."""
    async with OpcUaDriver(secured_plant(plant, endpoints, security), clock=ManualClock(), answer_limit_s=5.0, trust=trust) as driver:
        frame = await driver.read(NOW)
        why = " ".join(why for _, _, why in driver.changes())
        if driver.connections()[VESSEL] is Connection.CONNECTED:
            assert await driver.write({f"{UNIT}.ph_sp": 7.1}) == {}
        return driver.connections()[VESSEL], why, set(frame.quality.tolist())


def pinned(party: Party, *, policy: str = "Aes256Sha256RsaPss", user: str = "") -> Security:
    return Security(policy, True, party.fingerprint.removeprefix("sha256:"), user)


def test_a_module_is_read_and_written_over_the_policy_that_the_plant_document_asks_for(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, parties["module"], [parties["site"]]) as endpoints:
            trust = OpcUaTrust(parties["site"].folder)
            for policy in ("Aes256Sha256RsaPss", "Basic256Sha256"):
                state, why, seen = await tried(plant, endpoints, pinned(parties["module"], policy=policy), trust)
                assert (state, seen) == (Connection.CONNECTED, {Quality.GOOD}), why
            state, why, seen = await tried(plant, endpoints, pinned(parties["module"], policy="Aes128Sha256RsaOaep"), trust)
            assert (state, seen) == (Connection.LOST, {Quality.BAD})
            assert "offers no endpoint with Aes128Sha256RsaOaep SignAndEncrypt: it offers" in why

    asyncio.run(protocol())


def test_a_rogue_with_the_same_application_name_is_refused_and_its_fingerprint_said(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, parties["rogue"], [parties["site"]]) as endpoints:
            trust = OpcUaTrust(parties["site"].folder)
            state, why, seen = await tried(plant, endpoints, pinned(parties["module"]), trust)
            assert (state, seen) == (Connection.LOST, {Quality.BAD})
            assert "shows another certificate than the plant document pins" in why and parties["rogue"].fingerprint in why
            state, why, _ = await tried(plant, endpoints, PINNED, trust)  # nor is it trusted at first sight
            assert state is Connection.LOST and "nobody trusts for it" in why

    asyncio.run(protocol())


def test_what_a_person_trusts_for_one_module_is_trusted_for_no_other(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, parties["module"], [parties["site"]]) as endpoints:
            trust = OpcUaTrust(parties["site"].folder)
            other = trust.trust(ModuleId("SB-200-FEED"), parties["module"].der)
            state, why, _ = await tried(plant, endpoints, PINNED, trust)
            assert state is Connection.LOST and "nobody trusts for it" in why
            assert fingerprint_of(await show_certificate(endpoints[VESSEL])) == parties["module"].fingerprint
            kept = trust.trust(VESSEL, parties["module"].der)
            assert (await tried(plant, endpoints, PINNED, trust))[0] is Connection.CONNECTED
            other.unlink()
            kept.unlink()

    asyncio.run(protocol())


def test_an_unsecured_module_is_refused_where_security_is_asked_for(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, None, []) as endpoints:
            state, why, seen = await tried(plant, endpoints, pinned(parties["module"]), OpcUaTrust(parties["site"].folder))
            assert (state, seen) == (Connection.LOST, {Quality.BAD})
            assert "it offers None None_" in why
            with pytest.raises(NotFound, match="unsecured endpoints only"):
                await show_certificate(endpoints[VESSEL])

    asyncio.run(protocol())


def test_an_expired_certificate_is_refused_on_either_side(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, parties["expired"], [parties["site"]]) as endpoints:
            state, why, _ = await tried(plant, endpoints, pinned(parties["expired"]), OpcUaTrust(parties["site"].folder))
            assert state is Connection.LOST and "is not valid today" in why

    asyncio.run(protocol())


def test_a_secured_module_lets_in_nobody_it_does_not_know(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, parties["module"], [parties["site"]]) as endpoints:
            state, _, _ = await tried(plant, endpoints, pinned(parties["module"]), OpcUaTrust(parties["stranger"].folder))
            assert state is Connection.LOST
            client = Client(endpoints[VESSEL], timeout=5)  # nor without a certificate
            with pytest.raises((ua.UaError, OSError, TimeoutError)):
                await client.connect()

    asyncio.run(protocol())


def test_a_user_signs_in_with_the_password_that_lies_in_the_site_folder(plant: SitePlant, parties: dict[str, Party]) -> None:
    async def protocol() -> None:
        async with served(plant, parties["module"], [parties["site"]], users={"isogenic": "correct horse"}) as endpoints:
            trust = OpcUaTrust(parties["site"].folder)
            asked = pinned(parties["module"], user="isogenic")
            assert (await tried(plant, endpoints, asked, trust))[1].startswith("no password for SB-200-VESSEL")
            (trust.folder / "passwords").mkdir()
            (trust.folder / "passwords" / VESSEL).write_text("wrong\n")
            assert (await tried(plant, endpoints, asked, trust))[0] is Connection.LOST
            (trust.folder / "passwords" / VESSEL).write_text("correct horse\n")
            assert (await tried(plant, endpoints, asked, trust))[0] is Connection.CONNECTED
            assert (await tried(plant, endpoints, pinned(parties["module"]), trust))[0] is Connection.LOST  # nobody signs in

    asyncio.run(protocol())


# ---- without sockets ----


def test_security_that_is_asked_for_needs_a_folder_and_a_certificate(plant: SitePlant, tmp_path: Path) -> None:
    asked = secured_plant(plant, {VESSEL: "opc.tcp://127.0.0.1:9"}, PINNED)
    with pytest.raises(NotValid, match="no folder of certificates"):
        OpcUaDriver(asked, clock=ManualClock())
    with pytest.raises(NotFound, match="isogenic keys opcua"):
        OpcUaTrust(tmp_path).own()


def test_the_verbs_make_a_certificate_show_what_a_module_shows_and_trust_it_by_its_fingerprint(
    tmp_path: Path, plant: SitePlant, parties: dict[str, Party]
) -> None:
    build_world(tmp_path, seed=7, now=ManualClock().now())
    folder = tmp_path / "PORTO"
    said = make_opcua_certificate(folder, hosts=("porto",), certificate=None)
    made = OpcUaTrust(folder / "opcua").own()[0]
    assert said[1].strip() == fingerprint_of(made)
    with pytest.raises(NotValid, match=r"not of the key in own\.key"):
        make_opcua_certificate(folder, hosts=(), certificate=parties["site"].folder / "own.der")
    assert make_opcua_certificate(folder, hosts=(), certificate=folder / "opcua" / "own.der") == [
        f"{folder / 'opcua' / 'own.der'}: {fingerprint_of(made)}"
    ]

    async def protocol() -> None:
        async with served(plant, parties["module"], [parties["site"]]) as endpoints:
            (folder / "endpoints.json").write_text(json.dumps({str(VESSEL): endpoints[VESSEL]}))
            shown = await asyncio.to_thread(trust_module, folder, VESSEL, fingerprint="")
            assert shown[0] == f"{VESSEL} shows {parties['module'].fingerprint}"
            with pytest.raises(NotTrusted, match="is not trusted"):
                await asyncio.to_thread(trust_module, folder, VESSEL, fingerprint=parties["rogue"].fingerprint)
            assert OpcUaTrust(folder / "opcua").trusted(VESSEL) == []
            await asyncio.to_thread(trust_module, folder, VESSEL, fingerprint=parties["module"].fingerprint)
            assert OpcUaTrust(folder / "opcua").trusted(VESSEL) == [parties["module"].der]
            with pytest.raises(NotFound, match="no module NOBODY"):
                await asyncio.to_thread(trust_module, folder, "NOBODY", fingerprint="")

    asyncio.run(protocol())


def test_a_key_is_made_once_readable_by_its_owner_only(parties: dict[str, Party]) -> None:
    assert (parties["site"].folder / "own.key").stat().st_mode & 0o077 == 0
    with pytest.raises(NotValid, match=r"own\.key is there"):
        make_identity(parties["site"].folder, uri="urn:x", now=NOW)


def test_a_certificate_of_another_application_is_refused_even_if_it_is_trusted(parties: dict[str, Party]) -> None:
    module = parties["module"]
    check_shown(module.der, SIMULATED_URI, module=VESSEL, asked=PINNED, trusted=[module.der], now=NOW)
    with pytest.raises(NotTrusted, match="not of the application that answers"):
        check_shown(module.der, "urn:other", module=VESSEL, asked=PINNED, trusted=[module.der], now=NOW)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600), st.text(max_size=40))
def test_whatever_a_module_shows_is_trusted_only_if_it_is_the_one(shown: bytes, uri: str) -> None:
    asked = Security("Basic256Sha256", True, sha256(shown + b"x").hexdigest())
    with pytest.raises(NotTrusted):
        check_shown(shown, uri, module=VESSEL, asked=asked, trusted=[], now=datetime(2026, 3, 1, tzinfo=UTC))


def test_a_damaged_copy_of_a_trusted_certificate_is_refused(parties: dict[str, Party]) -> None:
    module = parties["module"]
    for at in range(0, len(module.der), 7):
        wrong = module.der[:at] + bytes([module.der[at] ^ 1]) + module.der[at + 1 :]
        with pytest.raises(NotTrusted):
            check_shown(wrong, SIMULATED_URI, module=VESSEL, asked=PINNED, trusted=[module.der], now=NOW)
