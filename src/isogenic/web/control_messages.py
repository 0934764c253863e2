"""What the control site's API answers about the network."""

from __future__ import annotations

from pydantic import BaseModel, Field

from isogenic.web.messages import BatchLine, DeviationLine, NoteLine

__all__ = [
    "CompletenessLine",
    "KeyLine",
    "LotLine",
    "Network",
    "NodeLine",
    "RecipeLine",
    "ReleasePage",
    "ResultLine",
    "SignatureLine",
    "SignedLine",
    "SiteDetail",
    "SiteLine",
]


class CompletenessLine(BaseModel):
    """How much of one ledger of a site is held here: a number and a root."""

    ledger: str
    held: int
    noted: int
    complete: bool
    root: str
    words: str = Field(description="for example: complete: 1204 of 1204 facts, root verified")


class KeyLine(BaseModel):
    """The key that counts now for a ledger of a site."""

    ledger: str
    fingerprint: str = Field(description="empty: revoked, and no other is named")
    since: str | None = Field(description="time of the first fact that it counts for; null: there is none yet")
    change: str = Field(description="first, rotated or revoked: how it came to count")
    from_fact: int


class NodeLine(BaseModel):
    """How a site's node is, as far as the control site knows."""

    site: str
    noted: int = Field(description="facts that the site has noted, as it last told")
    witnessed: int = Field(description="of them, held, verified and cosigned here")
    directed: int = Field(description="facts noted here in the ledger written for the site")
    directed_witnessed: int = Field(description="of them, cosigned by the site")
    key: KeyLine | None = Field(description="of its house")
    clock: str = Field(description="quality of its clock, as it last measured it")
    clock_offset: str
    clock_at: str | None
    certificate_until: str | None = Field(description="of the certificate with which it called last; null: it has not called this process")
    troubles: list[str] = Field(description="what stops something, or is lost")
    warnings: list[str] = []


class SiteLine(BaseModel):
    """One site on one line."""

    site: str
    title: str
    link: str = Field(description="linked, silent, or not heard yet")
    heard_at: str | None
    complete: bool
    held: int
    noted: int
    running: int
    open_deviations: int
    outages: int


class Network(BaseModel):
    """The network on one page."""

    now: str
    sites: list[SiteLine]
    running: int
    open_deviations: int
    lots_waiting: int
    nodes: list[NodeLine] = []
    notices: list[str] = Field(default=[], description="what people should know of the control site itself, as that its certificate ends")


class DriftLine(BaseModel):
    """A setting of a module that is not what was released."""

    unit: str
    module: str
    setting: str
    kind: str
    released: str
    found: str
    since: str | None


class SiteDetail(SiteLine):
    """One site in full."""

    started_at: str | None
    starts: int
    ledgers: list[CompletenessLine]
    batches: list[BatchLine]
    recipes: list[str]
    node: NodeLine | None = None
    keys: list[KeyLine] = []
    drifts: list[DriftLine] = []
    released_settings: str = Field(
        default="", description="version and digest of the released set of its modules' settings; empty: the plant document's"
    )


class SignatureLine(BaseModel):
    """A signature as people read it (21 CFR 11.50): printed name, time, meaning."""

    person: str
    printed_name: str
    role: str
    meaning: str
    at: str
    digest: str
    method: str = Field(default="password", description="password or passkey")


class RecipeLine(BaseModel):
    """A recipe version on its way."""

    recipe: str
    version: int
    product: str
    digest: str
    signatures: list[SignatureLine]
    sites: dict[str, str] = Field(description="each site's answer: accepted, not accepted with its reasons, or waiting")


class LotLine(BaseModel):
    """A lot on one line."""

    lot: str
    batch: str
    product: str
    site: str
    state: str
    batch_state: str
    closed_at: str | None
    open_deviations: int
    failed_results: int = Field(description="results that do not comply, or cannot be judged, among those that release needs")
    decided_by: str | None
    decided_at: str | None
    meaning: str | None = Field(default=None, description="of the signature under the decision")
    reason: str = ""


class ResultLine(BaseModel):
    """A result beside its limit."""

    attribute: str
    result: str
    limit: str
    method: str
    verdict: str
    required: bool
    sample: str


class SignedLine(SignatureLine):
    """A signature under what a lot rests on."""

    under: str = Field(description="what was signed")


class ReleasePage(BaseModel):
    """Everything that the releasing person looks at, and the digest of it that is signed."""

    lot: str
    batch: str
    product: str
    site: str
    state: str
    allowed: bool
    digest: str
    notes: list[NoteLine]
    results: list[ResultLine]
    deviations: list[DeviationLine]
    ledger: str
    record_size: int
    record_root: str
    signatures: list[SignedLine] = Field(default=[], description="under the recipe, the dispositions and the reviews of the audit trail")


class PictureLine(BaseModel):
    """A picture that is kept under its digest."""

    digest: str
    media: str
    bytes: int
    width: int
    height: int
