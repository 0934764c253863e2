"""One patient's cells from the bag to labelled vials: the recipe, the loop, the driver and three modules over real sockets."""

from __future__ import annotations

import asyncio

import pytest
from point_of_care import ANOTHER, LOT, WHOSE, PointOfCare, point_of_care

from isogenic.batches.counts import reconcile
from isogenic.batches.states import State
from isogenic.materials.labels import LabelKind, label_text
from isogenic.quality.deviations import RECONCILIATION
from isogenic.quality.executed.fold import executed_record
from isogenic.quality.executed.model import Exceptional
from isogenic.quality.executed.text import as_text
from isogenic.sim.cell_processor import CellProcessor, Cells
from isogenic.sim.filler import FillingLine

LABEL = label_text(LabelKind.PATIENT, WHOSE)
ANSWERS = {
    "PATIENT-LABEL-1": LABEL,
    "CELLS-RECEIVED-1": "4000",
    "PATIENT-AT-FILLER-1": LABEL,
    "VIALS-COUNTED-1": "6",
    "PHYSICIAN-TOLD-1": "yes",
}


def made(processor: CellProcessor | None = None, line: FillingLine | None = None, **changes) -> PointOfCare:
    async def walk() -> PointOfCare:
        async with point_of_care(processor, line) as site:
            await site.run(ANSWERS | changes)
            return site

    return asyncio.run(walk())


def test_a_patients_cells_become_labelled_vials_and_everything_is_accounted_for():
    site = made()
    assert site.batch.state is State.COMPLETE
    found = reconcile(site.state.tallies[site.batch.batch])
    assert (found.taken_in, found.good, found.sampled, found.findings) == (8, 6, 2, ())
    assert (found.printed, found.applied) == (6, 6)
    record = executed_record(site.facts)
    assert [step.phase for step in record.steps] == [
        *("identify", "prime", "wash", "select", "activate", "transduce", "expand", "harvest"),
        *("confirm_patient", "fill", "close", "inspect", "label", "hand_over"),
    ]
    assert {step.phase: step.unit for step in record.steps}["prime"] == "CP-1"
    assert {step.phase: step.unit for step in record.steps}["fill"] == "FR-1"
    assert [line.text for line in record.lines if line.exception not in (None, Exceptional.CLOCK)] == []
    told = [line.text for line in record.lines]
    assert "fill of FR-1: start as gravimetric with containers 8, fill weight 10, tolerance 4; Fill" in told
    assert "answer to PATIENT-AT-FILLER-1 witnessed by PIA" in told
    assert record.reconciliation == found and LOT in as_text(record)


@pytest.mark.nightly
def test_a_vial_that_vanishes_opens_a_deviation_and_shows_in_the_record():
    site = made(line=FillingLine(seed=11, faults={"vanish": (5,)}))
    (opened,) = site.state.deviations[site.batch.batch]
    assert opened.evidence == {RECONCILIATION: "containers do not reconcile: 8 taken in, 5 good, 0 rejected, 2 sampled; 1 are not accounted for"}
    record = executed_record(site.facts)
    assert [line.text for line in record.exceptions(Exceptional.LIMIT)] == [opened.statement]


def test_a_jam_holds_the_batch_until_a_person_lets_it_go_on_and_the_sums_agree():
    site = made(line=FillingLine(seed=11, faults={"jam": (3,), "bad_label": (8,)}))
    assert site.batch.state is State.COMPLETE
    found = reconcile(site.state.tallies[site.batch.batch])
    assert (found.findings, found.rejected["handling"], found.rejected["label"], found.destroyed) == ((), 1, 1, 1)
    record = executed_record(site.facts)
    assert len(record.exceptions(Exceptional.STATE)) == 1


def test_another_patients_label_is_refused_on_record_and_no_cells_are_touched():
    async def walk() -> PointOfCare:
        async with point_of_care() as site:
            for _ in range(20):
                if (asked := site.open_scan()) is not None:
                    break
                await site.scan(600.0)
            site.people({**ANSWERS, asked: label_text(LabelKind.PATIENT, ANOTHER)})
            await site.scan(600.0)
            assert site.open_scan() == asked  # it is still asked
            return site

    site = asyncio.run(walk())
    record = executed_record(site.facts)
    (refused,) = record.exceptions(Exceptional.REFUSED)
    assert "it is another patient's" in refused.text
    assert {step.phase for step in record.steps} == {"identify"}


@pytest.mark.nightly
def test_too_few_cells_abort_the_batch_and_nothing_is_filled():
    site = made(CellProcessor(Cells(total=100.0, growth=0.3)))
    assert site.batch.state is State.ABORTED
    assert "fill" not in [step.phase for step in executed_record(site.facts).steps]
