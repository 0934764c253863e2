"""The vault of personal data: one key for each person, erased by destroying it, and no name anywhere else."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import isogenic
from isogenic.authority.accounts import Cost
from isogenic.authority.signatures import verify_signature
from isogenic.clock import ManualClock
from isogenic.errors import NotAllowed, NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import IdentityCode, NodeId, PersonId, RandomMint, SeededMint, check_sign
from isogenic.network import decisions
from isogenic.records.facts import Actor, Payload
from isogenic.records.ledger import Ledger
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.world import password_of
from isogenic.vault.acts import BACK, LEFT, Keeper
from isogenic.vault.facts import ErasureOrdered, PersonEntered, PersonErased, RecordOpened, VaultSearched
from isogenic.vault.keys import KEY_FILE, NEXT_FILE, PERSONS, KeyFolder, new_vault_key
from isogenic.vault.signed import erasure_digest
from isogenic.vault.store import Field, Vault, checked
from isogenic.web.control_api import control_app
from isogenic.web.signin import AccountFolder
from small_network import LEEDS, SEED, Network, signer_of, world_folder

# Names that occur nowhere else, so that one byte of them anywhere is found.
MARKED = {"given_names": "Zyxomarkla", "family_name": "Quuxbergsdottir", "date_of_birth": "1971-13-37", "hospital_number": "HX-8842-7719-03"}
CHEAP = Cost(time=1, memory_kib=64, lanes=1)
SECOND = Path(__file__).parents[1] / "second_verifier/verifier.py"
OFFICER = PersonId("BEN")  # made privacy officer by the fixture


def marks() -> list[bytes]:
    """Each mark as it may have been written: as it is, in capitals and small, backwards, in UTF-16, hex and base64's innards."""
    found = []
    for value in MARKED.values():
        for text in (value, value.upper(), value.lower(), value[::-1]):
            found += [text.encode(), text.encode("utf-16-le"), text.encode().hex().encode(), text.encode().hex().upper().encode()]
    return found


def new_home(folder: Path) -> Path:
    """A control site with a vault, and BEN as its privacy officer."""
    import shutil

    shutil.copytree(world_folder(), folder)
    path = folder / "CONTROL" / "directory.json"
    said = json.loads(path.read_text())
    said["people"]["BEN"]["roles"].append("privacy_officer")
    path.write_text(json.dumps(said))
    new_vault_key(folder / "CONTROL" / "vault-keys", entropy=token_bytes)
    return folder


@pytest.fixture
def net(tmp_path: Path) -> Network:
    return Network(new_home(tmp_path / "net"))


def keeper_of(net: Network) -> Keeper:
    assert net.control.keeper is not None
    return net.control.keeper


def house(net: Network, kind: type) -> list[Payload]:
    return [fact.payload for fact in net.control.ledgers["HOUSE"].facts() if isinstance(fact.payload, kind)]


def enter(net: Network) -> IdentityCode:
    return keeper_of(net).enter(net.person(OFFICER), MARKED, why="referred for treatment")


# ---- verifying ----


def verdict(folder: Path) -> tuple[int, list[str]]:
    """What the second verifier and a fresh process of the command line say of a folder."""
    said = subprocess.run([sys.executable, "-m", "isogenic.cli", "verify", str(folder), "--json"], capture_output=True, text=True, check=False)
    stops = [each["text"] for each in json.loads(said.stdout)["findings"] if each["severity"] == "stop"]
    second = subprocess.run([sys.executable, str(SECOND), str(folder)], capture_output=True, text=True, check=False)
    assert second.returncode == said.returncode, second.stdout
    return said.returncode, stops


def test_an_honest_erasure_verifies_and_a_forged_one_does_not(net: Network) -> None:
    asyncio.run(net.carry())
    keeper, home = keeper_of(net), net.folder / "CONTROL"
    keeper.erase(net.person(OFFICER), signer_of(OFFICER), enter(net), why="asked for by the person")
    keeper.vault.close()
    net.close_site(LEEDS)
    order = house(net, ErasureOrdered)[0]
    net.close_control()
    assert verdict(home) == (0, [])
    net.control = net.open_control()
    net.control.note([replace(order, why="because")])
    net.close_control()
    code, stops = verdict(home)
    assert (code, {each.partition(": ")[2] for each in stops}) == (
        4,
        {"the signature of BEN is over something else than the fact says"},
    )  # in the ledger, and where a copy of it lies


