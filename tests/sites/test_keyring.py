"""A site's private ledger keys on its disk."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from isogenic.records.notes import Signer
from isogenic.sites.home import SiteHome
from small_network import LEEDS, Network


def test_a_private_key_that_a_cut_left_half_named_is_gone_after_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    net = Network(tmp_path / "net")
    net.close_site(LEEDS)
    keys = net.folder / LEEDS / "keys"
    pid = os.fork()
    if not pid:
        monkeypatch.setattr(Path, "replace", lambda path, target: os._exit(9))
        Signer.generate("aster/LEEDS").save(keys / "HOUSE.key")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 9
    assert [path.name for path in keys.glob(".*")] == [".HOUSE.key.part"]
    SiteHome.open(net.folder / LEEDS)  # who only looks destroys nothing
    assert [path.name for path in keys.glob(".*")] == [".HOUSE.key.part"]
    net.open_site(LEEDS)
    assert list(keys.glob(".*")) == []
