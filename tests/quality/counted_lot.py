"""The story of one lot, with a line that has counted."""

from dataclasses import replace

from lot_story import BATCH, OURS, story

from isogenic.batches.counts import CountsNoted
from isogenic.ids import UnitId
from isogenic.records.facts import Actor


def counted(told=None, *, good: float) -> list:
    node, unit = Actor.node("GHENT"), UnitId("BR-200")
    first = CountsNoted(BATCH, unit, {"containers_in": 100.0, "containers_good": 80.0, "rejected_seal": 2.0, "containers_sampled": 0.0})
    last = CountsNoted(BATCH, unit, {"containers_in": 108.0, "containers_good": 80.0 + good, "rejected_seal": 3.0, "containers_sampled": 1.0})
    told = told or story()
    at = next(at for at, each in enumerate(told) if type(each[2]).fact_name == "batch.closed")
    closed = replace(told[at][2], facts=told[at][2].facts + 2)
    return [*told[:at], (OURS, node, first), (OURS, node, last), (told[at][0], told[at][1], closed), *told[at + 1 :]]
