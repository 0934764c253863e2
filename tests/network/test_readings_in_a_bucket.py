"""Reading blocks in an S3-compatible store (moto, as a server of its own), used by two control-site processes and away for a while."""

from __future__ import annotations

import asyncio
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest

import postgres_here
from isogenic.errors import NotTrusted
from isogenic.ids import SeededMint
from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.home import ControlHome
from small_network import LEEDS, LOT, QUI, Network, signer_of, world_folder

BUCKET = "isogenic-readings"


class Store:
    """A moto server, which keeps its objects in memory: what is stopped has lost everything."""

    def __init__(self) -> None:
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = int(taken.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [str(Path(sys.executable).parent / "moto_server"), "-H", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while True:
            try:
                urlopen(f"{self.url}/moto-api/", timeout=5).close()
                break
            except HTTPError:
                break
            except URLError:
                assert self.process.poll() is None
        import s3fs

        s3fs.S3FileSystem(skip_instance_cache=True).mkdir(BUCKET)

    def stop(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    store = Store()
    for name, value in {
        "AWS_ENDPOINT_URL_S3": store.url,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "a secret that no file says",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_MAX_ATTEMPTS": "1",
    }.items():
        monkeypatch.setenv(name, value)
    store.start()
    yield store
    store.stop()


def opened(net: Network) -> ControlNode:
    home = ControlHome.open(net.folder / "CONTROL")
    node = home.node(clock=net.clock, mint=SeededMint("another"), software="test")
    node.start()
    return node


def objects() -> dict[str, Any]:
    import s3fs

    fs = s3fs.S3FileSystem(skip_instance_cache=True, use_listings_cache=False)
    return {path: fs.cat_file(path) for path in fs.find(BUCKET)}


def test_blocks_go_into_the_bucket_wait_while_it_is_away_and_are_released_on_by_another_process(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "net"
    shutil.copytree(world_folder(), folder)
    file = folder / "CONTROL" / "node.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "store": postgres_here.empty_place(), "readings": f"s3://{BUCKET}/blocks"}))
    net = Network(folder)

    async def begin() -> None:
        await net.publish()
        await net.run_batch(net.start_batch())
        store.stop()
        await net.carry()  # facts are taken; blocks are not, and the site keeps them
        assert all(ledger.witnessed == ledger.size for ledger in net.nodes[LEEDS].ledgers.values())

    async def go_on() -> None:
        for _ in range(3):
            await net.carry()
        net.report_results(LOT)
        await net.carry()

    asyncio.run(begin())
    wanted = {block.digest for block in net.control.state.lot(LOT).blocks}
    assert wanted
    store.start()
    assert objects() == {}
    asyncio.run(go_on())
    kept = objects()
    assert wanted <= {sha256(data).hexdigest() for data in kept.values()}
    assert all(path.startswith(f"{BUCKET}/blocks/") for path in kept)
    net.accept_deviations()

    other = opened(net)  # another process finds them in the bucket
    released, notes = decisions.release_lot(other, decisions.directory(other).person(QUI), signer_of(QUI), lot=LOT)
    assert released is not None, notes

    import s3fs

    path, data = next((path, data) for path, data in kept.items() if sha256(data).hexdigest() in wanted)
    s3fs.S3FileSystem(skip_instance_cache=True).pipe_file(path, data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(NotTrusted):  # hashed again at every reading
        other.blobs.get(sha256(data).hexdigest())
    written = b"".join(each.read_bytes() for each in folder.rglob("*") if each.is_file())
    assert b"a secret that no file says" not in written
    assert other.processes is not None
    other.processes.close()
    if other.folding.derived is not None:
        other.folding.derived.close()
    net.close_site(LEEDS)
    net.close_control()