def test_whoever_verifies_knows_every_kind_of_fact() -> None:
    source = Path(isogenic.__file__).parent
    declared = {name for path in source.rglob("*.py") for name in re.findall(r'^@fact\(\s*"([a-z_.]+)"', path.read_text(), re.MULTILINE)}
    script = "import isogenic.shell.kinds; from isogenic.records.facts import known_kinds; print(*known_kinds())"
    known = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert (len(declared) > 50, set(known)) == (True, declared)


# ---- codes ----


def test_a_code_is_random_and_checked() -> None:
    codes = {RandomMint().fresh(IdentityCode) for _ in range(2_000)}
    assert len(codes) == 2_000
    assert all(re.fullmatch(r"IDC(-[0-9A-Z]{4}){4}-[0-9A-Z]", code) for code in codes)
    assert SeededMint(1).fresh(IdentityCode) == SeededMint(1).fresh(IdentityCode)


def test_the_check_sign_is_that_of_iso_7064() -> None:
    assert check_sign("A12425GABC1234002") == "M"  # the worked example of the Global Release Identifier, which uses MOD 37,36


@settings(max_examples=100)
@given(st.integers(0, 10**9), st.integers(4, 21), st.sampled_from("0123456789ABCDEFGHJKMNPQRSTVWXYZ"))
def test_a_mistyped_code_is_refused(seed: int, at: int, sign: str) -> None:
    code = SeededMint(seed).fresh(IdentityCode)
    wrong = code[:at] + sign + code[at + 1 :]
    if wrong == code:
        assert IdentityCode(wrong) == code
        return
    with pytest.raises(NotValid):
        IdentityCode(wrong)


@settings(max_examples=100)
@given(st.integers(0, 10**9), st.integers(4, 20))
def test_a_code_with_two_neighbours_swapped_is_refused(seed: int, at: int) -> None:
    code = SeededMint(seed).fresh(IdentityCode)
    swapped = code[:at] + code[at + 1] + code[at] + code[at + 2 :]
    if swapped == code:
        return
    with pytest.raises(NotValid):
        IdentityCode(swapped)


@settings(max_examples=100)
@given(st.text(max_size=60))
def test_what_is_no_code_is_refused_without_being_repeated(text: str) -> None:
    with pytest.raises(NotValid) as refused:
        IdentityCode(text)
    assert str(refused.value) == (
        "cannot read this identity code: it is mistyped: its signs do not fit its check sign; possible now: read it again from the label"
    )


# ---- acts ----


def test_a_record_is_opened_only_with_a_reason_which_is_noted(net: Network) -> None:
    code = enter(net)
    assert keeper_of(net).open(net.person(OFFICER), code, why="collection is planned") == MARKED
    assert house(net, PersonEntered) == [PersonEntered(code, tuple(sorted(MARKED)), "referred for treatment")]
    assert house(net, RecordOpened) == [RecordOpened(code, tuple(sorted(MARKED)), "collection is planned")]
    with pytest.raises(NotValid, match="without a reason"):
        keeper_of(net).open(net.person(OFFICER), code, why="  ")
    assert len(house(net, RecordOpened)) == 1


def test_erasure_is_ordered_by_signature_then_the_key_goes_then_it_is_noted(net: Network) -> None:
    code, other = enter(net), enter(net)
    keeper_of(net).erase(net.person(OFFICER), signer_of(OFFICER), code, why="asked for by the person")
    (ordered,) = house(net, ErasureOrdered)
    assert isinstance(ordered, ErasureOrdered)
    verify_signature(ordered.signature, decisions.directory(net.control))
    assert (ordered.signature.digest, ordered.signature.meaning) == (erasure_digest(code, ordered.why), "erasure ordered")
    assert house(net, PersonErased) == [PersonErased(code, "asked for by the person")]
    keeper = keeper_of(net)
    assert (keeper.vault.keys.has(code), keeper.vault.codes(), keeper.codes(net.person(OFFICER))) == (False, [other], [other])
    with pytest.raises(NotFound):
        keeper.open(net.person(OFFICER), code, why="look again")
    assert keeper.open(net.person(OFFICER), other, why="look") == MARKED


