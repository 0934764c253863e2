"""What the tests of web share: applications with cheap passwords, and people signed in to them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

import numpy as np
from fastapi import FastAPI
from httpx2 import ASGITransport, AsyncClient
from network_story import NOW, SEED, Network, SiteBook

from isogenic.authority.accounts import Cost
from isogenic.clock import ManualClock
from isogenic.ids import NodeId, PersonId, SeededMint, SiteId
from isogenic.network.facts import PersonSignedIn, PersonSignInRefused
from isogenic.plant.model import SitePlant
from isogenic.plant.readings import Frame, Quality, TagIndex
from isogenic.records.blobs import BlobStore
from isogenic.records.link import Answer
from isogenic.records.notes import VerifyingKey
from isogenic.sim.world import password_of
from isogenic.sites.home import SiteHome
from isogenic.sites.hot import HotBuffer
from isogenic.sites.node import SiteNode
from isogenic.sites.state import SiteState
from isogenic.web.control_api import control_app
from isogenic.web.signin import AccountFolder, Door
from isogenic.web.site_api import site_app

CHEAP = Cost(time=1, memory_kib=8, lanes=1)


class Minutes:
    """A wall clock that a test turns."""

    def __init__(self) -> None:
        self.passed = 0.0

    def wall(self):
        return NOW + timedelta(seconds=self.passed)

    def monotonic(self) -> float:
        return self.passed


def control_door(network: Network, minutes: Minutes | None = None) -> Door:
    minutes = minutes or Minutes()
    node = network.node
    return Door(
        AccountFolder(network.people()),
        directory=lambda: node.state.directory,
        note=lambda payload, actor: node.note([payload], actor=actor) and None,
        signed_in=lambda person, method: PersonSignedIn(person, method),
        refused=lambda person, why: PersonSignInRefused(person, why),
        wall=minutes.wall,
        monotonic=minutes.monotonic,
        cost=CHEAP,
    )


def app_of(network: Network, *, screens: bool = False) -> FastAPI:
    if screens:  # one process of tests mounts several control sites; NiceGUI's own application is one, and lets nothing be added once it ran
        from nicegui import core

        core.app.middleware_stack = None
    places = {site: (book.plant.latitude, book.plant.longitude) for site, book in network.books.items()}
    return control_app(network.node, AccountFolder(network.people()), door=control_door(network), screens=screens, places=places)


def password(person: str) -> str:
    return password_of(PersonId(person), SEED)


def signs(person: str, meaning: str) -> dict[str, str]:
    """What a signature with a password takes at the first signing of a session."""
    return {"person": person, "password": password(person), "meaning": meaning}


def client(app: FastAPI) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app=app), base_url="http://node.test")


async def signed_in(app: FastAPI, person: str) -> AsyncClient:
    guest = client(app)
    answer = await guest.post("/api/sign-in", json={"person": person, "password": password(person)})
    assert answer.status_code == 200, answer.text
    guest.cookies.clear()
    guest.headers["authorization"] = f"Bearer {answer.json()['token']}"
    return guest


class StillPlant:
    """Equipment without a module: it is never there, and takes nothing."""

    def __init__(self, plant: SitePlant) -> None:
        self.index = TagIndex([signal.tag for signal in plant.signals()])

    async def read(self, at):
        count = len(self.index.tags)
        return Frame(at, self.index, np.full(count, np.nan), np.full(count, int(Quality.BAD), dtype=np.uint8))

    async def write(self, setpoints: Mapping[str, float]) -> dict[str, str]:
        return dict.fromkeys(setpoints, "no module is connected")

    def changes(self) -> list[tuple[str, bool, str]]:
        return []


class Wire:
    """The control site's own desk at the end of a line that never drops."""

    def __init__(self, network: Network, site: SiteId) -> None:
        self.network, self.site = network, site

    async def call(self, method: str, path: str, body: bytes = b"") -> Answer:
        return await self.network.node.desk.handle(NodeId(self.site), method, path, body)


def site_node(network: Network, book: SiteBook) -> SiteNode:
    home = SiteHome.open(network.world.home(book.site))
    node = SiteNode(
        SiteState(home.plant),
        ledgers=book.ledgers,
        control=home.control(),
        witness=VerifyingKey.parse(home.trust.witness),
        blobs=BlobStore(home.folder / "blobs"),
        hot=HotBuffer(home.folder / "hot.sqlite"),
        clock=ManualClock(NOW),
        mint=SeededMint(3),
        equipment=StillPlant(home.plant),
        link=Wire(network, book.site),
        software="isogenic test",
    )
    node.start()
    return node


def site_application(network: Network, node: SiteNode, *, screens: bool = True) -> FastAPI:
    return site_app(node, AccountFolder(network.world.home(node.state.site) / "accounts"), screens=screens)
