"""What was decided on a lot counts in whatever order the ledgers come: a damaged copy gets its facts again after our own were folded."""

from __future__ import annotations

import asyncio
from pathlib import Path

from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.state import ControlState, apply
from small_network import LEEDS, LOT, QUI, Network, signer_of


def folded(node: ControlNode, *, ours_first: bool) -> ControlState:
    state = ControlState()
    ours, copies = list(node.ledgers.values()), [copy for _, copy in node.copies.values()]
    for ledger in [*ours, *copies] if ours_first else [*copies, *ours]:
        for fact in ledger.facts():
            state = apply(state, fact, place=node.place(ledger.origin))
    return state


def test_a_decision_counts_though_its_record_came_back_after_it(tmp_path: Path) -> None:
    net = Network(tmp_path / "net")
    asyncio.run(net.publish())
    batch = net.start_batch()
    asyncio.run(net.scan())
    asyncio.run(net.carry())
    for _ in range(2):
        decisions.release_lot(net.control, net.person(QUI), signer_of(QUI), lot=LOT)
    asyncio.run(net.run_batch(batch))
    net.report_results(LOT)
    net.accept_deviations()
    asyncio.run(net.carry())
    decisions.reject_lot(net.control, net.person(QUI), signer_of(QUI), lot=LOT, reason="rehearsed")
    usual, late = folded(net.control, ours_first=False), folded(net.control, ours_first=True)
    assert len(usual.refusals[LOT]) == 2
    assert late.refusals == usual.refusals
    assert late.decisions == usual.decisions
    assert late.lots == usual.lots
    assert [str(site) for site in net.nodes] == [str(LEEDS)]
