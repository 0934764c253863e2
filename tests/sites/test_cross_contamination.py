"""Material of one patient never joins another's batch, no assembly is used twice, no batch starts on an uncleared line (I5).

Random histories over two sites, three products, two patients: deliveries, releases, assignments, clearances, installations, starts,
scans, swapped and foreign labels, hearsay between the sites, restarts. Beside the real code runs an oracle that knows nothing of
its types: a few sets and numbers. After every act the two must agree on whether it was allowed, so neither a refusal that is
missing nor one too many goes unseen.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from itertools import count

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from clear_lines import CHECKLIST, DIGEST, MATRIX, release_matrix
from isogenic.authority.rules import Act
from isogenic.batches import engine
from isogenic.batches.facts import BatchClosed
from isogenic.batches.states import State
from isogenic.checks import stops
from isogenic.clock import Moment
from isogenic.errors import Refusal
from isogenic.ids import BatchId, IdentityCode, LotId, PersonId, ProductId, RecipeId, SampleId, SeededMint, SiteId
from isogenic.laboratory.results import SampleDrawn
from isogenic.materials.assemblies import AssembliesUsed, used_digest
from isogenic.materials.changeover import Occupant
from isogenic.materials.clearance import LineStepDone
from isogenic.materials.labels import Expects, LabelKind, label_text, read_label
from isogenic.materials.lots import LotCreated
from isogenic.materials.receipts import ReceiptCommand, Sterility
from isogenic.network import decisions
from isogenic.recipes.publishing import control_recipe
from isogenic.records.facts import Actor, Fact, FactRef, subject_of
from isogenic.sim.world import document
from isogenic.sites import materials, requests
from isogenic.sites.audiences import audience_of
from isogenic.sites.state import SiteState, apply
from isogenic.units import Quantity
from own_folder import own_folder
from small_network import ADA, ANA, BEN, GENERAL, GHENT, LEEDS, OPERATORS, UNITS, Network, signer_of

SITES = (LEEDS, GHENT)
ANNE, BORIS = (SeededMint(seed).fresh(IdentityCode) for seed in (1, 2))
RECIPES = {"MAB-A": RecipeId("MAB-FB"), "MAB-B": RecipeId("MAB-FC"), "CART-1": RecipeId("CART-P")}
OCCUPANTS = (("MAB-A", None), ("MAB-B", None), ("CART-1", ANNE), ("CART-1", BORIS))
WRONG = (("CART-1", None), ("MAB-A", ANNE))  # a patient's product for nobody, and the other way round
SERIALS = ("1", "2", "3", "4")
VALID_H = 72
RULES = MATRIX.replace(
    "  antibody: {title: Antibodies, products: [MAB-A, BRG-1]}",
    "  antibody: {title: Antibodies, products: [MAB-A, MAB-B]}\n  cells: {title: Cells, products: [CART-1], per_patient: true}",
).replace(
    "from: [nothing, antibody], to: [antibody],",
    "from: [nothing], to: [antibody, cells], steps: [{clear: clearance}, {change: disposables}], valid: 72 h}\n"
    "  - {on: [stirred_bioreactor], from: [cells], to: [cells], steps: [{clear: clearance}, {change: disposables}], valid: 72 h}\n"
    "  - {on: [stirred_bioreactor], from: [antibody], to: [antibody],",
)


@cache
def beginning() -> tuple[dict[SiteId, SiteState], datetime]:
    """Two sites that have accepted three recipes and hold the released matrix: real nodes, real signatures."""
    net = Network(own_folder("isogenic-tests-") / "net", sites=SITES)

    async def publish() -> None:
        for product, recipe in RECIPES.items():
            for site in SITES:
                text = document(f"{site.lower()}.site.yaml").replace("recipe: MAB-FB", f"recipe: {recipe}")
                net.control.site_documents[site] = text
            text = GENERAL.replace("recipe: MAB-FB", f"recipe: {recipe}", 1).replace("product: MAB-A", f"product: {product}", 1)
            decisions.submit_recipe(net.control, net.person(ADA), text)
            for person, act in ((ADA, Act.SIGN_RECIPE_AS_AUTHOR), (BEN, Act.APPROVE_RECIPE)):
                decisions.approve_recipe(net.control, net.person(person), signer_of(person), recipe=recipe, version=1, act=act)
            decisions.publish_recipe(net.control, net.person(BEN), recipe=recipe, version=1)
        release_matrix(net, RULES)
        for site in SITES:
            await net.carry(site)
            await net.scan(site)

    asyncio.run(publish())
    return {site: net.nodes[site].state for site in SITES}, net.clock.at


@dataclass
class Bag:
    """What the oracle knows of a delivered piece or bag of cells."""

    receipt: str
    patient: str | None
    released: bool = False


@dataclass
class Believed:
    """What the oracle knows of a site: no type of the product."""

    bags: dict[str, Bag] = field(default_factory=dict)
    cells: dict[str, Bag] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    heard: set[str] = field(default_factory=set)
    last: tuple[str, str | None] | None = None
    on_it: tuple[str, str, str | None] | None = None  # lot, product, patient
    planned: tuple[str, str, str | None] | None = None
    assigned: float = 0.0
    people: dict[str, float] = field(default_factory=dict)
    place: str | None = None
    joined: dict[str, set[str]] = field(default_factory=dict)  # patients whose material is in a lot
    for_whom: dict[str, str | None] = field(default_factory=dict)

    def may_follow(self, product: str, patient: str | None) -> bool:
        """Cells follow cells, antibodies antibodies; a patient's product names the patient."""
        if (product == "CART-1") != (patient is not None):
            return False
        return self.last is None or (self.last[0] == "CART-1") == (product == "CART-1")

    def may_install(self, serial: str) -> bool:
        bag = self.bags.get(serial)
        if bag is None or self.planned is None or self.place is not None:
            return False
        return bag.released and serial not in self.used | self.heard and bag.patient in (None, self.planned[2])

    def may_start(self, lot: str, product: str, patient: str | None, hour: float) -> bool:
        if self.on_it is not None or self.planned != (lot, product, patient) or self.place is None or len(self.people) < 2:
            return False
        return hour < max(self.assigned, *self.people.values()) + VALID_H


