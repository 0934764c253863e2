"""A journal of what left that is damaged, gone or put back: a batch runs on, a new journal says what became of the old one."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from isogenic.errors import Refusal
from isogenic.records.disclosures import DisclosuresAnchored, Journal, JournalBegun
from isogenic.shell.inspecting import disclosure_report
from isogenic.sites.keeping import KeyCare
from small_network import LEEDS, Network

FIRST, SECOND = "aster/LEEDS/DISCLOSURES", "aster/LEEDS/DISCLOSURES.2"


def running(folder: Path) -> Network:
    net = Network(folder)
    asyncio.run(net.publish())
    net.start_batch()
    anchored(net)
    return net


def journal(net: Network) -> Journal:
    found = net.nodes[LEEDS].journal
    assert found is not None
    return found


def anchored(net: Network) -> DisclosuresAnchored:
    """As a site does each hour and at its end."""
    said = journal(net).anchor()
    net.nodes[LEEDS].note([said])
    return said


def begun(net: Network) -> list[JournalBegun]:
    return [fact.payload for fact in net.nodes[LEEDS].ledgers["HOUSE"].facts() if isinstance(fact.payload, JournalBegun)]


def goes_on(net: Network) -> None:
    """The batch runs, and what leaves is listed."""
    size = journal(net).ledger.size
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    assert net.nodes[LEEDS].trouble is None
    assert journal(net).ledger.size > size
    assert all(ledger.witnessed == ledger.size for ledger in net.nodes[LEEDS].ledgers.values())


def changed(path: Path) -> None:
    data = path.read_bytes()
    assert b"node CONTROL" in data
    path.write_bytes(data.replace(b"node CONTROL", b"node NOBODY!"))


def cut(path: Path) -> None:
    path.write_bytes(b"no database at all" * 400)


@pytest.mark.parametrize("rotated", [False, True], ids=["first key", "its first key destroyed"])
@pytest.mark.parametrize("damage", [changed, cut, Path.unlink], ids=["changed", "cut", "gone"])
def test_a_damaged_journal_stops_no_batch_and_is_followed_by_a_new_one_that_cites_it(tmp_path: Path, damage, rotated: bool) -> None:  # type: ignore[no-untyped-def]
    net = running(tmp_path / "net")
    if rotated:
        node = net.nodes[LEEDS]
        node.keys = KeyCare(node.ledgers, node.clock, node.actor, node.keys.keyring, 0.0, 1, node.journal)
        assert len(node.keys.rotate_due()) == 3
    said = anchored(net)
    net.close_site(LEEDS)
    path = net.folder / LEEDS / "disclosures.sqlite"
    damage(path)
    net.lines[LEEDS].up = False
    net.open_site(LEEDS)
    asyncio.run(net.scan())  # the batch runs, whatever the link does
    (cited,) = begun(net)
    assert (cited.ledger, cited.before, cited.size, cited.root) == (SECOND, FIRST, said.size, said.root)
    kept = list((net.folder / LEEDS / "evidence").glob("disclosures.sqlite.*"))
    assert [each.name.rpartition(".")[2] for each in kept if each.suffix != ".none"] == [cited.evidence[:16]]
    assert next(iter(journal(net).ledger.facts())).payload == cited
    net.lines[LEEDS].up = True
    goes_on(net)
    net.restart_site(LEEDS)
    goes_on(net)
    assert begun(net) == [cited]
    assert journal(net).ledger.origin == SECOND
    assert any("begun anew" in line for line in disclosure_report(net.folder / LEEDS))


def test_a_journal_that_was_put_back_is_noticed_by_what_the_house_says_of_it(tmp_path: Path) -> None:
    net = running(tmp_path / "net")
    net.close_site(LEEDS)
    shutil.copy(net.folder / LEEDS / "disclosures.sqlite", tmp_path / "older.sqlite")
    net.open_site(LEEDS)
    goes_on(net)
    said = anchored(net)
    net.close_site(LEEDS)
    shutil.copy(tmp_path / "older.sqlite", net.folder / LEEDS / "disclosures.sqlite")
    net.open_site(LEEDS)
    (cited,) = begun(net)
    assert f"it had {said.size} facts" in cited.why
    goes_on(net)


def test_nothing_leaves_while_no_journal_can_be_begun(tmp_path: Path) -> None:
    net = running(tmp_path / "net")
    net.close_site(LEEDS)
    home = net.folder / LEEDS
    changed(home / "disclosures.sqlite")
    (home / "evidence").write_text("something stands in the way")
    net.open_site(LEEDS)
    for _ in range(2):
        asyncio.run(net.scan())
        calls = len(net.lines[LEEDS].calls)
        with pytest.raises(Refusal):
            journal(net).note()
        asyncio.run(net.carry())
        assert len(net.lines[LEEDS].calls) == calls
    (home / "evidence").unlink()
    goes_on(net)
    net.restart_site(LEEDS)
    assert [each.ledger for each in begun(net)] == [SECOND]


def test_the_control_site_begins_its_journal_anew_as_well(tmp_path: Path) -> None:
    net = running(tmp_path / "net")
    net.close_control()
    changed_or_cut = net.folder / "CONTROL" / "disclosures.sqlite"
    cut(changed_or_cut)
    net.control = net.open_control()
    net.lines[LEEDS].desk = net.control.desk
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    said = [fact.payload for fact in net.control.ledgers["HOUSE"].facts() if isinstance(fact.payload, JournalBegun)]
    assert [each.ledger for each in said] == ["aster/CONTROL/DISCLOSURES.2"]
    assert disclosure_report(net.folder / "CONTROL")


def test_a_journal_from_before_the_one_in_use_is_followed_by_a_third(tmp_path: Path) -> None:
    """Its name is never used twice, whatever was put back."""
    net = running(tmp_path / "net")
    net.close_site(LEEDS)
    home = net.folder / LEEDS
    shutil.copy(home / "disclosures.sqlite", tmp_path / "first.sqlite")
    changed(home / "disclosures.sqlite")
    net.open_site(LEEDS)
    goes_on(net)
    net.close_site(LEEDS)
    shutil.copy(tmp_path / "first.sqlite", home / "disclosures.sqlite")
    (home / "disclosures.2.pub").unlink()
    net.open_site(LEEDS)
    goes_on(net)
    assert [each.ledger for each in begun(net)] == [SECOND, "aster/LEEDS/DISCLOSURES.3"]
    assert "has followed it" in begun(net)[1].why
