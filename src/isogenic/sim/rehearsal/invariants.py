"""What must hold in every night, each as a named function that looks at bytes and equipment, not at what nodes say.

    I1  check_i1_promises_are_kept      after every start: every fact that was noted is there, same bytes
        check_i1_both_sides_are_equal   in the end: both sides hold the same bytes, root and receipts
        check_i1_no_false_alarm         no page was refused and no ledger stopped: nobody forked anything
    I2  check_i2_start_was_allowed      whenever a batch was started: master file, licence, lease, competence, again from raw facts
    I3  check_i3_value_was_noted        before a value comes into force: a noted fact commanded it
        check_i3_dose_was_ordered       a dose begins to flow once, with the number and amount that were noted
        check_i3_nothing_ran_twice      in the end: phases, doses and totals agree between facts and equipment
    I4  check_i4_release_was_right      whenever a lot was released: all conditions, computed again from raw facts
    I6  check_i6_scan_was_finished      at every tick: the scan of a site that could run has run, link or no link
    I8  check_i8_site_folds_again       at any moment: the same bytes folded afresh give the same state
        check_i8_control_folds_again    the same of the control site, derived tables included where asked

Leaves to others: when to look (night).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from isogenic.authority.competence import CompetenceGranted
from isogenic.authority.leases import LeaseGranted
from isogenic.authority.licences import LicenceChanged
from isogenic.authority.master_file import MasterFilePublished
from isogenic.authority.people import Role
from isogenic.authority.signatures import verify_signature
from isogenic.errors import Refusal
from isogenic.ids import PersonId, SiteId
from isogenic.network.control import CONTROL
from isogenic.network.state import ControlState
from isogenic.network.state import apply as apply_to_control
from isogenic.quality.release import LotReleased
from isogenic.quality.specifications import Specification, read_specification
from isogenic.records.derived import Derived
from isogenic.records.facts import Fact
from isogenic.records.ledger import Copy, Ledger
from isogenic.records.link import Answer
from isogenic.records.store import LedgerStore
from isogenic.sim.rehearsal.book import Book, Place
from isogenic.sim.rehearsal.broken import InvariantBroken
from isogenic.sim.rehearsal.equipment import Execution
from isogenic.sim.rehearsal.scene import NETWORK
from isogenic.sim.world import document
from isogenic.sites.state import SiteState
from isogenic.sites.state import apply as apply_to_site

if TYPE_CHECKING:
    from isogenic.sim.rehearsal.machines import ControlMachine, SiteMachine
    from isogenic.sim.rehearsal.night import Night

__all__ = [
    "check_i1_both_sides_are_equal",
    "check_i1_no_false_alarm",
    "check_i1_promises_are_kept",
    "check_i2_start_was_allowed",
    "check_i3_dose_was_ordered",
    "check_i3_nothing_ran_twice",
    "check_i3_value_was_noted",
    "check_i4_release_was_right",
    "check_i6_scan_was_finished",
    "check_i8_control_folds_again",
    "check_i8_site_folds_again",
]

ALL = 1 << 40
FLOWED = 1e-6  # relative: sums of floating point numbers


def _hold(invariant: str, holds: bool, seed: int, seen: str) -> None:
    if not holds:
        raise InvariantBroken(invariant, seed=seed, seen=seen)


# --- I1 -------------------------------------------------------------------------------------------


def check_i1_promises_are_kept(seed: int, book: Book, place: Place, store: LedgerStore) -> None:
    """A ledger that was just opened holds every promised body.

    What was under way when the process ended may be there too; whoever reads it acts on it, so it is a promise from now on.
    """
    promised, found = book.bodies.get(place, []), store.bodies(0, ALL)
    for position, (kept, there) in enumerate(zip(promised, found, strict=False)):
        _hold("I1", kept == there, seed, f"fact {position} of {place} was changed")
    _hold("I1", len(found) >= len(promised), seed, f"{place} holds {len(found)} of {len(promised)} facts that were noted")
    if len(found) > len(promised):
        book.promised(place, found[len(promised) :], start=len(promised))


def check_i1_both_sides_are_equal(night: Night) -> None:
    """Both sides of every link hold the same bytes under the same root, and the writer has the receipt for all of them."""
    control = night.control.node
    assert control is not None
    for machine in night.sites.values():
        node = machine.node
        assert node is not None
        pairs = [(ledger, control.copies[ledger.origin][1], machine.name, night.control.name) for ledger in node.ledgers.values()]
        pairs.append((control.ledgers[machine.name], node.control, night.control.name, machine.name))
        for ledger, copy, writer, reader in pairs:
            about = f"{ledger.origin} at {writer} and its copy at {reader}"
            _hold("I1", ledger.store.bodies(0, ALL) == night.book.bodies[writer, ledger.origin], night.seed, f"{about}: not what was noted")
            _hold("I1", copy.store.bodies(0, ALL) == ledger.store.bodies(0, ALL), night.seed, f"{about}: {ledger.size} and {copy.size} facts")
            _hold("I1", copy.root == ledger.root, night.seed, f"{about}: other roots")
            _hold("I1", ledger.witnessed == ledger.size, night.seed, f"{about}: receipt for {ledger.witnessed} of {ledger.size} facts")


def check_i1_no_false_alarm(night: Night) -> None:
    """Nobody planted a fork, so nobody may have seen one."""
    if night.control.node is not None:
        robbed = [f"{NETWORK}/{site}" for site in night.storm.thieves]
        refused = [each for each in night.control.node.desk.inbox.refused if not any(name in each for name in robbed)]
        _hold("I1", not refused, night.seed, f"the control site refused a page for no reason: {refused[-1:]}")
    for machine in night.sites.values():
        if machine.node is not None and machine.site not in night.storm.thieves:
            stopped = machine.node.courier.state.stopped
            _hold("I1", not stopped, night.seed, f"{machine.name} stopped a ledger for no reason: {stopped}")


def check_i1_copy_is_what_was_noted(night: Night, place: Place, fact: Fact) -> None:
    """Nothing enters a copy that its writer has not noted."""
    writer = next(machine.name for machine in night.sites.values() if place[1] in machine.origins.values())
    noted, held = night.book.bodies.get((writer, place[1]), []), night.book.bodies[place]
    same = fact.position < len(noted) and noted[fact.position] == held[fact.position]
    _hold("I1", same, night.seed, f"{place} holds a fact {fact.position} that {writer} never noted")


def check_i1_forged_page_was_refused(night: Night, origin: str, answer: Answer) -> None:
    """A fact signed with a stolen key, after its revocation."""
    _hold("I1", answer.status != 200, night.seed, f"a page of {origin} under a stolen key was taken")


# --- I2 -------------------------------------------------------------------------------------------


def check_i2_start_was_allowed(night: Night, site: SiteId, started: Fact) -> None:
    """A batch that was started had, in the ledger that this site holds of the control site, all that it takes."""
    machine = night.sites[site]
    told = [fact.payload for fact in night.book.of((machine.name, machine.directed))]

    def must(holds: bool, seen: str) -> None:
        _hold("I2", holds, night.seed, f"{site} started {started.payload.batch} although {seen}")

    files = [each for each in told if isinstance(each, MasterFilePublished)]
    must(bool(files) and f"\n  {site}:" in files[-1].text, "no master file names it")
    changes = [each for each in told if isinstance(each, LicenceChanged)]
    must(bool(changes) and str(changes[-1].state) == "active", "its licence is not active")
    leases = [each for each in told if isinstance(each, LeaseGranted)]
    must(bool(leases) and started.at < leases[-1].until, "its lease is over")
    trained = [each for each in told if isinstance(each, CompetenceGranted) and each.person == started.payload.by]
    must(bool(trained) and started.at < trained[-1].until, f"{started.payload.by} is not trained")


# --- I3 -------------------------------------------------------------------------------------------


def check_i3_value_was_noted(night: Night, site: SiteId, tag: str, value: float) -> None:
    """A value that is about to come into force was commanded by a fact that is already noted."""
    _hold("I3", value in night.commanded[site].get(tag, ()), night.seed, f"{site} set {tag} to {value}, and no noted fact says so")


def check_i3_dose_was_ordered(night: Night, site: SiteId, done: Execution) -> None:
    """A dose that began to flow was ordered under that number, with that amount, and had not flowed before."""
    ordered = night.ordered[site].get((done.unit, done.dose, done.number))
    _hold("I3", ordered is not None, night.seed, f"{done} at {site} was never ordered")
    assert ordered is not None
    _hold("I3", ordered.payload.amount == done.amount, night.seed, f"{done} at {site}: {ordered.payload.amount} was ordered")
    count = sum((each.unit, each.dose, each.number) == (done.unit, done.dose, done.number) for each in night.sites[site].machinery.executions)
    _hold("I3", count == 1, night.seed, f"{done} at {site} flowed {count} times")


def check_i3_nothing_ran_twice(night: Night, machine: SiteMachine) -> None:
    """Facts and equipment agree: every phase once, every dose of a completed batch once, and as much as was ordered."""
    facts = night.book.of(machine.sponsor)
    for kind in ("batch.phase_started", "batch.phase_completed"):
        runs = Counter((each.subject, each.payload.phase, each.payload.run) for each in facts if each.kind == kind)
        _hold("I3", all(count == 1 and run == 1 for (_, _, run), count in runs.items()), night.seed, f"{kind} at {machine.name}: {runs}")
    machinery = machine.machinery
    done = {(each.unit, each.dose, each.number): each for each in machinery.executions}
    completed = {each.subject for each in facts if each.kind == "batch.closed" and each.payload.outcome == "complete"}
    once: Counter[tuple[str, str]] = Counter()
    for key, ordered in night.ordered[machine.site].items():
        flowed, refused = key in done, (f"{key[0]}.{key[1]}_number", float(key[2])) in machinery.refused
        excused = refused or ordered.subject not in completed
        _hold("I3", flowed or excused, night.seed, f"dose {key} of {ordered.subject} was ordered and never flowed")
        once[ordered.subject, key[1]] += flowed and key[1] != "glucose_dose"
    _hold("I3", max(once.values(), default=0) <= 1, night.seed, f"a batch of {machine.name} was filled, seeded or harvested twice: {once}")
    for unit in machine.plant.units:
        for dose in ("medium_dose", "seed_dose", "glucose_dose"):
            ordered_sum = sum(each.amount for each in machinery.executions if (each.unit, each.dose) == (unit, dose))
            flowed_sum = machinery.dosed(unit, dose)
            seen = f"{unit} took {flowed_sum:g} of {dose}, {ordered_sum:g} was ordered"
            _hold("I3", flowed_sum <= ordered_sum * (1 + FLOWED) + FLOWED, night.seed, seen)
            ended_early = any(each.kind == "batch.closed" and each.subject not in completed for each in facts)  # a vessel left full stops at its brim
            _hold("I3", ended_early or flowed_sum >= ordered_sum * (1 - FLOWED) - FLOWED, night.seed, seen)


# --- I4 -------------------------------------------------------------------------------------------


def check_i4_release_was_right(night: Night, released: LotReleased) -> None:
    """Every condition of a release, computed again from the raw facts that the control site holds at this moment."""
    control = night.control.node
    assert control is not None
    machine = night.sites[released.site]
    origin = machine.sponsor[1]
    held, noted = night.book.of((night.control.name, origin)), night.book.of(machine.sponsor)
    decided = night.book.of((night.control.name, machine.directed))
    about = [each for each in held if getattr(each.payload, "batch", "") == released.batch]

    def must(holds: bool, seen: str) -> None:
        _hold("I4", holds, night.seed, f"{released.lot} was released although {seen}")

    kinds = Counter(each.kind for each in about)
    for kind in ("batch.started", "lot.created", "batch.closed"):
        must(kinds[kind] == 1, f"its record holds {kinds[kind]} facts {kind}")
    closed = next(each for each in about if each.kind == "batch.closed")
    counted = sum(each.subject == released.batch for each in held[: closed.position + 1])
    must(closed.payload.facts == counted, f"{counted} of {closed.payload.facts} facts are held")
    must(closed.payload.outcome == "complete", f"the batch ended {closed.payload.outcome}")
    same = night.book.bodies[night.control.name, origin] == night.book.bodies[machine.sponsor][: len(held)]
    must(same and len(held) <= len(noted), "what is held is not what the site noted")
    receipt = control.copies[origin][1].store.receipt()
    must(receipt is not None and receipt[0] > about[-1].position, f"only {receipt and receipt[0]} facts are cosigned")
    must(released.record_size > about[-1].position, "its signature does not cover the record")
    _check_i4_readings(control, about, must)
    _check_i4_exceptions(night, about, decided, must)
    _check_i4_results(about, must)
    _check_i4_signatures(night, released, about, decided, must)
    before = [each for each in decided if each.kind in ("quality.lot_released", "quality.lot_rejected") and each.payload.lot == released.lot]
    must(len(before) == 1, f"it was decided on {len(before)} times")


def _check_i4_readings(control: Any, about: list[Fact], must: Any) -> None:
    blocks = [each.payload for each in about if each.kind == "records.readings_sealed"]
    must(bool(blocks), "no readings were sealed")
    for block in blocks:
        try:
            kept = len(control.blobs.get(block.digest)) == block.bytes
        except Refusal:
            kept = False
        must(kept, f"readings {block.digest[:12]} are not held")


def _check_i4_exceptions(night: Night, about: list[Fact], decided: list[Fact], must: Any) -> None:
    asked = {each.payload.prompt for each in about if each.kind == "batch.prompt_asked"}
    answered = {each.payload.prompt for each in about if each.kind == "batch.prompt_answered"}
    must(asked == answered, f"prompts {asked - answered} are open")
    disposed = {each.payload.deviation: each.payload for each in decided if each.kind == "quality.deviation_disposed"}
    for each in about:
        if each.kind == "quality.deviation_opened":
            found = disposed.get(each.payload.deviation)
            must(found is not None and found.disposition == "accept", f"{each.payload.deviation} is not accepted")
            assert found is not None
            must(_signed_by(night, found.signature, Role.QUALITY, Role.QUALIFIED_PERSON) not in _operators(about), "an operator disposed")


def _check_i4_results(about: list[Fact], must: Any) -> None:
    results = [each.payload for each in about if each.kind == "laboratory.result_reported"]
    for name, limits in _specification().attributes.items():
        values = [each.value for each in results if each.attribute == name]
        low, high = limits.low, limits.high
        inside = all((low is None or value >= low) and (high is None or value <= high) for value in values)
        must(not limits.required or (bool(values) and inside), f"{name} is {values}")


def _check_i4_signatures(night: Night, released: LotReleased, about: list[Fact], decided: list[Fact], must: Any) -> None:
    started = next(each.payload for each in about if each.kind == "batch.started")
    published = [each.payload for each in decided if each.kind == "recipe.published" and each.payload.version == started.version]
    must(bool(published) and published[0].digest == started.recipe_digest, "its recipe was not published")
    signers = {_signed_by(night, signature, Role.PROCESS_ENGINEER, Role.QUALITY, Role.QUALIFIED_PERSON) for signature in published[0].approvals}
    must(len(signers) >= 2 and all(each.digest == started.recipe_digest for each in published[0].approvals), "its recipe lacks signatures")
    must(_signed_by(night, released.signature, Role.QUALIFIED_PERSON) not in _operators(about), "an operator released it")


def _signed_by(night: Night, signature: Any, *roles: Role) -> PersonId:
    try:
        verify_signature(signature, night.directory)
    except Refusal as refusal:
        raise InvariantBroken("I4", seed=night.seed, seen=str(refusal)) from refusal
    person = night.directory.person(signature.person)
    _hold("I4", bool(set(roles) & set(person.roles)), night.seed, f"{person.id} signed without the role")
    return person.id


def _operators(about: Iterable[Fact]) -> set[str]:
    return {each.actor.id for each in about if each.kind.startswith("batch.") and each.actor.role == "operator"}


@lru_cache(maxsize=1)
def _specification() -> Specification:
    return read_specification(document("mab-a.specification.yaml"))


# --- I6 -------------------------------------------------------------------------------------------


def check_i6_scan_was_finished(night: Night, machine: SiteMachine, *, finished: bool, why: str) -> None:
    """A site that has power and room on its disk finishes every scan, whatever its link does."""
    link = "down" if machine.line is not None and machine.line.down else "up"
    _hold("I6", finished, night.seed, f"the scan of {machine.name} was not finished, its link {link}: {why}")


# --- I8 -------------------------------------------------------------------------------------------


def check_i8_site_folds_again(night: Night, machine: SiteMachine) -> None:
    """The site's ledgers, folded afresh from their bytes, give the state it lives with."""
    node = machine.node
    assert node is not None
    state = SiteState(machine.plant)
    written: list[Ledger | Copy] = [*node.ledgers.values(), node.control]
    for ledger in written:
        for fact in ledger.facts():
            state = apply_to_site(state, fact)
    _hold("I8", state == node.state, night.seed, f"{machine.name} lives with another {_differing(state, node.state)} than its facts give")


def check_i8_control_folds_again(night: Night, machine: ControlMachine, *, tables: bool) -> None:
    """As a restarted control site would fold it: the sites' ledgers first, then its own."""
    node = machine.node
    assert node is not None
    state = ControlState()
    held: list[Ledger | Copy] = [*[copy for _, copy in node.copies.values()], *node.ledgers.values()]
    for ledger in held:
        for fact in ledger.facts():
            state = apply_to_control(state, fact, place=node.place(ledger.origin))
    _hold("I8", state == node.state, night.seed, f"{CONTROL} lives with another {_differing(state, node.state)} than its facts give")
    if tables and node.derived is not None:
        for each in held:
            node.derived.catch_up(each)  # a full disk may have kept them behind; behind is allowed, different is not
        anew = Derived("/derived-anew.sqlite", vfs=machine.disk.name)
        anew.rebuild(held)
        same = anew.digest() == node.derived.digest()
        anew.close()
        _hold("I8", same, night.seed, "derived tables built anew differ from those that followed along")


def _differing(one: Any, other: Any) -> str:
    return ", ".join(each.name for each in fields(one) if getattr(one, each.name) != getattr(other, each.name))
