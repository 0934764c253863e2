"""The manifest of a closed batch: everything that its record must hold, counted by the site that made it.

Guarantees: noted once, after the last block of the batch's readings is sealed; counts facts, reading blocks, rows, readings of
each tag, samples, prompts and deviations as the site's own facts have them. A lot is not released before the control site has
found every line of it in what it holds (quality.release).
Leaves to others: what comes later (results, dispositions): they are facts after it, counted by the ledger itself.
"""

from __future__ import annotations

from collections import Counter

from isogenic.batches.facts import BatchManifestNoted
from isogenic.sites.state import SiteState

__all__ = ["manifests_due"]


def manifests_due(state: SiteState) -> list[BatchManifestNoted]:
    """Of every closed batch whose readings are sealed to the end, and that has none."""
    due = []
    for name, batch in state.batches.items():
        blocks = state.sealed.get(name, ())
        if not batch.closed or name in state.manifests or not blocks or not blocks[-1].ends:
            continue
        readings: Counter[str] = Counter()
        for block in blocks:
            readings.update({tag: good + poor for tag, good, poor in zip(block.tags, block.good, block.uncertain, strict=False)})
        due.append(
            BatchManifestNoted(
                batch=name,
                facts=batch.facts + 1,
                blocks=tuple(block.digest for block in blocks),
                rows=sum(block.rows for block in blocks),
                readings=dict(readings),
                samples=tuple(str(sample) for sample, drawn in state.samples.items() if drawn.batch == name),
                asked=len(batch.asked),
                answered=len(batch.answers),
                deviations=len(state.deviations.get(name, ())),
            )
        )
    return due