def test_a_refusal_says_the_same_of_somebody_erased_and_of_somebody_who_never_was(net: Network) -> None:
    code, never = enter(net), SeededMint(9).fresh(IdentityCode)
    keeper_of(net).erase(net.person(OFFICER), signer_of(OFFICER), code, why="asked for")
    said = []
    for each in (code, never):
        with pytest.raises(NotFound) as refused:
            keeper_of(net).open(net.person(OFFICER), each, why="look")
        said.append(str(refused.value).replace(each, "CODE"))
    assert said[0] == said[1]


@pytest.mark.parametrize("person", ["ADA", "QUI", "INA"])
def test_who_may_not_learns_nothing(net: Network, person: str) -> None:
    code, who = enter(net), net.person(PersonId(person))
    keeper = keeper_of(net)
    acts: list[Callable[[], object]] = [
        lambda: keeper.codes(who),
        lambda: keeper.open(who, code, why="look"),
        lambda: keeper.search(who, MARKED, why="look"),
        lambda: keeper.enter(who, MARKED, why="enter"),
        lambda: keeper.change(who, code, MARKED, why="put right"),
        lambda: keeper.erase(who, signer_of(PersonId(person)), code, why="erase"),
        lambda: keeper.rotate(who),
    ]
    size = net.control.ledgers["HOUSE"].size
    for act in acts:
        with pytest.raises(NotAllowed):
            act()
    assert net.control.ledgers["HOUSE"].size == size


@pytest.mark.parametrize(
    "why",
    [
        "for Zyxomarkla",
        "mrs quuxbergsdottir asked",
        "QUUXBERGSDÓTTIR wrote",
        "file 88427719 03 of the hospital",
        "born 1971 13 37",
    ],
)
def test_a_reason_that_says_who_it_is_is_refused_and_not_noted(net: Network, why: str) -> None:
    code, keeper, officer = enter(net), keeper_of(net), net.person(OFFICER)
    size = net.control.ledgers["HOUSE"].size
    for act in (
        lambda: keeper.open(officer, code, why=why),
        lambda: keeper.erase(officer, signer_of(OFFICER), code, why=why),
        lambda: keeper.enter(officer, MARKED, why=why),
        lambda: keeper.search(officer, MARKED, why=why),
        lambda: keeper.change(officer, code, {"remark": "none"}, why=why),
    ):
        with pytest.raises(NotValid, match="cannot note this reason") as refused:
            act()
        assert not any(mark in str(refused.value).encode() for mark in marks())
    assert net.control.ledgers["HOUSE"].size == size


def test_a_person_is_found_by_exact_values_whatever_the_case_and_not_by_half_of_them(net: Network) -> None:
    code, keeper, officer = enter(net), keeper_of(net), net.person(OFFICER)
    assert keeper.search(officer, {"family_name": "QUUXBERGSDOTTIR"}, why="a call from the clinic") == [code]
    assert keeper.search(officer, {"family_name": "Quuxbergs"}, why="a call from the clinic") == []
    assert house(net, VaultSearched)[0] == VaultSearched(NodeId("CONTROL"), ("family_name",), (code,), "a call from the clinic")
    keeper.erase(officer, signer_of(OFFICER), code, why="asked for")
    assert keeper.search(officer, {"family_name": "Quuxbergsdottir"}, why="a call from the clinic") == []


def test_a_record_is_put_right(net: Network) -> None:
    code, keeper, officer = enter(net), keeper_of(net), net.person(OFFICER)
    keeper.change(officer, code, {"family_name": "Ostrowatty", "telephone": "070"}, why="married")
    assert keeper.open(officer, code, why="look") == MARKED | {"family_name": "Ostrowatty", "telephone": "070"}


# ---- crashes ----


class Ended(BaseException):
    """The process ends here."""


