"""Queues against Erlang's formulas."""

from __future__ import annotations

import numpy as np
import pytest

from isogenic.errors import NotValid
from isogenic.sim.queueing import serve, waits_by_erlang


@pytest.mark.parametrize(("servers", "load"), [(1, 0.5), (1, 0.8), (4, 3.0)])
def test_random_orders_wait_as_erlang_says(servers: int, load: float) -> None:
    n, dice = 60_000, np.random.Generator(np.random.Philox(3))
    comes, takes = np.cumsum(dice.exponential(1.0, n)), dice.exponential(load, n)
    chance, mean = waits_by_erlang(orders_per_h=1.0, hours_each=load, servers=servers)
    waits = serve(comes, takes, servers=servers).waits_h(comes)
    blocks = waits.reshape(30, -1)  # waits of neighbours are alike, so the error is taken between blocks
    assert abs(float(waits.mean()) - mean) < 4.0 * float(blocks.mean(axis=1).std(ddof=1)) / np.sqrt(30)
    assert abs(float((waits > 0).mean()) - chance) < 4.0 * float((blocks > 0).mean(axis=1).std(ddof=1)) / np.sqrt(30)


def test_one_server_is_known_by_hand() -> None:
    chance, mean = waits_by_erlang(orders_per_h=1.0, hours_each=0.5, servers=1)
    assert (chance, mean) == (pytest.approx(0.5), pytest.approx(0.5))
    comes = np.array([0.0, 1.0, 2.0])
    served = serve(comes, np.array([5.0, 5.0, 5.0]), servers=1)
    assert served.begins_h.tolist() == [0.0, 5.0, 10.0] and served.waits_h(comes).tolist() == [0.0, 4.0, 8.0]
    impatient = serve(comes, np.array([5.0, 5.0, 5.0]), servers=1, patience_h=5.0)
    assert impatient.lost.tolist() == [0.0, 0.0, 1.0] and np.isnan(impatient.begins_h[2])


def test_more_orders_wait_longer_and_no_queue_can_have_too_many() -> None:
    waits = [waits_by_erlang(orders_per_h=each, hours_each=1.0, servers=4)[1] for each in (1.0, 2.0, 3.9)]
    assert waits == sorted(waits)
    with pytest.raises(NotValid):
        waits_by_erlang(orders_per_h=4.0, hours_each=1.0, servers=4)
    with pytest.raises(NotValid):
        serve(np.zeros(2), np.ones(3), servers=1)
