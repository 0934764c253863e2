"""May this be made here and now? The part of the gate that the authorities would ask about (I2), from facts held at the site.

    check_master_file_is_effective      a version is published here, its day has come, a major change is approved
    check_master_file_is_signed         its text is the one that an author and somebody else have signed
    check_profile_is_complete           it says what the site's jurisdiction asks for
    check_site_is_on_file               the site is in it, and its dates hold
    check_process_is_on_file            recipe, version and equipment class are those in it
    check_parameters_are_on_file        every value of the recipe at this site is in the registered range
    check_unit_is_on_file               the unit is in it, of that class
    check_unit_is_where_the_file_says   it stands where the plant document says that it stands
    check_licence_is_active             the site's licence under it is active
    check_licence_is_signed             every command of it is signed by somebody who may
    check_duties_are_separate           who applied has neither qualified nor activated
    check_lease_holds                   the control site was heard recently enough
    check_is_competent                  who starts is trained for it (competence)

Guarantees: `may_be_made` runs every check and returns every note, `may_take` those that a running batch's further unit needs,
`check_is_trained` those of a signature; each refusal names the clause of the site's jurisdiction.
What must not have ended is held against the latest time that it may be, what must have begun against the earliest (leases).
Leaves to others: collecting the values (sites.standing), recipe, unit and role (gate), noting the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from isogenic.authority.competence import CompetenceGranted, Competences, check_is_competent
from isogenic.authority.leases import LeaseGranted, Span
from isogenic.authority.licences import Command, Licence, State
from isogenic.authority.master_file import FiledSite, FiledUnit, Jurisdiction, MasterFile, MasterFilePublished, Range, effective_at, file_of
from isogenic.authority.people import Directory, Role
from isogenic.authority.profiles import clause, missing_fields
from isogenic.authority.signed import wrong_in
from isogenic.checks import Note, Severity
from isogenic.clock import text_of_time
from isogenic.errors import NotValid
from isogenic.ids import LicenceId, PersonId, RecipeId, SiteId, UnitId
from isogenic.units import Quantity

__all__ = ["START_BATCH", "Found", "Standing", "check_is_trained", "find", "may_be_made", "may_be_set", "may_take", "same_place"]

START_BATCH = "start_batch"


@dataclass(frozen=True, slots=True)
class Standing:
    """What a site holds about whether something may be made on one of its units."""

    site: SiteId
    recipe: RecipeId
    version: int
    unit: UnitId
    unit_class: str
    unit_location: str  # as the plant document says
    parameters: Mapping[str, Quantity]  # as the recipe sets them at this site
    published: Collection[MasterFilePublished]  # to this site
    licences: Mapping[LicenceId, Licence]
    leases: Mapping[LicenceId, LeaseGranted]
    competences: Competences
    directory: Directory
    time: Span


@dataclass(frozen=True, slots=True)
class Found:
    """What of it applies."""

    published: MasterFilePublished | None = None
    file: MasterFile | None = None
    site: FiledSite | None = None
    unit: FiledUnit | None = None
    licence: Licence | None = None
    lease: LeaseGranted | None = None

    @property
    def jurisdiction(self) -> Jurisdiction | None:
        """Under whose law the site works, where the file says."""
        return self.site.jurisdiction if self.site else None


def find(standing: Standing) -> Found:
    """The effective master file of the recipe, the site and unit in it, the licence under it and its lease."""
    read = _read(standing)
    file = effective_at((file for _, file in read), standing.time.earliest)
    if file is None:
        return Found()
    published = next(each for each, text in read if text is file)
    site = file.sites.get(standing.site)
    licence = licence_of(standing.licences, file, standing.site)
    return Found(
        published, file, site, site.units.get(standing.unit) if site else None, licence, standing.leases.get(licence.id) if licence else None
    )


def _read(standing: Standing) -> list[tuple[MasterFilePublished, MasterFile]]:
    return [(each, file) for each in standing.published if (file := file_of(each)) is not None and file.recipe == standing.recipe]


def licence_of(licences: Mapping[LicenceId, Licence], file: MasterFile, site: SiteId) -> Licence | None:
    """The site's licence under a master file: the active one, else one that has not ceased, else the newest."""
    mine = [each for each in licences.values() if each.site == site and each.applied.master_file == file.master_file]
    return max(mine, key=lambda each: (each.state is State.ACTIVE, each.state is not State.CEASED, mine.index(each)), default=None)