def alone(folder: Path, *, dies_after: int = 10**9) -> tuple[Keeper, Ledger]:
    """A keeper on a ledger of its own; after so many notes the process ends."""
    if not (folder / "keys" / KEY_FILE).exists() and not (folder / "keys" / NEXT_FILE).exists():
        new_vault_key(folder / "keys", entropy=token_bytes)
    ledger = Ledger(SqliteStore(folder / "house.sqlite", origin="aster/CONTROL/HOUSE"), signer=Signer.from_seed("aster/CONTROL", b"1" * 32))
    clock, left = ManualClock(), [dies_after]

    def note(payloads: object, actor: Actor | None) -> None:
        if not left[0]:
            raise Ended
        left[0] -= 1
        ledger.append(payloads, actor=actor or Actor.node("CONTROL"), moment=clock.now())  # type: ignore[arg-type]

    vault = Vault(folder / "vault", KeyFolder(folder / "keys", entropy=token_bytes), entropy=token_bytes)
    keeper = Keeper(vault, node=NodeId("CONTROL"), note=note, clock=clock, mint=RandomMint())
    keeper.start(ledger.facts)
    return keeper, ledger


@pytest.mark.parametrize("step", range(5))
def test_an_erasure_that_is_cut_anywhere_is_finished_at_the_next_start(
    net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    folder, officer = tmp_path / "cut", net.person(OFFICER)
    keeper, ledger = alone(folder, dies_after=2 if step >= 1 else 1)
    code = keeper.enter(officer, MARKED, why="referred")

    def dies(*_: object) -> None:
        raise Ended

    if step == 1:
        monkeypatch.setattr("isogenic.vault.keys._overwrite", dies)  # ordered, nothing done
    elif step == 2:
        monkeypatch.setattr(Path, "unlink", dies)  # overwritten, not unlinked
    elif step == 3:
        monkeypatch.setattr(Vault, "_writing", dies)  # the key is gone, the boxes are not
    with pytest.raises(Ended):
        keeper.erase(officer, signer_of(OFFICER), code, why="asked for")
    monkeypatch.undo()
    noted = [fact.payload for fact in ledger.facts()]
    erased, ordered = any(isinstance(each, PersonErased) for each in noted), any(isinstance(each, ErasureOrdered) for each in noted)
    assert not erased  # never said before it is true
    assert keeper.vault.keys.has(code) or ordered  # never true without an order on record
    keeper.vault.close()
    ledger.store.close()
    again, ledger = alone(folder)
    if step == 0:  # not even ordered: nothing happened
        assert again.open(officer, code, why="look") == MARKED
        return
    assert (again.vault.keys.has(code), again.vault.codes()) == (False, [])
    assert [fact.payload for fact in ledger.facts()][-1] == PersonErased(code, LEFT)
    size = ledger.size
    again.start(ledger.facts)
    assert ledger.size == size


def test_an_entry_that_is_cut_leaves_a_fact_of_somebody_who_is_not_there(net: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keeper, ledger = alone(tmp_path / "cut")
    monkeypatch.setattr(KeyFolder, "make", lambda *_: (_ for _ in ()).throw(Ended()))
    with pytest.raises(Ended):
        keeper.enter(net.person(OFFICER), MARKED, why="referred")
    monkeypatch.undo()
    keeper.vault.close()
    ledger.store.close()
    again, ledger = alone(tmp_path / "cut")
    (code,) = again.state.entered
    assert again.codes(net.person(OFFICER)) == []
    with pytest.raises(NotFound):
        again.open(net.person(OFFICER), code, why="look")


def test_an_entry_that_the_disk_refuses_is_taken_back(net: Network) -> None:
    keeper_of(net).vault._db.execute("PRAGMA query_only=ON")
    with pytest.raises(NotReachable):
        enter(net)
    (entered,) = house(net, PersonEntered)
    assert isinstance(entered, PersonEntered)
    assert not keeper_of(net).vault.keys.has(entered.code)


def test_nobody_is_destroyed_because_the_ledger_is_an_older_copy(net: Network, tmp_path: Path) -> None:
    keeper, ledger = alone(tmp_path / "old")
    code = keeper.enter(net.person(OFFICER), MARKED, why="referred")
    keeper.vault.close()
    ledger.store.close()
    now = tmp_path / "old" / "house.sqlite"
    now.rename(tmp_path / "kept.sqlite")
    older, ledger = alone(tmp_path / "old")  # a ledger that knows of nobody
    assert older.codes(net.person(OFFICER)) == []
    older.vault.close()
    ledger.store.close()
    (tmp_path / "kept.sqlite").replace(now)
    assert alone(tmp_path / "old")[0].open(net.person(OFFICER), code, why="look") == MARKED


def test_a_key_that_comes_back_with_a_restored_copy_is_destroyed_again(net: Network, tmp_path: Path) -> None:
    folder, officer = tmp_path / "back", net.person(OFFICER)
    keeper, ledger = alone(folder)
    code = keeper.enter(officer, MARKED, why="referred")
    path = folder / "keys" / PERSONS / f"{code}.key"
    copy, data = path.read_bytes(), (folder / "vault" / "persons.sqlite").read_bytes()
    keeper.erase(officer, signer_of(OFFICER), code, why="asked for")
    keeper.vault.close()
    ledger.store.close()
    path.write_bytes(copy)
    (folder / "vault" / "persons.sqlite").write_bytes(data)
    again, ledger = alone(folder)
    assert (path.exists(), again.vault.codes()) == (False, [])
    assert [fact.payload for fact in ledger.facts()][-1] == PersonErased(code, BACK)


# ---- keys ----


def test_after_a_rotation_an_old_copy_of_a_wrapped_key_opens_nothing(net: Network, tmp_path: Path) -> None:
    folder, officer = tmp_path / "keys", net.person(OFFICER)
    keeper, _ = alone(folder)
    code = keeper.enter(officer, MARKED, why="referred")
    path = folder / "keys" / PERSONS / f"{code}.key"
    old = path.read_bytes()
    assert keeper.rotate(officer) == 2
    assert keeper.open(officer, code, why="look") == MARKED
    path.write_bytes(old)
    with pytest.raises(NotTrusted, match="not wrapped for this code"):
        keeper.open(officer, code, why="look")


@pytest.mark.parametrize("step", ["before any", "between two", "old destroyed"])
def test_a_rotation_that_is_cut_goes_on_at_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    new_vault_key(tmp_path / "k", entropy=token_bytes)
    keys = KeyFolder(tmp_path / "k", entropy=token_bytes)
    codes = [RandomMint().fresh(IdentityCode) for _ in range(3)]
    secrets = {code: keys.make(code) for code in codes}
    wrap, wrapped = KeyFolder._wrap, [0]

    def dies_wrapping(self: KeyFolder, code: IdentityCode, secret: bytes, generation: int) -> None:
        if wrapped[0] >= (0 if step == "before any" else 2):
            raise Ended
        wrapped[0] += 1
        wrap(self, code, secret, generation)

    def dies_naming(path: Path, target: Path) -> None:
        raise Ended

    if step == "old destroyed":
        monkeypatch.setattr(
            "isogenic.vault.keys._overwrite", lambda path, entropy: (path.write_bytes(b"gone"), monkeypatch.setattr(Path, "replace", dies_naming))
        )
    else:
        monkeypatch.setattr(KeyFolder, "_wrap", dies_wrapping)
    with pytest.raises(Ended):
        keys.rotate()
    monkeypatch.undo()
    again = KeyFolder(tmp_path / "k", entropy=token_bytes)
    assert again.generation == 2
    assert {code: again.key(code) for code in codes} == secrets
    assert not (tmp_path / "k" / NEXT_FILE).exists()


def test_what_a_cut_leaves_of_a_wrapped_key_is_destroyed_at_the_next_start_and_by_an_erasure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_vault_key(tmp_path / "k", entropy=token_bytes)
    keys = KeyFolder(tmp_path / "k", entropy=token_bytes)
    code, persons = RandomMint().fresh(IdentityCode), tmp_path / "k" / PERSONS
    keys.make(code)

    pid = os.fork()
    if not pid:  # a process of its own, that ends between the fsync and the new name
        replace = Path.replace
        monkeypatch.setattr(Path, "replace", lambda path, target: os._exit(9) if target.parent == persons else replace(path, target))
        keys.rotate()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert [path.name for path in persons.glob(".*")] == [f".{code}.key.part"]

    again = KeyFolder(tmp_path / "k", entropy=token_bytes)
    assert (again.generation, list(persons.glob(".*"))) == (2, [])

    left, seen = persons / f".{code}.key.4711.part", (persons / f"{code}.key").read_bytes()  # as earlier releases named them
    left.write_bytes(seen)
    with left.open("rb") as still_open:
        assert again.destroy(code)
        assert still_open.read() == bytes(len(seen))
    assert list(persons.iterdir()) == []


def test_a_damaged_key_file_closes_no_other_and_a_rotation_waits_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    new_vault_key(tmp_path / "k", entropy=token_bytes)
    keys = KeyFolder(tmp_path / "k", entropy=token_bytes)
    whole, hurt = (RandomMint().fresh(IdentityCode) for _ in range(2))
    secrets = {code: keys.make(code) for code in (whole, hurt)}
    path = tmp_path / "k" / PERSONS / f"{hurt}.key"
    good = path.read_bytes()

    path.write_bytes(good[:-10])
    assert keys.damaged() == [hurt]
    with pytest.raises(NotTrusted, match=f"the key of {hurt} does not open"):
        keys.rotate()
    assert not (tmp_path / "k" / NEXT_FILE).exists()

    monkeypatch.setattr(KeyFolder, "damaged", lambda self: [])  # it rots while a rotation is under way
    with pytest.raises(Refusal):
        keys.rotate()
    monkeypatch.undo()
    opened = KeyFolder(tmp_path / "k", entropy=token_bytes)
    assert (opened.damaged(), opened.key(whole)) == ([hurt], secrets[whole])
    path.write_bytes(good)  # from a copy
    ended = KeyFolder(tmp_path / "k", entropy=token_bytes)
    assert {code: ended.key(code) for code in secrets} == secrets
    assert (ended.generation, (tmp_path / "k" / NEXT_FILE).exists()) == (2, False)


def test_a_vault_key_in_a_box_opens_with_its_passphrase_only(tmp_path: Path) -> None:
    made = new_vault_key(tmp_path, entropy=token_bytes, passphrase="amber birch cedar delta", cost=CHEAP)
    assert made.secret not in (tmp_path / KEY_FILE).read_bytes()
    assert KeyFolder(tmp_path, entropy=token_bytes, passphrase="amber birch cedar delta").generation == 1
    for wrong in ("", "amber birch cedar deltb"):
        with pytest.raises(NotTrusted, match="the passphrase is wrong"):
            KeyFolder(tmp_path, entropy=token_bytes, passphrase=wrong)
    with pytest.raises(NotValid, match="at least 15"):
        new_vault_key(tmp_path / "short", entropy=token_bytes, passphrase="short")


def test_a_vault_is_never_made_over_another(tmp_path: Path) -> None:
    new_vault_key(tmp_path, entropy=token_bytes)
    before = (tmp_path / KEY_FILE).read_bytes()
    with pytest.raises(NotValid, match="there is one already"):
        new_vault_key(tmp_path, entropy=token_bytes)
    assert (tmp_path / KEY_FILE).read_bytes() == before


def test_every_key_is_for_the_nodes_own_user_only(net: Network) -> None:
    enter(net)
    folder = net.folder / "CONTROL"
    files = [path for path in (*(folder / "vault-keys").rglob("*"), folder / "vault" / "persons.sqlite") if path.is_file()]
    assert len(files) == 3
    assert {path.stat().st_mode & 0o777 for path in files} == {0o600}


def test_a_box_cannot_be_moved_to_another_person_field_or_time(net: Network) -> None:
    import apsw

    keeper, officer = keeper_of(net), net.person(OFFICER)
    code, other = enter(net), enter(net)
    keeper.change(officer, code, {"family_name": "Ostrowatty"}, why="married")
    db = apsw.Connection(str(net.folder / "CONTROL" / "vault" / "persons.sqlite"))
    rows = {(str(row[0]), str(row[1])): row for row in db.execute("SELECT * FROM field")}
    for target, source, version in (
        ((code, "family_name"), (other, "family_name"), 1),
        ((code, "family_name"), (code, "given_names"), 1),
        ((code, "family_name"), (code, "family_name"), 1),
    ):
        row = rows[source]
        db.execute("UPDATE field SET version=?, nonce=?, box=? WHERE code=? AND name=?", (version, row[3], row[4], str(target[0]), target[1]))
        with pytest.raises(NotTrusted, match="was changed, or was written for another place"):
            keeper.open(officer, code, why="look")
    db.close()


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["key", "person"]))
def test_key_files_of_any_content_are_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes, which: str) -> None:
    folder = tmp_path_factory.mktemp("keys")
    new_vault_key(folder, entropy=token_bytes)
    code = SeededMint(1).fresh(IdentityCode)
    keys = KeyFolder(folder, entropy=token_bytes)
    keys.make(code)
    (folder / KEY_FILE if which == "key" else folder / PERSONS / f"{code}.key").write_bytes(data)
    with pytest.raises(Refusal):
        KeyFolder(folder, entropy=token_bytes).key(code)


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(list(Field)), st.text(min_size=1, max_size=80), min_size=1))
def test_what_is_kept_is_read_back_or_was_refused_without_being_repeated(tmp_path_factory: pytest.TempPathFactory, fields: dict[str, str]) -> None:
    folder = tmp_path_factory.mktemp("vault")
    new_vault_key(folder / "keys", entropy=token_bytes)
    vault = Vault(folder / "vault", KeyFolder(folder / "keys", entropy=token_bytes), entropy=token_bytes)
    code = SeededMint(1).fresh(IdentityCode)
    fine = all(value.strip() and value.isprintable() for value in fields.values())
    if not fine:
        with pytest.raises(NotValid, match="one line of 1 to 500 printable characters"):
            checked(fields)
        return
    kept = checked(fields)
    vault.keep(code, kept)
    assert vault.read(code) == kept == {field: fields[field].strip() for field in Field if field in fields}
    vault.close()


