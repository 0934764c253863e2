"""What the control site knows of master files, licences, leases and commitments, folded from its own ledgers and the sites' answers.

Guarantees: what counts is what stands in a ledger of the control site; of a site, only its answers about its own plant.
Leaves to others: deciding (licensing), granting leases (leasing), what differs (difference).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from isogenic.authority import leases, licences
from isogenic.authority.commitments import Commitments, CommitmentsPublished, load_commitments
from isogenic.authority.leases import LeaseGranted
from isogenic.authority.licences import Licence, LicenceApplied, LicenceChanged
from isogenic.authority.master_file import (
    Jurisdiction,
    MasterFile,
    MasterFileAnswered,
    MasterFileApproved,
    MasterFilePublished,
    MasterFileSubmitted,
    load_master_file,
)
from isogenic.authority.safety import SafeCompletionBegun
from isogenic.errors import NotFound, NotValid
from isogenic.ids import LicenceId, MasterFileId, ProductId, SiteId
from isogenic.records.facts import Fact

__all__ = ["AuthorityView", "SafeCompletionBegun"]

Version = tuple[MasterFileId, int]
REFUSALS_KEPT = 10_000  # of a site, for its annual report; every one is in the ledger


@dataclass(frozen=True, slots=True)
class AuthorityView:
    """Everything that was filed, licensed, leased and promised."""

    submitted: Mapping[Version, MasterFileSubmitted] = field(default_factory=dict)
    approvals: Mapping[Version, tuple[MasterFileApproved, ...]] = field(default_factory=dict)
    published: Mapping[Version, datetime] = field(default_factory=dict)  # when, the first time
    at_sites: Mapping[tuple[SiteId, MasterFileId, int], MasterFilePublished] = field(default_factory=dict)
    answers: Mapping[tuple[SiteId, MasterFileId], MasterFileAnswered] = field(default_factory=dict)  # the newest of each
    licences: Mapping[LicenceId, Licence] = field(default_factory=dict)
    history: tuple[tuple[datetime, LicenceApplied | LicenceChanged], ...] = ()
    leases: Mapping[LicenceId, LeaseGranted] = field(default_factory=dict)
    lease_at: Mapping[LicenceId, int] = field(default_factory=dict)  # its place in the ledger written for the site
    commitments: Mapping[tuple[ProductId, Jurisdiction], Commitments] = field(default_factory=dict)
    refused: Mapping[SiteId, tuple[datetime, ...]] = field(default_factory=dict)  # starts that the gate of a site refused

    def after(self, fact: Fact) -> AuthorityView:
        """The same after one more fact of our house."""
        payload = fact.payload
        match payload:
            case MasterFileSubmitted():
                return replace(self, submitted={(payload.master_file, payload.version): payload, **self.submitted})  # the first text stays
            case MasterFileApproved():
                key = (payload.master_file, payload.version)
                return replace(self, approvals={**self.approvals, key: (*self.approvals.get(key, ()), payload)})
            case MasterFilePublished():
                version = (payload.master_file, payload.version)
                there = {**self.at_sites, (payload.site, *version): payload}
                return replace(self, published={version: fact.at, **self.published}, at_sites=there)
            case LicenceApplied() | LicenceChanged():
                return replace(self, licences=licences.apply(self.licences, payload, at=fact.at), history=(*self.history, (fact.at, payload)))
            case CommitmentsPublished():
                return self._promised(payload)
        return self

    def _promised(self, payload: CommitmentsPublished) -> AuthorityView:
        try:
            said = load_commitments(payload.text)
        except NotValid:  # a later version of this form: it is held, and shown as what it is elsewhere
            return self
        return replace(self, commitments={**self.commitments, (said.product, said.jurisdiction): said})

    def leased(self, fact: Fact) -> AuthorityView:
        """The same after one more lease in the ledger written for a site."""
        payload: LeaseGranted = fact.payload
        after = leases.apply(self.leases, payload)
        if after is self.leases:
            return self
        return replace(self, leases=after, lease_at={**self.lease_at, payload.licence: fact.position})

    def answered(self, payload: MasterFileAnswered) -> AuthorityView:
        """The same after a site's answer."""
        return replace(self, answers={**self.answers, (payload.site, payload.master_file): payload})

    def refusal(self, site: SiteId, at: datetime) -> AuthorityView:
        """The same after a site told that it refused to start something."""
        return replace(self, refused={**self.refused, site: (*self.refused.get(site, ()), at)[-REFUSALS_KEPT:]})

    def files(self, master_file: MasterFileId) -> list[MasterFile]:
        """Every published version, oldest first."""
        versions = sorted(version for name, version in self.published if name == master_file)
        return [load_master_file(self.submitted[master_file, version].text) for version in versions if (master_file, version) in self.submitted]

    def names(self) -> list[MasterFileId]:
        """Every master file of which a version is published."""
        return sorted({name for name, _ in self.published})

    def licence(self, licence: LicenceId) -> Licence:
        """The licence, or `NotFound`."""
        if licence not in self.licences:
            raise NotFound(f"no licence {licence}", why="nobody has applied for it", possible=", ".join(self.licences) or "none yet")
        return self.licences[licence]
