"""General recipe documents, read and checked.

Guarantees: in a `GeneralRecipe` every `@parameter` exists, every value lies within its own
range, every set-point, dose and condition names a signal of the equipment class and agrees
with its unit by dimension, and names are given once; otherwise one `NotValid` with every
complaint and its line.
Leaves to others: whether any unit can run it (derive), and who has signed it (approval).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import lru_cache

from isogenic.documents import Document, Table, shown
from isogenic.errors import NotValid
from isogenic.ids import ProductId, RecipeId, SponsorId
from isogenic.plant.classes import CLASSES, DOSE_NUMBER
from isogenic.plant.model import EquipmentClass, Role
from isogenic.recipes import conditions
from isogenic.recipes.asking import read_prompt
from isogenic.recipes.model import (
    Dose,
    DoseRule,
    GeneralRecipe,
    Need,
    Operation,
    Parameter,
    Phase,
    Procedure,
    Prompt,
    Then,
    UnitProcedure,
    digest_of,
)
from isogenic.recipes.scaling import Per, gives, of_wrong, value_wrong
from isogenic.units import Quantity, same_dimension

__all__ = ["LOST_AFTER", "dose_signals", "load_general", "total_of"]

KIND = "isogenic: general-recipe/1"
TEXTS_KEPT = 16  # read lately: a site asks for the same text at every start of a batch
PHASES_MAX = 60  # a control recipe is recorded whole in one fact of at most 64 KiB
PROMPTS_MAX = 8  # questions to one phase: more is a form, not a question
TEXT_MAX = 300
LOST_AFTER = "2 h"  # a signal that decides something may be bad for so long, unless the recipe says otherwise
EVERYTHING = "everything"
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
    root = document.root
    cls = _class(root)
    tables = root.named_tables("formula")
    formula = {key: _parameter(key, table) for key, table in tables.items()}
    _complain_of_scaling(tables, formula)
    reader = _Reader(document, cls, formula)
    recipe = GeneralRecipe(
        recipe=root.id("recipe", RecipeId),
        version=root.whole("version", low=1, high=9_999),
        product=root.id("product", ProductId),
        title=_short(root, "title"),
        description=_short(root, "description", default=""),
        formula=formula,
        equipment_class=cls.name,
        needs=reader.needs(root.table("needs")),
        procedure=reader.procedure(root),
        digest=digest_of(text),
        sponsor=root.id("sponsor", SponsorId) if root.has("sponsor") else None,
    )
    document.done()
    return recipe


def _short(table: Table, key: str, *, default: str | None = None) -> str:
    text = table.text(key, default=default)
    if len(text) > TEXT_MAX:
        table.complain(key, f"{len(text)} characters are more than {TEXT_MAX}")
    return text


def _name(table: Table, key: str) -> str:
    name = table.text(key)
    if name and not _NAME.fullmatch(name):
        table.complain(key, f"{shown(name)!r} is not a name: small letters, digits and _, at most 30")
    return name


def _class(root: Table) -> EquipmentClass:
    name = root.text("equipment_class")
    if name not in CLASSES:
        root.complain("equipment_class", f"no equipment class {shown(name)!r}; known are {', '.join(CLASSES)}")
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
    return Parameter(name, _short(table, "title"), value, low, high, per, critical=table.flag("critical", default=False), of=of)


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
        self.document, self.cls, self.formula = document, cls, formula
        self.units = {name: signal.unit for name, signal in cls.signals.items()}
        self.names: dict[str, int] = {}

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

    def procedure(self, root: Table) -> Procedure:
        held = self.setpoints(root, "held", needed=False)
        lost = root.table("lost", needed=False)
        after, then = self.time(lost, "after", default=LOST_AFTER), lost.choice("then", Then, default=Then.ALARM)
        units = []
        for unit in root.tables("procedure"):
            operations = []
            for operation in unit.tables("operations"):
                phases = tuple(self.phase(each, held=held, lost=(after, then)) for each in operation.tables("phases"))
                operations.append(Operation(_name(operation, "operation"), phases))
            units.append(UnitProcedure(_name(unit, "unit_procedure"), tuple(operations)))
        procedure = Procedure(tuple(units))
        if not 1 <= len(procedure.phases) <= PHASES_MAX:
            root.complain("procedure", f"it has {len(procedure.phases)} phases; 1 to {PHASES_MAX} can be run")
        return procedure

    def once(self, name: str, line: int) -> None:
        """Phases and prompts are named once in a recipe, because facts name them."""
        if name and name in self.names:
            self.document.complain(line, f"the name {name} is given twice, first in line {self.names[name]}")
        self.names.setdefault(name, line)

    def phase(self, table: Table, *, held: Mapping[str, str], lost: tuple[str, Then]) -> Phase:
        name = _name(table, "phase")
        self.once(name, table.line_of("phase"))
        prompts = self.prompts(table)
        dose = self.dose(table.table("dose")) if table.has("dose") else None
        until = self.condition(table, "until")
        self.complain_of_vain_waits(table, until, dose=dose, prompts=prompts)
        timeout = table.table("timeout", needed=False)
        has_timeout = table.has("timeout")
        own_lost = table.table("lost", needed=False)
        return Phase(
            name=name,
            title=_short(table, "title"),
            setpoints=self.setpoints(table, "setpoints", needed=False),
            held={**held, **self.setpoints(table, "held", needed=False)},
            dose=dose,
            prompts=prompts,
            until=until,
            timeout=self.time(timeout, "after") if has_timeout else "",
            timeout_then=timeout.choice("then", Then) if has_timeout else Then.ALARM,
            lost_after=self.time(own_lost, "after", default=lost[0]),
            lost_then=own_lost.choice("then", Then, default=lost[1]),
            monitored=table.flag("monitored", default=False),
        )

    def complain_of_vain_waits(self, table: Table, until: str, *, dose: Dose | None, prompts: tuple[Prompt, ...]) -> None:
        """A phase that waits for what it never asks or gives would wait for ever, or not at all."""
        for key, text in (("until", until), ("dose", dose.when if dose else "")):
            flags = conditions.flags(conditions.parse(text)) if text else ()
            if conditions.ANSWERED in flags and not prompts:
                table.complain(key, "it waits for answers, and the phase asks nothing")
            if conditions.DOSED in flags and (dose is None or key == "dose"):
                table.complain(key, "it waits for a dose that the phase does not give before")

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

    def condition(self, table: Table, key: str, *, default: str | None = None) -> str:
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
            found.append(read_prompt(each, name, time=lambda inner, key, default: self.time(inner, key, default=default), before=before))
        if len(found) > PROMPTS_MAX:
            table.complain("ask", f"{len(found)} questions are more than {PROMPTS_MAX}")
        return tuple(found)
