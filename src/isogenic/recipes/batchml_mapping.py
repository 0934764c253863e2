"""Between our general recipe documents and BatchML's master recipes.

    ours                                   theirs
    recipe, version, title, product        ID, Version, Description, Header/ProductID
    formula: value                         Formula/Parameter/Value, with its unit
             low, high, critical, of       a Parameter inside the Parameter
             per                           Scaled, ScaleReference
    equipment_class, needs                 EquipmentRequirement with a Constraint for each bound
    unit procedure, operation, phase       RecipeElement of that type, one inside the other
    the order of a level                   ProcedureLogic: Step, Transition, Link
    parallel, choose, repeat               steps that start and end a parallel, a branch, a loop
    until, when                            the Condition of the Transition behind, or before
    setpoints, service parameters          Parameter of the RecipeElement
    everything else (doses, questions,     OtherInformation `isogenic:...`: carried for our own
    time-outs, exceptions, sponsor, ...)   reading, and listed, because nobody else understands it

Guarantees: a document of ours comes back as the same recipe; of a stranger's file everything that
has no place here is listed; whatever stands in a file, the result is a document or one `NotValid`.
Leaves to others: bytes (batchml), whether the document is a valid recipe (general).
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from isogenic.documents import Plain
from isogenic.errors import NotValid
from isogenic.recipes.batchml import Node

__all__ = ["Carried", "document_of", "recipe_of"]

KIND = "general-recipe/1"
OURS = "isogenic:"
LEVELS = (("unit_procedure", "UnitProcedure", "operations"), ("operation", "Operation", "phases"), ("phase", "Phase", ""))
TO_CHOOSE = "(to be chosen)"
NAME_MAX = 30
BRANCHES_MAX = 200  # of one level: a chart beyond that is not reviewed by anybody
DONE, ALWAYS, OTHERWISE = "is Completed", "True", "Otherwise"
Items = list[Plain]


@dataclass(frozen=True, slots=True)
class Carried:
    """A document or a recipe of the other side, and what did not come along as what it is."""

    document: dict[str, Plain]
    listed: tuple[str, ...]


# --- to BatchML ---------------------------------------------------------------------------------


def recipe_of(document: Mapping[str, Plain]) -> tuple[Node, tuple[str, ...]]:
    """A general recipe document, already read and in order, as a master recipe; and what only we shall understand of it."""
    listed: list[str] = []
    chart = _Chart(listed)
    logic, elements = chart.level(_items(document.get("procedure")), 0, "")
    taken = {"isogenic", "recipe", "version", "title", "product", "formula", "equipment_class", "needs", "procedure"}
    nodes = [
        Node("ID", _text(document, "recipe")),
        Node("Version", _text(document, "version")),
        Node("Description", _text(document, "title")),
        Node("Header", "", (Node("ProductID", _text(document, "product")),)),
    ]
    if "equipment_class" in document:
        nodes.append(_requirement(_text(document, "equipment_class"), _table(document.get("needs"))))
    nodes.append(Node("Formula", "", tuple(_parameter(name, _table(one)) for name, one in _table(document.get("formula")).items())))
    nodes += [logic, *elements, *_other(document, taken, "recipe", listed)]
    return Node("MasterRecipe", "", tuple(nodes)), tuple(listed)


def _requirement(equipment_class: str, needs: Mapping[str, Plain]) -> Node:
    bounds = [
        Node("Constraint", "", (Node("ID", f"{name}.{bound}"), Node("Condition", f"{name} {sign} {_text(_table(need), bound)}")))
        for name, need in needs.items()
        for bound, sign in (("low", "<="), ("high", ">="))
    ]
    return Node("EquipmentRequirement", "", (Node("ID", equipment_class), *bounds))


def _value(text: str) -> Node:
    """`37.0 degC`, `@temperature` or a text, each as what it is."""
    if text.startswith("@"):
        return Node("Value", "", (Node("ValueString", text[1:]), Node("DataInterpretation", "Reference"), Node("DataType", "string")))
    found = re.fullmatch(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)", text)
    if found:
        unit = [Node("UnitOfMeasure", found[2])] if found[2] else []
        return Node("Value", "", (Node("ValueString", found[1]), Node("DataInterpretation", "Constant"), Node("DataType", "double"), *unit))
    return Node("Value", "", (Node("ValueString", text), Node("DataInterpretation", "Constant"), Node("DataType", "string")))


def _parameter(name: str, one: Mapping[str, Plain]) -> Node:
    nodes = [Node("ID", name), Node("Description", _text(one, "title")), Node("ParameterType", "ProcessParameter"), _value(_text(one, "value"))]
    if "per" in one:
        nodes += [Node("Scaled", "true"), Node("ScaleReference", _text(one, "per"))]
    for key, inner in one.items():
        if key not in ("title", "value", "per"):
            nodes.append(Node("Parameter", "", (Node("ID", key), Node("ParameterType", "Other"), _value(_flat(inner)))))
    return Node("Parameter", "", tuple(nodes))


def _other(table: Mapping[str, Plain], taken: set[str], path: str, listed: list[str]) -> Iterator[Node]:
    for key, value in table.items():
        if key not in taken:
            listed.append(f"{path}: {key} is carried for our own reading only")
            said = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
            yield Node("OtherInformation", "", (Node("ID", OURS + key), Node("Value", "", (Node("ValueString", said),))))


class _Chart:
    """Steps, transitions and links of every level, numbered through the recipe."""

    def __init__(self, listed: list[str]) -> None:
        self.listed, self.numbers = listed, {"S": 0, "T": 0, "L": 0, "N": 0}

    def number(self, letter: str) -> str:
        self.numbers[letter] += 1
        return f"{letter}{self.numbers[letter]}"

    def level(self, items: Items, depth: int, path: str) -> tuple[Node, list[Node]]:
        """The logic of one level, and its elements with theirs inside."""
        maker = _Level(self, depth, path)
        first = maker.step(f"{path}Begin", "Begin")
        last, condition = maker.chain(items, (first, ALWAYS))
        maker.connect(last, maker.step(f"{path}End", "End"), condition)
        order = {"Link": 0, "Step": 1, "Transition": 2}
        return Node("ProcedureLogic", "", tuple(sorted(maker.logic, key=lambda node: order[node.tag]))), maker.elements


class _Level:
    def __init__(self, chart: _Chart, depth: int, path: str) -> None:
        self.chart, self.depth, self.path = chart, depth, path
        self.logic: list[Node] = []
        self.elements: list[Node] = []

    def step(self, element: str, kind: str = "", *inside: Node) -> str:
        found = self.chart.number("S")
        self.logic.append(Node("Step", "", (Node("ID", found), Node("RecipeElementID", element), Node("Description", element))))
        if kind:
            self.elements.append(Node("RecipeElement", "", (Node("ID", element), Node("RecipeElementType", kind), *inside)))
        return found

    def connect(self, start: str, end: str, condition: str, *, order: int = 1) -> None:
        transition = self.chart.number("T")
        self.logic.append(Node("Transition", "", (Node("ID", transition), Node("Condition", condition))))
        self.link(start, "Step", transition, "Transition", order)
        self.link(transition, "Transition", end, "Step", order)

    def link(self, start: str, start_type: str, end: str, end_type: str, order: int) -> None:
        at = Node("FromID", "", (Node("FromIDValue", start), Node("FromType", start_type), Node("IDScope", "External")))
        to = Node("ToID", "", (Node("ToIDValue", end), Node("ToType", end_type), Node("IDScope", "External")))
        said = (Node("LinkType", "ControlLink"), Node("Depiction", "LineAndArrow"), Node("EvaluationOrder", str(order)))
        self.logic.append(Node("Link", "", (Node("ID", self.chart.number("L")), at, to, *said)))

    def chain(self, items: Items, before: tuple[str, str]) -> tuple[str, str]:
        """The items one after another behind a step; gives the last step and the condition that leaves it."""
        for item in items:
            table = _table(item)
            if "parallel" in table:
                before = self.split(before, "Parallel", [(ALWAYS, _items(each)) for each in _items(table["parallel"])])
            elif "choose" in table:
                ways = [_table(each) for each in _items(table["choose"])]
                branches = [
                    (_text(way, "when"), _items(way.get("do"))) if "when" in way else (OTHERWISE, _items(way.get("otherwise"))) for way in ways
                ]
                before = self.split(before, "Branch", branches)
            elif "repeat" in table:
                before = self.loop(before, _table(table["repeat"]))
            else:
                before = self.named(before, table)
        return before

    def split(self, before: tuple[str, str], kind: str, branches: list[tuple[str, Items]]) -> tuple[str, str]:
        name = f"{self.path}{kind}{self.chart.number('N')}"
        start = self.step(name, f"Start{kind}")
        self.connect(before[0], start, before[1])
        ends = []
        for at, (condition, items) in enumerate(branches, 1):
            first = self.step(f"{name}.{at}", "Other")
            self.connect(start, first, condition, order=at)
            ends.append(self.chain(items, (first, ALWAYS)))
        end = self.step(f"{name}.end", f"End{kind}")
        for at, (last, condition) in enumerate(ends, 1):
            self.connect(last, end, condition, order=at)
        return end, ALWAYS

    def loop(self, before: tuple[str, str], table: Mapping[str, Plain]) -> tuple[str, str]:
        name = f"{self.path}Loop{self.chart.number('N')}"
        rest = tuple(_other(table, {"do", "until"}, name, self.chart.listed))
        start = self.step(name, "StartLoop", *rest)
        self.connect(before[0], start, before[1])
        last, condition = self.chain(_items(table.get("do")), (start, ALWAYS))
        end = self.step(f"{name}.end", "EndLoop")
        self.connect(last, end, condition)
        self.connect(end, start, f"not ({_text(table, 'until')})", order=2)
        return end, _text(table, "until")

    def named(self, before: tuple[str, str], table: Mapping[str, Plain]) -> tuple[str, str]:
        key, kind, below = LEVELS[self.depth]
        name = _text(table, key)
        here = f"{self.path}{name}"
        nodes = [Node("ID", here), *([Node("Description", _text(table, "title"))] if "title" in table else []), Node("RecipeElementType", kind)]
        for signal, text in _table(table.get("setpoints")).items():
            nodes.append(Node("Parameter", "", (Node("ID", signal), Node("ParameterType", "ProcessParameter"), _value(_flat(text)))))
        if below:
            logic, elements = self.chart.level(_items(table.get(below)), self.depth + 1, f"{here}/")
            nodes += [logic, *elements]
        taken = {key, "title", "setpoints", "until", below}
        nodes += _other(table, taken, here, self.chart.listed)
        self.elements.append(Node("RecipeElement", "", tuple(nodes)))
        step = self.step(here)
        self.connect(before[0], step, before[1])
        return step, _text(table, "until") if self.depth == 2 else f"Step {here} {DONE}"


# --- from BatchML -------------------------------------------------------------------------------


def document_of(recipe: Node, *, missed: tuple[str, ...] = ()) -> Carried:
    """A master recipe as a general recipe document: a whole one where we wrote it, else a draft with everything that is to be added."""
    reader = _Importing(list(missed))
    document = reader.document(recipe)
    return Carried(document, tuple(reader.listed))


@dataclass
class _Importing:
    listed: list[str]
    names: dict[str, str] = field(default_factory=dict)  # their parameter -> ours

    def document(self, recipe: Node) -> dict[str, Plain]:
        own = _own(recipe)
        document: dict[str, Plain] = {
            "isogenic": KIND,
            "recipe": _id(recipe.said("ID")) if not own else recipe.said("ID"),
            "version": self.version(recipe.said("Version")),
            "product": _id(recipe.said("Header", "ProductID")) if not own else recipe.said("Header", "ProductID"),
            "title": _title(recipe.said("Description") or recipe.said("Header", "ProductName") or recipe.said("ID")),
        }
        document |= self.equipment(recipe, own)
        document["formula"] = dict(map(self.parameter, recipe.one("Formula").all("Parameter")))
        document |= own
        ours = any(each.said("RecipeElementType") == LEVELS[0][1] for each in recipe.all("RecipeElement"))
        if ours:
            document["procedure"] = self.level(recipe, 0)
        else:
            self.list("the procedure has no unit procedures: its elements are put as phases into one")
            phases: Items = self.level(recipe, 2)
            document["procedure"] = [{"unit_procedure": "main", "operations": [{"operation": "main", "phases": phases}]}]
        return document

    def list(self, text: str) -> None:
        if text not in self.listed:
            self.listed.append(text)

    def version(self, text: str) -> str:
        if re.fullmatch(r"[1-9]\d{0,3}", text):
            return text
        self.list(f"version {text[:40]!r} is no number: it begins again with 1")
        return "1"

    def equipment(self, recipe: Node, own: Mapping[str, Plain]) -> dict[str, Plain]:
        needs: dict[str, Plain] = {}
        found = recipe.all("EquipmentRequirement")
        for requirement in found:
            for constraint in requirement.all("Constraint"):
                name, _, bound = constraint.said("ID").partition(".")
                said = re.fullmatch(r"[a-z0-9_]+ (?:<=|>=) (.+)", constraint.said("Condition"))
                if said is None or bound not in ("low", "high"):
                    self.list(f"constraint {constraint.said('ID')[:60]!r}: {constraint.said('Condition')[:80]!r} is no capability with a range")
                    continue
                need = needs.setdefault(name or "unnamed", {})
                assert isinstance(need, dict)
                need[bound] = said[1]
            if requirement.said("Description"):
                self.list(f"equipment requirement {requirement.said('ID')[:60]!r}: {requirement.said('Description')[:120]!r}")
        if "units" in own:
            return {"needs": needs} if needs else {}
        known = found[0].said("ID") if found else ""
        if not re.fullmatch(r"[a-z][a-z0-9_]*", known):
            self.list("no equipment class is named that is known here: choose one")
            known = TO_CHOOSE
        return {"equipment_class": known, "needs": needs}

    def parameter(self, node: Node) -> tuple[str, Plain]:
        theirs = node.said("ID")
        name = theirs if re.fullmatch(r"[a-z][a-z0-9_]{0,29}", theirs) else _name(node.said("Description") or theirs, set(self.names.values()))
        self.names[theirs] = name
        one: dict[str, Plain] = {"title": _title(node.said("Description") or theirs), "value": self.value(node.one("Value"), theirs)}
        for each in node.all("Parameter"):
            one[each.said("ID")[:60] or "unnamed"] = _read(self.value(each.one("Value"), theirs))
        if node.said("ScaleReference"):
            one["per"] = node.said("ScaleReference")
        if "low" not in one or "high" not in one:
            self.list(f"parameter {name} has no range: its value is its range")
            one |= {"low": one["value"], "high": one["value"]}
        if name != theirs:
            self.list(f"parameter {theirs[:60]!r} is called {name} here")
        return name, one

    def value(self, node: Node, whose: str) -> str:
        text, unit = node.said("ValueString"), node.said("UnitOfMeasure")
        if node.said("DataInterpretation") == "Reference":
            return f"@{self.names.get(text, text)}"
        if unit in UNITS:
            self.list(f"unit {unit!r} is read as {UNITS[unit]}")
            unit = UNITS[unit]
        return f"{text} {unit}".strip()

    # ---- the order of a level ----

    def level(self, holder: Node, depth: int) -> Items:
        logic = holder.one("ProcedureLogic")
        elements = {each.said("ID"): each for each in holder.all("RecipeElement")}
        walk = _Walk(self, logic, elements, depth)
        items = walk.all()
        for each in elements.values():
            if each.said("RecipeElementType") in (kind for _, kind, _ in LEVELS) and each.said("ID") not in walk.seen:
                self.list(f"element {each.said('ID')[:60]!r} is reached by no step")
        return items

    def item(self, element: Node, depth: int, until: str) -> Plain:
        key, _, below = LEVELS[depth]
        own, theirs = _own(element), element.said("ID")
        name = theirs.rsplit("/", 1)[-1]
        table: dict[str, Plain] = {key: name if re.fullmatch(r"[a-z][a-z0-9_]{0,29}", name) else _name(element.said("Description") or name, set())}
        if below:
            return {**table, **own, below: self.level(element, depth + 1)}
        if element.said("Description") or not own:
            table["title"] = _title(element.said("Description") or name)
        parameters = {each.said("ID"): each for each in element.all("Parameter") if each.said("ID")}
        told = {name: self.value(each.one("Value"), name) for name, each in parameters.items() if each.all("Value")}
        if told:
            table["setpoints"] = dict(told)
        asked = {self.names.get(name, _name(name, set())): f"@{self.names.get(name, name)}" for name in parameters if name not in told}
        if element.said("RecipeElementType") == "Operation":
            service, _, procedure = element.said("Description").rsplit("_", 1)[-1].partition(":")
            module = element.said("ActualEquipmentID")
            table["service"] = {
                "name": _service(element.said("Description")) or _name(service, set()),
                "procedure": procedure,
                "parameters": dict(asked),
            }
            self.list(f"element {theirs[:60]!r} is a service of {module or 'no module'}: give its unit procedure a unit of a class that has it")
        elif asked:
            self.list(f"element {theirs[:60]!r} names the parameters {', '.join(asked)} and not what they set")
        return {**table, **own, **({"until": until} if until else {})}


class _Walk:
    """The graph of a level read back as sequence, parallel, branch and loop."""

    def __init__(self, importing: _Importing, logic: Node, elements: Mapping[str, Node], depth: int) -> None:
        self.importing, self.elements, self.depth = importing, elements, depth
        self.steps = {each.said("ID"): each.said("RecipeElementID") for each in logic.all("Step")}
        self.conditions = {each.said("ID"): each.said("Condition") for each in logic.all("Transition")}
        self.after: dict[str, list[tuple[int, str]]] = {}
        arrived = set()
        for link in logic.all("Link"):
            start, end = link.said("FromID", "FromIDValue"), link.said("ToID", "ToIDValue")
            order = link.said("EvaluationOrder")
            self.after.setdefault(start, []).append((int(order) if re.fullmatch(r"\d{1,6}", order) else 1, end))
            arrived.add(end)
        for ways in self.after.values():
            ways.sort(key=lambda way: way[0])
        begins = [step for step in self.steps if self.kind(step) == "Begin"] or [step for step in self.steps if step not in arrived]
        self.first = begins[0] if begins else next(iter(self.steps), "")
        self.seen: set[str] = set()
        self.visited: set[str] = set()
        self.deep = 0

    def kind(self, step: str) -> str:
        found = self.elements.get(self.steps.get(step, ""))
        return found.said("RecipeElementType") if found is not None else ""

    def ways(self, step: str) -> list[tuple[str, str]]:
        """Condition and next step of each way on, in the order in which they are asked."""
        found = []
        for _, transition in self.after.get(step, []):
            if transition in self.steps:  # a link from step to step
                found.append((ALWAYS, transition))
            for _, end in self.after.get(transition, []):
                found.append((self.conditions.get(transition, ALWAYS), end))
        return found

    def all(self) -> Items:
        return self.chain(self.first)[0] if self.first else []

    def chain(self, step: str) -> tuple[Items, str]:
        """Items from a step on, and the step that ends them."""
        items: Items = []
        self.deep += 1
        if self.deep > BRANCHES_MAX:
            raise NotValid("cannot read the BatchML file", why=f"more than {BRANCHES_MAX} branches")
        while step:
            if step in self.visited:
                self.importing.list(f"a way leads back to step {step[:40]!r}, and nothing says that a loop begins there")
                return items, ""
            self.visited.add(step)
            kind, ways = self.kind(step), self.ways(step)
            if kind in ("End", "EndParallel", "EndBranch", "EndLoop"):
                return items, step
            if kind in ("StartParallel", "StartBranch"):
                item, step = self.split(kind, ways)
                items.append(item)
                continue
            if kind == "StartLoop":
                item, step = self.loop(step, ways)
                items.append(item)
                continue
            if len(ways) > 1:
                self.importing.list(f"step {step[:40]!r} has {len(ways)} ways on without a start of a branch: the first is taken")
            condition = ways[0][0] if ways else ""
            element = self.elements.get(self.steps[step])
            if element is not None and kind not in ("Begin", "Other"):
                self.seen.add(element.said("ID"))
                items.append(self.importing.item(element, self.depth, _condition(condition)))
            elif element is None:
                self.importing.list(f"step {step[:40]!r} names an element that is not there")
            step = ways[0][1] if ways else ""
        return items, ""

    def split(self, kind: str, ways: list[tuple[str, str]]) -> tuple[Plain, str]:
        branches: list[tuple[str, Items]] = []
        end = ""
        for condition, first in ways:
            items, last = self.chain(first)
            self.visited.discard(last)
            branches.append((condition, items))
            end = end or last
        on = self.ways(end)
        self.visited.add(end)
        after = on[0][1] if on else ""
        if kind == "StartParallel":
            return {"parallel": [items for _, items in branches]}, after
        ordered: Items = [{"otherwise": items} if said == OTHERWISE else {"when": said, "do": items} for said, items in branches]
        return {"choose": ordered}, after

    def loop(self, step: str, ways: list[tuple[str, str]]) -> tuple[Plain, str]:
        element = self.elements[self.steps[step]]
        items, end = self.chain(ways[0][1]) if ways else ([], "")
        on = [way for way in self.ways(end) if way[1] != step]
        return {"repeat": {"do": items, "until": on[0][0] if on else "", **_own(element)}}, on[0][1] if on else ""


def _condition(text: str) -> str:
    return "completed" if text.endswith(DONE) else "" if text == ALWAYS else text


def _own(node: Node) -> dict[str, Plain]:
    """What we put beside the standard's own elements."""
    return {
        each.said("ID")[len(OURS) :]: _read(each.said("Value", "ValueString"))
        for each in node.all("OtherInformation")
        if each.said("ID").startswith(OURS) and each.said("ID") != OURS
    }


