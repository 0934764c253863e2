"""Over real TLS: with its own certificate a site reads and writes its own ledgers only. Every request of the wire is tried."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from isogenic.clock import text_of_time
from isogenic.errors import NotReachable
from isogenic.ids import NodeId
from isogenic.network.server import node_server, started
from isogenic.records import codec, link
from isogenic.records.ledger import Ledger
from isogenic.records.link import Answer
from isogenic.records.notes import cosign
from isogenic.records.sqlite import SqliteStore
from isogenic.records.sync import Page, next_page
from isogenic.sites.link import HttpsLink
from small_network import GHENT, LEEDS, LOT, START, Network

THEIRS, TO_THEM = "aster/GHENT/ASTER-BIO", "aster/CONTROL/GHENT"


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """GHENT has a whole batch here and some facts not sent yet; LEEDS has only begun."""
    net = Network(tmp_path_factory.mktemp("net") / "net", sites=(LEEDS, GHENT))

    async def run() -> None:
        await net.publish(LEEDS)
        await net.publish(GHENT)
        await net.run_batch(net.start_batch(GHENT), GHENT)
        await net.carry(GHENT)
        await net.carry(LEEDS)
        net.report_results(LOT, GHENT)

    asyncio.run(run())
    yield net
    net.close_site(LEEDS)
    net.close_site(GHENT)
    net.close_control()


@asynccontextmanager
async def served(net: Network) -> AsyncIterator[int]:
    server = node_server(net.control.desk, home=net.folder / "CONTROL", host="127.0.0.1", port=0)
    task = asyncio.create_task(server.serve())
    try:
        yield await started(server)
    finally:
        server.should_exit = True
        await asyncio.wait([task], timeout=5)


async def ask(net: Network, port: int, home: Path, *request: Any) -> Answer:
    line = HttpsLink(f"https://127.0.0.1:{port}", home=home, wait_s=5)
    try:
        return await line.call(*request)
    finally:
        await line.close()


def of_ghent(net: Network) -> dict[str, object]:
    """Everything that is GHENT's at the control site."""
    control = net.control
    found: dict[str, object] = {
        "state": replace(control.state, sites={site: view for site, view in control.state.sites.items() if site != LEEDS}),  # who tried is on record
        "blobs": {each: sha256(control.blobs.get(each)).hexdigest() for each in control.blobs.digests()},
    }
    for origin, (site, copy) in control.copies.items():
        if site == GHENT:
            found[origin] = (copy.size, copy.root, copy.store.receipt())
    directed = control.ledgers["GHENT"]
    found[TO_THEM] = (directed.size, directed.root, directed.witnessed)
    live = control.desk.live[NodeId("GHENT")]
    found["live"] = (live.heard, dict(live.noted), {unit: list(points) for unit, points in live.units.items()})
    return found


def attempts(net: Network) -> list[tuple[str, str, bytes]]:
    """What LEEDS asks for, with GHENT's names, GHENT's true bytes, and bytes of its own."""
    ghent = net.nodes[GHENT]
    ledger = ghent.ledgers["ASTER-BIO"]
    unsent = next_page(ledger, start=ledger.witnessed)
    whole = next_page(ledger, start=0)
    assert unsent is not None and whole is not None
    mine = net.nodes[LEEDS].ledgers["HOUSE"]
    relabelled = next_page(mine, start=0)
    assert relabelled is not None
    forged_ledger = Ledger(SqliteStore(net.folder.parent / f"forged-{ledger.size}.sqlite", origin=THEIRS), signer=mine.signer)
    forged_ledger.append_bytes([b"{}"])
    forged = next_page(forged_ledger, start=0)
    assert forged is not None
    directed = net.control.ledgers["GHENT"]
    head = directed.store.head()
    back = ghent.control.page_back(0, moment=net.clock.now())
    assert head is not None and back is not None
    line = cosign(head.note, witness=ghent.control.witness, time=1)
    digest = next(iter(ghent.courier.wanted.blobs_to_send()), "") or next(iter(net.control.blobs.digests()))
    own = codec.dumps({"at": text_of_time(net.clock.at), "noted": {THEIRS: 10**6}, "values": {"GHENT": {"ph": 1.0}}})
    return [
        ("POST", "/v1/pages", unsent.to_bytes()),
        ("POST", "/v1/pages", whole.to_bytes()),
        ("POST", "/v1/pages", Page(THEIRS, 0, relabelled.bodies, relabelled.note).to_bytes()),
        ("POST", "/v1/pages", forged.to_bytes()),
        ("POST", "/v1/pages?wait=1", unsent.to_bytes()),
        ("GET", f"/v1/control?from=0&ledger={TO_THEM}&peer=GHENT&site=GHENT", b""),
        ("GET", "/v1/control/GHENT?from=0", b""),
        ("GET", f"/v1/held?ledger={THEIRS}&from=0", b""),
        ("GET", f"/v1/held?ledger={TO_THEM}&from=0", b""),
        ("GET", "/v1/held?ledger=aster/CONTROL/HOUSE&from=0", b""),
        ("POST", "/v1/held", back.to_bytes()),
        ("POST", "/v1/cosignatures", codec.dumps({"size": head.size, "line": line.decode()})),
        ("POST", "/v1/cosignatures", codec.dumps({"size": head.size, "line": line.decode(), "origin": TO_THEM})),
        ("POST", "/v1/again", whole.to_bytes()),
        ("POST", "/v1/heads", codec.dumps({"held": ""})),
        ("POST", "/v1/blobs", codec.dumps({"digests": [digest]})),
        ("GET", f"/v1/blobs/{digest}", b""),
        ("PUT", f"/v1/blobs/{digest}", net.control.blobs.get(digest)),
        ("PUT", f"/v1/blobs/{digest}", b"other bytes"),
        ("POST", "/v1/heartbeat", own),
    ]


