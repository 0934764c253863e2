"""One lot's whole story as facts, in order and complete, and the release case that it makes."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from isogenic.authority.people import Directory, NodeKeys, Person, Role, SiteEntry
from isogenic.authority.signatures import sign
from isogenic.batches.facts import BatchClosed, BatchStarted, PhaseCompleted, PhaseStarted, PromptAnswered, PromptAsked, SetpointsCommanded
from isogenic.batches.states import State
from isogenic.clock import ClockQuality, Moment
from isogenic.ids import BatchId, DeviationId, LotId, PersonId, ProductId, PromptId, RecipeId, SampleId, SiteId, SponsorId, UnitId
from isogenic.laboratory.results import ResultReported, SampleDrawn
from isogenic.materials.lots import LotCreated, MaterialUsed
from isogenic.monitoring.facts import MonitoringEnded, MonitoringStarted
from isogenic.quality.deviations import Deviation, Disposition, Origin, Severity, dispose, disposition_digest, open_from_finding
from isogenic.quality.record import fold_lot
from isogenic.quality.release import PublishedRecipe, ReleaseCase, Witness, release, release_digest
from isogenic.quality.specifications import read_specification
from isogenic.quality.trail_review import TrailReviewed, trail_review_digest
from isogenic.recipes.model import Answer, ControlRecipe
from isogenic.records.blocks import ReadingsSealed
from isogenic.records.facts import Actor, FactRef, decode_fact, encode_fact
from isogenic.records.notes import COSIGNER, Signer

START = datetime(2026, 11, 9, 8, 0, tzinfo=UTC)
NOW = datetime(2026, 11, 24, 9, 30, tzinfo=UTC)
BATCH, LOT, SITE, PRODUCT = BatchId("BAT-7K2M"), LotId("LOT-7K2M"), SiteId("GHENT"), ProductId("MAB-A")
DEVIATION, SAMPLE = DeviationId("DEV-8XK2"), SampleId("SMP-7K2M")
OURS, THEIRS = "isogenic.example/GHENT/BIOCO", "isogenic.example/CONTROL/GHENT"
DIGEST = sha256(b"the recipe").hexdigest()
BLOCK = sha256(b"the readings").hexdigest()
ROOT = sha256(b"the ledger").hexdigest()
SPECIFICATION = read_specification((Path(__file__).parents[2] / "src/isogenic/sim/documents/mab-a.specification.yaml").read_bytes())


def signer(name: str, algorithm: int = 1) -> Signer:
    return Signer.from_seed(name, sha256(f"{name}/{algorithm}".encode()).digest(), algorithm=algorithm)


def _person(name: str, printed: str, *roles: Role) -> Person:
    return Person(PersonId(name), printed, roles, str(signer(name).verifying_key))


PEOPLE = {
    each.id: each
    for each in (
        _person("OLA-BERG", "Ola Berg", Role.OPERATOR),
        _person("PIA-ENGEL", "Pia Engel", Role.PROCESS_ENGINEER),
        _person("INES-DUARTE", "Inês Duarte", Role.QUALITY),
        _person("FRIEDA-VOSS", "Frieda Voß", Role.QUALIFIED_PERSON),
        _person("ODD-QP", "Odd Twohats", Role.QUALIFIED_PERSON, Role.OPERATOR),
        _person("ANA-LIST", "Ana List", Role.ANALYST),
    )
}


def _keys(name: str) -> NodeKeys:
    return NodeKeys(str(signer(name).verifying_key), str(signer(name, COSIGNER).verifying_key))


DIRECTORY = Directory(_keys("control"), {SITE: SiteEntry(SITE, "Ghent BioHub", _keys("ghent"))}, PEOPLE)


def signed(name: str, role: Role, meaning: str, digest: str):
    return sign(signer(name), PEOPLE[PersonId(name)], role=role, meaning=meaning, at=NOW, digest=digest)


RECIPE = PublishedRecipe(
    DIGEST, (signed("PIA-ENGEL", Role.PROCESS_ENGINEER, "authored", DIGEST), signed("INES-DUARTE", Role.QUALITY, "approved", DIGEST))
)
OPENED = open_from_finding(
    DEVIATION,
    "Feed flow and feed pressure left the reference band from day 6.2 on; the run went on",
    batch=BATCH,
    lot=LOT,
    site=SITE,
    origin=Origin.MONITOR,
    severity=Severity.MINOR,
    evidence={"feed_pressure": "contribution 0.61", "feed_flow": "contribution 0.22"},
    detected_at=START.replace(day=15),
)
REASON = "The tubing was exchanged. The amount fed stayed within the recipe's range, as the weight of the bottle shows."


def disposed(disposition: Disposition = Disposition.ACCEPT, opened=OPENED, reason: str = REASON):
    signature = signed("INES-DUARTE", Role.QUALITY, "disposed", disposition_digest(opened, disposition, reason))
    return dispose(Deviation(opened), disposition, justification=reason, signature=signature, directory=DIRECTORY, operators=[PersonId("OLA-BERG")])


def reviewed(name: str = "INES-DUARTE", *, role: Role = Role.QUALITY, stop: int = 40, root: str = ROOT, over: str = "") -> TrailReviewed:
    """The audit trail of the batch, reviewed up to a fact of the site's ledger. `over`: what is signed instead."""
    said = {
        "batch": BATCH,
        "lot": LOT,
        "site": SITE,
        "ledger": OURS,
        "start": 0,
        "stop": stop,
        "root": root,
        "lines": 31,
        "digest": DIGEST,
        "remark": "",
    }
    asked = {"batch": str(BATCH)}
    return TrailReviewed(**said, filter=asked, signature=signed(name, role, "reviewed", over or trail_review_digest(**said, filter_=asked)))


