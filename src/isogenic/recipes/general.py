"""General recipe documents, read and checked.

Guarantees: in a `GeneralRecipe` every `@parameter` exists, every value lies within its own
range, every set-point, dose and condition names a signal of the equipment class and agrees
with its unit by dimension, and names are given once; otherwise one `NotValid` with every
complaint and its line.
Leaves to others: whether any unit can run it (derive), and who has signed it (approval).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from functools import lru_cache
from typing import TypeVar

from isogenic.documents import Document, Table, shown
from isogenic.errors import NotValid
from isogenic.ids import ProductId, RecipeId, SponsorId
from isogenic.plant.classes import CLASSES, DOSE_NUMBER
from isogenic.plant.model import EquipmentClass, Role
from isogenic.recipes import charts, conditions
from isogenic.recipes.asking import ENTERED, read_prompt
from isogenic.recipes.blocks import write_out
from isogenic.recipes.charts import Chart
from isogenic.recipes.model import (
    MAIN,
    Answer,
    Dose,
    DoseRule,
    Entry,
    ExceptionRule,
    GeneralRecipe,
    Need,
    Operation,
    Parameter,
    Per,
    Phase,
    Procedure,
    Prompt,
    Sampling,
    Service,
    Then,
    UnitProcedure,
    UnitRole,
    digest_of,
)
from isogenic.recipes.scaling import gives, of_wrong, value_wrong
from isogenic.units import Quantity, same_dimension

__all__ = ["LOST_AFTER", "dose_signals", "load_general", "total_of"]

KIND = "isogenic: general-recipe/1"
TEXTS_KEPT = 16  # read lately: a site asks for the same text at every start of a batch
PHASES_MAX = 60  # a control recipe is recorded whole in one fact of at most 64 KiB
PROMPTS_MAX = 8  # questions to one phase: more is a form, not a question
TEXT_MAX = 300
ROLES_MAX = 8
SAMPLES_MAX = 8  # sampling points, entries and exceptions of one phase, of each
LOST_AFTER = "2 h"  # a signal that decides something may be bad for so long, unless the recipe says otherwise
SERVICE_LOST_AFTER = "1 min"  # a phase that runs a service cannot go on without knowing its state
EVERYTHING = "everything"
Part = TypeVar("Part")
_NAME = re.compile(r"[a-z]([a-z0-9_]{0,28}[a-z0-9])?")


def dose_signals(cls: EquipmentClass) -> tuple[str, ...]:
    """The signals into which a phase may dose: set-points that are counted by a companion."""
    return tuple(name for name in cls.signals if name + DOSE_NUMBER in cls.signals)


def total_of(dose: str) -> str:
    """The signal that counts what a dose signal has delivered: `harvested_total` for harvest_dose, else `..._dosed_total`."""
    return "harvested_total" if dose == "harvest_dose" else dose.removesuffix("_dose") + "_dosed_total"


def load_general(text: str | bytes, *, name: str = "general recipe") -> GeneralRecipe:
    """Read a general recipe document; `name` says in complaints which one it is."""
    return _read(text, name)


@lru_cache(maxsize=TEXTS_KEPT)
def _read(text: str | bytes, name: str) -> GeneralRecipe:
    document = Document.read(text, what=name, kind=KIND)
    write_out(document)
    root = document.root
    roles = _roles(root)
    cls, _ = next(iter(roles.values()))
    tables = root.named_tables("formula")
    formula = {key: _parameter(key, table) for key, table in tables.items()}
    _complain_of_scaling(tables, formula)
    reader = _Reader(document, cls, formula)
    units = {name: reader.role(name, *found) for name, found in roles.items()}
    recipe = GeneralRecipe(
        recipe=root.id("recipe", RecipeId),
        version=root.whole("version", low=1, high=9_999),
        product=root.id("product", ProductId),
        title=_short(root, "title"),
        description=_short(root, "description", default=""),
        formula=formula,
        roles=units,
        procedure=reader.procedure(root, {name: cls for name, (cls, _) in roles.items()}),
        digest=digest_of(text),
        sponsor=root.id("sponsor", SponsorId) if root.has("sponsor") else None,
    )
    document.done()
    return recipe


def _short(table: Table, key: str, *, default: str | None = None) -> str:
    text = table.text(key, default=default)
    if len(text) > TEXT_MAX:
        table.complain(key, f"{len(text)} characters are more than {TEXT_MAX}")
    if key == "title" and len(text.splitlines()) > 1:
        table.complain(key, "a title is one line")
    return text


def _name(table: Table, key: str) -> str:
    name = table.text(key)
    if name and not _NAME.fullmatch(name):
        table.complain(key, f"{shown(name)!r} is not a name: small letters, digits and _, at most 30")
    return name


def _roles(root: Table) -> dict[str, tuple[EquipmentClass, Table]]:
    """The units that are needed, by role, each with the table of its needs; a recipe for one unit names class and needs at the top."""
    if not root.has("units"):
        return {MAIN: (_class(root, "equipment_class"), root.table("needs"))}
    roles = {name: (_class(table, "class"), table.table("needs", needed=False)) for name, table in root.named_tables("units").items()}
    for name in roles:
        if not _NAME.fullmatch(name):
            root.complain("units", f"{shown(name)!r} is not a name: small letters, digits and _, at most 30")
    if not 1 <= len(roles) <= ROLES_MAX:
        root.complain("units", f"{len(roles)} units; 1 to {ROLES_MAX} can be named")
    return roles or {MAIN: (next(iter(CLASSES.values())), root.table("needs", needed=False))}


def _class(root: Table, key: str) -> EquipmentClass:
    name = root.text(key)
    if name not in CLASSES:
        root.complain(key, f"no equipment class {shown(name)!r}; known are {', '.join(CLASSES)}")
    return CLASSES.get(name) or next(iter(CLASSES.values()))


def _parameter(name: str, table: Table) -> Parameter:
    if not _NAME.fullmatch(name):
        table.document.complain(table.line, f"{shown(table.path)!r} is not a name: small letters, digits and _, at most 30")
    value = table.quantity("value")
    low, high = table.quantity("low", like=value.unit), table.quantity("high", like=value.unit)
    given, of = table.text("per", default=""), table.text("of", default="")
    if given not in set(Per):
        table.complain("per", f"{shown(given)!r} is not a scaling rule; known are {', '.join(filter(None, Per))}")
    per = Per(given) if given in set(Per) else Per.UNIT
    wrong = value_wrong(per, value.unit) if table.has("value") else ""
    if wrong:
        table.complain("per", wrong)
    if same_dimension(low.unit, value.unit) and same_dimension(high.unit, value.unit):
        complain_outside(table, "value", value, low=low, high=high, name=table.path)
    return Parameter(
        name,
        _short(table, "title"),
        value,
        low,
        high,
        per,
        critical=table.flag("critical", default=False),
        of=of,
        adjustable=table.flag("adjustable", default=False),
    )


def _complain_of_scaling(tables: Mapping[str, Table], formula: Mapping[str, Parameter]) -> None:
    """What `of:` names exists, measures the right thing, and is no scaled number itself."""
    for name, one in formula.items():
        counted = formula.get(one.of)
        if one.of and counted is None:
            near = get_close_matches(one.of, formula, n=1)
            tables[name].complain("of", f"no parameter {shown(one.of)}" + (f"; did you mean {near[0]}?" if near else ""))
            continue
        wrong = of_wrong(one.per, counted.value.unit if counted else None)
        if counted is not None and counted.per not in (Per.UNIT, Per.VOLUME):
            wrong = f"{one.of} is scaled per {counted.per} itself"
        if wrong:
            tables[name].complain("of" if one.of else "per", wrong)


def complain_outside(table: Table, key: str, value: Quantity, *, low: Quantity, high: Quantity, name: str) -> None:
    """Complain where a value is outside its range."""
    if value < low:
        table.document.complain(table.line_of(key), f"{name}: {value} is below its lowest {low}")
    if high < value:
        table.document.complain(table.line_of(key), f"{name}: {value} is above its highest {high}")


class _Reader:
    """What the procedure's tables are checked against, while they are read."""

    def __init__(self, document: Document, cls: EquipmentClass, formula: Mapping[str, Parameter]) -> None:
        self.document, self.formula = document, formula
        self.names: dict[str, int] = {}
        self.entered: dict[str, int] = {}  # parameters that a person enters
        self.asked: dict[str, Answer] = {}  # questions, and how each is answered
        self.told: list[tuple[Table, str, str]] = []  # where a condition waits for what a person says
        self.on(cls)

    def on(self, cls: EquipmentClass) -> None:
        """What follows is for a unit of this class."""
        self.cls = cls
        self.units = {name: signal.unit for name, signal in cls.signals.items()}

    def role(self, name: str, cls: EquipmentClass, needs: Table) -> UnitRole:
        self.on(cls)
        return UnitRole(name, cls.name, self.needs(needs))

    def needs(self, table: Table) -> tuple[Need, ...]:
        found = []
        for name in table.names():
            inner = table.table(name)
            unit = self.cls.capabilities.get(name)
            if unit is None:
                table.complain(name, f"{self.cls.name} has no such capability; known are {', '.join(self.cls.capabilities)}")
            found.append(Need(name, self.amount(inner, "low", unit=unit), self.amount(inner, "high", unit=unit)))
        return tuple(found)

    def amount(self, table: Table, key: str, *, unit: str | None, default: str | None = None) -> str:
        """A quantity or `@parameter` of the dimension of `unit`."""
        text = table.text(key, default=default)
        if not text or not table.has(key):
            return text
        if text.startswith("@"):
            parameter = self.formula.get(text[1:])
            if parameter is None:
                near = get_close_matches(text[1:], self.formula, n=1)
                table.complain(key, f"no parameter {shown(text)}" + (f"; did you mean @{near[0]}?" if near else ""))
            elif unit is not None and not same_dimension(gives(parameter), unit):
                table.complain(key, f"{text} is in {gives(parameter)}, not in {unit or '1'}")
            return text
        table.quantity(key, like=unit)
        return text

    def procedure(self, root: Table, roles: Mapping[str, EquipmentClass]) -> Procedure:
        lost = root.table("lost", needed=False)
        self.lost = self.time(lost, "after", default="") if lost.has("after") else "", lost.choice("then", Then, default=Then.ALARM), lost.has("then")
        self.root, self.roles = root, roles
        self.on(next(iter(roles.values())))  # what the chart of the procedure asks is asked of the unit that the batch is started on
        chart, units = self.listed(root, "procedure", "unit_procedure", self.unit_procedure)
        procedure = Procedure(units, chart)
        for parameter, line in self.entered.items():  # an answer to the one would count as an answer to the other
            if ENTERED + parameter in self.names:
                self.document.complain(
                    self.names[ENTERED + parameter], f"the name {ENTERED}{parameter} is that of the question for {parameter}, in line {line}"
                )
        for table, key, said in self.told:
            self.complain_of_what_nobody_says(table, key, said)
        if not 1 <= len(procedure.phases) <= PHASES_MAX:
            root.complain("procedure", f"it has {len(procedure.phases)} phases; 1 to {PHASES_MAX} can be run")
        return procedure

    def listed(self, table: Table, key: str, kind: str, one: Callable[[Table], Part]) -> tuple[Chart, tuple[Part, ...]]:
        """A list of named parts and of branches, alternatives and loops of them: its chart, and the parts in the order of reading."""
        found: list[Part] = []
        here = self.cls

        def decided(table: Table, key: str) -> str:
            self.on(here)
            return self.condition(table, key, of_chart=True)

        def whole(those: Table, key: str) -> Chart:
            return charts.sequence(tuple(entry(each) for each in those.tables(key)))

        def entry(each: Table) -> Chart:
            if each.has("parallel"):
                return charts.All(tuple(whole(branch, "do") for branch in each.branches("parallel")))
            if each.has("choose"):
                return charts.OneOf(tuple(choice(way) for way in each.tables("choose")))
            if each.has("repeat"):
                loop = each.table("repeat")
                body, until = whole(loop, "do"), decided(loop, "until")
                times = loop.whole("at_most", low=1, high=charts.TIMES_MAX)
                return charts.Repeat(body, until, times, loop.choice("then", Then, default=Then.HOLD))
            found.append(one(each))
            return charts.Name(_name(each, kind))

        def choice(way: Table) -> charts.Choice:
            if way.has("otherwise"):
                return charts.Choice(charts.OTHERWISE, whole(way, "otherwise"))
            return charts.Choice(decided(way, "when"), whole(way, "do"))

        return whole(table, key), tuple(found)

    def unit_procedure(self, table: Table) -> UnitProcedure:
        role = table.text("on", default=next(iter(self.roles)))
        if role not in self.roles:
            table.complain("on", f"no unit {shown(role)!r}; known are {', '.join(self.roles)}")
        self.on(self.roles.get(role) or self.cls)
        self.held = self.setpoints(self.root, "held", needed=False) if role == next(iter(self.roles)) else {}
        name = _name(table, "unit_procedure")
        if len(self.roles) > 1:
            self.once(name, table.line_of("unit_procedure"))
        aside = tuple(self.operation(each) for each in table.tables("on_exception", needed=False))
        self.aside = {operation.name for operation in aside}
        chart, operations = self.listed(table, "operations", "operation", self.operation)
        return UnitProcedure(
            name,
            role,
            operations,
            chart,
            on_hold=tuple(self.phase(each) for each in table.tables("on_hold", needed=False)),
            on_restart=tuple(self.phase(each) for each in table.tables("on_restart", needed=False)),
            on_exception=aside,
        )

    def operation(self, table: Table) -> Operation:
        chart, phases = self.listed(table, "phases", "phase", self.phase)
        return Operation(_name(table, "operation"), phases, chart)

    def once(self, name: str, line: int) -> None:
        """Phases and prompts are named once in a recipe, because facts name them."""
        if name and name in self.names:
            self.document.complain(line, f"the name {name} is given twice, first in line {self.names[name]}")
        self.names.setdefault(name, line)

    def phase(self, table: Table) -> Phase:
        name = _name(table, "phase")
        self.once(name, table.line_of("phase"))
        prompts = self.prompts(table)
        dose = self.dose(table.table("dose")) if table.has("dose") else None
        service = self.service(table.table("service")) if table.has("service") else None
        enter = tuple(self.entry(each) for each in table.tables("enter", needed=False))
        until = self.condition(table, "until", default=conditions.COMPLETED if service else None)
        self.complain_of_vain_waits(table, until, dose=dose, asks=bool(prompts or enter), service=service)
        timeout = table.table("timeout", needed=False)
        has_timeout = table.has("timeout")
        own_lost = table.table("lost", needed=False)
        after, then, said = self.lost
        return Phase(
            name=name,
            title=_short(table, "title"),
            setpoints=self.setpoints(table, "setpoints", needed=False),
            held={**self.held, **self.setpoints(table, "held", needed=False)},
            dose=dose,
            prompts=prompts,
            until=until,
            timeout=self.time(timeout, "after") if has_timeout else "",
            timeout_then=timeout.choice("then", Then) if has_timeout else Then.ALARM,
            lost_after=self.time(own_lost, "after", default=after or (SERVICE_LOST_AFTER if service else LOST_AFTER)),
            lost_then=own_lost.choice("then", Then, default=Then.HOLD if service and not said else then),
            monitored=table.flag("monitored", default=False),
            service=service,
            enter=enter,
            samples=tuple(self.sampling(each) for each in self.few(table, "samples")),
            exceptions=tuple(self.exception(each) for each in self.few(table, "exceptions")),
        )

    def few(self, table: Table, key: str) -> tuple[Table, ...]:
        found = table.tables(key, needed=False)
        if len(found) > SAMPLES_MAX:
            table.complain(key, f"{len(found)} are more than {SAMPLES_MAX}")
        return found

    def service(self, table: Table) -> Service:
        """A service of the unit's class, its parameters in any unit of the right dimension; derived, they are in the class's own."""
        inner, parameters = table.table("parameters", needed=False), {}
        name, procedure = _short(table, "name"), _short(table, "procedure", default="")
        known = self.cls.services.get(name)
        if known is None and self.cls.services:
            table.complain("name", f"{self.cls.name} has no service {shown(name)}; known are {', '.join(self.cls.services)}")
        if known is not None and procedure and procedure not in known.procedures:
            table.complain("procedure", f"service {name} has no procedure {shown(procedure)}; known are {', '.join(known.procedures)}")
        for each in inner.names():
            parameter = known.parameters.get(each) if known else None
            if known is not None and parameter is None:
                inner.complain(each, f"service {name} has no such parameter; known are {', '.join(known.parameters) or 'none'}")
            text = parameters[each] = self.amount(inner, each, unit=parameter.unit if parameter else None)
            if parameter is not None and text and not text.startswith("@"):
                value = inner.quantity(each, like=parameter.unit).to(parameter.unit).value
                if not parameter.low <= value <= parameter.high:
                    inner.complain(each, f"{text} is not within {parameter.low:g} to {parameter.high:g} {parameter.unit}")
        return Service(name, procedure, parameters)

    def entry(self, table: Table) -> Entry:
        name = table.text("parameter")
        if name not in self.formula:
            table.complain("parameter", f"no parameter {shown(name)!r}")
        self.entered.setdefault(name, table.line_of("parameter"))
        return Entry(name, _short(table, "text"))

    def sampling(self, table: Table) -> Sampling:
        name = _name(table, "sample")
        self.once(name, table.line_of("sample"))
        return Sampling(name, _short(table, "what"), self.condition(table, "when", default=""))

    def exception(self, table: Table) -> ExceptionRule:
        then = table.text("then")
        known = (*(Then.HOLD, Then.ABORT, Then.ALARM), *sorted(self.aside))
        if then not in known:
            table.complain("then", f"{shown(then)!r} is not one of {', '.join(known)}")
        lasting = self.time(table, "for") if table.has("for") else ""
        return ExceptionRule(_name(table, "name"), self.condition(table, "when"), lasting, then)

    def complain_of_vain_waits(self, table: Table, until: str, *, dose: Dose | None, asks: bool, service: Service | None) -> None:
        """A phase that waits for what it never asks, gives or runs would wait for ever, or not at all."""
        for key, text in (("until", until), ("dose", dose.when if dose else "")):
            flags = conditions.flags(conditions.parse(text)) if text else ()
            if conditions.ANSWERED in flags and not asks:
                table.complain(key, "it waits for answers, and the phase asks nothing")
            if conditions.DOSED in flags and (dose is None or key == "dose"):
                table.complain(key, "it waits for a dose that the phase does not give before")
            if conditions.COMPLETED in flags and service is None:
                table.complain(key, "it waits for a service, and the phase runs none")

    def complain_of_what_nobody_says(self, table: Table, key: str, said: str) -> None:
        """A condition on an answer that nobody is asked for never holds. Results are named by the laboratory, which is not known here."""
        kind, _, name = said.partition(".")
        if kind == "entered" and name not in self.entered:
            table.complain(key, f"no phase lets anybody enter {name}")
        if kind == "answer" and name not in self.asked and name.removeprefix(ENTERED) not in self.entered:
            near = get_close_matches(name, self.asked, n=1)
            table.complain(key, f"no question {shown(name)} is asked" + (f"; did you mean answer.{near[0]}?" if near else ""))
        if self.asked.get(name, Answer.NUMBER) is not Answer.NUMBER and kind == "answer":
            table.complain(key, f"question {name} is answered by a {self.asked[name]}, not by a number")

    def time(self, table: Table, key: str, *, default: str | None = None) -> str:
        text = self.amount(table, key, unit="h", default=default)
        if text and not text.startswith("@") and table.has(key) and not table.quantity(key, like="h").value > 0:
            table.complain(key, f"{text} is no time to wait")
        return text

    def setpoints(self, table: Table, key: str, *, needed: bool) -> dict[str, str]:
        inner = table.table(key, needed=needed)
        found = {}
        for name in inner.names():
            signal = self.cls.signals.get(name)
            if signal is None or signal.role is not Role.SETPOINT or name in dose_signals(self.cls) or name.endswith(DOSE_NUMBER):
                near = get_close_matches(name, [each for each in self.cls.signals if each.endswith("_sp")], n=1)
                inner.complain(name, f"{self.cls.name} has no such set-point" + (f"; did you mean {near[0]}?" if near else ""))
                continue
            text = found[name] = self.amount(inner, name, unit=signal.unit)
            if text and not text.startswith("@"):
                complain_outside(
                    inner,
                    name,
                    inner.quantity(name, like=signal.unit),
                    low=Quantity(signal.low, signal.unit),
                    high=Quantity(signal.high, signal.unit),
                    name=inner.name_of(name),
                )
        return found

    def condition(self, table: Table, key: str, *, default: str | None = None, of_chart: bool = False) -> str:
        text = table.text(key, default=default)
        if not text:
            return text
        try:
            condition = conditions.parse(text)
        except NotValid as trouble:
            table.complain(key, f"{trouble.what}: {trouble.why}")
            return ""
        parameters = {name: gives(parameter) for name, parameter in self.formula.items()}
        for wrong in conditions.check(condition, units=self.units, parameters=parameters):
            table.complain(key, wrong)
        self.told += [(table, key, said) for said in conditions.told(condition)]
        if of_chart and (flags := conditions.flags(condition)):
            table.complain(key, f"{flags[0]} is said of a phase; a way through the procedure is chosen by signals, elapsed, answers and results")
        return text

    def dose(self, table: Table) -> Dose:
        into = table.text("into")
        unit = self.units.get(into)
        if into not in dose_signals(self.cls):
            table.complain("into", f"{shown(into)!r} takes no dose; known are {', '.join(dose_signals(self.cls))}")
            unit = None
        when = self.condition(table, "when", default="")
        if table.has("amount"):
            if table.text("amount") == EVERYTHING:
                return Dose(DoseRule.EVERYTHING, into, when)
            return Dose(DoseRule.AMOUNT, into, when, amount=self.amount(table, "amount", unit=unit))
        if not table.has("signal"):
            cells = self.units["viable_cells"]
            return Dose(DoseRule.REACH, into, when, to=self.amount(table, "to", unit=cells), stock=self.amount(table, "stock", unit=cells))
        signal = table.text("signal")
        if signal not in self.units or self.cls.signals[signal].role is not Role.MEASUREMENT:
            table.complain("signal", f"{self.cls.name} measures no {shown(signal)!r}")
        measured = self.units.get(signal)
        return Dose(
            DoseRule.BOLUS,
            into,
            when,
            signal=signal,
            below=self.amount(table, "below", unit=measured),
            to=self.amount(table, "to", unit=measured),
            stock=self.amount(table, "stock", unit=measured),
            every=self.time(table, "every"),
        )

    def prompts(self, table: Table) -> tuple[Prompt, ...]:
        found: list[Prompt] = []
        for each in table.tables("ask", needed=False):
            name = _name(each, "prompt")
            self.once(name, each.line_of("prompt"))
            before = [known.name for known in found]
            prompt = read_prompt(each, name, time=lambda inner, key, default: self.time(inner, key, default=default), before=before)
            self.asked[name] = prompt.answer
            found.append(prompt)
        if len(found) > PROMPTS_MAX:
            table.complain("ask", f"{len(found)} questions are more than {PROMPTS_MAX}")
        return tuple(found)