# ---- no name anywhere else ----


def every_byte(*folders: Path) -> Iterator[tuple[Path, bytes]]:
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file():
                yield path, path.read_bytes()


def test_no_name_is_in_any_byte_that_was_written(tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]) -> None:
    """Names are planted by every door: API, command line, refusals; then every file, log, answer to others, wire and backup is searched."""
    caplog.set_level(logging.DEBUG)
    folder = new_home(tmp_path / "net")
    net = Network(folder)
    answers: list[bytes] = []  # of everything but the record itself, shown to who may see it

    async def over_http() -> str:
        app = control_app(net.control, AccountFolder(folder / "CONTROL" / "accounts"), screens=False)
        async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app=app), base_url="http://control") as guest:

            async def signed_in(person: str) -> dict[str, str]:
                said = await guest.post("/api/sign-in", json={"person": person, "password": password_of(PersonId(person), SEED)})
                return {"authorization": f"Bearer {said.json()['token']}"}

            officer, nobody = await signed_in("BEN"), await signed_in("ADA")
            fields = [{"name": name, "value": value} for name, value in MARKED.items()]
            code = (await guest.post("/api/vault/persons", json={"fields": fields, "why": "referred"}, headers=officer)).json()
            opened = await guest.post("/api/vault/openings", json={"code": code, "why": "planning"}, headers=officer)
            assert (opened.json(), opened.headers["cache-control"]) == (MARKED, "no-store")
            name = MARKED["family_name"]
            for method, path, body, who in (
                ("POST", "/api/vault/searches", {"fields": fields, "why": "a call"}, officer),
                ("POST", "/api/vault/searches", {"fields": fields, "why": f"for {name}"}, officer),
                ("POST", "/api/vault/openings", {"code": code, "why": f"for {name}"}, officer),
                ("POST", "/api/vault/openings", {"code": code, "why": name}, nobody),
                ("POST", "/api/vault/openings", {"code": name, "why": "look"}, officer),
                ("POST", "/api/vault/persons", {"fields": [{"name": name, "value": name}], "why": "enter"}, officer),
                ("POST", "/api/vault/persons", {"fields": fields, "why": name}, nobody),
                ("POST", "/api/vault/persons", {"fields": {name: name}, "why": "enter"}, officer),
                (
                    "DELETE",
                    "/api/vault/persons",
                    {"code": code, "why": name, "password": name, "person": name, "meaning": "erasure ordered", name: name},
                    officer,
                ),
                ("GET", "/api/vault/persons", None, officer),
            ):
                answer = await guest.request(method, path, json=body, headers=who)
                answers.append(answer.content)
            return str(code)

    code = asyncio.run(over_http())
    captured: list[bytes] = []
    call = net.lines[LEEDS].desk.handle

    async def listening(peer: NodeId, method: str, target: str, body: bytes = b"") -> object:
        answer = await call(peer, method, target, body)
        captured.extend((target.encode(), body, answer.body))
        return answer

    net.lines[LEEDS].desk.handle = listening  # type: ignore[method-assign,assignment]
    asyncio.run(net.carry())
    keeper_of(net).vault.close()
    net.close_control()
    # the command line, each a process of its own; what it prints to who may see the record is not looked at
    environment = {**os.environ, "ISOGENIC_PASSWORD": password_of(OFFICER, SEED)}

    def isogenic(*words: str, given: str = "") -> subprocess.CompletedProcess[bytes]:
        return subprocess.run([sys.executable, "-m", "isogenic.cli", *words], input=given.encode(), capture_output=True, env=environment, check=False)

    control = str(folder / "CONTROL")
    lines = "".join(f"{name}: {value}\n" for name, value in MARKED.items())
    added = isogenic("vault", "add", control, "--as", "BEN", "--why", "referred", given=lines)
    assert added.returncode == 0, added.stderr
    erased = isogenic("vault", "erase", control, code, "--as", "BEN", "--why", "asked for by the person")
    assert (erased.returncode, erased.stdout) == (0, f"{code} erased\n".encode()), erased.stderr
    said = [erased, isogenic("vault", "add", control, "--as", "BEN", "--why", "x", given=f"{MARKED['family_name']}: {MARKED['given_names']}\n")]
    answers += [each.stdout + each.stderr for each in (added, *said)]
    backup = io.BytesIO()
    with tarfile.open(fileobj=backup, mode="w") as archive:
        archive.add(folder, arcname="backup")
    places = {
        **{str(path): data for path, data in every_byte(folder)},
        "log": caplog.text.encode(),
        "stdout and stderr": "".join(capfd.readouterr()).encode(),
        "answers": b"\n".join(answers),
        "wire": b"\n".join(captured),
        "backup": backup.getvalue(),
    }
    assert len(places) > 60
    assert b"person_entered" in b"".join(places.values())  # the search does see what is written
    assert [(place, mark) for place, data in places.items() for mark in marks() if mark in data] == []


