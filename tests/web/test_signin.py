"""Sign-in and signing: who gets in, who is locked out, and what of it is on record."""

from __future__ import annotations

import asyncio

import pytest
from network_story import Network
from web_setup import Minutes, app_of, client, control_door, password, signed_in

from isogenic.authority.accounts import LOCK_AFTER
from isogenic.errors import NotAllowed, NotTrusted
from isogenic.web.signin import IDLE_S, STORM_MAX, AccountFolder


def noted(network: Network, kind: str) -> list[str]:
    return [fact.subject for fact in network.node.ledgers["HOUSE"].facts() if fact.kind == kind]


def test_a_person_signs_in_with_their_password_and_it_is_noted(network: Network) -> None:
    door = control_door(network)
    session = asyncio.run(door.sign_in("ben", password("BEN")))
    assert (session.person, door.person(session).printed_name) == ("BEN", "Benedict Okafor")
    assert noted(network, "network.person_signed_in") == [*noted(network, "network.person_signed_in")[:-1], "BEN"]


@pytest.mark.parametrize(("person", "secret"), [("BEN", "birch-otter-pearl"), ("NOBODY-HERE", "x"), ("not an id!", "x"), ("LEA", "whatever")])
def test_a_wrong_person_and_a_wrong_password_are_told_the_same(network: Network, person: str, secret: str) -> None:
    with pytest.raises(NotTrusted) as refused:
        asyncio.run(control_door(network).sign_in(person, secret))
    assert str(refused.value) == "cannot sign in: the person or the password is wrong"
    assert len(noted(network, "network.sign_in_refused")) == 1


def test_five_wrong_passwords_lock_the_account_even_after_a_restart(network: Network) -> None:
    minutes = Minutes()
    door = control_door(network, minutes)

    async def guess() -> None:
        with pytest.raises(NotTrusted):
            await door.sign_in("BEN", "a wrong password")

    for _ in range(LOCK_AFTER):
        asyncio.run(guess())
    restarted = control_door(network, minutes)
    with pytest.raises(NotAllowed, match="5 wrong passwords in a row"):
        asyncio.run(restarted.sign_in("BEN", password("BEN")))
    minutes.passed += 15 * 60 + 1
    assert asyncio.run(restarted.sign_in("BEN", password("BEN"))).person == "BEN"
    assert AccountFolder(network.people()).attempts(restarted.accounts.account("BEN").person).failures == 0


def test_a_hundred_guesses_at_once_count_as_a_hundred(network: Network) -> None:
    door = control_door(network)

    async def storm() -> list[str]:
        guesses = (door.sign_in("BEN", f"guess number {at}") for at in range(20))
        return [type(each).__name__ for each in await asyncio.gather(*guesses, return_exceptions=True)]

    assert asyncio.run(storm()) == ["NotTrusted"] * LOCK_AFTER + ["NotAllowed"] * 15


def test_a_session_dies_of_inactivity_and_lives_on_by_use(network: Network) -> None:
    minutes = Minutes()
    door = control_door(network, minutes)
    session = asyncio.run(door.sign_in("BEN", password("BEN")))
    minutes.passed += IDLE_S - 1
    assert door.session(session.token).person == "BEN"
    minutes.passed += IDLE_S - 1
    assert door.alive(session)
    assert door.session(session.token).person == "BEN"
    minutes.passed += IDLE_S + 1
    assert not door.alive(session)
    with pytest.raises(NotTrusted, match="you are not signed in"):
        door.session(session.token)


def test_signing_asks_for_the_password_again_and_gives_the_key_on_file(network: Network) -> None:
    door = control_door(network)

    async def sign() -> str:
        session = await door.sign_in("QUI", password("QUI"))
        with pytest.raises(NotTrusted):
            await door.signer(session, "not the password")
        return str((await door.signer(session, password("QUI"))).verifying_key)

    assert asyncio.run(sign()) == network.world.directory.people["QUI"].key
    assert noted(network, "network.sign_in_refused") == ["QUI"]


def test_nobody_reads_anything_without_a_session_and_after_signing_out(network: Network) -> None:
    async def walk() -> list[int]:
        app = app_of(network)
        async with client(app) as stranger:
            found = [(await stranger.get("/api/network")).status_code]
        guest = await signed_in(app, "INA")
        found.append((await guest.get("/api/network")).status_code)
        found.append((await guest.post("/api/sign-out")).status_code)
        found.append((await guest.get("/api/network")).status_code)
        return found

    assert asyncio.run(walk()) == [401, 200, 204, 401]


def test_a_browser_gets_its_session_as_a_cookie_that_scripts_and_other_sites_cannot_use(network: Network) -> None:
    async def walk() -> str:
        async with client(app_of(network)) as guest:
            answer = await guest.post("/api/sign-in", json={"person": "BEN", "password": password("BEN")})
            return answer.headers["set-cookie"].lower()

    cookie = asyncio.run(walk())
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


def test_a_damaged_account_file_is_refused_and_signs_nobody_in(network: Network) -> None:
    (network.people() / "BEN.json").write_bytes(b'{"isogenic": "account/1"}')
    with pytest.raises(Exception, match="cannot read") as refused:
        asyncio.run(control_door(network).sign_in("BEN", password("BEN")))
    assert type(refused.value).__name__ == "NotValid"


def test_a_storm_of_refusals_does_not_fill_the_ledger_and_is_counted(network: Network) -> None:
    minutes = Minutes()
    door = control_door(network, minutes)

    async def storm(count: int) -> None:
        for _ in range(count):
            with pytest.raises(NotTrusted):
                await door.sign_in("not an id!", "x")

    asyncio.run(storm(STORM_MAX + 40))
    assert len(noted(network, "network.sign_in_refused")) == STORM_MAX
    minutes.passed += 61
    asyncio.run(storm(1))
    last = list(network.node.ledgers["HOUSE"].facts())[-2:]
    assert [fact.payload.why for fact in last] == ["and 40 more refusals in the minute before", "no such form of a person's id"]
