"""Sign-in and signing: who gets in, who is locked out, and what of it is on record."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest
from network_story import LEEDS, NOW, Network
from web_setup import Minutes, app_of, client, control_door, password, signed_in, site_application, site_node

from isogenic.authority.accounts import LOCK_AFTER, LOCK_FOR, Attempts
from isogenic.clock import Moment
from isogenic.errors import NotAllowed, NotTrusted
from isogenic.ids import PersonId
from isogenic.sim.world import build_world
from isogenic.web.signin import ATTEMPTS, IDLE_S, NAMES_MAX, STORM_MAX, AccountFolder, At


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


def test_invented_names_push_out_neither_a_person_nor_a_lock(tmp_path: Path) -> None:
    folder = AccountFolder(tmp_path)
    (tmp_path / "INA.json").write_bytes(b"{}")
    failed = Attempts(failures=LOCK_AFTER - 1)
    locked = failed.after_failure(NOW)
    folder.keep(PersonId("INA"), failed, now=NOW)
    folder.keep(PersonId("STRANGER"), locked, now=NOW)
    folder._attempts |= {(PersonId(f"X-{number}"), At.DOOR): failed for number in range(NAMES_MAX)}  # as keep does, without a thousand files
    for number in range(10):
        folder.keep(PersonId(f"Y-{number}"), failed, now=NOW)
    assert (folder.attempts(PersonId("INA")), folder.attempts(PersonId("STRANGER"))) == (failed, locked)
    assert folder.attempts(PersonId("Y-9")) == failed
    assert (folder.attempts(PersonId("X-0")), len(folder._attempts)) == (Attempts(), NAMES_MAX + 1)
    folder.keep(PersonId("Z"), failed, now=NOW + LOCK_FOR)  # the lock of the stranger has ended
    assert folder.attempts(PersonId("STRANGER")) == Attempts()


def test_where_every_invented_name_is_locked_the_newest_is_not_counted(tmp_path: Path) -> None:
    folder, locked = AccountFolder(tmp_path), Attempts(LOCK_AFTER - 1).after_failure(NOW)
    folder._attempts |= {(PersonId(f"X-{number}"), At.DOOR): locked for number in range(NAMES_MAX)}
    folder.keep(PersonId("Y"), Attempts(1), now=NOW)
    assert (folder.attempts(PersonId("Y")), folder.attempts(PersonId("X-0")), len(folder._attempts)) == (Attempts(), locked, NAMES_MAX)


def test_wrong_passwords_at_the_door_keep_nobody_from_signing_inside(network: Network) -> None:
    door = control_door(network)

    async def walk() -> str:
        session = await door.sign_in("QUI", password("QUI"))
        for _ in range(LOCK_AFTER):
            with pytest.raises(NotTrusted):
                await door.sign_in("QUI", "a stranger's guess")
        with pytest.raises(NotAllowed):
            await door.sign_in("QUI", password("QUI"))
        return str((await door.signer(session, password("QUI"))).verifying_key)

    assert asyncio.run(walk()) == network.world.directory.people["QUI"].key


def test_five_wrong_passwords_to_sign_lock_signing_even_after_a_restart(network: Network) -> None:
    minutes = Minutes()

    async def walk() -> None:
        door = control_door(network, minutes)
        session = await door.sign_in("QUI", password("QUI"))
        for _ in range(LOCK_AFTER):
            with pytest.raises(NotTrusted, match="cannot sign: the password is wrong"):
                await door.signer(session, "not the password")
        restarted = control_door(network, minutes)
        session = await restarted.sign_in("QUI", password("QUI"))
        with pytest.raises(NotAllowed, match="cannot sign: 5 wrong passwords in a row"):
            await restarted.signer(session, password("QUI"))
        minutes.passed += LOCK_FOR.total_seconds() - 1  # the session would be over by then
        minutes.passed += 2
        session = await restarted.sign_in("QUI", password("QUI"))
        await restarted.signer(session, password("QUI"))

    asyncio.run(walk())


def test_a_storm_at_the_door_does_not_keep_those_inside_waiting(network: Network) -> None:
    door = control_door(network)

    async def walk() -> str:
        session = await door.sign_in("QUI", password("QUI"))
        storm = [asyncio.create_task(door.sign_in(f"NOBODY-{at}", "x")) for at in range(100)]
        await asyncio.sleep(0)
        key = str((await door.signer(session, password("QUI"))).verifying_key)
        await asyncio.gather(*storm, return_exceptions=True)
        return key

    assert asyncio.run(walk()) == network.world.directory.people["QUI"].key


@pytest.mark.parametrize(
    "damaged", [b"[1]", b"", b'{"BEN":{"failures":4', b'{"BEN":[1]}', b'{"not an id!":{"failures":1,"locked_until":null}}', b"[" * 5000]
)
def test_a_damaged_count_of_wrong_passwords_is_told_and_keeps_nobody_out(tmp_path: Path, caplog: pytest.LogCaptureFixture, damaged: bytes) -> None:
    (tmp_path / ATTEMPTS).write_bytes(damaged)
    folder = AccountFolder(tmp_path)
    assert folder.attempts(PersonId("BEN")) == Attempts()
    assert "attempts.list cannot be read" in caplog.text
    folder.keep(PersonId("BEN"), Attempts(2), now=NOW)
    assert AccountFolder(tmp_path).attempts(PersonId("BEN")) == Attempts(2)


def test_accounts_and_counts_are_for_the_nodes_own_user_only(tmp_path: Path) -> None:
    world = build_world(tmp_path / "world", seed=1, now=Moment(NOW))
    folders = [world.control / "accounts", world.home(LEEDS) / "accounts", tmp_path / "new"]
    for folder in folders:
        AccountFolder(folder).keep(PersonId("BEN"), Attempts(1), now=NOW)
        assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


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


def test_a_page_that_asks_by_itself_keeps_nobody_signed_in(network: Network) -> None:
    minutes = Minutes()
    door = control_door(network, minutes)
    session = asyncio.run(door.sign_in("BEN", password("BEN")))
    for _ in range(3):
        minutes.passed += IDLE_S / 4
        assert door.seen(session.token).person == "BEN"
    minutes.passed += IDLE_S / 4 + 1
    with pytest.raises(NotTrusted, match="you are not signed in"):
        door.seen(session.token)


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
    assert cookie.startswith("isogenic-control=")


def test_a_site_and_the_control_site_on_one_host_keep_their_sessions_apart(network: Network) -> None:
    site = site_application(network, site_node(network, network.books[LEEDS]), screens=False)
    assert (app_of(network).state.door.cookie, site.state.door.cookie) == ("isogenic-CONTROL", "isogenic-LEEDS")

    async def walk() -> list[int]:
        async with client(app_of(network)) as browser:
            await browser.post("/api/sign-in", json={"person": "BEN", "password": password("BEN")})
            browser.cookies.set("isogenic-LEEDS", "a session of another node on this host", domain="node.test")
            found = [(await browser.get("/api/me")).status_code]
            signed_out = await browser.post("/api/sign-out")
            assert signed_out.headers["set-cookie"].startswith("isogenic-CONTROL=")
            return [*found, signed_out.status_code, (await browser.get("/api/me")).status_code]

    assert asyncio.run(walk()) == [200, 204, 401]


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


@pytest.mark.parametrize("typed", ["correct horse battery", "An Li Ng", "ZWARTENDIJK-ANNA", "nobody"])
def test_what_is_typed_where_a_name_belongs_and_is_none_is_noted_nowhere(network: Network, typed: str) -> None:
    door = control_door(network)
    with pytest.raises(NotTrusted):
        asyncio.run(door.sign_in(typed, "a wrong password"))
    with pytest.raises(NotTrusted):
        asyncio.run(door.sign_in("BEN", "a wrong password"))
    assert noted(network, "network.sign_in_refused") == ["an unknown name", "BEN"]