def test_a_disk_that_refuses_is_told_without_what_was_to_be_kept(net: Network) -> None:
    keeper = keeper_of(net)
    keeper.vault._db.execute("PRAGMA query_only=ON")
    with pytest.raises(NotReachable) as refused:
        enter(net)
    assert not any(mark in repr(refused.value).encode() for mark in marks())
    assert refused.value.__cause__ is None


def test_a_backup_holds_the_boxes_and_never_the_keys_that_open_them(net: Network, tmp_path: Path) -> None:
    from isogenic.clock import SystemClock
    from isogenic.records.backup import back_up

    code = enter(net)
    keys = net.folder / "CONTROL" / "vault-keys"
    for passphrase in ("", "amber birch cedar delta"):
        made = back_up(
            net.folder / "CONTROL", tmp_path / f"backup{len(passphrase)}", moment=SystemClock().now(), passphrase=passphrase, entropy=token_bytes
        )
        assert "vault/persons.sqlite" in made.files
        assert not any(name.startswith("vault-keys") for name in made.files)
        kept = b"".join(data for _, data in every_byte(tmp_path / f"backup{len(passphrase)}"))
        assert str(code).encode() in kept
        secrets = [json.loads(path.read_bytes()) for path in keys.rglob("*.key")]
        assert len(secrets) == 2
        assert not any(each.get("key", each.get("box")).encode() in kept for each in secrets)
