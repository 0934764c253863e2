"""Orders on their way to the services of modules.

    noted (ServiceCommanded) --told--> carried out, seen by the service's state
                                  \\--> refused (ServiceRefused), once
                                   \\-> not heard: told again with the next scan, until the engine calls it late

Guarantees: an order is told only after it was noted, to each service one at a time, and not again
once it was carried out; a module that takes its time delays no scan by more than `WAIT_S`: its
order goes on beside the scans. What is not the module's own no (a lost link, no answer in time) is
no refusal.
Leaves to others: when to order what, and when silence is too long (batches); how (drivers).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Mapping

from isogenic.batches.engine import BatchState, orders
from isogenic.batches.facts import ServiceRefused
from isogenic.ids import UnitId
from isogenic.plant.services import ServiceOrder, Unheard

__all__ = ["Ordering", "refusals"]

WAIT_S = 0.2  # wall clock: a service confirms a start within 30 ms; what takes longer is not waited for
WHY_MAX = 400  # characters of a reason that is noted

log = logging.getLogger(__name__)


class Ordering:
    """What was told to which service, and what became of it."""

    def __init__(self, equipment: object) -> None:
        """Equipment without services has no `order`: its orders are refused."""
        self._order = getattr(equipment, "order", None)
        self._under_way: dict[str, tuple[ServiceOrder, asyncio.Task[str]]] = {}
        self._done: dict[str, ServiceOrder] = {}  # carried out or refused, and not yet seen to be

    async def give(self, wanted: Mapping[str, ServiceOrder]) -> dict[str, tuple[ServiceOrder, str]]:
        """Tell what is not told yet; gives the orders that were refused since this was last called, and why."""
        refused: dict[str, tuple[ServiceOrder, str]] = {}
        # What is waited for no longer was seen to happen. Another batch's first order may look the same.
        self._done = {tag: order for tag, order in self._done.items() if tag in wanted}
        for tag, order in wanted.items():
            if tag not in self._under_way and self._done.get(tag) != order:
                self._under_way[tag] = (order, asyncio.create_task(self._told(tag, order), name=f"order {tag}"))
        if self._under_way:
            await asyncio.wait([task for _, task in self._under_way.values()], timeout=WAIT_S)
        for tag, (order, task) in list(self._under_way.items()):
            if not task.done():
                continue
            del self._under_way[tag]
            why = task.result()
            if isinstance(why, Unheard):
                continue
            self._done[tag] = order
            if why:
                refused[tag] = (order, why)
        return refused

    async def close(self) -> None:
        """Let go of what is under way. A module that heard its order goes on; after a start its state tells."""
        tasks = [task for _, task in self._under_way.values()]
        self._under_way.clear()
        for task in tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _told(self, tag: str, order: ServiceOrder) -> str:
        if self._order is None:
            return "the equipment has no services"
        try:
            answer: Mapping[str, str] = await self._order({tag: order})
        except Exception as trouble:  # a defect of a driver must not end the scan
            log.error("order %s not carried out", tag, exc_info=trouble)
            return Unheard(f"{type(trouble).__name__}: {trouble}"[:WHY_MAX])
        return answer.get(tag, "")


def refusals(batches: Iterable[BatchState], answers: Mapping[str, tuple[ServiceOrder, str]]) -> list[ServiceRefused]:
    """The facts of refused orders: each in the batch that still waits for it."""
    noted = []
    for batch in batches:
        for tag, order in orders(batch).items():
            told, why = answers.get(tag, (None, ""))
            if told == order:
                noted.append(ServiceRefused(batch.batch, UnitId(tag.rpartition(".")[0]), order.service, order.number, why[:WHY_MAX]))
    return noted
