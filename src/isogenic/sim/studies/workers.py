"""Who works out the chunks of a study: this process, some processes of this machine, or a Dask cluster.

Guarantees: tables come back in the order of the plan, whoever is faster; no more than a few chunks are under way or
waiting at once, so memory is bounded. A worker that dies ends the study with a reason. On the way out, whatever the
reason, no process of ours is left; workers end by themselves where the one who started them was ended with force.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from multiprocessing import connection, get_context, parent_process
from typing import Any

import pyarrow as pa

from isogenic.errors import NotFound, NotReachable, NotValid
from isogenic.sim.scenarios.model import Scenario
from isogenic.sim.studies.chunk import run_chunk
from isogenic.sim.studies.part import Part

__all__ = ["WORKERS_MAX", "by_processes", "in_turn", "on_cluster"]

Tables = dict[str, pa.Table]
Work = Callable[[Scenario, Part], Tables]
WORKERS_MAX = 256
AHEAD = 2  # chunks for each worker that are under way or wait to be written
CONNECT_S = 10.0


def in_turn(scenario: Scenario, parts: Sequence[Part], *, work: Work = run_chunk) -> Generator[Tables, None, None]:
    """In this process, one after another."""
    for part in parts:
        yield work(scenario, part)


def by_processes(scenario: Scenario, parts: Sequence[Part], *, workers: int, work: Work = run_chunk) -> Generator[Tables, None, None]:
    """In so many processes of this machine. They are started afresh, not forked: a fork would take locks and threads along."""
    if not 1 <= workers <= WORKERS_MAX:
        raise NotValid(f"cannot use {workers} workers", why=f"there are 1 to {WORKERS_MAX}")
    pool = ProcessPoolExecutor(max_workers=min(workers, len(parts)), mp_context=get_context("spawn"), initializer=_begin)
    try:
        yield from _ordered(partial(_submitted, pool, work), scenario, parts, ahead=AHEAD * workers)
    except BrokenProcessPool as trouble:
        why = "a worker process died: out of memory, or ended by somebody"
        raise NotReachable("cannot finish the study", why=why, possible="fewer workers, or fewer points") from trouble
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def on_cluster(scenario: Scenario, parts: Sequence[Part], *, address: str, work: Work = run_chunk) -> Generator[Tables, None, None]:
    """On the workers of a Dask cluster."""
    try:
        import distributed
    except ImportError as trouble:
        raise NotFound("cannot reach a cluster", why="the extra cluster is not installed", possible="pip install 'isogenic[cluster]'") from trouble
    try:
        cluster: Any = distributed  # it has no types
        client = cluster.Client(address.removeprefix("dask://"), timeout=CONNECT_S, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as trouble:
        raise NotReachable(f"cannot reach a Dask scheduler at {address[:100]}", why=str(trouble)[:200] or type(trouble).__name__) from trouble
    try:
        threads = sum(client.nthreads().values())
        if not threads:
            raise NotReachable(f"cannot run on {address[:100]}", why="its scheduler has no workers")
        others = {said for said in client.run(_version).values() if said != _version()}
        if others:
            raise NotValid(f"cannot run on {address[:100]}", why=f"its workers have {', '.join(sorted(map(str, others)))}, not {_version()}")
        submit = partial(client.submit, work, pure=False)
        yield from _ordered(submit, scenario, parts, ahead=AHEAD * threads)
    except distributed.KilledWorker as trouble:
        raise NotReachable("cannot finish the study", why=f"a worker of the cluster died: {str(trouble)[:200]}") from trouble
    finally:
        client.close(timeout=CONNECT_S)


def _ordered(submit: Callable[..., Any], scenario: Scenario, parts: Sequence[Part], *, ahead: int) -> Generator[Tables, None, None]:
    """Results in the order of the parts, with at most `ahead` of them asked for and not yet taken."""
    waiting: deque[Any] = deque()
    left = iter(parts)
    try:
        for part in left:
            waiting.append(submit(scenario, part))
            if len(waiting) >= ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for each in waiting:
            each.cancel()


@contextlib.contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """What is started here is deaf to Ctrl-C: that is left to the one who started it, who cleans up."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _submitted(pool: ProcessPoolExecutor, work: Work, scenario: Scenario, part: Part) -> Any:
    """A task; it may start a worker, who is deaf from his first moment on, not only once he has imported everything."""
    with _deaf_to_interrupts():
        return pool.submit(work, scenario, part)


def _begin() -> None:
    """A worker leaves Ctrl-C to the one who started it, and does not outlive him."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    if parent is not None:
        connection.wait([parent.sentinel])
        os._exit(1)


def _version() -> str:
    import numpy as np

    from isogenic import __version__

    return f"isogenic {__version__}, numpy {np.__version__}, pyarrow {pa.__version__}"
