"""Pictures of a recipe on their way: named in the signed text, submitted, published with it, fetched by its sites, and by nobody before."""

from __future__ import annotations

import asyncio
import struct
import zlib
from pathlib import Path

import pytest

from asked_recipe import recipe_with
from isogenic.authority.rules import Act
from isogenic.errors import NotAllowed
from isogenic.ids import NodeId
from isogenic.network import decisions
from isogenic.recipes.model import digest_of
from isogenic.recipes.pictures import PicturePublished, PictureSubmitted
from small_network import ADA, BEN, LEEDS, RECIPE, Network, signer_of


def png(shade: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", 32, 32, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress((b"\x00" + bytes([shade]) * 32) * 32)) + chunk(b"IEND", b"")


WELD = png(120)
DIGEST = digest_of(WELD)
ASKED = f"              - {{prompt: weld, answer: confirm, text: Weld it, picture: {{file: weld.png, digest: {DIGEST}}}}}\n"


def signed(net: Network) -> None:
    decisions.submit_recipe(net.control, net.person(ADA), recipe_with(ASKED))
    decisions.approve_recipe(net.control, net.person(ADA), signer_of(ADA), recipe=RECIPE, version=1, act=Act.SIGN_RECIPE_AS_AUTHOR)
    decisions.approve_recipe(net.control, net.person(BEN), signer_of(BEN), recipe=RECIPE, version=1, act=Act.APPROVE_RECIPE)


def fetched(net: Network) -> int:
    return asyncio.run(net.control.desk.handle(NodeId(LEEDS), "GET", f"/v1/blobs/{DIGEST}", b"")).status


def test_a_recipe_whose_picture_is_not_here_is_not_published(tmp_path: Path) -> None:
    net = Network(tmp_path / "network")
    signed(net)
    with pytest.raises(NotAllowed, match="it names pictures that are not here"):
        decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)


def test_a_picture_reaches_the_sites_of_its_recipe_with_it_and_nobody_before(tmp_path: Path) -> None:
    net = Network(tmp_path / "network")
    signed(net)
    submitted = decisions.submit_picture(net.control, net.person(ADA), WELD)
    assert submitted == PictureSubmitted(DIGEST, "image/png", len(WELD), 32, 32)
    before = fetched(net)
    decisions.publish_recipe(net.control, net.person(BEN), recipe=RECIPE, version=1)
    node = net.nodes[LEEDS]
    asyncio.run(net.carry())
    assert (before, fetched(net)) == (404, 200)
    assert node.state.pictures == {DIGEST: PicturePublished(RECIPE, 1, LEEDS, DIGEST, "image/png", len(WELD))}
    assert (node.missing_pictures(), node.blobs.get(DIGEST)) == (set(), WELD)


def test_a_picture_that_was_submitted_before_is_not_noted_again(tmp_path: Path) -> None:
    net = Network(tmp_path / "network")
    for _ in range(2):
        decisions.submit_picture(net.control, net.person(ADA), WELD)
    noted = [fact for fact in net.control.ledgers["HOUSE"].facts() if fact.kind == "recipe.picture_submitted"]
    assert len(noted) == 1
    with pytest.raises(NotAllowed):
        decisions.submit_picture(net.control, net.person(BEN), png(7))


def test_pictures_beside_the_recipes_of_the_control_site_are_taken_up_at_its_start(tmp_path: Path) -> None:
    net = Network(tmp_path / "network")
    (net.folder / "CONTROL" / "documents" / "weld.png").write_bytes(WELD)
    net.restart_control()
    assert list(net.control.state.pictures) == [DIGEST]
    net.close_control()