def _read(text: str) -> Plain:
    """A table, a list or a text out of JSON; other text is itself."""
    if text[:1] not in ('"', "[", "{"):
        return text
    try:
        return _texts(json.loads(text), 0)
    except (ValueError, RecursionError) as trouble:
        raise NotValid("cannot read the BatchML file", why=f"{text[:40]!r} is no value of ours") from trouble


def _texts(value: object, depth: int) -> Plain:
    if depth > 12:
        raise ValueError("too deep")
    if isinstance(value, dict):
        return {str(_texts(key, depth)): _texts(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, list):
        return [_texts(inner, depth + 1) for inner in value]
    if isinstance(value, str) and value.isprintable():
        return unicodedata.normalize("NFC", value)
    raise ValueError("no text")


# --- words --------------------------------------------------------------------------------------

UNITS = {  # as the plants of our neighbours write them
    "Sekunde": "s",
    "Sekunden": "s",
    "Minute": "min",
    "Stunde": "h",
    "Grad Celsius": "degC",
    "Prozent": "%",
    "Liter": "L",
    "Liter pro Stunde": "L/h",
    "Umdrehungen pro Minute": "rpm",
    "°C": "degC",
}
_STAMP = re.compile(r"^(?:\d+:)?(?:\d{4}-\d{2}-\d{2}_)?(?:[A-Z]{1,4}\d+_)?(?:V\d+(?:\.\d+)*_)?")  # number, date, module and version before a name


def _service(text: str) -> str:
    """`..._HC20_V3.0_MixingOfLiquids_Procedure:StirringDuration` -> MixingOfLiquids."""
    return _STAMP.sub("", text).partition(":")[0].removesuffix("_Procedure")


def _name(text: str, taken: set[str]) -> str:
    """A name of ours out of theirs: small letters, digits and _, at most 30, and its own."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", _STAMP.sub("", text))
    name = re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_") or "unnamed"
    name = (name if name[0].isalpha() else f"x_{name}")[:NAME_MAX].strip("_")
    found, at = name, 1
    while found in taken:
        at += 1
        found = f"{name[: NAME_MAX - len(str(at)) - 1].strip('_')}_{at}"
    return found


def _title(text: str) -> str:
    """One line of at most 300 characters."""
    return " ".join(text.split())[:300]


def _id(text: str) -> str:
    """An id of ours: capitals, digits and dashes."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", text)
    return (re.sub(r"[^A-Z0-9]+", "-", words.upper()).strip("-") or "UNNAMED")[:24].strip("-")


def _flat(value: Plain) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _text(table: Mapping[str, Plain], key: str) -> str:
    value = table.get(key, "")
    return value if isinstance(value, str) else ""


def _table(value: Plain | None) -> Mapping[str, Plain]:
    return value if isinstance(value, Mapping) else {}


def _items(value: Plain | None) -> Items:
    return value if isinstance(value, list) else []
