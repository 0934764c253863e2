"""Screens beyond this machine go over TLS, or not at all."""

from __future__ import annotations

import asyncio
import shutil
import ssl
from pathlib import Path

import pytest
from httpx2 import AsyncClient
from network_story import LEEDS, Network
from web_setup import app_of

from isogenic.errors import NotValid
from isogenic.network.server import quiet_server, started
from isogenic.web.serving import is_loopback, screen_config


def test_what_only_this_machine_can_reach() -> None:
    hosts = ("127.0.0.1", "127.8.8.8", "::1", "localhost", "0.0.0.0", "::", "192.0.2.7", "qa.example.org")
    assert [is_loopback(host) for host in hosts] == [True, True, True, True, False, False, False, False]


def test_on_this_machine_screens_are_plain(tmp_path: Path) -> None:
    assert screen_config(None, home=tmp_path, host="127.0.0.1", port=0).is_ssl is False


def test_beyond_this_machine_the_control_site_serves_over_tls(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    """Served on loopback here, with the very settings that another host would get."""
    config = screen_config(app_of(network), home=network.world.control, host="0.0.0.0", port=0)
    config.host = "127.0.0.1"
    context = ssl.create_default_context(cafile=str(network.world.control / "tls" / "authority.crt"))

    async def walk() -> tuple[int, str]:
        server = quiet_server(config)
        serving = asyncio.create_task(server.serve())
        port = await started(server)
        async with AsyncClient(verify=context) as guest:
            answer = await guest.get(f"https://127.0.0.1:{port}/api/me")
            with pytest.raises(Exception, match=r"(?i)disconnect|closed|reset|eof|protocol|connect|without sending"):
                await guest.get(f"http://127.0.0.1:{port}/api/me")
        server.should_exit = True
        await asyncio.wait([serving], timeout=5)
        return answer.status_code, answer.json()["title"]

    assert asyncio.run(walk()) == (401, "NotTrusted")


def test_a_node_whose_certificate_serves_nobody_refuses_before_it_listens(network: Network, tmp_path: Path) -> None:
    home = network.world.home(LEEDS)
    with pytest.raises(NotValid, match=r"node.crt is of a node that only calls others.*tls/screen.crt"):
        screen_config(None, home=home, host="192.0.2.7", port=0)
    with pytest.raises(NotValid, match="over TLS only"):
        screen_config(None, home=tmp_path, host="192.0.2.7", port=0)
    for name, source in (("screen.crt", "node.crt"), ("screen.key", "node.key")):
        shutil.copy(network.world.control / "tls" / source, home / "tls" / name)
    assert screen_config(None, home=home, host="192.0.2.7", port=0).is_ssl is True
