"""Three sites and a control site as real processes, killed at random on lines that lose, repeat and delay: nothing is lost and nothing runs twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from isogenic.records.keys import WriterKeys
from isogenic.records.ledger import Copy
from isogenic.records.notes import Signer
from isogenic.records.sqlite import SqliteStore
from isogenic.sites.home import SiteHome
from real_network import RealNetwork, check_everything_is_on_both_sides
from small_network import GHENT, LEEDS, PORTO

pytestmark = pytest.mark.story

SITES = (LEEDS, GHENT, PORTO)
BADNESS = 0.2  # share of requests to which something happens
SETTINGS = {"key_rotate_facts": 12}  # so that many are killed while a ledger gets a fresh key
LIFE_S = (0.0, 1.2)  # between one act and the next; a start takes a tenth of a second, so some are killed while they start


async def chaos(net: RealNetwork, dice: Random, *, kills: int) -> None:
    """Kill, stop, cut and mend, as the dice say."""
    net.start("CONTROL")
    await net.ready("CONTROL")
    for site in SITES:
        net.start(site)
    await net.until(lambda: all(net.facts(site) for site in SITES), what="a batch at every site")
    for number in range(kills):
        await asyncio.sleep(dice.uniform(*LIFE_S))
        relay = net.relays[dice.choice(SITES)]
        relay.line.cut() if dice.random() < 0.3 else relay.line.mend()
        if number % 8 == 5:  # the control site is killed too, and is away for a while
            await net.kill("CONTROL")
            await asyncio.sleep(dice.uniform(0.0, 2.0))
            net.start("CONTROL")
            await net.ready("CONTROL")
        else:
            site = dice.choice(SITES)
            await net.kill(site)
            net.start(site)
    for relay in net.relays.values():
        relay.badness = 0.0
        relay.line.mend()
    for site in SITES:
        await net.ready(site)
    await net.until(lambda: any(fact.kind == "batch.closed" for site in SITES for fact in net.facts(site)), what="a batch that ends")
    net.calm()
    await net.until(net.witnessed, what="every noted fact to be witnessed")
    await net.stop()


def check_no_phase_ran_twice(net: RealNetwork) -> None:
    for site in SITES:
        facts = net.facts(site)
        for kind in ("batch.phase_started", "batch.phase_completed"):
            runs = Counter((fact.subject, fact.payload.phase) for fact in facts if fact.kind == kind)
            assert set(runs.values()) == {1}, f"{site} {kind}: {runs}"
        ordered = {(fact.payload.dose, fact.payload.number): fact.payload.amount for fact in facts if fact.kind == "batch.dose_commanded"}
        assert len(ordered) == sum(fact.kind == "batch.dose_commanded" for fact in facts)
        flowed = [(each.dose, each.number) for each in net.machinery[site].executions]
        assert len(flowed) == len(set(flowed)), f"a dose flowed twice at {site}"
        assert all(ordered[each.dose, each.number] == each.amount for each in net.machinery[site].executions)


def check_every_tree(net: RealNetwork) -> None:
    """Every stored fact is hashed again, on both sides, and compared with what was signed."""
    stranger = Signer.generate("stranger/witness", algorithm=4)
    for site in SITES:
        home = SiteHome.open(net.folder / site)
        home.control().check()
        for audience, ledger in home.ledgers().items():
            ledger.check()
            copied = SqliteStore(net.folder / "CONTROL" / "copies" / f"{site}.{audience}.sqlite", origin=ledger.origin)
            copy = Copy(copied, writer=WriterKeys.first(ledger.origin, home.keyring.first), witness=stranger)
            copy.check()
            assert copy.root == ledger.root
            for each in (ledger, copy):
                each.store.close()


def check_nobody_was_suspected(net: RealNetwork) -> None:
    """No fork was planted, so none may have been seen."""
    for site in SITES:
        assert not [fact for fact in net.facts(site, "HOUSE") if fact.kind == "sites.ledger_refused"]
    assert not list((net.folder / "CONTROL").glob("evidence/*"))


def through(folder: Path, *, seed: int, kills: int) -> RealNetwork:
    dice = Random(f"chaos {seed}")

    async def run() -> RealNetwork:
        async with asyncio.timeout(600 + 20 * kills), RealNetwork(folder, sites=SITES, dice=dice, badness=BADNESS, settings=SETTINGS) as net:
            await chaos(net, dice, kills=kills)
        return net

    net = asyncio.run(run())
    assert net.kills.total() == kills
    assert check_everything_is_on_both_sides(net) > 100
    check_every_tree(net)
    check_no_phase_ran_twice(net)
    check_nobody_was_suspected(net)
    mishaps = sum((relay.mishaps for relay in net.relays.values()), Counter())
    assert len(mishaps) >= 6, mishaps
    return net


def test_fifty_kills_lose_nothing_and_run_nothing_twice(tmp_path: Path) -> None:
    net = through(tmp_path / "net", seed=1, kills=50)
    assert all(net.kills[name] >= 5 for name in ("CONTROL", *SITES))
    resumed = [fact.payload.resumed for site in SITES for fact in net.facts(site, "HOUSE") if fact.kind == "sites.node_started"]
    assert sum(resumed) > 10  # most were killed in the middle of a batch
    rotated = [
        fact for site in SITES for audience in ("HOUSE", "ASTER-BIO") for fact in net.facts(site, audience) if fact.kind == "records.key_rotated"
    ]
    assert len(rotated) > 3


@pytest.mark.nightly
@pytest.mark.parametrize("seed", range(2, 8))
def test_hundreds_of_kills_lose_nothing_and_run_nothing_twice(tmp_path: Path, seed: int) -> None:
    through(tmp_path / "net", seed=seed, kills=100)
