"""Waiting for suites, analysts and couriers' slots: orders in a row before so many servers.

Guarantees: first come, first served, by the arrays that are given; the mean wait of Poisson orders with exponential
times agrees with Erlang's formula (`waits_by_erlang`).
Leaves to others: when orders come and how long they take (dice, `operations`), what waiting costs.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from isogenic.errors import NotValid
from isogenic.sim.processes.process import Floats

__all__ = ["Served", "serve", "waits_by_erlang"]

SERVERS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Served:
    """When each order began and was done, in the order in which they were given."""

    begins_h: Floats
    ends_h: Floats
    lost: Floats  # 1 where it waited longer than it could

    def waits_h(self, comes_h: Floats) -> Floats:
        return self.begins_h - comes_h


def serve(
    comes_h: Floats,
    takes_h: Floats,
    *,
    servers: int,
    patience_h: Floats | float = np.inf,
    works: Callable[[int, float], tuple[float, float]] | None = None,
) -> Served:
    """One queue before so many servers; an order that cannot begin within its patience is lost, and takes nobody's time.

    `works` says when the order at a place, taken up at an hour, begins and ends, for servers who are not always there."""
    comes, takes = np.asarray(comes_h, dtype=np.float64), np.asarray(takes_h, dtype=np.float64)
    patience = np.broadcast_to(np.asarray(patience_h, dtype=np.float64), comes.shape)
    if not (1 <= servers <= SERVERS_MAX and comes.shape == takes.shape and np.isfinite(comes).all() and (takes >= 0).all() and (patience >= 0).all()):
        raise NotValid("cannot queue these orders", why="each has a time and a duration", possible=f"1 to {SERVERS_MAX} servers")
    begins, ends, lost = np.full(comes.shape, np.nan), np.full(comes.shape, np.nan), np.zeros(comes.shape)
    free = [-np.inf] * servers
    for at in np.argsort(comes, kind="stable"):
        begin = max(float(comes[at]), free[0])
        if begin - comes[at] > patience[at]:
            lost[at] = 1.0
            continue
        begins[at], ends[at] = works(int(at), begin) if works else (begin, begin + takes[at])
        heapq.heapreplace(free, float(ends[at]))
    return Served(begins, ends, lost)


def waits_by_erlang(*, orders_per_h: float, hours_each: float, servers: int) -> tuple[float, float]:
    """The chance to wait and the mean wait in hours, of Poisson orders with exponential times (Erlang's C)."""
    load = orders_per_h * hours_each
    if not (0.0 < load < servers):
        raise NotValid("no steady queue", why="there are as many orders as can be served, or more", possible=f"less than {servers} at once")
    blocked = 1.0  # Erlang's B, server by server
    for at in range(1, servers + 1):
        blocked = load * blocked / (at + load * blocked)
    waits = blocked / (1.0 - load / servers * (1.0 - blocked))
    return waits, waits * hours_each / (servers - load)
