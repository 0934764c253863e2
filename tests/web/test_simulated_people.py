"""Simulated people at a real site: late answers raise the alarm, wrong ones are refused and on record, nothing is lost."""

from __future__ import annotations

import asyncio
import math
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from network_story import LEEDS, Network
from web_setup import Wire, signed_in, site_node

from isogenic.batches.engine import begin
from isogenic.errors import NotValid
from isogenic.ids import BatchId, LotId, UnitId
from isogenic.materials.labels import LabelKind, label_text
from isogenic.materials.lots import LotCreated
from isogenic.recipes.model import Answer, Ask, ControlPhase, ControlPrompt, ControlRecipe, ControlTimer, ControlUnitProcedure, Then
from isogenic.sim.people import Habits, Person, Shift, Told, due, goes_wrong
from isogenic.sites.node import SiteNode
from isogenic.web.signin import AccountFolder
from isogenic.web.site_api import site_app

BATCH = BatchId("BAT-PEOPLE")
LINE, OTHER = (label_text(LabelKind.LINE, unit) for unit in ("BR-50", "BR-200"))
KNOWS = {"DENSITY-1": "0.51", "WHERE-1": LINE, "CLEAN-1": "yes"}
ASKED = {"batch": "B", "prompt": "P-1", "kind": "number", "asked_at": "2026-03-02T09:00:00+00:00"}


def recipe(like: ControlRecipe) -> ControlRecipe:
    """On the unit and for the product of another batch: one phase that asks three questions, the first within ten minutes."""
    prompts = (
        ControlPrompt("density", "Viable density", Answer.NUMBER, "1", 0.1, 2.0, timer=ControlTimer(0.0, 10.0)),
        ControlPrompt("where", "Scan the line", Answer.SCAN, "", None, None, Ask(expects="line")),
        ControlPrompt("clean", "It is clean", Answer.CONFIRM, "", None, None),
    )
    phase = ControlPhase("ask", "ask", "work", {}, {}, None, prompts, "answered", (), None, Then.ALARM, 1.0, Then.ALARM)
    last = replace(phase, name="last", title="last", prompts=(), until="elapsed >= 100.0 h")
    part = ControlUnitProcedure("work", "main", "stirred_bioreactor", UnitId("BR-50"), 50.0, (phase, last), "ask; last")
    return replace(like, batch=BATCH, lot=LotId("LOT-PEOPLE"), parameters=(), unit_procedures=(part,), chart="work", uses=())


@pytest.fixture
def leeds(network: Network) -> SiteNode:
    node = site_node(network, network.books[LEEDS])
    assert isinstance(node.courier.link, Wire)

    async def hear() -> None:
        while await node.courier.download_once(wait=0):
            pass

    asyncio.run(hear())
    control = recipe(node.state.batches[BatchId("BAT-A2")].control)
    node.note([LotCreated(lot=control.lot, product=control.product, batch=BATCH, site=LEEDS), *begin(control, sponsor=node.state.plant.sponsor)])
    return node


def work(network: Network, node: SiteNode, folder: Path, habits: Habits, *, minutes: int = 60) -> list[Told]:
    """An operator answers for so long, minute by minute."""
    (folder / "accounts").mkdir()
    shutil.copy2(network.world.home(LEEDS) / "accounts" / "LEA.json", folder / "accounts")
    app = site_app(node, AccountFolder(folder / "accounts"), screens=False)

    async def whole() -> list[Told]:
        lea = await signed_in(app, "LEA")
        shift = Shift(Person("LEA", habits), seed=7, knows=lambda prompt: KNOWS.get(prompt), other_label=OTHER)
        for _ in range(minutes):
            node.clock.advance(60.0)  # type: ignore[attr-defined]
            await node.cycle()
            await shift.turn(lea, node.clock.now().at)
        return shift.told

    return asyncio.run(whole())


def kinds(node: SiteNode) -> list[str]:
    return [fact.kind for fact in node.ledgers["ASTER-BIO"].facts() if getattr(fact.payload, "batch", None) == BATCH]


PROMPT = Habits(median_min=2.0, spread=1.2, wrong=0.0, wrong_scan=0.0, absent=None)


def test_who_answers_in_time_raises_no_alarm_and_the_batch_goes_on(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    told = work(network, leeds, tmp_path, PROMPT, minutes=20)
    assert [each.status for each in told] == [200, 200, 200]
    assert leeds.state.batches[BATCH].answers["DENSITY-1"].answer == "0.51"
    assert "batch.prompt_overdue" not in kinds(leeds) and list(leeds.state.batches[BATCH].active) == ["last"]


def test_a_late_answer_raises_the_alarm_and_is_taken_all_the_same(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    told = work(network, leeds, tmp_path, replace(PROMPT, median_min=25.0))
    assert sorted(each.prompt for each in told if each.status == 200) == sorted(KNOWS)
    assert kinds(leeds).count("batch.prompt_overdue") == 1
    assert list(leeds.state.batches[BATCH].active) == ["last"]


def test_wrong_scans_and_entries_are_refused_and_nothing_is_lost(network: Network, leeds: SiteNode, tmp_path: Path) -> None:
    told = work(network, leeds, tmp_path, replace(PROMPT, wrong=1.0, wrong_scan=1.0))
    for prompt in KNOWS:
        tries = [each for each in told if each.prompt == prompt]
        assert [each.wrong for each in tries] == [True, True, True, False]
        assert all(each.status in (403, 422) and each.why for each in tries[:3]) and tries[3].status == 200
    assert kinds(leeds).count("batch.scan_refused") == 3
    assert set(leeds.state.batches[BATCH].answers) == set(KNOWS)
    again = site_node(network, network.books[LEEDS])  # opened from disk
    assert again.state.batches[BATCH].answers == leeds.state.batches[BATCH].answers


def test_response_times_are_log_normal_and_replay() -> None:
    lea, since = Person("LEA", Habits(absent=None)), datetime(2026, 3, 2, 9, tzinfo=UTC)
    minutes = [(due(lea, ASKED | {"prompt": f"P-{at}"}, seed=1) - since).total_seconds() / 60.0 for at in range(600)]
    assert abs(float(np.mean(np.log(minutes))) - math.log(4.0)) < 4.0 * math.log(2.0) / math.sqrt(600)
    assert float(np.std(np.log(minutes))) == pytest.approx(math.log(2.0), rel=4.0 / math.sqrt(1200))
    assert due(lea, ASKED | {"prompt": "P-7"}, seed=1) == since + timedelta(minutes=minutes[7])
    wrong = [goes_wrong(lea, ASKED | {"prompt": f"P-{at}"}, seed=1, tried=0) for at in range(2000)]
    assert abs(sum(wrong) / 2000 - 0.02) < 4.0 * math.sqrt(0.02 * 0.98 / 2000)


def test_nobody_comes_at_night() -> None:
    lea = Person("LEA")
    for hour in range(24):
        at = due(lea, ASKED | {"asked_at": f"2026-03-02T{hour:02d}:30:00+00:00"}, seed=1)
        assert 6 <= at.hour < 22
    with pytest.raises(NotValid):
        Habits(wrong=2.0)