SEEN: Counter[str] = Counter()


class Floors(RuleBasedStateMachine):
    """Two sites, and whoever makes mistakes there."""

    @initialize()
    def begin(self) -> None:
        states, at = beginning()
        self.states, self.begun, self.hour = dict(states), at, 0.0
        self.believed = {site: Believed() for site in SITES}
        self.facts: dict[SiteId, list[Fact]] = {site: [] for site in SITES}
        self.mint, self.lots = SeededMint("floors"), count(1)

    @property
    def now(self) -> datetime:
        return self.begun + timedelta(hours=self.hour)

    def note(self, site: SiteId, payloads, *, by: str = "LEA", ledger: str = "") -> None:  # type: ignore[no-untyped-def]
        state = self.states[site]
        for payload in payloads:
            audience = ledger or f"aster/{site}/{audience_of(payload, state, together=payloads)}"
            position = sum(fact.ref.ledger == audience for fact in self.facts[site])
            ref, kind = FactRef(audience, position), type(payload).fact_name
            fact = Fact(ref, kind, 1, subject_of(payload), Actor(by), Moment(self.now), payload)
            self.facts[site].append(fact)
            state = apply(state, fact)
        self.states[site] = state

    def does(self, what: str, expected: bool, act) -> bool:  # type: ignore[no-untyped-def]
        """Do it; the oracle and the code must agree whether it may be done."""
        try:
            done = act()
        except Refusal as refusal:
            done, said = False, str(refusal)
        else:
            said = "" if done else "stopped"
        assert done == expected, f"{what}: the oracle says {expected}, the code {done} {said}"
        SEEN[f"{what} {'done' if done else 'refused'}"] += 1
        return bool(done)

    # ---- materials -----------------------------------------------------------------------------------

    @rule(site=st.sampled_from(SITES), serial=st.sampled_from(SERIALS), patient=st.sampled_from((None, None, ANNE, BORIS)), release=st.booleans())
    def deliver(self, site: SiteId, serial: str, patient: IdentityCode | None, release: bool) -> None:
        believed = self.believed[site]
        steril = Sterility("gamma", "ISO 11137-2", "IRR-1", DIGEST)
        said = materials.Delivery("Bag", "Alder", Quantity(1.0, "1"), DIGEST, serials=(serial,), sterility=steril, patient=patient)
        scanned = label_text(LabelKind.MATERIAL, f"A-{serial}", item="BAG", expires=self.now + timedelta(days=400))

        def act() -> bool:
            payloads = materials.receive(self.states[site], self.person(site, OPERATORS[site]), said, scanned=scanned, mint=self.mint)
            self.note(site, payloads)
            believed.bags[serial] = Bag(payloads[0].receipt, patient)
            return True

        if self.does("deliver", serial not in believed.bags, act) and release:
            self.release(site, believed.bags[serial])

    @rule(site=st.sampled_from(SITES), whose=st.sampled_from((ANNE, BORIS)), release=st.booleans())
    def collect(self, site: SiteId, whose: IdentityCode, release: bool) -> None:
        """A bag of a patient's cells."""
        believed, lot = self.believed[site], f"C-{next(self.lots)}"
        said = materials.Delivery("Cells", "Clinic", Quantity(1.0, "1"), DIGEST, patient=whose)
        scanned = label_text(LabelKind.MATERIAL, lot, item="CELLS")
        payloads = materials.receive(self.states[site], self.person(site, OPERATORS[site]), said, scanned=scanned, mint=self.mint)
        self.note(site, payloads)
        believed.cells[lot] = Bag(payloads[0].receipt, whose)
        if release:
            self.release(site, believed.cells[lot])

    def release(self, site: SiteId, bag: Bag) -> None:
        receipt = next(each for each in self.states[site].stock.receipts if each == bag.receipt)
        person = self.person(site, BEN)
        said = materials.decide(
            self.states[site], person, signer_of(BEN), receipt=receipt, command=ReceiptCommand.RELEASE, why="as ordered", now=self.now
        )
        self.note(site, said, by="BEN")
        bag.released = True

    @rule(site=st.sampled_from(SITES))
    def hear(self, site: SiteId) -> None:
        """The control site tells one site what the other has used."""
        other = next(each for each in SITES if each != site)
        news = self.believed[other].used - self.believed[site].heard
        if news:
            digests = tuple(sorted(used_digest(f"BAG/{serial}") for serial in news))
            self.note(site, [AssembliesUsed(site, digests)], by="CONTROL", ledger=f"aster/CONTROL/{site}")
            self.believed[site].heard |= news
            SEEN["heard of a use elsewhere"] += 1

    # ---- lines ---------------------------------------------------------------------------------------

    def person(self, site: SiteId, person: PersonId):  # type: ignore[no-untyped-def]
        return requests.person_here(self.states[site], person)

    @rule(site=st.sampled_from(SITES), occupant=st.sampled_from(OCCUPANTS + WRONG))
    def assign(self, site: SiteId, occupant: tuple[str, IdentityCode | None]) -> None:
        believed, (product, patient) = self.believed[site], occupant
        lot = LotId(f"LOT-{site}-{next(self.lots)}")

        def act() -> bool:
            said = materials.assign_line(
                self.states[site],
                self.person(site, OPERATORS[site]),
                unit=UNITS[site],
                recipe=RECIPES[product],
                version=1,
                lot=lot,
                until=self.now + timedelta(days=16),
                now=self.now,
                patient=patient,
            )
            self.note(site, said)
            return True

        if self.does("assign", believed.on_it is None and believed.may_follow(product, patient), act):
            believed.planned, believed.assigned, believed.people, believed.place = (lot, product, patient), self.hour, {}, None

    @rule(site=st.sampled_from(SITES), who=st.sampled_from(("operator", "analyst")), whole=st.sampled_from((True, True, True, False)))
    def check(self, site: SiteId, who: str, whole: bool) -> None:
        """One person goes through the checklist."""
        believed, by = self.believed[site], OPERATORS[site] if who == "operator" else ANA
        said = LineStepDone(UNITS[site], 0, "clear clearance", by, CHECKLIST if whole else CHECKLIST[:1])

        def act() -> bool:
            self.note(site, materials.do_step(self.states[site], self.person(site, by), said), by=str(by))
            return True

        if self.does("check", believed.planned is not None and str(by) not in believed.people and whole, act):
            believed.people[str(by)] = self.hour

    @rule(site=st.sampled_from(SITES), serial=st.sampled_from(SERIALS))
    def install(self, site: SiteId, serial: str) -> None:
        believed = self.believed[site]
        scanned = label_text(LabelKind.ASSEMBLY, serial, item="BAG")

        def act() -> bool:
            person = self.person(site, OPERATORS[site])
            payloads, _ = materials.install(self.states[site], person, scanned=scanned, unit=UNITS[site], position="vessel", now=self.now)
            self.note(site, payloads)
            return bool(payloads)

        if self.does("install", believed.may_install(serial), act):
            assert believed.planned is not None
            believed.place = serial
            believed.used.add(serial)
            if (patient := believed.bags[serial].patient) is not None:
                believed.joined.setdefault(believed.planned[0], set()).add(patient)

    @rule(hours=st.sampled_from((1, 12, 80)))
    def wait(self, hours: int) -> None:
        self.hour += hours

    # ---- batches -------------------------------------------------------------------------------------

    @rule(
        site=st.sampled_from(SITES), occupant=st.none() | st.sampled_from(OCCUPANTS + WRONG), other_lot=st.sampled_from((False, False, False, True))
    )
    def start(self, site: SiteId, occupant: tuple[str, IdentityCode | None] | None, other_lot: bool) -> None:
        """Start what the line is made ready for, or something else."""
        believed = self.believed[site]
        planned = believed.planned or ("", "MAB-A", None)
        product, patient = occupant or planned[1:]
        lot = LotId(f"LOT-{site}-{next(self.lots)}" if other_lot or not planned[0] else planned[0])

        def act() -> bool:
            state, unit = self.states[site], UNITS[site]
            occupant = Occupant(lot, ProductId(product), state.plant.sponsor, None if patient is None else IdentityCode(patient))
            notes = materials.check_materials_allow(state, unit, occupant, now=self.now)
            if stops(notes) or lot in state.lots:
                return False
            batch = self.mint.fresh(BatchId)
            control, _ = control_recipe(state.published[RECIPES[product], 1], plant=state.plant, unit=unit, batch=batch, lot=lot)
            assert control is not None
            created = LotCreated(lot=lot, product=control.product, batch=batch, site=site, patient=occupant.patient)
            begun = engine.begin(control, sponsor=occupant.sponsor, recipe_digest="0" * 64, by=OPERATORS[site])
            self.note(site, [created, *begun, *materials.start_on_line(state, unit, occupant, batch=batch)])
            return True

        if self.does("start", believed.may_start(lot, product, patient, self.hour), act):
            believed.on_it, believed.planned, believed.place = (lot, product, patient), None, None
            believed.for_whom[lot] = patient
            SEEN[f"start of {product}"] += 1

    @rule(site=st.sampled_from(SITES))
    def finish(self, site: SiteId) -> None:
        believed = self.believed[site]
        if believed.on_it is not None:
            batch = self.states[site].lots[LotId(believed.on_it[0])].batch
            state = self.states[site].batches[batch]
            self.note(site, [BatchClosed(batch, state.lot, State.COMPLETE, state.facts + 1)])
            self.note(site, materials.lines_due(self.states[site]))
            believed.last, believed.on_it = believed.on_it[1:], None

    @rule(site=st.sampled_from(SITES), data=st.data())
    def scan_cells(self, site: SiteId, data: st.DataObject) -> None:
        """Somebody's cells, of whichever site, are scanned into the running batch."""
        believed, known = self.believed[site], sorted({lot for each in self.believed.values() for lot in each.cells})
        if believed.on_it is None or not known:
            return
        lot = data.draw(st.sampled_from(known))
        bag, mine = believed.cells.get(lot), believed.on_it
        expected = bag is not None and bag.released and bag.patient == mine[2]
        if self.does("scan of cells", expected, lambda: self.scanned(site, label_text(LabelKind.MATERIAL, lot, item="CELLS"), Expects.MATERIAL)):
            assert bag is not None and bag.patient is not None
            believed.joined.setdefault(mine[0], set()).add(bag.patient)

    @rule(site=st.sampled_from(SITES), patient=st.sampled_from((ANNE, BORIS)))
    def scan_patient(self, site: SiteId, patient: IdentityCode) -> None:
        believed = self.believed[site]
        if believed.on_it is not None:
            expected = believed.on_it[2] == patient
            self.does("scan of a patient", expected, lambda: self.scanned(site, label_text(LabelKind.PATIENT, patient), Expects.PATIENT))

    @rule(site=st.sampled_from(SITES), data=st.data(), drawn=st.booleans())
    def scan_sample(self, site: SiteId, data: st.DataObject, drawn: bool) -> None:
        """A sample's label, of this lot or of one before it."""
        believed, known = self.believed[site], sorted(self.believed[site].for_whom)
        if believed.on_it is None or not known:
            return
        of = data.draw(st.sampled_from(known))
        sample = SampleId(f"SMP-{next(self.lots)}")
        if drawn:
            self.note(site, [SampleDrawn(sample, self.states[site].lots[LotId(of)].batch, LotId(of), "bulk")])
        text = label_text(LabelKind.SAMPLE, sample, lot="" if drawn else of)
        self.does("scan of a sample", of == believed.on_it[0], lambda: self.scanned(site, text, Expects.SAMPLE))

    def scanned(self, site: SiteId, text: str, expects: Expects) -> bool:
        state, believed = self.states[site], self.believed[site]
        assert believed.on_it is not None
        batch = state.batches[state.lots[LotId(believed.on_it[0])].batch]
        return not materials.check_material_scan(state, batch, read_label(text), expects, material="", now=self.now)

    # ---- the usual way, with a slip here and there ---------------------------------------------------

    @rule(
        site=st.sampled_from(SITES),
        occupant=st.sampled_from(OCCUPANTS),
        slip=st.sampled_from(("", "", "", "assign", "install", "operator", "analyst", "bag", "late", "somebody else")),
        finish=st.booleans(),
    )
    def make_ready_and_start(self, site: SiteId, occupant: tuple[str, IdentityCode | None], slip: str, finish: bool) -> None:
        """Everything in its order, with one thing left out."""
        if finish:
            self.finish(site)
        believed = self.believed[site]
        fresh = next((each for each in SERIALS if each not in believed.bags), None)
        if fresh is not None:
            self.deliver(site, fresh, None if slip != "bag" else BORIS, True)
        if slip != "assign":
            self.assign(site, occupant)
        if slip != "install":
            good = [each for each in SERIALS if believed.may_install(each)]
            self.install(site, good[0] if good else SERIALS[0])
        for who in ("operator", "analyst"):
            if slip != who:
                self.check(site, who, True)
        if slip == "late":
            self.hour += VALID_H
        others = [each for each in OCCUPANTS if each != occupant]
        self.start(site, others[int(self.hour) % len(others)] if slip == "somebody else" else None, False)

    # ---- what must always hold -----------------------------------------------------------------------

    @rule(site=st.sampled_from(SITES))
    def restart(self, site: SiteId) -> None:
        """A site that is started again folds one ledger after the other, and knows the same (I8)."""
        state, _ = beginning()[0][site], None
        for ledger in sorted({fact.ref.ledger for fact in self.facts[site]}, reverse=bool(int(self.hour) % 2)):
            for fact in self.facts[site]:
                if fact.ref.ledger == ledger:
                    state = apply(state, fact)
        assert (state.lines, state.stock) == (self.states[site].lines, self.states[site].stock)
        assert {lot: set(state.genealogy.made_of(lot)) for lot in state.lots} == {
            lot: set(self.states[site].genealogy.made_of(lot)) for lot in self.states[site].lots
        }

    @invariant()
    def nobody_elses_material_is_in_a_lot(self) -> None:
        for site, believed in self.believed.items():
            for lot, whose in believed.joined.items():
                if lot in believed.for_whom:
                    assert whose <= {believed.for_whom[lot]}, f"{lot} at {site}"
            state = self.states[site]
            for lot in believed.for_whom:
                for link in state.genealogy.made_of(lot):
                    received = state.stock.receipts.get(link.used_lot)  # type: ignore[call-overload]
                    assert received is None or received.patient in (None, believed.for_whom[lot])

    @invariant()
    def no_assembly_is_used_twice_at_a_site(self) -> None:
        for state in self.states.values():
            assert all(len(piece.installed) <= 1 for piece in state.stock.pieces.values())


