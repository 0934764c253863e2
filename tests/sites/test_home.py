"""A site's folder: opened whole, or refused with the file that is at fault."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from isogenic.errors import NotFound, NotReachable, NotTrusted, NotValid, Refusal
from isogenic.sites.home import SiteHome
from small_network import LEEDS, world_folder


@pytest.fixture
def home(tmp_path: Path) -> Path:
    shutil.copytree(world_folder() / LEEDS, tmp_path / LEEDS)
    return tmp_path / LEEDS


def test_a_folder_opens(home: Path) -> None:
    opened = SiteHome.open(home)
    assert (opened.settings.site, opened.plant.site, list(opened.ledgers())) == ("LEEDS", LEEDS, ["HOUSE", "ASTER-BIO"])
    assert opened.control().origin == "aster/CONTROL/LEEDS"


@pytest.mark.parametrize("name", ["node.json", "plant.yaml", "trust.json", "keys/ledger.key", "keys/witness.key"])
def test_each_file_that_is_missing_is_named(home: Path, name: str) -> None:
    (home / name).unlink()
    with pytest.raises((NotFound, NotValid), match=Path(name).name):
        SiteHome.open(home)


@pytest.mark.parametrize("name", ["node.json", "plant.yaml", "trust.json", "keys/ledger.key", "keys/witness.key", "endpoints.json"])
@pytest.mark.parametrize("content", [b"", b"\xff\x00\xfe", b"{", b"[1]", b"null", b'"text"', b"{}", b"- a\n- b\n"])
def test_each_file_that_is_malformed_is_named(home: Path, name: str, content: bytes) -> None:
    (home / name).write_bytes(content)
    if (name, content) == ("endpoints.json", b"{}"):
        SiteHome.open(home)
        return
    with pytest.raises(NotValid, match=Path(name).name):
        SiteHome.open(home)


@pytest.mark.parametrize(
    "changes",
    [{"scan_s": 0}, {"scan_s": -5}, {"scan_s": "often"}, {"scan_s": "nan"}, {"heartbeat_s": 0}, {"strange": 1}, {"site": 5}, {"site": "leeds"}],
)
def test_settings_that_cannot_be_are_refused(home: Path, changes: dict[str, object]) -> None:
    said = json.loads((home / "node.json").read_text())
    (home / "node.json").write_text(json.dumps(said | changes))
    with pytest.raises(NotValid):
        SiteHome.open(home)


def test_the_environment_overrides_the_file(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ISOGENIC_SCAN_S", "7.5")
    assert SiteHome.open(home).settings.scan_s == 7.5
    monkeypatch.setenv("ISOGENIC_SCAN_S", "soon")
    with pytest.raises(NotValid, match=r"node\.json"):
        SiteHome.open(home)


def test_a_plant_of_another_site_is_refused(home: Path) -> None:
    shutil.copy(world_folder() / "GHENT" / "plant.yaml", home / "plant.yaml")
    with pytest.raises(NotValid, match="GHENT"):
        SiteHome.open(home)


def test_an_address_of_a_module_that_is_not_there_is_refused(home: Path) -> None:
    (home / "endpoints.json").write_text('{"BR-99-VESSEL":"opc.tcp://127.0.0.1:4840"}')
    with pytest.raises(NotFound, match="BR-99-VESSEL"):
        SiteHome.open(home)
    (home / "endpoints.json").write_text('{"BR-50-VESSEL":"http://127.0.0.1"}')
    with pytest.raises(NotValid, match=r"opc\.tcp"):
        SiteHome.open(home)


@pytest.mark.parametrize("name", ["HOUSE", "ASTER-BIO", "CONTROL"])
def test_a_ledger_file_that_is_no_ledger_or_another_one_is_refused(home: Path, name: str) -> None:
    opened = SiteHome.open(home)

    def both() -> None:
        opened.ledgers()
        opened.control()

    (home / "ledgers").mkdir(exist_ok=True)
    (home / "ledgers" / f"{name}.sqlite").write_bytes(b"this is not a database" * 200)
    with pytest.raises(NotReachable, match=name):
        both()
    (home / "ledgers" / f"{name}.sqlite").unlink()
    SiteHome.open(home).ledgers()["HOUSE"].store.close()
    shutil.copy(home / "ledgers" / "HOUSE.sqlite", home / "ledgers" / "other.sqlite")
    if name != "HOUSE":
        shutil.copy(home / "ledgers" / "other.sqlite", home / "ledgers" / f"{name}.sqlite")
        with pytest.raises(Refusal) as refused:
            both()
        assert isinstance(refused.value, NotTrusted)