def same_place(one: str, other: str) -> bool:
    """Whether two texts name one place; space and capitals do not count."""
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()


def may_be_made(standing: Standing, *, person: PersonId) -> list[Note]:
    """Every note of every check; nothing is started with a `STOP` among them."""
    found = find(standing)
    notes = check_master_file_is_effective(standing, found)
    if found.file is None or found.published is None:
        return notes
    notes += [
        *check_master_file_is_signed(standing, found),
        *check_site_is_on_file(standing, found),
        *check_process_is_on_file(standing, found),
        *check_parameters_are_on_file(standing, found),
        *check_licence_is_active(standing, found),
        *check_licence_is_signed(standing, found),
        *check_duties_are_separate(found),
        *check_lease_holds(standing, found),
        *check_competence(standing, found, person),
    ]
    if found.site is not None:
        notes += [
            *check_profile_is_complete(found),
            *check_unit_is_on_file(standing, found),
            *check_unit_is_where_the_file_says(standing, found),
        ]
    return notes


def may_take(standing: Standing) -> list[Note]:
    """Every note about a further unit of a running batch: what concerns the unit, and who stands for what it is held against.

    Recipe, ranges and competence were judged when the batch began. A lease that ended, or a licence that is not active any more,
    is a matter of the product's rule for running batches (sites.safe_completion).
    """
    found = find(standing)
    notes = check_master_file_is_effective(standing, found)
    if found.file is None or found.published is None:
        return notes
    notes += [*check_master_file_is_signed(standing, found), *check_site_is_on_file(standing, found), *check_site_has_a_licence(standing, found)]
    if found.site is not None:
        notes += [*check_unit_is_on_file(standing, found), *check_unit_is_where_the_file_says(standing, found)]
    return notes


def _verdict(check: str, wrong: list[str], good: str, found: Found, owner: str) -> list[Note]:
    if wrong:
        return [Note(check, Severity.STOP, f"{text} ({clause(check, found.jurisdiction)})", owner) for text in wrong]
    return [Note(check, Severity.GOOD, good)]


def check_master_file_is_effective(standing: Standing, found: Found) -> list[Note]:
    """A version of the master file is published here, and its day has come."""
    wrong, good = [], ""
    files = [file for _, file in _read(standing)]
    later = effective_at(files, standing.time.latest)
    if found.file is not None and later is not found.file and later is not None:
        wrong.append(f"{later.name} may be effective already: {standing.time.why}")
    elif found.file is not None:
        good = f"{found.file.name} is effective since {text_of_time(found.file.effective_from)}"
    elif files:
        first = min(files, key=lambda each: each.effective_from)
        wrong.append(f"{first.name} is effective from {text_of_time(first.effective_from)} on, and not before")
    else:
        wrong.append(f"no master file for {standing.recipe} has reached {standing.site}")
    return _verdict("check_master_file_is_effective", wrong, good, found, Role.REGULATORY)


def check_master_file_is_signed(standing: Standing, found: Found) -> list[Note]:
    """Its text is the one that an author and an approver signed, two people, each in a role that may."""
    assert found.file is not None
    assert found.published is not None
    wrong = [f"{found.file.name}: {why}" for why in wrong_in(found.published, standing.directory)]
    names = ", ".join(sorted(str(each.person) for each in found.published.approvals))
    return _verdict("check_master_file_is_signed", wrong, f"{found.file.name} is signed by {names}", found, Role.QUALITY)


def check_profile_is_complete(found: Found) -> list[Note]:
    """The master file says what the site's jurisdiction asks for."""
    assert found.file is not None
    assert found.site is not None
    missing = missing_fields(found.file, found.site.jurisdiction)
    wrong = [f"{found.file.name} lacks {each}" for each in missing]
    return _verdict("check_profile_is_complete", wrong, f"{found.file.name} says what it must", found, Role.REGULATORY)


