"""A real network: keys made where they stay, facilities admitted by fingerprint, and then they talk. Runs the page on setting up."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import shutil
import ssl
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.authority.accounts import Cost, read_account, renewal
from isogenic.authority.admission import SiteRequest, check_request, fingerprint_of, read_request
from isogenic.cli import main
from isogenic.clock import ScaledClock, SystemClock
from isogenic.errors import NotAllowed, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.ids import NodeId, PersonId, RandomMint, SiteId
from isogenic.network.admission import admit_site
from isogenic.network.control import ControlNode
from isogenic.network.home import ControlHome, publish_documents
from isogenic.network.server import node_server, started
from isogenic.records import codec
from isogenic.records.notes import Signer
from isogenic.records.tls import Authority, expiry_notice, install_certificate, issue_certificates, node_key, pem, server_files
from isogenic.shell.keys import enrol_person, network_print, shown_keys
from isogenic.shell.running import clock_of, warn_alone
from isogenic.sim.world import document
from isogenic.sites.home import SiteHome
from isogenic.sites.joining import accept, request
from isogenic.sites.link import HttpsLink
from small_network import Vessels

PAGE = Path(__file__).parents[2] / "docs" / "setting-up.md"
PRINT = re.compile(r"(?:[0-9a-f]{4} ){7}[0-9a-f]{4}")
NOW = SystemClock().now().at
PASSWORD = "amber birch cedar delta"


@pytest.fixture(scope="module", autouse=True)
def quick_accounts() -> object:
    """Accounts that cost little to make; what they are made of is tested where they live."""
    from isogenic.authority import accounts

    patch = pytest.MonkeyPatch()
    patch.setattr(accounts.new_account, "__kwdefaults__", {**accounts.new_account.__kwdefaults__, "cost": Cost(time=1, memory_kib=64, lanes=1)})
    yield
    patch.undo()


def isogenic(*words: str) -> None:
    patch = pytest.MonkeyPatch()
    patch.setattr(sys, "argv", ["isogenic", *words])
    patch.setenv("ISOGENIC_PASSWORD", PASSWORD)
    code: object = 0
    try:
        main()
    except SystemExit as ended:
        code = ended.code
    finally:
        patch.undo()
    assert not code, words


def commands() -> list[list[str]]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def plant_for(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "plant.yaml").write_text(document("leeds.plant.yaml"))
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The network that the page makes, by its own commands; each fingerprint is what the command before printed last."""
    folder = tmp_path_factory.mktemp("setting-up")
    plant_for(folder / "LEEDS")
    patch = pytest.MonkeyPatch()
    patch.chdir(folder)
    said = ""

    class Said:
        def write(self, text: str) -> int:
            nonlocal said
            said += text
            return len(text)

        def flush(self) -> None:
            pass

    try:
        for words in commands():
            assert words[0] == "isogenic"
            patch.setattr(sys, "stdout", Said())
            isogenic(*(PRINT.findall(said)[-1] if word == "FINGERPRINT" else word for word in words[1:]))
    finally:
        patch.undo()
    return folder


