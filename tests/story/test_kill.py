"""Real processes, really killed: a site and the control site go on from their facts."""

from __future__ import annotations

import asyncio
import random

import apsw
import pytest
from rich.console import Console

from isogenic.clock import ScaledClock, wall_seconds
from isogenic.records.facts import decode_fact
from isogenic.records.ledger import Copy
from isogenic.records.notes import COSIGNER, Signer, VerifyingKey
from isogenic.records.sqlite import SqliteStore
from isogenic.sim.story.chapters import tell_recipe
from isogenic.sim.story.lines import inoculum_lot, make_ready, medium_lot
from isogenic.sim.story.stage import START_OF_STORY, Story, open_network, start_control, start_site, until
from isogenic.sim.world import SITES, password_of

pytestmark = pytest.mark.story

LEEDS = SITES[0]
SPEED = 6_000.0  # 100 minutes a second: a restart of 3 s is 5 hours that nobody watched
CULTURE_H = 84.0  # until the feed has begun
KILLS = 4


async def killed_again_and_again(story: Story, dice: random.Random) -> None:
    """Run one batch into its feeding while its site is killed, and once the control site too."""
    await open_network(story, pages=False)
    control, site_process = story.processes[1], story.processes[2]
    await tell_recipe(story)
    site = story.sites[LEEDS]
    operator = await story.sign_in(site.operator, site.api)
    await make_ready(story, site, operator, recipe="MAB-FB", version=1)
    await operator.post("/api/batches", {"recipe": "MAB-FB", "version": 1, "unit": site.unit, "lot": site.lot})
    killed, since_kill = 0, 0.0
    while True:
        for asked in await operator.get("/api/prompts"):
            lot = inoculum_lot(site) if "inoculum" in asked["prompt"].lower() else medium_lot(site)
            answer = "96" if asked["kind"] == "number" else lot
            await operator.post(f"/api/batches/{asked['batch']}/prompts/{asked['prompt']}", {"answer": answer})
        batch = (await operator.get("/api/batches"))[0]
        if batch["phase"] == "Feed and produce" and killed == KILLS:
            break
        await asyncio.sleep(0.2)
        since_kill += 0.2
        if killed < KILLS and since_kill > dice.uniform(1.0, 3.0):
            site_process.kill()  # SIGKILL: nothing is said, nothing is flushed
            await site_process.wait()
            if killed == 1:
                control.kill()
                await control.wait()
                control_port = site.line.target
                assert await start_control(story, pages=False, port=control_port) == control_port
            site_process = await start_site(story, LEEDS)
            operator = await story.sign_in(site.operator, site.api)
            killed, since_kill = killed + 1, 0.0

    async def all_witnessed() -> bool:
        return all(each["witnessed"] == each["noted"] for each in (await operator.get("/api/site"))["ledgers"])

    await until(all_witnessed, what="every noted fact to be witnessed")


def facts_of(path):
    db = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    return [decode_fact(row[0]) for row in db.execute("SELECT body FROM log ORDER BY pos")]


def test_a_killed_site_goes_on_and_nothing_is_lost_or_done_twice(tmp_path):
    story = Story(tmp_path, 7, ScaledClock(start=START_OF_STORY, origin=wall_seconds(), speed=SPEED), Console(quiet=True), where=(LEEDS,))

    async def run():
        try:
            async with asyncio.timeout(240):
                await killed_again_and_again(story, random.Random(7))
        finally:
            await story.stop()

    asyncio.run(run())
    assert password_of(story.sites[LEEDS].operator, 7)  # the operator signed in with it after every restart
    home = tmp_path / "LEEDS" / "ledgers"
    facts = facts_of(home / "ASTER-BIO.sqlite")
    starts = [fact for fact in facts_of(home / "HOUSE.sqlite") if fact.kind == "sites.node_started"]
    assert len(starts) == 1 + KILLS
    runs = [(fact.payload.phase, fact.payload.run) for fact in facts if fact.kind == "batch.phase_started"]
    assert runs == [(phase, 1) for phase in ("charge_medium", "condition", "inoculate", "growth", "production")]
    doses = [(fact.payload.dose, fact.payload.number) for fact in facts if fact.kind == "batch.dose_commanded"]
    assert len(doses) == len(set(doses))
    assert [fact.position for fact in facts] == list(range(len(facts)))
    for audience in ("HOUSE", "ASTER-BIO"):
        origin = f"aster/LEEDS/{audience}"
        own = SqliteStore(home / f"{audience}.sqlite", origin=origin)
        ledger_key = VerifyingKey.parse(str(Signer.load(tmp_path / "LEEDS" / "keys" / "ledger.key").verifying_key))
        stranger = Signer.from_seed("stranger", bytes(32), algorithm=COSIGNER)
        copy = Copy(SqliteStore(tmp_path / "CONTROL" / "copies" / f"LEEDS.{audience}.sqlite", origin=origin), writer=ledger_key, witness=stranger)
        assert own.bodies(0, copy.size) == copy.store.bodies(0, copy.size)
        assert copy.size > 0
