"""A whole batch in the test's own memory: real recipe, tiny plant, facts through their real bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from importlib.resources import files

from isogenic.batches import engine
from isogenic.batches.engine import BatchState, answer, apply, begin, open_prompts
from isogenic.clock import Moment
from isogenic.ids import BatchId, LotId, PersonId, SponsorId
from isogenic.plant.documents import load_plant
from isogenic.plant.readings import Quality, Reading
from isogenic.recipes.derive import derive_control, derive_master
from isogenic.recipes.general import load_general
from isogenic.recipes.model import ControlRecipe
from isogenic.recipes.site import derive_site, load_site
from isogenic.records.facts import Actor, Fact, FactRef, Payload, decode_fact, encode_fact

START = datetime(2026, 3, 2, 6, tzinfo=UTC)
BAD = Reading(float("nan"), Quality.BAD)
ANSWERS = {"MEDIUM-LOT-1": "MED-0042", "INOCULUM-LOT-1": "WCB-7-18", "INOCULUM-VIABILITY-1": "97.5", "HARVEST-READY-1": "yes"}


def outputs(state: BatchState) -> dict[str, float]:
    """What the only unit is told, by signal."""
    return {tag.removeprefix(f"{state.unit}."): value for tag, value in engine.outputs(state).items()}


def step(state: BatchState, seen: Mapping[str, Reading], now: datetime, *, noted_before: int = 0) -> list[Payload]:
    """A step of a batch on one unit."""
    return engine.step(state, {state.unit: seen}, now, noted_before=noted_before)


class TinyPlant:
    """A vessel in a few lines: doses arrive at once, glucose falls, temperature follows its set-point."""

    def __init__(self) -> None:
        self.values = dict.fromkeys(
            ("medium_dosed_total", "seed_dosed_total", "harvested_total", "glucose_dosed_total", "vessel_weight", "feed_flow"), 0.0
        )
        self.values |= {"temperature": 22.0, "ph": 7.2, "glucose": 33.0}
        self.executed = dict.fromkeys(("medium_dose", "seed_dose", "harvest_dose", "glucose_dose"), 3)  # an earlier batch left them at 3
        self.executions: list[tuple[str, int]] = []
        self.bad: set[str] = set()

    def write(self, told: Mapping[str, float]) -> None:
        for dose, last in self.executed.items():
            number = int(told.get(dose + "_number", 0))
            if number > last:
                self.executed[dose] = number
                self.executions.append((dose, number))
                self._execute(dose, told[dose])
        self.values["temperature"] = told.get("temperature_sp", self.values["temperature"])
        self.values["ph"] = told.get("ph_sp", self.values["ph"])
        self.values["feed_flow"] = told.get("feed_flow_sp", 0.0)

    def _execute(self, dose: str, amount: float) -> None:
        if dose == "harvest_dose":
            self.values["harvested_total"] += min(amount, self.values["vessel_weight"] / 1.02)
            self.values["vessel_weight"] = max(0.0, self.values["vessel_weight"] - 1.02 * amount)
            return
        self.values[dose.removesuffix("_dose") + "_dosed_total"] += amount
        litres = amount / 1000.0 if dose == "glucose_dose" else amount
        if dose == "glucose_dose":
            held = self.values["vessel_weight"] / 1.02
            self.values["glucose"] = (self.values["glucose"] * held + 2500.0 * litres) / (held + litres)
        self.values["vessel_weight"] += 1.02 * litres

    def run(self, hours: float) -> None:
        self.values["vessel_weight"] += 1.02 * self.values["feed_flow"] * hours / 1000.0
        if self.values["seed_dosed_total"]:
            self.values["glucose"] = max(0.0, self.values["glucose"] - 0.35 * hours + 0.4 * hours * bool(self.values["feed_flow"]) * 0.2)

    def seen(self) -> dict[str, Reading]:
        found = {name: Reading(value, Quality.GOOD) for name, value in self.values.items()}
        found |= {f"{dose}_number": Reading(float(number), Quality.GOOD) for dose, number in self.executed.items()}
        return {name: BAD if name in self.bad else reading for name, reading in found.items()}


class Floor:
    """A node in miniature: notes facts through their bytes, folds them, writes outputs. `kill` refolds from the bytes."""

    def __init__(self, control: ControlRecipe) -> None:
        self.control, self.plant, self.now = control, TinyPlant(), START
        self.ledger: list[bytes] = []
        self.state: BatchState | None = None

    def note(self, payloads: list[Payload]) -> None:
        for payload in payloads:
            ref = FactRef("leeds.example/aster", len(self.ledger))
            self.ledger.append(encode_fact(payload, ref=ref, actor=Actor.node("LEEDS"), moment=Moment(self.now)))
            self.state = apply(self.state, decode_fact(self.ledger[-1]))

    @property
    def facts(self) -> list[Fact]:
        return [decode_fact(body) for body in self.ledger]

    @property
    def batch(self) -> BatchState:
        assert self.state is not None
        return self.state

    def kill(self) -> None:
        self.state = None
        for fact in self.facts:
            self.state = apply(self.state, fact)

    def start(self) -> None:
        self.note(begin(self.control, sponsor=SponsorId("ASTER-BIO")))

    def scan(self, *, hours: float = 0.5, after_note: Callable[[], None] | None = None) -> list[Payload]:
        due = step(self.batch, self.plant.seen(), self.now)
        for payload in due:
            self.note([payload])
            if after_note:
                after_note()
        self.plant.write(outputs(self.batch))
        self.plant.run(hours)
        self.now += timedelta(hours=hours)
        return due

    def answer_all(self) -> None:
        for asked in open_prompts(self.batch):
            self.note(answer(self.batch, asked.prompt, ANSWERS[asked.prompt], by=PersonId("P-ANA")))

    def run_to(self, phase: str, *, scans: int = 2000) -> None:
        """Until the phase has begun; its own questions are left open."""
        for _ in range(scans):
            if self.batch.current is not None and self.batch.current.name == phase:
                return
            self.answer_all()
            self.scan()
        raise AssertionError(f"{phase} was never reached")

    def run_to_end(self, *, scans: int = 2000) -> None:
        for _ in range(scans):
            if self.batch.closed:
                return
            self.scan()
            self.answer_all()
        raise AssertionError("the batch never ended")


def control_of(site: str) -> ControlRecipe:
    documents = files("isogenic.sim") / "documents"
    general = load_general((documents / "mab-fb.general.yaml").read_bytes())
    plant = load_plant((documents / f"{site}.plant.yaml").read_bytes(), name=site)
    master = derive_master(derive_site(general, load_site((documents / f"{site}.site.yaml").read_bytes())), plant)
    return derive_control(master, next(iter(plant.units.values())), batch=BatchId("BAT-7K2M"), lot=LotId("LOT-0001"))
