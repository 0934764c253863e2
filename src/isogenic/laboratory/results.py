"""Samples drawn and results reported.

Guarantees: a `ResultReported` that `report` returns names its sample, method and unit, is
a finite number that the specification's unit can express, and is the only one of its
attribute for its sample.
Leaves to others: whether the result is within limits (quality). The number is noted in the
unit in which the laboratory reported it; it is converted only where it is judged.

Below quantitation: a result that the method cannot quantify is noted as its limit of
quantitation with the qualifier `<` (ICH Q2): `< 0.5 ng/mg` is value 0.5, qualifier `<`.
It is never noted as zero and never left out.
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection
from dataclasses import dataclass

from isogenic.errors import NotAllowed, NotValid
from isogenic.ids import BatchId, LotId, SampleId
from isogenic.records.facts import fact
from isogenic.units import same_dimension

__all__ = ["BELOW_QUANTITATION", "ResultReported", "SampleDrawn", "draw", "report"]

BELOW_QUANTITATION = "<"
METHOD_MAX = 80  # characters, as in the head of a report
_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


@fact("laboratory.sample_drawn", subject="sample")
@dataclass(frozen=True, slots=True)
class SampleDrawn:
    """A sample was drawn from a batch."""

    sample: SampleId
    batch: BatchId
    lot: LotId
    what: str  # for example harvest, bulk


@fact("laboratory.result_reported", subject="sample")
@dataclass(frozen=True, slots=True)
class ResultReported:
    """The laboratory reported one attribute of a sample."""

    sample: SampleId
    batch: BatchId
    lot: LotId
    attribute: str
    value: float
    unit: str
    method: str
    qualifier: str = ""  # `<`: below quantitation, and `value` is the limit of quantitation


def draw(sample: SampleId, *, batch: BatchId, lot: LotId, what: str) -> SampleDrawn:
    """Draw a sample of something named."""
    if not what.strip() or len(what) > METHOD_MAX or not what.isprintable():
        raise NotValid(f"cannot draw {sample}", why="it does not say what was sampled", possible="harvest, bulk")
    return SampleDrawn(sample, batch, lot, what.strip())


def report(
    sample: SampleDrawn,
    attribute: str,
    *,
    value: float,
    unit: str,
    method: str,
    expected_unit: str,
    already: Collection[ResultReported] = (),
    qualifier: str = "",
) -> ResultReported:
    """Report a result in its own unit, or refuse it. `already` are the results of this sample.

    Raises `NotValid` where the result cannot be read against its specification, `NotAllowed` where it is there already.
    """
    refused = f"cannot report {attribute[:40]} of {sample.sample}"
    if not _NAME.fullmatch(attribute):
        raise NotValid(refused, why="an attribute is named in lower case, as in the specification", possible="titre, harvest_viability")
    if not math.isfinite(value):
        raise NotValid(refused, why=f"{value} is not a finite number", possible="report the limit of quantitation with the qualifier <")
    if not method.strip() or len(method) > METHOD_MAX or not method.isprintable():
        raise NotValid(refused, why="it does not name its method")
    if qualifier not in ("", BELOW_QUANTITATION):
        raise NotValid(
            refused, why=f"qualifier {qualifier[:10]!r} is not known", possible="< where the value is the limit of quantitation, else nothing"
        )
    if qualifier and value <= 0:
        raise NotValid(refused, why=f"a limit of quantitation is above zero, not {value:g}")
    if not same_dimension(unit, expected_unit):
        raise NotValid(refused, why=f"{unit!r} cannot be converted to {expected_unit!r} of the specification")
    if any(each.sample == sample.sample and each.attribute == attribute for each in already):
        raise NotAllowed(refused, why="it is reported already, and a result is not edited", possible="draw another sample, or open a deviation")
    return ResultReported(sample.sample, sample.batch, sample.lot, attribute, float(value), unit, method.strip(), qualifier)