def check_site_is_on_file(standing: Standing, found: Found) -> list[Note]:
    """The site is in the master file, and its time there has begun and not ended."""
    assert found.file is not None
    wrong, site = [], found.site
    if site is None:
        wrong.append(f"{standing.site} is not in {found.file.name}")
    elif site.since > standing.time.earliest:
        wrong.append(f"{standing.site} is in {found.file.name} from {text_of_time(site.since)} on, and not before")
    elif site.until is not None and standing.time.latest >= site.until:
        wrong.append(f"{standing.site} was in {found.file.name} until {text_of_time(site.until)}")
    return _verdict("check_site_is_on_file", wrong, f"{standing.site} is in {found.file.name}", found, Role.REGULATORY)


def check_process_is_on_file(standing: Standing, found: Found) -> list[Note]:
    """The recipe's version and the unit's class are those of the master file."""
    file = found.file
    assert file is not None
    wrong = []
    if standing.version not in file.recipe_versions:
        known = ", ".join(map(str, file.recipe_versions)) or "none"
        wrong.append(f"{standing.recipe} version {standing.version} is not in {file.name}, which has {known}")
    good = f"{standing.recipe} version {standing.version} is in {file.name}"
    return _verdict("check_process_is_on_file", wrong, good, found, Role.PROCESS_ENGINEER)


def check_parameters_are_on_file(standing: Standing, found: Found) -> list[Note]:
    """Every value that the recipe sets at this site is in the range on file."""
    file = found.file
    assert file is not None
    wrong = []
    for name, on_file in file.parameters.items():
        value = standing.parameters.get(name)
        if value is None:
            wrong.append(f"{name} is in {file.name} and not in the recipe")
        elif not _is_inside(value, on_file):
            wrong.append(f"{name} is {value} in the recipe and {on_file} in {file.name}")
    good = f"{len(file.parameters)} parameters are in their ranges on file"
    return _verdict("check_parameters_are_on_file", wrong, good, found, Role.PROCESS_ENGINEER)


def may_be_set(standing: Standing, name: str, value: Quantity, *, on_unit: Callable[[Quantity], Quantity]) -> list[Note]:
    """Whether a running batch may have another value of a parameter: in the range on file, as at its start.

    The value is that of a unit, the range that of the process: `on_unit` says what a limit is on the unit, by the scale rule.

    Nothing stands against it where no master file is effective: the batch was begun before there was one.
    """
    found = find(standing)
    on_file = found.file.parameters.get(name) if found.file is not None else None
    if found.file is None or on_file is None:
        return []
    range_here = Range(on_unit(on_file.low), on_unit(on_file.high))
    wrong = [] if _is_inside(value, range_here) else [f"{name} would be {value}, and is {on_file} in {found.file.name}"]
    return _verdict("check_parameters_are_on_file", wrong, f"{name} is in its range on file", found, Role.PROCESS_ENGINEER)


def _is_inside(value: Quantity, on_file: Range) -> bool:
    try:
        return on_file.low.to(value.unit).value <= value.value <= on_file.high.to(value.unit).value
    except NotValid:
        return False


def check_unit_is_on_file(standing: Standing, found: Found) -> list[Note]:
    """The unit is in the master file, as what it is."""
    file, unit = found.file, found.unit
    assert file is not None
    wrong = []
    if unit is None:
        wrong.append(f"{standing.unit} of {standing.site} is not in {file.name}")
    elif unit.equipment_class != standing.unit_class:
        wrong.append(f"{standing.unit} is a {standing.unit_class}, and a {unit.equipment_class} in {file.name}")
    good = f"{standing.unit} is in {file.name}: {unit.identity}" if unit else ""
    return _verdict("check_unit_is_on_file", wrong, good, found, Role.REGULATORY)


def check_unit_is_where_the_file_says(standing: Standing, found: Found) -> list[Note]:
    """The unit stands where the master file says that it stands now."""
    file, unit, there = found.file, found.unit, standing.unit_location
    assert file is not None
    if unit is None:
        return []
    filed = (unit.location(standing.time.earliest), unit.location(standing.time.latest))  # two at the hour of a move: it stands in one
    wrong = []
    if not there:
        wrong.append(f"nobody says where {standing.unit} stands: the plant document has no location")
    elif not all(same_place(there, each) for each in filed):
        wrong.append(f"{standing.unit} stands in {there!r}, and in {unit.location(standing.time.latest)!r} by {file.name}")
    return _verdict("check_unit_is_where_the_file_says", wrong, f"{standing.unit} stands where {file.name} says", found, Role.REGULATORY)


