"""The people of a night: they act through the same functions as the screens, when they get round to it.

Guarantees: nobody here knows of faults; what was refused or cut off is tried again later,
as people do. Some of what they try is not allowed, and must be refused.
Leaves to others: whether the nodes were right to let them (invariants).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Any

from isogenic.authority.people import Person
from isogenic.authority.rules import Act, roles_that_may
from isogenic.authority.signatures import MEANINGS
from isogenic.batches.engine import BatchState, open_prompts
from isogenic.batches.states import Command, State
from isogenic.checks import stops
from isogenic.errors import NotAllowed
from isogenic.ids import BatchId, DeviationId, LotId, PersonId, SampleId, SiteId, UnitId
from isogenic.laboratory.results import ResultReported
from isogenic.materials.clearance import Line
from isogenic.network import decisions
from isogenic.network.control import ControlNode
from isogenic.network.revoking import revoke_site_key
from isogenic.network.site_documents import approve_documents
from isogenic.quality.deviations import Disposition
from isogenic.quality.record import LotRecord
from isogenic.quality.release import CHECKS
from isogenic.quality.specifications import Specification
from isogenic.recipes.model import Answer
from isogenic.records.facts import Actor
from isogenic.sim.authorising import next_step
from isogenic.sim.changeovers import Crew, Step, next_line_step, next_matrix_step, next_stock_step
from isogenic.sim.rehearsal.scene import ADA, ANA, BEN, NETWORK, PRODUCT, QUI, RECIPE, VERSION, file_text, lot_name, operator_of, recipe_text
from isogenic.sim.world import person_signer
from isogenic.sites import requests
from isogenic.sites.facts import BatchRefused
from isogenic.sites.node import SiteNode

if TYPE_CHECKING:
    from isogenic.sim.rehearsal.machines import SiteMachine

__all__ = ["People"]

RELEASES_TRIED_MAX = 3  # of one lot while it cannot be released: each refusal is a fact
STEPS_FOR_SITES = 3  # a network of many sites has as many more people
MEDIUM = "LOT-4711"
ANSWERS = {Answer.TEXT: MEDIUM, Answer.NUMBER: "96.5", Answer.CONFIRM: "yes"}


def _actor(person: Person, act: Act) -> Actor:
    role = next((role for role in roles_that_may(act) if role in person.roles), person.roles[0])
    return Actor(str(person.id), str(role), "password")


@dataclass(slots=True)
class People:
    """Everybody, with what they have in mind but have not done yet."""

    seed: int
    dice: Random
    late: float
    commands: float
    ticks: int = 0
    answer_at: dict[tuple[BatchId, str], int] = field(default_factory=dict)
    dispose_at: dict[DeviationId, int] = field(default_factory=dict)
    tried: dict[LotId, int] = field(default_factory=dict)
    refused: int = 0

    # ---- at the control site ----

    def prepare(self, node: ControlNode) -> None:
        """The next missing steps of the recipe's way to the sites, and of what sites need beside: as many as a day has room for."""
        for _ in range(self.dice.randrange(2, 8) * max(1, len(node.sites()) // STEPS_FOR_SITES)):
            if not self._prepare(node):
                return

    def _prepare(self, node: ControlNode) -> bool:
        ada, ben = (decisions.directory(node).person(each) for each in (ADA, BEN))
        key = (RECIPE, VERSION)
        signed = {each.signature.meaning for each in node.state.approvals.get(key, ())}
        if key not in node.state.submitted:
            decisions.submit_recipe(node, ada, recipe_text())
        elif MEANINGS[Act.SIGN_RECIPE_AS_AUTHOR] not in signed:
            decisions.approve_recipe(node, ada, self._key(ADA), recipe=RECIPE, version=VERSION, act=Act.SIGN_RECIPE_AS_AUTHOR)
        elif MEANINGS[Act.APPROVE_RECIPE] not in signed:
            decisions.approve_recipe(node, ben, self._key(BEN), recipe=RECIPE, version=VERSION, act=Act.APPROVE_RECIPE)
        elif any(key not in node.state.site(site).published for site in node.sites()):
            for person, act in ((ada, Act.SIGN_RECIPE_AS_AUTHOR), (ben, Act.APPROVE_RECIPE)):  # what a power cut left unsigned
                approve_documents(node, person, self._key(person.id), recipe=RECIPE, version=VERSION, act=act)
            decisions.publish_recipe(node, ben, recipe=RECIPE, version=VERSION)
        else:
            matrix = next_matrix_step(node, self._key, author=ADA, approver=BEN)
            return matrix or next_step(node, self._key, text=file_text(tuple(node.sites())))
        return True

    def judge(self, node: ControlNode) -> None:
        """Dispose of deviations, release what can be released, reject what cannot; sometimes ask too early."""
        for record in list(node.state.lots.values()):
            if record.lot is None or record.lot in node.state.decisions or record.site is None:
                continue
            self._dispose(node, record)
            self._decide(node, record.lot, record)

    def _dispose(self, node: ControlNode, record: LotRecord) -> None:
        ben = decisions.directory(node).person(BEN)
        for deviation in record.open_deviations():
            name = deviation.opened.deviation
            if self.ticks >= self.dispose_at.setdefault(name, self.ticks + self.dice.randrange(1, 12)):
                disposition = Disposition.ACCEPT if self.dice.random() < 0.8 else Disposition.REJECT
                decisions.dispose_deviation(
                    node, ben, self._key(BEN), deviation=name, disposition=disposition, justification="looked into in the rehearsal"
                )

    def _decide(self, node: ControlNode, lot: LotId, record: LotRecord) -> None:
        if record.product is None or record.recipe is None:
            return
        qui = decisions.directory(node).person(QUI)
        case = decisions.release_case(node, lot, asked_by=QUI)
        against = stops([note for check in CHECKS for note in check(case)])
        if not against and self.dice.random() < 0.5:
            decisions.release_lot(node, qui, self._key(QUI), lot=lot)
        elif against and self.dice.random() < 0.1 and self.tried.get(lot, 0) < RELEASES_TRIED_MAX:
            self.tried[lot] = self.tried.get(lot, 0) + 1
            released, _ = decisions.release_lot(node, qui, self._key(QUI), lot=lot)
            self.refused += released is None
        elif _hopeless({note.check for note in against}) and self.dice.random() < 0.3:
            decisions.reject_lot(node, qui, self._key(QUI), lot=lot, reason="; ".join(note.text for note in against)[:400])

    def _key(self, person: PersonId) -> Any:
        return person_signer(self.seed, NETWORK, person)

    def revoke(self, node: ControlNode, site: SiteId, renewed: str) -> None:
        """The keys of a site were stolen."""
        ben = decisions.directory(node).person(BEN)
        revoke_site_key(node, ben, self._key(BEN), site=site, key=renewed, reason="the disk of the node was copied")

    # ---- at a site ----

    def operate(self, machine: SiteMachine, node: SiteNode) -> None:
        """The operator starts batches, answers prompts, and now and then gives a command."""
        if node.state.directory is None:
            return
        operator = requests.person_here(node.state, operator_of(machine.site))
        crew = Crew(operator.id, ANA, BEN, self._key)
        while step := next_stock_step(node.state, crew, lots=(MEDIUM,), mint=node.mint, now=node.clock.now().at):
            node.note(step[0], actor=step[1])
        self._start(machine, node, operator, crew)
        for batch in node.state.running():
            for asked in open_prompts(batch):
                late = self.dice.randrange(24, 30) if self.dice.random() < self.late else self.dice.choice([0, 0, 1, 3])
                if self.ticks >= self.answer_at.setdefault((batch.batch, str(asked.prompt)), self.ticks + late):
                    answer = requests.answer_prompt(node.state, operator, batch=batch.batch, prompt=asked.prompt, answer=ANSWERS[asked.kind])
                    node.note(answer, actor=_actor(operator, Act.ANSWER_PROMPT))
            self._command(node, operator, batch)

    def _start(self, machine: SiteMachine, node: SiteNode, operator: Person, crew: Crew) -> None:
        """Make a free unit ready, and start a batch on it; now and then, try where a batch is, or where nobody has cleared the line."""
        if (RECIPE, VERSION) not in node.state.published:
            return
        for unit in machine.plant.units:
            taken = node.state.on_unit(unit) is not None
            if self.dice.random() > (0.002 if taken else 0.4):
                continue
            lot = lot_name(machine.site, len(node.state.lots) + 1)
            line = node.state.lines.get(unit, Line())
            if lot in node.state.lots or (line.taken_by is not None and not taken):
                continue  # its end is noted in the next scan
            if line.last is not None and node.state.changeover is None:
                continue
            careless = line.last is not None and not taken and self.dice.random() < 0.05
            while not careless and (step := self._ready(node, crew, unit, lot)):
                node.note(step[0], actor=step[1])
            payloads, _ = requests.start_batch(
                node.state, operator, recipe=RECIPE, version=VERSION, unit=unit, lot=lot, mint=node.mint, now=node.clock.now()
            )
            noted = node.note(payloads, actor=_actor(operator, Act.START_BATCH))
            if taken or (careless and line.following is None):
                assert isinstance(noted[0].payload, BatchRefused), "a batch was started on a unit that is taken, or on a line that nobody cleared"

    def _ready(self, node: SiteNode, crew: Crew, unit: UnitId, lot: LotId) -> Step | None:
        return next_line_step(node.state, crew, unit=unit, lot=lot, recipe=RECIPE, version=VERSION, now=node.clock.now().at)

    def _command(self, node: SiteNode, operator: Person, batch: BatchState) -> None:
        wish: Command | None = None
        if batch.state is State.HELD and self.dice.random() < 0.3:
            wish = Command.RESTART
        elif batch.state is State.PAUSED and self.dice.random() < 0.5:
            wish = Command.RESUME
        elif self.dice.random() < self.commands:
            wish = self.dice.choice([Command.HOLD, Command.HOLD, Command.PAUSE, Command.PAUSE, Command.STOP, Command.ABORT, Command.RESUME])
        if wish is None:
            return
        try:
            payloads = requests.command_batch(node.state, operator, batch=batch.batch, command=wish, why="rehearsed")
        except NotAllowed:
            self.refused += 1  # the state table says no, and nothing changes
            return
        node.note(payloads, actor=_actor(operator, Act.COMMAND_BATCH))

    def measure(self, node: SiteNode) -> None:
        """The analyst reports one more result of each lot that is harvested."""
        specification = node.state.specifications.get(PRODUCT)
        if node.state.directory is None or specification is None:
            return
        analyst = requests.person_here(node.state, ANA)
        for lot, created in node.state.lots.items():
            if node.state.batches[created.batch].closed and self.dice.random() < 0.7:
                self._report(node, analyst, lot, specification)

    def _report(self, node: SiteNode, analyst: Person, lot: LotId, specification: Specification) -> None:
        sample = SampleId(f"SMP-{lot}")
        done = {each.attribute for each in node.state.results if isinstance(each, ResultReported) and each.lot == lot}
        missing = [attribute for name, attribute in specification.attributes.items() if name not in done]
        if not missing:
            return
        attribute = missing[0]
        low = attribute.low if attribute.low is not None else 0.0
        high = attribute.high if attribute.high is not None else low * 1.5
        inside = low + (high - low) * self.dice.uniform(0.1, 0.9)
        value = inside if self.dice.random() > 0.03 else high * 2.0 + 1.0
        payloads = requests.report_result(
            node.state,
            analyst,
            sample=sample,
            lot=lot,
            attribute=attribute.name,
            value=float(f"{value:.4g}"),
            unit=attribute.unit,
            method=attribute.method,
        )
        node.note(payloads, actor=_actor(analyst, Act.REPORT_RESULT))


HOPELESS = frozenset({"check_batch_completed_normally", "check_no_deviation_was_disposed_as_reject", "check_every_result_is_within_specification"})


def _hopeless(checks: set[str]) -> bool:
    """Whether waiting cannot help."""
    return bool(checks & HOPELESS) and "check_batch_is_closed" not in checks