def test_no_request_of_one_site_reads_or_writes_what_is_anothers(net: Network) -> None:
    before = of_ghent(net)
    house = net.control.ledgers["HOUSE"].size
    secrets = net.nodes[GHENT].ledgers["ASTER-BIO"].store.bodies(0, 10**6)
    secrets += net.control.ledgers["GHENT"].store.bodies(0, 10**6)

    async def run() -> list[tuple[str, str, Answer]]:
        async with served(net) as port:
            return [(*request[:2], await ask(net, port, net.folder / LEEDS, *request)) for request in attempts(net)]

    for method, path, answer in asyncio.run(run()):
        where = path.partition("?")[0]
        if (method, where) == ("GET", "/v1/control"):  # answered, with its own
            page = Page.from_bytes(answer.body)
            assert page.origin == "aster/CONTROL/LEEDS"
            assert not set(page.bodies) & set(secrets)
        elif (method, where) == ("POST", "/v1/heartbeat"):
            assert answer.status in (200, 204, 401)
            assert THEIRS not in net.control.desk.live[NodeId("LEEDS")].noted
        elif (method, where) == ("POST", "/v1/heads"):  # heads of all, so that two views of one ledger show; of the ledgers, nothing
            assert not any(secret in answer.body for secret in secrets)
        elif (method, where) == ("POST", "/v1/blobs"):  # answered, with nothing about what is not its own
            assert codec.loads(answer.body) == {"verified": [], "missing": [], "later": []}
        else:
            assert answer.status in (401, 403, 404, 422), (method, path, answer)
            assert not any(secret in answer.body for secret in secrets), path
    after = of_ghent(net)
    noted = {fact.kind for fact in net.control.ledgers["HOUSE"].facts(house)}
    assert noted <= {"network.page_refused", "disclosures.anchored", "records.disclosures_anchored"}
    kept = after.pop("blobs")
    assert set(before.pop("blobs").items()) <= set(kept.items())  # type: ignore[attr-defined]  # more only by refused pages, which are evidence
    assert after == before


def test_every_request_of_the_wire_is_among_those_tried(net: Network) -> None:
    spoken = re.findall(r"^    ([A-Z, ]+?) +/v1/(\w+)", link.__doc__ or "", re.MULTILINE)
    wire = {(method.strip(), path) for methods, path in spoken for method in methods.split(",")}
    tried = {(method, path.split("/")[2].partition("?")[0]) for method, path, _ in attempts(net)}
    assert wire <= tried and len(wire) >= 9


def test_the_same_requests_are_answered_to_the_site_whose_they_are(net: Network) -> None:
    """So that the refusals above are for who asks, and not for how."""

    async def run() -> list[Answer]:
        async with served(net) as port:
            ledger = net.nodes[GHENT].ledgers["ASTER-BIO"]
            unsent = next_page(ledger, start=ledger.witnessed)
            assert unsent is not None
            digest = next(iter(net.control.state.lots.values())).blocks[0].digest
            requests = [
                ("POST", "/v1/pages", unsent.to_bytes()),
                ("GET", "/v1/control?from=0", b""),
                ("GET", f"/v1/held?ledger={THEIRS}&from=0", b""),
                ("GET", f"/v1/blobs/{digest}", b""),
                ("POST", "/v1/blobs", codec.dumps({"digests": [digest]})),
            ]
            return [await ask(net, port, net.folder / GHENT, *request) for request in requests]

    answers = asyncio.run(run())
    assert [answer.status for answer in answers] == [200, 200, 200, 200, 200]
    assert Page.from_bytes(answers[1].body).origin == TO_THEM
    assert Page.from_bytes(answers[2].body).origin == THEIRS


def signed_by_leeds(net: Network, folder: Path) -> Path:
    """LEEDS uses the key of its own certificate as if it were an authority, and names the result GHENT."""
    own = net.folder / LEEDS / "tls"
    issuer_key = serialization.load_pem_private_key((own / "node.key").read_bytes(), None)
    issuer = x509.load_pem_x509_certificate((own / "node.crt").read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "GHENT")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(START - timedelta(days=1))
        .not_valid_after(START + timedelta(days=4000))
        .sign(issuer_key, hashes.SHA256())  # type: ignore[arg-type]
    )
    tls = folder / "tls"
    tls.mkdir(parents=True)
    (tls / "node.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    (tls / "node.crt").write_bytes(made.public_bytes(serialization.Encoding.PEM) + (own / "node.crt").read_bytes())
    (tls / "authority.crt").write_bytes((own / "authority.crt").read_bytes())
    return folder


def test_a_certificate_that_a_site_signs_itself_opens_nothing(net: Network, tmp_path: Path) -> None:
    forged = signed_by_leeds(net, tmp_path / "forged")

    async def run() -> None:
        async with served(net) as port:
            with pytest.raises(NotReachable, match=r"(?i)ssl|tls|certificate|alert|disconnected|reset|closed"):
                await ask(net, port, forged, "GET", "/v1/control?from=0", b"")
            context = ssl.create_default_context(cafile=str(net.folder / LEEDS / "tls" / "authority.crt"))
            reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)  # no certificate at all
            writer.write(b"GET /v1/control?from=0 HTTP/1.1\r\nHost: x\r\n\r\n")
            with suppress(ssl.SSLError, ConnectionError):
                assert await reader.read() == b""
            writer.close()

    asyncio.run(run())
