"""Three texts of one product, compared: what the authorities were promised, what is on file, and what is executed.

    commitments      the marketing authorisations (commitments)
    master file      the version in force, and the site's own answer to it (master_file)
    executable       the recipe as it is published, and what each site sets otherwise

Every difference is typed, names its place and what each of the three says, and weighs:

    stop   a batch made so would not be as authorised; the gate refuses what it can see of it
    warn   somebody should look: the file is narrower than what was promised, a commitment is due

Guarantees: pure; the same three give the same list in the same order; nothing is a difference that is said by one of them only
because the others need not say it.
Leaves to others: collecting (network.differences), refusing (permission).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from isogenic.authority.commitments import Commitments, Limits
from isogenic.authority.master_file import ChangeClass, Jurisdiction, MasterFile, MasterFileAnswered, Range
from isogenic.authority.permission import same_place
from isogenic.authority.profiles import clause, missing_fields
from isogenic.checks import Severity
from isogenic.clock import text_of_time
from isogenic.errors import NotValid
from isogenic.ids import ProductId, RecipeId, SiteId
from isogenic.units import Quantity, converter

__all__ = ["Difference", "Kind", "Process", "ProcessParameter", "three_way"]


class Kind(StrEnum):
    """What differs."""

    SITE_NOT_AUTHORISED = "site_not_authorised"  # in the master file, in no marketing authorisation of its jurisdiction
    SITE_NOT_ON_FILE = "site_not_on_file"  # executed or authorised there, and not in the master file
    RANGE = "range"  # two of the three have another range
    VALUE = "value"  # what is set is outside a range
    PARAMETER_NOT_EXECUTED = "parameter_not_executed"  # registered, and not in the recipe
    PARAMETER_NOT_ON_FILE = "parameter_not_on_file"  # critical in the recipe, and not in the master file
    PROCESS = "process"  # another recipe, version or equipment class
    UNIT_MOVED = "unit_moved"
    UNIT = "unit"  # there is one more, or one less, or it is another thing
    SPECIFICATION = "specification"  # a limit that is released against is wider than the registered one
    FIELD = "field"  # a jurisdiction asks for something that the file does not say
    COMMITMENT = "commitment"  # due, and not done


@dataclass(frozen=True, slots=True)
class Difference:
    """One place where they differ, and what each says there."""

    kind: Kind
    severity: Severity
    where: str
    commitments: str
    master_file: str
    executable: str
    clause: str = ""

    def __str__(self) -> str:
        said = (("commitments", self.commitments), ("master file", self.master_file), ("executable", self.executable))
        return f"{self.kind.replace('_', ' ')}, {self.where}: " + "; ".join(f"{name}: {text}" for name, text in said if text)


@dataclass(frozen=True, slots=True)
class ProcessParameter:
    """A parameter of the executable recipe."""

    value: Quantity
    low: Quantity
    high: Quantity
    per_volume: bool
    critical: bool

    @property
    def range(self) -> Range:
        """Within which sites may set it."""
        return Range(self.low, self.high, self.per_volume)


@dataclass(frozen=True, slots=True)
class Process:
    """What is executed: the newest published recipe, what each site sets otherwise, and what lots are released against."""

    recipe: RecipeId
    version: int
    product: ProductId
    equipment_class: str
    parameters: Mapping[str, ProcessParameter]
    sites: Mapping[SiteId, Mapping[str, Quantity]] = field(default_factory=dict)  # where it is published; the values set there
    attributes: Mapping[str, Limits] = field(default_factory=dict)


def three_way(
    file: MasterFile,
    *,
    commitments: Sequence[Commitments],
    process: Process | None,
    answers: Mapping[SiteId, MasterFileAnswered],
    now: datetime,
) -> list[Difference]:
    """Every difference of one product."""
    found = [*_sites(file, commitments, process, now), *_fields(file)]
    if process is not None:
        found += [*_process(file, process), *_file_and_recipe(file, process), *_site_values(file, process)]
        found += [*_specifications(commitments, process), *_critical(file, process)]
    found += [*_registered(file, commitments, process), *_units(file, answers, now), *_due(commitments, now)]
    return sorted(dict.fromkeys(found), key=lambda each: (each.severity is not Severity.STOP, each.kind, each.where))


def _is_current(file: MasterFile, site: SiteId, now: datetime) -> bool:
    until = file.sites[site].until
    return until is None or now < until


def _sites(file: MasterFile, commitments: Sequence[Commitments], process: Process | None, now: datetime) -> Iterator[Difference]:
    for site, filed in file.sites.items():
        laws = [each for each in commitments if each.jurisdiction is filed.jurisdiction]
        if _is_current(file, site, now) and not any(site in each.sites for each in laws):
            said = ", ".join(each.authorisation for each in laws) or "any: none of this jurisdiction is on file"
            where = clause("check_site_is_on_file", filed.jurisdiction)
            yield Difference(Kind.SITE_NOT_AUTHORISED, Severity.STOP, str(site), f"not in {said}", f"in {file.name}", "", where)
    for promised in commitments:
        for site in promised.sites:
            if site not in file.sites:
                yield Difference(Kind.SITE_NOT_ON_FILE, Severity.WARN, str(site), f"in {promised.authorisation}", f"not in {file.name}", "")
    for site in process.sites if process else ():
        if site not in file.sites:
            executed = f"{process.recipe} version {process.version} is published there" if process else ""
            where = clause("check_site_is_on_file", None)
            yield Difference(Kind.SITE_NOT_ON_FILE, Severity.STOP, str(site), "", f"not in {file.name}", executed, where)


def _fields(file: MasterFile) -> Iterator[Difference]:
    for law in sorted({site.jurisdiction for site in file.sites.values()}):
        for each in missing_fields(file, law):
            yield Difference(Kind.FIELD, Severity.STOP, law, f"asks for {each}", "does not say", "", clause("check_profile_is_complete", law))
    if file.change is ChangeClass.MAJOR and not file.approval:
        yield Difference(Kind.FIELD, Severity.STOP, file.name, "a major change is approved first", "no approval", "")


def _process(file: MasterFile, process: Process) -> Iterator[Difference]:
    rule = clause("check_process_is_on_file", None)
    if process.recipe != file.recipe or process.version not in file.recipe_versions:
        filed = f"{file.recipe} version {', '.join(map(str, file.recipe_versions))}"
        yield Difference(Kind.PROCESS, Severity.STOP, "recipe", "", filed, f"{process.recipe} version {process.version}", rule)
    if process.equipment_class != file.equipment_class:
        yield Difference(Kind.PROCESS, Severity.STOP, "equipment class", "", file.equipment_class, process.equipment_class, rule)


def _inside(inner: Range, outer: Range) -> bool:
    """Whether one range lies in another; ranges that do not measure the same do not."""
    if inner.per_volume != outer.per_volume:
        return False
    try:
        return outer.low.to(inner.low.unit).value <= inner.low.value and inner.high.value <= outer.high.to(inner.high.unit).value
    except NotValid:
        return False


def _holds(on_file: Range, value: Quantity) -> bool:
    return _inside(Range(value, value, on_file.per_volume), on_file)


def _file_and_recipe(file: MasterFile, process: Process) -> Iterator[Difference]:
    rule = clause("check_parameters_are_on_file", None)
    for name, on_file in file.parameters.items():
        executed = process.parameters.get(name)
        if executed is None:
            yield Difference(Kind.PARAMETER_NOT_EXECUTED, Severity.STOP, name, "", str(on_file), "not in the recipe", rule)
        elif not _inside(executed.range, on_file):  # a site may set it anywhere in the recipe's range
            yield Difference(Kind.RANGE, Severity.STOP, name, "", str(on_file), str(executed.range), rule)
        if executed is not None and not _holds(on_file, executed.value):
            yield Difference(Kind.VALUE, Severity.STOP, name, "", str(on_file), f"set to {executed.value}", rule)


def _critical(file: MasterFile, process: Process) -> Iterator[Difference]:
    for name, executed in process.parameters.items():
        if executed.critical and name not in file.parameters:
            yield Difference(Kind.PARAMETER_NOT_ON_FILE, Severity.WARN, name, "", "not on file", f"critical, {executed.range}")


def _site_values(file: MasterFile, process: Process) -> Iterator[Difference]:
    for site, values in process.sites.items():
        law = file.sites[site].jurisdiction if site in file.sites else None
        for name, value in values.items():
            on_file = file.parameters.get(name)
            executed = process.parameters.get(name)
            if on_file is not None and executed is not None and value != executed.value and not _holds(on_file, value):
                rule = clause("check_parameters_are_on_file", law)
                yield Difference(Kind.VALUE, Severity.STOP, f"{name} at {site}", "", str(on_file), f"set to {value}", rule)


def _registered(file: MasterFile, commitments: Sequence[Commitments], process: Process | None) -> Iterator[Difference]:
    for promised in commitments:
        rule = clause("check_parameters_are_on_file", promised.jurisdiction)
        for name, registered in promised.parameters.items():
            on_file, executed = file.parameters.get(name), process.parameters.get(name) if process else None
            where, said = f"{name} ({promised.jurisdiction})", f"{registered} in {promised.authorisation}"
            ran = str(executed.range) if executed else ("" if process is None else "not in the recipe")
            if on_file is None or not _inside(on_file, registered):
                yield Difference(Kind.RANGE, Severity.STOP, where, said, str(on_file or "not on file"), ran, rule)
            elif executed is not None and not _inside(executed.range, registered):
                yield Difference(Kind.RANGE, Severity.STOP, where, said, str(on_file), ran, rule)
            elif not _inside(registered, on_file):
                yield Difference(Kind.RANGE, Severity.WARN, where, said, f"{on_file}: narrower than registered", ran)


def _specifications(commitments: Sequence[Commitments], process: Process) -> Iterator[Difference]:
    for promised in commitments:
        for name, registered in promised.attributes.items():
            released = process.attributes.get(name)
            where, said = f"{name} ({promised.jurisdiction})", f"{registered} in {promised.authorisation}"
            if released is None:
                yield Difference(Kind.SPECIFICATION, Severity.STOP, where, said, "", "not in the specification")
            elif not _as_tight(released, registered):
                yield Difference(Kind.SPECIFICATION, Severity.STOP, where, said, "", f"released against {released}")


def _as_tight(released: Limits, registered: Limits) -> bool:
    try:
        convert = converter(released.unit, registered.unit)
    except NotValid:
        return False
    low = None if released.low is None else convert(released.low)
    high = None if released.high is None else convert(released.high)
    near = 1e-9  # relative: a limit that was converted is the same limit
    above = registered.low is None or (low is not None and low >= registered.low * (1 - near))
    return above and (registered.high is None or (high is not None and high <= registered.high * (1 + near)))


def _units(file: MasterFile, answers: Mapping[SiteId, MasterFileAnswered], now: datetime) -> Iterator[Difference]:
    for site, filed in file.sites.items():
        answer = answers.get(site)
        if answer is None:
            continue
        law: Jurisdiction = filed.jurisdiction
        for unit in filed.units.values():
            where, there = f"{unit.unit} of {site}", answer.units.get(str(unit.unit))
            if there is None:
                yield Difference(Kind.UNIT, Severity.STOP, where, "", unit.identity, "not at the site", clause("check_unit_is_on_file", law))
            elif not same_place(there, unit.location(now)):
                rule = clause("check_unit_is_where_the_file_says", law)
                yield Difference(Kind.UNIT_MOVED, Severity.STOP, where, "", unit.location(now), there or "nobody says where", rule)
        for unit_id, there in answer.units.items():
            if unit_id not in filed.units:
                rule = clause("check_unit_is_on_file", law)
                yield Difference(Kind.UNIT, Severity.WARN, f"{unit_id} of {site}", "", "not on file", there or "there", rule)


def _due(commitments: Sequence[Commitments], now: datetime) -> Iterator[Difference]:
    for promised in commitments:
        for each in promised.commitments:
            if each.done is None and each.due <= now:
                where = f"{each.name} ({promised.jurisdiction})"
                yield Difference(Kind.COMMITMENT, Severity.WARN, where, f"{each.text}: due {text_of_time(each.due)}", "", "not done")