def test_the_page_makes_a_network_whose_nodes_talk_over_tls_and_witness_each_other(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "running"
    shutil.copytree(made, folder)
    clock = SystemClock()
    home, leeds = ControlHome.open(folder / "NET" / "CONTROL"), SiteHome.open(folder / "LEEDS")
    control = home.node(clock=clock, mint=RandomMint(), software="test")
    control.start()
    publish_documents(control, home)

    async def talk() -> None:
        server = node_server(control.desk, home=home.folder, host="127.0.0.1", port=0)
        serving = asyncio.create_task(server.serve())
        link = HttpsLink(f"https://localhost:{await started(server)}", home=leeds.folder, wait_s=1)
        node = leeds.node(clock=clock, mint=RandomMint(), equipment=Vessels(leeds.plant), link=link, software="test")
        node.start()
        for step in (node.courier.upload_once, lambda: node.courier.download_once(wait=0), node.courier.upload_once):
            while await step():
                pass
        await link.close()
        server.should_exit = True
        await serving
        assert node.state.directory == control.state.directory
        assert [ledger.witnessed for ledger in node.ledgers.values()] == [ledger.size for ledger in node.ledgers.values()]
        assert control.ledgers["LEEDS"].witnessed == node.control.size > 0

    asyncio.run(talk())
    directory = control.state.directory
    assert directory is not None
    assert sorted(directory.people) == ["BEN", "LEA", "QUI"]
    assert (directory.people[PersonId("LEA")].sites, directory.people[PersonId("BEN")].sites) == ((SiteId("LEEDS"),), ())
    assert [each.complete for each in control.completeness(SiteId("LEEDS"))] == [True, True]


def test_freshly_made_nodes_start_at_once_whatever_the_link_does(made: Path, tmp_path: Path) -> None:
    """They have no ledgers yet: nothing can have been rolled back, and nobody needs to be asked."""
    folder = tmp_path / "fresh"
    shutil.copytree(made, folder)
    clock, home, leeds = SystemClock(), ControlHome.open(folder / "NET" / "CONTROL"), SiteHome.open(folder / "LEEDS")
    control = home.node(clock=clock, mint=RandomMint(), software="test")
    assert control.beacon is not None and control.beacon.read() == {}
    control.start()
    publish_documents(control, home)
    assert control.returning.waits == {}
    assert control.ledgers["LEEDS"].size > 0

    async def alone() -> None:
        link = HttpsLink("https://localhost:9", home=leeds.folder, wait_s=1)  # nobody is there
        node = leeds.node(clock=clock, mint=RandomMint(), equipment=Vessels(leeds.plant), link=link, software="test")
        node.start()
        assert node.held == ""
        await node.cycle()
        await link.close()
        assert next(fact.kind for fact in node.ledgers["HOUSE"].facts()) == "sites.node_started"

    asyncio.run(alone())
    (folder / "LEEDS.beacon").unlink()  # it is the beacon that says so
    link = HttpsLink("https://localhost:9", home=leeds.folder, wait_s=1)
    node = leeds.node(clock=clock, mint=RandomMint(), equipment=Vessels(leeds.plant), link=link, software="test")
    node.start()
    assert "no beacon says how far it had come" in node.held


def test_a_facility_that_is_admitted_later_gets_what_was_published_before_it(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "later"
    shutil.copytree(made, folder)
    clock, ghent, control_folder = SystemClock(), folder / "GHENT", folder / "NET" / "CONTROL"
    (control_folder / "documents" / "MAB-A.specification.yaml").write_text(document("mab-a.specification.yaml"))

    def opened() -> ControlNode:
        home = ControlHome.open(control_folder)
        control = home.node(clock=clock, mint=RandomMint(), software="test")
        control.start()
        publish_documents(control, home)
        return control

    opened().stop()
    ghent.mkdir()
    (ghent / "plant.yaml").write_text(document("ghent.plant.yaml"))
    asked = request(ghent, network="aster")
    admit_site(Authority.load(folder / "NET" / "AUTHORITY"), control_folder, asked, fingerprint=fingerprint_of(asked), now=NOW)
    control = opened()
    assert control.returning.waits == {}
    told = [[fact.kind for fact in control.ledgers[site].facts() if "published" in fact.kind] for site in ("LEEDS", "GHENT")]
    assert told[0] == told[1] == ["authority.directory_published", "quality.specification_published", "authority.directory_published"]


def test_every_private_file_is_for_the_nodes_own_user_and_no_private_key_is_in_a_public_one(made: Path) -> None:
    private = [path for path in made.rglob("*") if path.suffix == ".key" or path.parent.name == "accounts"]
    assert len(private) == 10
    assert {path.stat().st_mode & 0o777 for path in private} == {0o600}
    assert {path.parent.stat().st_mode & 0o777 for path in private} == {0o700}
    lines = [line for path in private if path.suffix == ".key" for line in path.read_text().splitlines() if "-----" not in line]
    secrets = [line.partition("+")[2] if line.startswith("aster/") else line for line in lines if len(line) > 40]
    assert len(secrets) >= 7
    public = [path for path in made.rglob("*") if path.is_file() and path not in private]
    assert {path.name for path in public} >= {"LEEDS.request.json", "LEEDS.admission.json", "trust.json", "directory.json"}
    assert [(path.name, each) for path in public for each in secrets if each.encode() in path.read_bytes()] == []


def test_nothing_that_is_there_is_overwritten(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(made, folder)
    before = {path: path.read_bytes() for path in folder.rglob("*.key")}
    from isogenic.shell.keys import new_network

    acts: list[Callable[[], object]] = [
        lambda: new_network("aster", folder / "NET", hosts=("localhost",), url="", plants=[], passphrase=""),
        lambda: enrol_person(folder / "LEEDS", "LEA", PASSWORD, printed_name="Lea Other", roles=["operator"], out=None),
        lambda: request(folder / "LEEDS", network="borage"),
    ]
    for act in acts:
        with pytest.raises(NotAllowed):
            act()
    first, second = (request(folder / "LEEDS", network="aster") for _ in range(2))
    assert (first.ledger, first.witness) == (second.ledger, second.witness)
    assert {path: path.read_bytes() for path in folder.rglob("*.key")} == before


def test_a_password_typed_while_keys_are_made_ages_like_any_other(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "again"
    shutil.copytree(made, folder)
    before = SystemClock().now().at
    enrol_person(folder / "LEEDS", "NOA", PASSWORD, printed_name="Noa New", roles=["operator"], out=None)
    account = read_account((folder / "LEEDS/accounts/NOA.json").read_bytes())
    assert renewal(account, before + timedelta(days=364), days=365) == ""
    assert renewal(account, before + timedelta(days=366), days=365) == "it is older than 365 days"


def test_another_fingerprint_admits_and_accepts_nobody(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "wrong"
    shutil.copytree(made, folder)
    ghent = folder / "GHENT"
    ghent.mkdir()
    (ghent / "plant.yaml").write_text(document("ghent.plant.yaml"))
    asked = request(ghent, network="aster")
    control, authority = folder / "NET" / "CONTROL", Authority.load(folder / "NET" / "AUTHORITY")
    before = (control / "directory.json").read_bytes()
    with pytest.raises(NotTrusted, match=fingerprint_of(asked)):
        admit_site(authority, control, asked, fingerprint=network_print(control), now=NOW)
    assert (control / "directory.json").read_bytes() == before
    taken = codec.dumps(codec.plain(admit_site(authority, control, asked, fingerprint=fingerprint_of(asked).replace(" ", "").upper(), now=NOW)))
    with pytest.raises(NotTrusted, match="the fingerprint of its network is"):
        accept(ghent, taken, fingerprint=fingerprint_of(asked))
    assert not (ghent / "trust.json").exists()
    with pytest.raises(NotValid, match="and this is LEEDS"):
        accept(folder / "LEEDS", taken, fingerprint=network_print(control))
    accept(ghent, taken, fingerprint=network_print(control))
    assert SiteHome.open(ghent).settings.site == "GHENT"


def test_nobody_asks_with_another_ones_keys_or_is_given_other_keys(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    shutil.copytree(made, folder)
    control, authority = folder / "NET" / "CONTROL", Authority.load(folder / "NET" / "AUTHORITY")
    stolen = replace(request(plant_for(tmp_path / "thief"), network="aster"), ledger=request(folder / "LEEDS", network="aster").ledger)
    with pytest.raises(NotTrusted, match="one of its keys has not signed it"):
        admit_site(authority, control, stolen, fingerprint=fingerprint_of(stolen), now=NOW)
    other = request(plant_for(tmp_path / "other"), network="aster")  # it says that it is LEEDS, too
    with pytest.raises(NotAllowed, match="on file with other keys"):
        admit_site(authority, control, other, fingerprint=fingerprint_of(other), now=NOW)
    foreign = request(plant_for(tmp_path / "foreign"), network="borage")
    with pytest.raises(NotValid, match="it is for the network 'borage'"):
        admit_site(authority, control, foreign, fingerprint=fingerprint_of(foreign), now=NOW)
    unsigned = replace(request(folder / "LEEDS", network="aster"), csr=other.csr)
    with pytest.raises(NotTrusted):
        check_request(unsigned, network="aster")


def test_a_facility_cannot_pass_for_the_control_site(made: Path, tmp_path: Path) -> None:
    files = server_files(made / "LEEDS")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files["ssl_certfile"], files["ssl_keyfile"])

    async def call() -> None:
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
        link = HttpsLink(f"https://localhost:{server.sockets[0].getsockname()[1]}", home=made / "LEEDS", wait_s=1)
        with pytest.raises(NotReachable, match="certificate"):
            await link.call("POST", "/v1/pages", b"a page")
        await link.close()
        server.close()

    asyncio.run(call())


def test_a_renewed_certificate_is_for_the_same_key_and_leaves_the_directory_alone(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "renewed"
    shutil.copytree(made, folder)
    control, leeds = folder / "NET" / "CONTROL", folder / "LEEDS"
    before = (control / "directory.json").read_bytes(), (leeds / "trust.json").read_bytes(), node_key(leeds).private_numbers()
    old = (leeds / "tls" / "node.crt").read_bytes()
    later = NOW + timedelta(days=700)
    assert "ends on" in expiry_notice(leeds, now=later)
    asked = request(leeds, network="aster")
    admitted = admit_site(Authority.load(folder / "NET" / "AUTHORITY"), control, asked, fingerprint=fingerprint_of(asked), now=later)
    accept(leeds, codec.dumps(codec.plain(admitted)), fingerprint=network_print(control))
    assert (leeds / "tls" / "node.crt").read_bytes() != old
    assert expiry_notice(leeds, now=later) == ""
    assert ((control / "directory.json").read_bytes(), (leeds / "trust.json").read_bytes(), node_key(leeds).private_numbers()) == before


def test_a_site_whose_first_key_is_destroyed_renews_its_certificate_all_the_same(made: Path, tmp_path: Path) -> None:
    folder = tmp_path / "rotated"
    shutil.copytree(made, folder)
    control, leeds = folder / "NET" / "CONTROL", folder / "LEEDS"
    key = leeds / "keys" / "ledger.key"
    (leeds / "keys" / "ledger.pub").write_text(f"{Signer.load(key).verifying_key}\n")
    key.unlink()
    asked = request(leeds, network="aster")
    assert not key.exists()
    authority = Authority.load(folder / "NET" / "AUTHORITY")
    admitted = admit_site(authority, control, asked, fingerprint=fingerprint_of(asked), now=NOW)
    accept(leeds, codec.dumps(codec.plain(admitted)), fingerprint=network_print(control))
    with pytest.raises(NotTrusted, match="one of its keys has not signed it"):
        check_request(asked, network="aster")  # as a new site it would not be admitted
    assert shown_keys(leeds)[0].startswith("ledger key")


def test_the_end_of_a_certificate_is_told_before_and_after(made: Path) -> None:
    leeds = made / "LEEDS"
    assert expiry_notice(leeds, now=NOW) == ""
    assert "in 29 days; renew it" in expiry_notice(leeds, now=NOW + timedelta(days=700, hours=1))
    assert "no other node talks to it" in expiry_notice(leeds, now=NOW + timedelta(days=731))


def test_a_certificate_of_another_authority_or_for_another_key_is_not_installed(made: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    mine, other = Authority.new("aster", now=NOW), Authority.new("aster", now=NOW)
    until = NOW + timedelta(days=1)
    issued = mine.issue("LEEDS", node_key(home).public_key(), now=NOW, until=until)
    with pytest.raises(NotTrusted, match="not issued by this authority"):
        install_certificate(home, pem(issued), pem(other.certificate))
    for_other = mine.issue("LEEDS", node_key(tmp_path / "another").public_key(), now=NOW, until=until)
    with pytest.raises(NotTrusted, match="another key"):
        install_certificate(home, pem(for_other), pem(mine.certificate))
    assert not (home / "tls" / "node.crt").exists()


def test_the_authoritys_key_may_be_in_a_box(tmp_path: Path) -> None:
    Authority.new("aster", now=NOW).save(tmp_path, passphrase=PASSWORD)
    assert Authority.load(tmp_path, passphrase=PASSWORD).certificate.subject.rfc4514_string() == "CN=aster authority"
    for wrong in ("", "other words"):
        with pytest.raises(NotTrusted, match="the passphrase is wrong"):
            Authority.load(tmp_path, passphrase=wrong)


def test_a_network_on_one_machine_is_made_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    plant = plant_for(tmp_path / "plans") / "plant.yaml"
    isogenic("keys", "new", "aster", str(tmp_path / "net"), "--site", str(plant))
    assert SiteHome.open(tmp_path / "net" / "LEEDS").trust == ControlHome.open(tmp_path / "net" / "CONTROL").directory.control
    assert ControlHome.open(tmp_path / "net" / "CONTROL").settings.audiences == {"LEEDS": ["HOUSE", "ASTER-BIO"]}
    assert "take it off this machine" in capsys.readouterr().out


def test_demonstration_certificates_are_of_the_same_two_kinds(tmp_path: Path) -> None:
    from cryptography import x509

    issue_certificates({"CONTROL": tmp_path / "CONTROL", "LEEDS": tmp_path / "LEEDS"}, network="aster", now=NOW)
    uses = {
        node: x509.load_pem_x509_certificate((tmp_path / node / "tls" / "node.crt").read_bytes())
        .extensions.get_extension_for_class(x509.ExtendedKeyUsage)
        .value
        for node in ("CONTROL", "LEEDS")
    }
    assert {node: [each._name for each in use] for node, use in uses.items()} == {"CONTROL": ["serverAuth"], "LEEDS": ["clientAuth"]}


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=300) | st.recursive(st.none() | st.text(max_size=20) | st.integers(), lambda each: st.dictionaries(st.text(max_size=10), each))
)
def test_what_is_no_request_is_refused(data: object) -> None:
    with pytest.raises(Refusal):
        read_request(data if isinstance(data, bytes) else json.dumps(data).encode())


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_a_request_with_a_changed_field_is_refused(made: Path, data: st.DataObject) -> None:
    plain = json.loads((made / "LEEDS" / "LEEDS.request.json").read_bytes())
    field = data.draw(st.sampled_from(sorted(set(plain) - {"isogenic"})))
    value = data.draw(st.text(max_size=30) | st.floats(-90, 90).map(str))
    if plain[field] == value:
        return
    try:
        asked = read_request(json.dumps(plain | {field: value}).encode())
    except Refusal:
        return
    assert isinstance(asked, SiteRequest)
    if codec.plain(asked) == plain:  # the same value, written otherwise
        return
    with pytest.raises(Refusal):
        check_request(asked, network="aster")


def test_the_control_sites_desk_serves_no_site_before_it_is_admitted(made: Path) -> None:
    home = ControlHome.open(made / "NET" / "CONTROL")
    assert list(home.directory.sites) == ["LEEDS"]
    assert NodeId("GHENT") not in home.directory.sites


def test_a_site_that_calls_nobody_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    warn_alone("LEEDS", "https://127.0.0.1:8443")
    assert capsys.readouterr().out == ""
    warn_alone("LEEDS", "")
    assert capsys.readouterr().out == "site LEEDS: no control site is known (no control_url in node.json, no --control-url): it runs alone\n"


def test_a_demonstration_network_says_how_fast_time_is_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    isogenic("world", str(tmp_path / "net"))
    *_, told, option = capsys.readouterr().out.splitlines()
    assert told == "Sites scan every 1800 s of process time: run every process on fast time, as with"
    word, spec = option.split()
    assert word == "--clock"
    assert isinstance(clock_of(spec), ScaledClock)
    assert json.loads((tmp_path / "net" / "LEEDS" / "node.json").read_text())["scan_s"] == 1800.0