def check_licence_is_active(standing: Standing, found: Found) -> list[Note]:
    """The site has a licence under the master file, and it is active."""
    file, licence = found.file, found.licence
    assert file is not None
    wrong = []
    if licence is None:
        wrong.append(f"{standing.site} has no licence under {file.master_file}")
    elif licence.state is not State.ACTIVE:
        wrong.append(f"{licence.id} is {licence.state}: {licence.why}")
    return _verdict("check_licence_is_active", wrong, f"{licence.id} is active" if licence else "", found, Role.REGULATORY)


def check_site_has_a_licence(standing: Standing, found: Found) -> list[Note]:
    """The site has a licence under the master file, whatever its state; every command of it is signed."""
    return check_licence_is_signed(standing, found) if found.licence is not None else check_licence_is_active(standing, found)


def check_licence_is_signed(standing: Standing, found: Found) -> list[Note]:
    """Every command of the licence is signed by somebody who may."""
    if found.licence is None:
        return []
    payloads = (found.licence.applied, *found.licence.changes)
    wrong = [f"{found.licence.id}: {why}" for payload in payloads for why in wrong_in(payload, standing.directory)]
    good = f"{len(payloads)} signatures of {found.licence.id} verify"
    return _verdict("check_licence_is_signed", wrong, good, found, Role.QUALITY)


def check_duties_are_separate(found: Found) -> list[Note]:
    """Who applied has not decided on the application; who wrote the file has not approved it."""
    if found.licence is None:
        return []
    licence = found.licence
    deciding = [each for each in licence.changes if each.command in (Command.QUALIFY, Command.ACTIVATE, Command.REINSTATE)]
    own = [each for each in deciding if each.signature.person == licence.applicant]
    wrong = [f"{licence.applicant} applied for {licence.id} and gave it the command {each.command}" for each in own]
    return _verdict("check_duties_are_separate", wrong, f"who applied for {licence.id} did not decide on it", found, Role.QUALITY)


def check_lease_holds(standing: Standing, found: Found) -> list[Note]:
    """The lease has begun and cannot have ended, by all that the site knows of its clock."""
    licence, lease, time = found.licence, found.lease, standing.time
    if licence is None:
        return []
    wrong = []
    if lease is None:
        wrong.append(f"{standing.site} has no lease under {licence.id}")
    elif time.latest >= lease.until:
        wrong.append(f"the lease under {licence.id} ended at {text_of_time(lease.until)}; it may be {text_of_time(time.latest)} ({time.why})")
    elif lease.site != standing.site:
        wrong.append(f"the lease under {licence.id} is {lease.site}'s")
    good = f"the lease under {licence.id} lasts until {text_of_time(lease.until)}" if lease else ""
    return _verdict("check_lease_holds", wrong, good, found, Role.REGULATORY)


def check_competence(standing: Standing, found: Found, person: PersonId) -> list[Note]:
    """Who starts is trained for it, by grants that verify; one that may have ended or not begun does not count."""
    assert found.file is not None
    needed = found.file.competences.get(START_BATCH, ())
    return check_is_trained(person, needed, held=standing.competences, directory=standing.directory, time=standing.time)


def check_is_trained(person: PersonId, needed: Collection[str], *, held: Competences, directory: Directory, time: Span) -> list[Note]:
    """Every competence that is needed is held, by a grant that verifies, at the earliest and at the latest time that it may be."""
    notes = check_is_competent(person, needed, held=held, now=time.latest)
    if not any(note.severity is Severity.STOP for note in notes) and time.earliest != time.latest:
        notes = check_is_competent(person, needed, held=held, now=time.earliest)
    grants = [held.said[person, each] for each in needed if isinstance(held.said.get((person, each)), CompetenceGranted)]
    unsigned = [f"{person}, competence {each.competence}: {why}" for each in grants for why in wrong_in(each, directory)]
    return [*notes, *(Note("check_is_competent", Severity.STOP, f"{text} (EU GMP 2.10, 21 CFR 211.25(a))", "quality") for text in unsigned)]
