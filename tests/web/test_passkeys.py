"""Passkeys and accounts over HTTP: enrolled, signed in with, signed with, lost, replaced, locked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from network_story import LEEDS, NOW, Network
from web_setup import CHEAP, Minutes, app_of, control_door, password, signed_in, signs, site_application, site_node

from authenticator import Authenticator
from isogenic.authority.accounts import LOCK_AFTER, new_account
from isogenic.authority.signatures import check_every_signature, verify_signature
from isogenic.checks import stops
from isogenic.network.home import ControlHome, publish_documents
from isogenic.quality.signed import check_signed_facts
from isogenic.sim.world import person_signer
from isogenic.web.control_api import control_app
from isogenic.web.signin import AccountFolder

HOST = "http://localhost"


async def at_localhost(app: Any, person: str) -> AsyncClient:
    """Signed in at a page that was opened as localhost: passkeys know no addresses."""
    inside = await signed_in(app, person)
    return AsyncClient(transport=ASGITransport(app=app), base_url=HOST, headers={"authorization": inside.headers["authorization"]})


async def enrol(guest: AsyncClient, person: str, device: Authenticator, **changes: Any) -> Any:
    options = (await guest.post("/api/passkeys/question")).json()
    body = {"title": "Blue key", "person": person, "password": password(person), "passkey": device.create(options), **changes}
    return await guest.post("/api/passkeys", json=body)


async def sign_by(guest: AsyncClient, path: str, body: dict[str, Any], device: Authenticator) -> Any:
    question = await guest.post(path, json={**body, "passkey": "ask"})
    assert question.status_code == 202, question.text
    return await guest.post(path, json={**body, "passkey": device.get(question.json()["options"])})


def walked(network: Network, person: str, walk: Callable[[AsyncClient, Any], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        app = app_of(network)
        return await walk(await at_localhost(app, person), app)

    return asyncio.run(run())


def kinds(network: Network, ledger: str = "HOUSE") -> list[str]:
    return [fact.kind for fact in network.node.ledgers[ledger].facts()]


def test_a_lot_is_released_by_passkey_and_a_stranger_verifies_it(network: Network) -> None:
    device = Authenticator()

    async def walk(guest: AsyncClient, app: Any) -> Any:
        made = await enrol(guest, "QUI", device)
        page = (await guest.get("/api/lots/LOT-A1/release")).json()
        released = await sign_by(guest, "/api/lots/LOT-A1/release", {"digest": page["digest"], "meaning": "released"}, device)
        return made, released

    made, released = walked(network, "QUI", walk)
    assert (made.status_code, made.json()["title"], released.status_code) == (201, "Blue key", 201), released.text
    assert (released.json()["printed_name"], released.json()["meaning"], released.json()["method"]) == ("Quillon Marsh", "released", "passkey")
    facts = list(network.node.ledgers["LEEDS"].facts())
    assert (facts[-1].kind, facts[-1].actor.method) == ("quality.lot_released", "passkey")
    assert "authority.passkey_enrolled" in {fact.kind for fact in facts}
    assert stops([*check_every_signature(facts), *check_signed_facts(facts[:-1])]) == []
    verify_signature(facts[-1].payload.signature, network.node.state.directory)


def test_a_person_signs_in_with_a_passkey_alone(network: Network) -> None:
    device = Authenticator()

    async def walk(guest: AsyncClient, app: Any) -> Any:
        await enrol(guest, "QUI", device)
        async with AsyncClient(transport=ASGITransport(app=app), base_url=HOST) as stranger:
            options = (await stranger.post("/api/sign-in/passkey/question")).json()
            answer = device.get(options)
            first = await stranger.post("/api/sign-in/passkey", json={"passkey": answer})
            again = await stranger.post("/api/sign-in/passkey", json={"passkey": answer})
            return first, again

    first, again = walked(network, "QUI", walk)
    assert (first.status_code, first.json()["person"]) == (200, "QUI")
    assert (again.status_code, again.json()["why"]) == (401, "its challenge was not asked here, or too long ago")
    signed_in_by = [fact.payload.method for fact in network.node.ledgers["HOUSE"].facts() if fact.kind == "network.person_signed_in"]
    assert signed_in_by[-1] == "passkey"


def test_a_passkey_that_was_copied_is_found_by_its_counter(network: Network) -> None:
    device = Authenticator()

    async def walk(guest: AsyncClient, app: Any) -> Any:
        await enrol(guest, "BEN", device)
        body = {"disposition": "accept", "justification": "Pump head exchanged.", "meaning": "disposed"}
        device.counter = 20
        first = await sign_by(guest, "/api/deviations/DEV-B1-1/disposition", body, device)
        device.counter = 3  # the copy has been used less often
        return first, await sign_by(guest, "/api/deviations/DEV-B1-2/disposition", body, device)

    first, copy = walked(network, "BEN", walk)
    assert (first.status_code, copy.status_code) == (201, 401), first.text
    assert copy.json()["why"] == "its counter is 4 after 21: it may have been copied"
    assert kinds(network)[-1] == "network.sign_in_refused"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"origin": "https://evil.example"}, "Unexpected client data origin"),
        ({"domain": "evil.example"}, "Unexpected RP ID hash"),
        ({"flags": 0x01}, "user was not verified"),
    ],
)
def test_an_answer_from_another_page_or_of_nobody_verified_enrols_and_signs_nothing(network: Network, change: dict[str, Any], words: str) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        bad = await enrol(guest, "BEN", Authenticator(**change))
        device = Authenticator()
        await enrol(guest, "BEN", device)
        for name, value in change.items():
            setattr(device, name, value)
        body = {"disposition": "accept", "justification": "Fine.", "meaning": "disposed"}
        return bad, await sign_by(guest, "/api/deviations/DEV-B1-1/disposition", body, device)

    bad, signed = walked(network, "BEN", walk)
    assert (bad.status_code, signed.status_code) == (401, 401)
    assert words.lower() in bad.json()["why"].lower()
    assert "quality.deviation_disposed" not in kinds(network, "GHENT")


def test_a_challenge_for_one_thing_signs_no_other_and_helps_nobody_else(network: Network) -> None:
    device = Authenticator()

    async def walk(guest: AsyncClient, app: Any) -> Any:
        await enrol(guest, "BEN", device)
        body = {"disposition": "accept", "justification": "Fine.", "meaning": "disposed"}
        question = (await guest.post("/api/deviations/DEV-B1-1/disposition", json={**body, "passkey": "ask"})).json()
        answer = device.get(question["options"])
        other = await guest.post("/api/deviations/DEV-B1-2/disposition", json={**body, "passkey": answer})
        stolen = await (await at_localhost(app, "QUI")).post("/api/deviations/DEV-B1-1/disposition", json={**body, "passkey": answer})
        return question["shown"], other, stolen

    shown, other, stolen = walked(network, "BEN", walk)
    assert (shown["printed_name"], shown["meaning"], shown["at"][-1]) == ("Benedict Okafor", "disposed", "Z")
    assert (other.status_code, other.json()["why"]) == (403, "what is signed has changed since it was shown")
    assert stolen.status_code == 401


def test_a_page_that_was_opened_by_address_is_told_to_use_the_name(network: Network) -> None:
    async def walk() -> Any:
        guest = await signed_in(app_of(network), "BEN")  # http://node.test
        return await enrol(guest, "BEN", Authenticator())

    answer = asyncio.run(walk())
    assert (answer.status_code, answer.json()["why"]) == (401, "this page was opened as node.test, passkeys belong to localhost")


def test_a_removed_passkey_signs_no_more_and_removal_is_in_every_sites_ledger(network: Network) -> None:
    device = Authenticator()

    async def walk(guest: AsyncClient, app: Any) -> Any:
        await enrol(guest, "BEN", device)
        removed = await guest.post(
            f"/api/people/BEN/passkeys/{device.id}/removal", json={"why": "left in a train", "person": "BEN", "password": password("BEN")}
        )
        body = {"disposition": "accept", "justification": "Fine.", "meaning": "disposed", "passkey": "ask"}
        return removed, await guest.post("/api/deviations/DEV-B1-1/disposition", json=body)

    removed, asked = walked(network, "BEN", walk)
    assert (removed.status_code, asked.status_code, asked.json()["why"]) == (204, 403, "you have none on file here")
    assert {kinds(network, ledger)[-1] for ledger in ("HOUSE", "LEEDS", "GHENT", "PORTO")} >= {"authority.passkey_removed"}


def test_a_site_knows_the_passkeys_that_were_enrolled_at_the_control_site(network: Network) -> None:
    device = Authenticator(credential=b"credential-of-an-operator")
    (network.people() / "LEA.json").write_bytes((network.world.home(LEEDS) / "accounts" / "LEA.json").read_bytes())

    async def walk() -> Any:
        directory = network.node.state.directory
        lea = directory.people["LEA"]
        control = app_of(network)
        object.__setattr__(lea, "sites", ())  # for the test: let her in at the control site once
        await enrol(await at_localhost(control, "LEA"), "LEA", device)
        node = site_node(network, network.books[LEEDS])
        while await node.courier.download_once(wait=0):
            pass
        app = site_application(network, node, screens=False)
        async with AsyncClient(transport=ASGITransport(app=app), base_url=HOST) as guest:
            options = (await guest.post("/api/sign-in/passkey/question")).json()
            return await guest.post("/api/sign-in/passkey", json={"passkey": device.get(options)})

    answer = asyncio.run(walk())
    assert (answer.status_code, answer.json()["person"]) == (200, "LEA"), answer.text


# ---- two components, and a meaning ----


def test_the_first_signature_of_a_session_takes_both_components_later_ones_the_password(network: Network) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        body = {"disposition": "accept", "justification": "Fine.", "meaning": "disposed", "password": password("BEN")}
        answers = [
            await guest.post("/api/deviations/DEV-B1-1/disposition", json={**body, **more}) for more in ({}, {"person": "QUI"}, {"person": "ben"})
        ]
        answers.append(await guest.post("/api/deviations/DEV-B1-2/disposition", json=body))
        anew = await at_localhost(app, "BEN")
        answers.append(await anew.post("/api/deviations/DEV-B1-2/disposition", json=body))
        return [each.status_code for each in answers]

    assert walked(network, "BEN", walk) == [401, 401, 201, 201, 401]


@pytest.mark.parametrize("meaning", ["", "approved", "Disposed"])
def test_who_signs_says_what_it_means(network: Network, meaning: str) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        body = {"disposition": "accept", "justification": "Fine.", **signs("BEN", meaning)}
        return await guest.post("/api/deviations/DEV-B1-1/disposition", json=body)

    assert walked(network, "BEN", walk).status_code == 422


# ---- lost, replaced, shut out, locked ----


def admin(why: str) -> dict[str, str]:
    return {"why": why, "person": "OSK", "password": password("OSK")}


def test_a_lost_password_is_replaced_by_a_temporary_one_that_can_only_be_changed(network: Network) -> None:
    before = network.node.state.directory.people["BEN"].key

    async def walk(guest: AsyncClient, app: Any) -> Any:
        lost = await at_localhost(app, "BEN")
        made = (await guest.post("/api/people/BEN/replacement", json=admin("password forgotten"))).json()
        said = [(await lost.get("/api/me")).status_code]
        said.append((await lost.post("/api/sign-in", json={"person": "BEN", "password": password("BEN")})).status_code)
        inside = await lost.post("/api/sign-in", json={"person": "BEN", "password": made["password"]})
        token = inside.json()["token"]
        ben = AsyncClient(transport=ASGITransport(app=app), base_url=HOST, headers={"authorization": f"Bearer {token}"})
        said.append((await ben.get("/api/lots")).status_code)
        renewed = {"password": made["password"], "new_password": "five-walnuts-under-a-carpet"}
        said.append((await ben.post("/api/password", json=renewed)).status_code)
        said.append((await ben.get("/api/lots")).status_code)
        body = {"disposition": "accept", "justification": "Fine.", "meaning": "disposed", "person": "BEN", "password": renewed["new_password"]}
        said.append((await ben.post("/api/deviations/DEV-B1-1/disposition", json=body)).status_code)
        return inside.json()["renew"], said

    renew, said = walked(network, "OSK", walk)
    assert (renew, said) == ("it is a temporary one", [401, 401, 403, 204, 200, 201])
    ben = network.node.state.directory.people["BEN"]
    assert ([each.key for each in ben.former_keys], ben.key != before) == ([before], True)
    facts = list(network.node.ledgers["GHENT"].facts())
    assert stops(check_every_signature(facts)) == []  # what was signed with the old key, and what with the new one
    assert kinds(network).count("authority.password_changed") == 1


def test_after_a_restart_the_folders_directory_takes_nothing_back(network: Network) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        await guest.post("/api/people/BEN/replacement", json=admin("password forgotten"))
        return await guest.post("/api/people/QUI/disabling", json=admin("on leave"))

    assert walked(network, "OSK", walk).status_code == 204
    before = network.node.state.directory
    publish_documents(network.node, ControlHome.open(network.world.control))
    assert network.node.state.directory == before
    assert before.people["QUI"].disabled == "on leave"


def test_a_temporary_password_that_nobody_used_in_a_day_opens_nothing(network: Network) -> None:
    minutes = Minutes()
    app = control_app(network.node, AccountFolder(network.people()), door=control_door(network, minutes), screens=False)

    async def walk() -> Any:
        guest = await at_localhost(app, "OSK")
        made = (await guest.post("/api/people/BEN/replacement", json=admin("forgotten"))).json()
        minutes.passed += 25 * 3600
        return await guest.post("/api/sign-in", json={"person": "BEN", "password": made["password"]})

    answer = asyncio.run(walk())
    assert answer.status_code == 403
    assert answer.json()["why"].startswith("the temporary password ended at")


def test_a_password_that_is_too_old_is_renewed_before_anything_else(network: Network) -> None:
    minutes, folder = Minutes(), AccountFolder(network.people())
    signer = person_signer(network.world.seed, network.world.network, "BEN")
    folder.put(new_account("BEN", password("BEN"), signer, entropy=lambda count: bytes(count), cost=CHEAP, at=NOW))
    app = control_app(network.node, folder, door=control_door(network, minutes), screens=False)
    minutes.passed += 366 * 86_400

    async def walk() -> Any:
        guest = await at_localhost(app, "BEN")
        said = [(await guest.get("/api/lots")).json()["why"]]
        for new in (password("BEN"), "short"):
            said.append((await guest.post("/api/password", json={"password": password("BEN"), "new_password": new})).json()["status"])
        return said

    assert asyncio.run(walk()) == ["your password has to be changed: it is older than 365 days", 422, 422]


def test_only_an_administrator_keeps_accounts_and_not_their_own(network: Network) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        ben = await at_localhost(app, "BEN")
        body = {"why": "because", "person": "BEN", "password": password("BEN")}
        found = [(await ben.post(f"/api/people/QUI/{what}", json=body)).status_code for what in ("disabling", "replacement", "enabling")]
        found += [(await guest.post(f"/api/people/OSK/{what}", json=admin("because"))).status_code for what in ("disabling", "replacement")]
        found += [(await guest.post("/api/people/QUI/disabling", json={**admin("x"), "password": "wrong"})).status_code]
        return found

    assert walked(network, "OSK", walk) == [403, 403, 403, 403, 403, 401]


def test_who_is_shut_out_is_out_at_once_and_comes_in_again_when_let_in(network: Network) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        ben = await at_localhost(app, "BEN")
        said = [(await ben.get("/api/lots")).status_code]
        await guest.post("/api/people/BEN/disabling", json=admin("badge found outside"))
        said.append((await ben.get("/api/lots")).status_code)
        said.append((await ben.post("/api/sign-in", json={"person": "BEN", "password": password("BEN")})).status_code)
        states = {each["person"]: each["state"] for each in (await guest.get("/api/people")).json()}
        await guest.post("/api/people/BEN/enabling", json=admin("it was his own"))
        said.append((await ben.post("/api/sign-in", json={"person": "BEN", "password": password("BEN")})).status_code)
        return said, states["BEN"]

    assert walked(network, "OSK", walk) == ([200, 401, 403, 200], "disabled")


def test_a_locked_account_is_told_to_those_who_answer_for_it_until_they_have_looked(network: Network) -> None:
    async def walk(guest: AsyncClient, app: Any) -> Any:
        for _ in range(LOCK_AFTER):
            await guest.post("/api/sign-in", json={"person": "BEN", "password": "a guess"})
        states = {each["person"]: each["state"] for each in (await guest.get("/api/people")).json()}
        alarm = app.state.watch.alarm()
        attempts = (await guest.get("/api/attempts")).json()
        acknowledged = await guest.post("/api/attempts/acknowledgement", json=admin("Ben had forgotten it; he was asked"))
        return states["BEN"], alarm, len(attempts), acknowledged.status_code, app.state.watch.alarm(), (await guest.get("/api/attempts")).json()[0]

    state, alarm, count, status, after, newest = walked(network, "OSK", walk)
    assert (state, alarm, count) == ("locked", "Unauthorised attempts: BEN locked after failures in a row", LOCK_AFTER + 1)
    assert (status, after, newest["acknowledged"]) == (204, "", True)


@given(body=st.dictionaries(st.sampled_from(["id", "rawId", "type", "response", "x"]), st.one_of(st.text(max_size=40), st.integers(), st.none())))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_as_a_passkey_is_refused_as_a_problem(standing: Network, body: dict[str, Any]) -> None:
    async def walk() -> Any:
        async with AsyncClient(transport=ASGITransport(app=_app(standing)), base_url=HOST) as guest:
            return await guest.post("/api/sign-in/passkey", json={"passkey": body})

    answer = asyncio.run(walk())
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_an_answer_holds_it_opens_nothing(network: Network, client_data: str, data: str, signature: str) -> None:
    device = Authenticator()
    pens = _pens(network, device)
    answer = device.get(pens.ask_to_sign_in())
    answer["response"] |= {"clientDataJSON": client_data or "x", "authenticatorData": data, "signature": signature}

    async def walk() -> Any:
        async with AsyncClient(transport=ASGITransport(app=_app(network)), base_url=HOST) as guest:
            return await guest.post("/api/sign-in/passkey", json={"passkey": answer})

    assert asyncio.run(walk()).status_code in (401, 403)


_APPS: dict[int, Any] = {}


def _app(network: Network) -> Any:
    if id(network) not in _APPS:
        _APPS.clear()
        _APPS[id(network)] = app_of(network)
    return _APPS[id(network)]


def _pens(network: Network, device: Authenticator) -> Any:
    from isogenic.web.passkeys import Pens

    if network.node.state.directory.people["BEN"].passkey(device.id) is None:

        async def once() -> None:
            await enrol(await at_localhost(_app(network), "BEN"), "BEN", device)

        asyncio.run(once())
    return Pens(_app(network).state.door)