def histories(examples: int, steps: int) -> None:
    run_state_machine_as_test(
        Floors,
        settings=settings(max_examples=examples, stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)),
    )


def unseen(*verbs: str) -> list[str]:
    """What no history has met yet: each verb is to be done, and refused."""
    return [f"{verb} {how}" for verb in verbs for how in ("done", "refused") if not SEEN[f"{verb} {how}"]]


VERBS = ("deliver", "assign", "check", "install", "start")
SCANS = ("scan of cells", "scan of a patient", "scan of a sample")


def test_no_history_mixes_patients_or_reuses_an_assembly_or_starts_on_an_uncleared_line() -> None:
    """What must never be seen. That each deed and each refusal can be met at all is shown by the directed days below: histories drawn
    at random owe nobody a certain deed, and with settings that draw the same ones each time, they may miss one every time."""
    histories(60, 25)


class Drawn:
    """What a rule would have drawn, told."""

    def __init__(self, value: str) -> None:
        self.value = value

    def draw(self, _: object) -> str:
        return self.value


def test_directed_days_meet_each_deed_and_each_refusal() -> None:
    """The same rules, oracle and code, in an order that surely meets every verb both ways, every product, and hearsay."""
    SEEN.clear()
    floors = Floors()
    floors.begin()

    def day(site: SiteId, serials: str, occupants: tuple[tuple[str, str | None], ...]) -> None:
        for serial, occupant in zip(serials, occupants, strict=True):
            floors.deliver(site, serial, occupant[1], True)
            floors.deliver(site, serial, occupant[1], True)  # the same piece again
            floors.install(site, serial)  # on a line that nothing is planned for
            floors.assign(site, WRONG[0])
            floors.assign(site, occupant)
            floors.start(site, None, False)  # nothing is cleared, nothing is installed
            floors.check(site, "operator", False)
            floors.check(site, "operator", True)
            floors.check(site, "operator", True)  # the same person twice
            floors.install(site, serial)
            floors.start(site, None, False)  # one person alone
            floors.check(site, "analyst", True)
            floors.start(site, None, True)  # another lot
            floors.start(site, next(each for each in OCCUPANTS if each != occupant), False)
            floors.start(site, None, False)
            floors.assign(site, occupant)  # the line is in use
            for whose in (ANNE, BORIS):
                floors.collect(site, whose, True)
                floors.scan_patient(site, whose)
                floors.scan_cells(site, Drawn(f"C-{next(floors.lots) - 1}"))
            for of in sorted(floors.believed[site].for_whom):
                floors.scan_sample(site, Drawn(of), True)
                floors.scan_sample(site, Drawn(of), False)
            floors.restart(site)
            floors.finish(site)
            floors.nobody_elses_material_is_in_a_lot()
            floors.no_assembly_is_used_twice_at_a_site()

    day(LEEDS, "123", OCCUPANTS[:2] + OCCUPANTS[:1])
    floors.hear(GHENT)
    day(GHENT, "4", OCCUPANTS[2:3])
    floors.assign(GHENT, OCCUPANTS[0])  # an antibody after cells
    floors.deliver(GHENT, "1", None, True)
    floors.assign(GHENT, OCCUPANTS[3])
    floors.install(GHENT, "1")  # used at the other site
    floors.install(GHENT, "4")  # used here
    floors.make_ready_and_start(GHENT, OCCUPANTS[3], "late", False)
    floors.make_ready_and_start(GHENT, OCCUPANTS[3], "bag", False)  # BORIS is whose bag it is
    assert unseen(*VERBS, *SCANS) == [], SEEN
    assert all(SEEN[f"start of {product}"] for product in RECIPES) and SEEN["heard of a use elsewhere"] == 1, SEEN


@pytest.mark.nightly
def test_no_history_mixes_patients_in_a_long_night() -> None:
    SEEN.clear()
    histories(400, 60)
    for product in RECIPES:
        assert SEEN[f"start of {product}"] > 0, SEEN
    assert unseen(*VERBS, *SCANS) == [], SEEN
