"""Every kind of fact that there is, registered by importing this module: whoever verifies knows them all.

Guarantees: a fact of a kind that this version has is never kept as one of an unknown kind because its room was not loaded.
Leaves to others: what a fact means (its room).
"""

from __future__ import annotations

import isogenic.authority.commitments
import isogenic.authority.competence
import isogenic.authority.entitlements
import isogenic.authority.identities
import isogenic.authority.leases
import isogenic.authority.licences
import isogenic.authority.master_file
import isogenic.authority.people
import isogenic.authority.revocation
import isogenic.authority.safety
import isogenic.batches.counts
import isogenic.batches.facts
import isogenic.batches.serials
import isogenic.laboratory.results
import isogenic.materials.changeover
import isogenic.materials.clearance
import isogenic.materials.lots
import isogenic.monitoring.facts
import isogenic.monitoring.lifecycle.facts
import isogenic.network.facts
import isogenic.plant.drift
import isogenic.plant.settings
import isogenic.quality.deviations
import isogenic.quality.release
import isogenic.quality.specifications
import isogenic.quality.trail_review
import isogenic.recipes.approval
import isogenic.recipes.pictures
import isogenic.records.blocks
import isogenic.records.disclosures
import isogenic.records.gaps
import isogenic.records.healing
import isogenic.records.keys
import isogenic.records.times
import isogenic.sites.facts
import isogenic.vault.facts  # noqa: F401