CONTROL = ControlRecipe.on_one_unit(
    RecipeId("MAB-FB"), 1, PRODUCT, "mAb fed-batch", SITE, UnitId("BR-200"), BATCH, LOT, "en", 160.0, (), (), DIGEST, "0" * 64, "1" * 64
)
RESULTS = {"titre": 4.83, "harvest_viability": 86.2, "galactosylation": 24.9, "hmw": 1.51, "acidic": 18.1, "hcp": 121_000.0}


def result(name: str, value: float | None = None, **changes) -> ResultReported:
    spec = SPECIFICATION.attribute(name)
    made = ResultReported(SAMPLE, BATCH, LOT, name, RESULTS[name] if value is None else value, spec.unit, spec.method)
    return replace(made, **changes)


def story() -> list[tuple[str, Actor, object]]:
    """Everything about one good lot: (ledger, actor, payload). The batch has one accepted deviation."""
    node, operator, analyst = Actor.node("GHENT"), Actor("OLA-BERG", "operator", "password"), Actor("ANA-LIST", "analyst", "password")
    quality = Actor("INES-DUARTE", "quality", "password")
    prompt = PromptId("SEED-LOT")
    ours = [
        (operator, BatchStarted(BATCH, LOT, PRODUCT, SponsorId("BIOCO"), RecipeId("MAB-FB"), 1, DIGEST, UnitId("BR-200"), CONTROL)),
        (node, LotCreated(LOT, PRODUCT, BATCH, SITE)),
        (node, MonitoringStarted(BATCH, "mab-fb", "2" * 64)),
        (node, PhaseStarted(BATCH, "grow", 1)),
        (node, SetpointsCommanded(BATCH, "grow", {"temperature_sp": 36.8})),
        (node, PromptAsked(BATCH, prompt, "grow", "Lot of the seed culture?", Answer.TEXT, "", None, None)),
        (operator, PromptAnswered(BATCH, prompt, "WCB-7", PersonId("OLA-BERG"))),
        (node, MaterialUsed(LOT, BATCH, "seed", "WCB-7")),
        (node, OPENED),
        (node, PhaseCompleted(BATCH, "grow", 1, "14 days passed")),
        (node, SampleDrawn(SAMPLE, BATCH, LOT, "harvest")),
        (node, ReadingsSealed(str(BATCH), BLOCK, 120_000, 672, ("BR-200.temperature",), START, START.replace(day=23))),
        (node, MonitoringEnded(BATCH, 640, 0, 1)),
    ]
    about_the_batch = sum(type(payload).fact_name.startswith(("batch.", "monitoring.", "records.")) for _, payload in ours)
    ours.append((node, BatchClosed(BATCH, LOT, State.COMPLETE, about_the_batch + 1)))
    ours += [(analyst, result(name)) for name in RESULTS]
    return [(OURS, *each) for each in ours] + [(THEIRS, quality, disposed()), (THEIRS, quality, reviewed())]


def noted(told):
    """Facts with their positions, through their bytes and back, as a control site reads them."""
    facts, sizes = [], {}
    for ledger, actor, payload in told:
        position = sizes.get(ledger, 0)
        sizes[ledger] = position + 1
        moment = Moment(START + timedelta(hours=25.1 * position), "simulated", ClockQuality.SIMULATED)
        facts.append(decode_fact(encode_fact(payload, ref=FactRef(ledger, position), actor=actor, moment=moment)))
    return facts


def case_of(told, **changes) -> ReleaseCase:
    record = fold_lot(noted(told), batch=BATCH)
    given = {
        "record": record,
        "specification": SPECIFICATION,
        "directory": DIRECTORY,
        "witness": Witness(held=40, cosigned=40, size=40, root=ROOT),
        "recipe": RECIPE,
        "blocks": frozenset({BLOCK}),
        "asked_by": PersonId("FRIEDA-VOSS"),
    }
    return ReleaseCase(**given | changes)


def without(kind: str, told=None):
    """The story without the facts of one kind."""
    return [each for each in (told or story()) if type(each[2]).fact_name != kind]


def instead(payload, told=None):
    """The story with one fact of the same kind replaced."""
    kind = type(payload)
    return [(ledger, actor, payload if type(old) is kind else old) for ledger, actor, old in (told or story())]


def released_signature(case: ReleaseCase, name: str = "FRIEDA-VOSS"):
    return signed(name, Role.QUALIFIED_PERSON, "released", release_digest(case, release(case)))
