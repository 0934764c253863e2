"""Scenarios read from YAML.

Guarantees: what `read_scenario` accepts can be run; everything else is one `NotValid` with every complaint by its
line, with the reason and what is possible. Numbers with units are converted to those of the process models here, once.
Leaves to others: which batch gets what (studies).
"""

from __future__ import annotations

import math
import re
from hashlib import sha256

from isogenic.documents import Document, Table, meant
from isogenic.errors import NotFound, NotValid, Refusal
from isogenic.sim.faults.catalogue import Entry, Place, catalogue
from isogenic.sim.processes import PROCESSES, Process, process_of
from isogenic.sim.routes import FINISHES, route_of
from isogenic.sim.scenarios.model import Product, Scenario, ScenarioFault, Site
from isogenic.units import Quantity, converter

__all__ = ["BATCHES_MAX", "KIND", "read_scenario"]

KIND = "isogenic: scenario/1"
BATCHES_MAX = 1_000_000
SITES_MAX = 500
FAULTS_MAX = 500
POINTS_MAX = 20_000  # of one trajectory
PERIOD_MAX_H = 20 * 365.25 * 24.0
SUITES_MAX = 1_000
TIMES_MAX = 1_000.0  # what it is usually: a constant beyond is a slip of the pen
SITE_NAME = re.compile("[A-Z][A-Z0-9-]{0,29}")
LOT_NAME = re.compile("[A-Za-z0-9][A-Za-z0-9_.-]{0,39}")
RANGE = re.compile(r"([0-9]{1,7})(?:\s*-\s*([0-9]{1,7}))?")
_BARE = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?\s*")


def read_scenario(text: str | bytes) -> Scenario:
    """A scenario, or `NotValid` with every complaint."""
    document = Document.read(text, what="scenario", kind=KIND)
    root = document.root
    reader = _Reader(document)
    title, what, seed = root.text("title"), root.text("what", default=""), root.whole("seed", default=1, low=0, high=2**63 - 1)
    switches = {name: root.flag(name, default=default) for name, default in _SWITCHES.items()}
    period_h = reader.number(root, "period", unit="h", default=0.0, low=1.0, high=PERIOD_MAX_H)
    batches = root.whole("batches", default=BATCHES_MAX if period_h else 100, low=1, high=BATCHES_MAX)
    lot_batches = root.whole("lot_batches", default=50, low=1, high=BATCHES_MAX)
    reader.products(root, period_h=period_h)
    sites = reader.sites(root)
    faults = reader.faults(root, sites=sites, period_h=period_h, switches=switches)
    reader.switches(root, switches)
    document.done()
    data = text.encode() if isinstance(text, str) else text
    return Scenario(
        title=title,
        what=what,
        seed=seed,
        products=tuple(reader.made),
        sites=sites,
        digest=sha256(data).hexdigest(),
        batches=batches,
        period_h=period_h,
        lot_batches=lot_batches,
        faults=faults,
        **switches,
    )


# What a site has besides suites: how many unless it says otherwise (0: nobody waits for them), at least, at most.
_PEOPLE = {
    "crews": (0, 1, SUITES_MAX),
    "shifts": (3, 1, 3),
    "shifts_in_surge": (0, 1, 3),
    "assays": (0, 1, SUITES_MAX),
    "couriers": (0, 1, SUITES_MAX),
}
# What a fault of orders or of the way cannot be aimed at.
_UNKNOWN_TO = {Place.NETWORK: ("batches", "lots", "share"), Place.COURIER: ("lots",)}
_SWITCHES = {"instruments": True, "spectra": False, "laboratory": True, "operations": True}


class _Reader:
    """One document on its way to a scenario."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.models: dict[str, Process] = {}
        self.made: list[Product] = []
        self.catalogue: dict[str, Entry] = catalogue()

    # --- numbers ----------------------------------------------------------------------------------

    def number(self, table: Table, key: str, *, unit: str, default: float | None = None, low: float = -math.inf, high: float = math.inf) -> float:
        """A quantity in `unit`, within [low, high]; a bare number where the unit is a share, a factor or pH."""
        if not table.has(key):
            if default is None:
                table.complain(key, f"is missing; a number in {unit or 'no unit'}")
            return default if default is not None else 0.0
        text, own = table.text(key), "" if unit == "1" else f" {unit}"
        possible = f"{low:g} to {high:g}{own}"
        try:
            value = _in(text, unit, possible="a number with its unit" if math.isinf(high - low) else possible)
        except Refusal as trouble:
            table.complain(key, str(trouble))
            return default if default is not None else 0.0
        if not low <= value <= high:
            told = "" if text.removesuffix(own) == f"{value:g}" else f" is {value:g}{own}, which"
            table.complain(key, f"{text}{told} is not within {possible}")
        return value

    # --- processes --------------------------------------------------------------------------------

    def products(self, root: Table, *, period_h: float) -> None:
        """`process: one`, with its keys beside it, or `processes:` with a table for each."""
        if root.has("processes"):
            if root.has("process"):
                root.complain("process", "give process or processes, not both")
            for name, table in root.named_tables("processes").items():
                self._product(table, name, line_of=(root, "processes"), period_h=period_h)
        else:
            self._product(root, root.text("process"), line_of=(root, "process"), period_h=period_h)
        if not self.models and not self.document.complaints:
            root.complain("processes", f"names none; there are {', '.join(PROCESSES)}")

    def _product(self, table: Table, name: str, *, line_of: tuple[Table, str], period_h: float) -> None:
        for key in ("every", "turnaround", "orders", "travel", "expires", "finish", "rapid_sterility", "settings", "constants"):
            table.asked(key)
        if not name:
            return
        try:
            model = process_of(name)
        except NotFound as trouble:
            line_of[0].complain(line_of[1], str(trouble))
            return
        self.models[name] = model
        settings = self._settings(table, model)
        lasts_h = settings.get("duration", model.duration_h)
        every = self.number(table, "every", unit="h", default=min(model.every_h, lasts_h), low=1e-3, high=lasts_h)
        if every > 0 and lasts_h / every > POINTS_MAX:
            table.complain("every", f"{lasts_h:g} h every {every:g} h are more than {POINTS_MAX} points")
        self.made.append(
            Product(
                name,
                every_h=every,
                duration_h=lasts_h,
                turnaround_h=self.number(table, "turnaround", unit="h", default=72.0, low=0.0, high=10_000.0),
                orders_per_day=self.number(table, "orders", unit="1/d", default=0.0, low=1e-4, high=1e4),
                travel_h=self.number(table, "travel", unit="h", default=0.0, low=0.0, high=1_000.0),
                expires_h=self.number(table, "expires", unit="h", default=math.inf, low=0.1, high=1e5),
                finish=self._finish(table, name),
                rapid=table.flag("rapid_sterility", default=False),
                settings=settings,
                constants=self._constants(table, model),
            )
        )
        if table.has("orders") and not period_h:
            table.complain("orders", "orders come in over a period; say how long: period: 90 d")

    def _finish(self, table: Table, process: str) -> str:
        if not table.has("finish"):
            return FINISHES[0]
        finish = table.text("finish")
        if finish not in FINISHES:
            table.complain("finish", f"{finish[:40]!r} is not one of {', '.join(FINISHES)}")
            return FINISHES[0]
        if route_of(process, finish="bulk") == route_of(process):
            table.complain("finish", f"{process} is not filled into vials")
        return finish

    def _settings(self, table: Table, model: Process) -> dict[str, float]:
        return {name: value for (_, name), value in self._set(table, {model.name: model}).items()}

    def _constants(self, table: Table, model: Process) -> dict[str, float]:
        inner, out = table.table("constants", needed=False), {}
        for name in inner.names():
            constant = model.constants.get(name)
            if constant is None:
                inner.complain(name, f"{model.name} has no such constant; {meant(name, model.constants)}")
                continue
            most = TIMES_MAX * abs(constant.value) or TIMES_MAX
            out[name] = self.number(inner, name, unit=constant.unit, low=0.0 if constant.value >= 0 else -most, high=most)
        return out

    def _set(self, table: Table, models: dict[str, Process]) -> dict[tuple[str, str], float]:
        """`settings`, of one process or of several: `name` for all that have it, `process.name` for one."""
        inner, out = table.table("settings", needed=False), {}
        for key in inner.names():
            for model in self._having(inner, key, {name: set(model.settings) for name, model in models.items()}, what="setting"):
                name = key.rpartition(".")[2]
                setting = models[model].settings[name]
                out[model, name] = self.number(inner, key, unit=setting.unit, low=setting.low, high=setting.high)
        return out

    def _having(self, table: Table, key: str, known: dict[str, set[str]], *, what: str) -> list[str]:
        """The processes in which the key means something."""
        process, dot, name = key.rpartition(".")
        found = [each for each, names in known.items() if name in names and (not dot or each == process)]
        if not found:
            there = sorted({f"{each}.{one}" if len(known) > 1 else one for each, names in known.items() for one in names})
            table.complain(key, f"no process of the scenario has this {what}; {meant(key, there)}")
        return found

    # --- sites ------------------------------------------------------------------------------------

    def sites(self, root: Table) -> tuple[Site, ...]:
        """The sites; one without name or offset where none is given."""
        outer = root.table("sites", needed=False)
        names = outer.names()
        if len(names) > SITES_MAX:
            root.complain("sites", f"{len(names)} sites are more than {SITES_MAX}")
            return ()
        found = [self._site(outer, name, outer.table(name)) for name in names]
        return tuple(found) or (Site("SITE-1", suites=dict.fromkeys(self.models, 1)),)

    def _site(self, outer: Table, name: str, table: Table) -> Site:
        if not SITE_NAME.fullmatch(name):
            outer.complain(name, "a site's name is capitals, digits and dashes, at most 30")
        suites = dict.fromkeys(self.models, 1)
        if table.has("suites"):
            if table.is_table("suites"):
                inner = table.table("suites")
                suites = {each: inner.whole(each, low=0, high=SUITES_MAX) for each in inner.names() if self._known(inner, each)}
            else:
                suites = dict.fromkeys(self.models, table.whole("suites", low=0, high=SUITES_MAX))
        lots = table.texts("lots", needed=False)
        for lot in lots:
            if not LOT_NAME.fullmatch(lot):
                table.complain("lots", f"{lot[:40]!r} is not the name of a lot")
        people = {key: table.whole(key, default=default, low=low, high=high) for key, (default, low, high) in _PEOPLE.items()}
        if 0 < people["shifts_in_surge"] < people["shifts"]:
            table.complain("shifts_in_surge", f"{people['shifts_in_surge']} are fewer than the {people['shifts']} of every day")
        return Site(
            name,
            share=table.number("share", default=1.0, low=0.0, high=1e6),
            suites=suites,
            offsets=self._offsets(table),
            settings=self._settings_of_site(table),
            lots=lots,
            laboratory=self._laboratory(table),
            **people,
        )

    def _settings_of_site(self, table: Table) -> dict[tuple[str, str], float]:
        """What a site sets otherwise; its batches are still written at least once."""
        out = self._set(table, self.models)
        for each in self.made:
            lasts_h = out.get((each.process, "duration"), math.inf)
            if lasts_h < each.every_h:
                table.complain("settings", f"a batch of {lasts_h:g} h cannot be written every {each.every_h:g} h")
            if lasts_h < math.inf and lasts_h / each.every_h > POINTS_MAX:
                table.complain("settings", f"{lasts_h:g} h every {each.every_h:g} h are more than {POINTS_MAX} points")
        return out

    def _known(self, table: Table, name: str) -> bool:
        if name not in self.models:
            table.complain(name, f"no process of the scenario; {meant(name, self.models)}")
        return name in self.models

    def _offsets(self, table: Table) -> dict[tuple[str, str], float]:
        inner, out = table.table("offsets", needed=False), {}
        for key in inner.names():
            for model in self._having(inner, key, {name: set(each.constants) for name, each in self.models.items()}, what="constant"):
                share = self.number(inner, key, unit="1", low=-0.99, high=10.0)
                out[model, key.rpartition(".")[2]] = 1.0 + share
        return out

    def _laboratory(self, table: Table) -> dict[str, float]:
        inner, out = table.table("laboratory", needed=False), {}
        for key in inner.names():
            having = self._having(inner, key, {name: set(each.qualities) for name, each in self.models.items()}, what="attribute")
            for model in having[:1]:
                quality = self.models[model].qualities[key.rpartition(".")[2]]
                width = quality.high - quality.low
                out[key] = self.number(inner, key, unit=quality.unit, low=-width, high=width)
        return out

    # --- faults -----------------------------------------------------------------------------------

    def faults(self, root: Table, *, sites: tuple[Site, ...], period_h: float, switches: dict[str, bool]) -> tuple[ScenarioFault, ...]:
        """What goes wrong."""
        tables = root.tables("faults", needed=False)
        if len(tables) > FAULTS_MAX:
            root.complain("faults", f"{len(tables)} faults are more than {FAULTS_MAX}")
            return ()
        found = [self._fault(table, sites=sites, period_h=period_h, switches=switches) for table in tables]
        return tuple(each for each in found if each is not None)

    def _fault(self, table: Table, *, sites: tuple[Site, ...], period_h: float, switches: dict[str, bool]) -> ScenarioFault | None:
        name = table.text("fault")
        keys = ("start", "duration", "size", "process", "sites", "batches", "lots", "share", "sensor", "attribute")
        for key in keys:
            table.asked(key)
        entry = self.catalogue.get(name)
        if entry is None:
            table.complain("fault", f"the catalogue has no {name[:60]!r}; {meant(name, self.catalogue)}")
            return None
        process = table.text("process", default="")
        if process and process not in self.models:
            table.complain("process", f"{process[:60]!r} is not in the scenario; {meant(process, self.models)}")
            return None
        struck = [each for each in self.models if (not process or each == process) and entry.size_for(each)]
        if not struck:
            if self.models:  # else that is the complaint
                having, one = ", ".join(entry.processes), next(iter(self.models))
                table.complain("fault", f"no model of the scenario has {name}; it acts in {having}; see isogenic sim faults {one}")
            return None
        for key in _UNKNOWN_TO.get(entry.place, ()):
            if table.has(key):
                table.complain(key, f"{name} strikes whatever is ordered in its time; of {key} nothing is known then")
        unit = self._strikes(table, entry, struck, switches)
        if unit is None:
            return None
        start, duration = self._window(table, entry, self._longest(table, struck, sites), period_h)
        return ScenarioFault(
            name,
            size=self._size(table, entry, struck, own=unit),
            start_h=start,
            duration_h=duration,
            process=process,
            sites=self._named(table, "sites", {each.name for each in sites}),
            batches=self._numbers(table),
            lots=table.texts("lots", needed=False),
            share=self.number(table, "share", unit="1", default=1.0, low=0.0, high=1.0),
            sensor=table.text("sensor", default=""),
            attribute=table.text("attribute", default=""),
        )

    def _strikes(self, table: Table, entry: Entry, struck: list[str], switches: dict[str, bool]) -> str | None:
        """The unit of what is struck; None after a complaint."""
        of_sensor = entry.place is Place.SENSOR or entry.name == "calibration_offset"
        for key, wanted in (("sensor", of_sensor), ("attribute", entry.place is Place.LABORATORY)):
            if table.has(key) and not wanted:
                table.complain(key, f"{entry.name} strikes no {key}")
        needs = {
            Place.SENSOR: "instruments",
            Place.SITE: "instruments",
            Place.LABORATORY: "laboratory",
            Place.FILLING: "operations",
            Place.NODE: "instruments",
        }
        switch = needs.get(entry.place)
        if switch and not switches[switch]:
            table.complain("fault", f"{entry.name} is seen only with {switch}: true")
            return None
        if entry.place is Place.FILLING and not any(
            route_of(each.process, finish=each.finish).struck_by(entry.name) for each in self.made if each.process in struck
        ):
            table.complain("fault", f"{entry.name}: no process of the scenario fills anything that it strikes")
            return None
        if of_sensor or entry.place is Place.LABORATORY:
            key = "sensor" if of_sensor else "attribute"
            known = {name: (self.models[name].variables if of_sensor else self.models[name].qualities) for name in struck}
            if not table.has(key):
                table.complain("fault", f"say which {key}: one of {', '.join(sorted({one for each in known.values() for one in each}))}")
                return None
            name = table.text(key)
            having = [model for model, each in known.items() if name in each]
            if not having:
                table.complain(key, f"no {key} {name[:40]!r}; {meant(name, sorted({one for each in known.values() for one in each}))}")
                return None
            return known[having[0]][name].unit
        return ""

    def _longest(self, table: Table, struck: list[str], sites: tuple[Site, ...]) -> float:
        """The longest batch that a fault can strike, as the recipe and its sites set it."""
        named = table.texts("sites", needed=False)
        here = [each for each in sites if not named or each.name in named]
        usual = {each.process: each.duration_h for each in self.made if each.process in struck}
        return max((site.settings.get((name, "duration"), lasts_h) for site in here for name, lasts_h in usual.items()), default=max(usual.values()))

    def _window(self, table: Table, entry: Entry, longest: float, period_h: float) -> tuple[float, float]:
        if not entry.windowed:
            for key in ("start", "duration"):
                if table.has(key):
                    table.complain(key, f"{entry.name} is there for the whole batch")
            return 0.0, math.inf
        if entry.place.by_calendar:
            if not period_h:
                table.complain("fault", f"{entry.name} goes by the calendar; say how long the study lasts: period: 90 d")
                return 0.0, math.inf
            longest = period_h
        start = self.number(table, "start", unit="h", default=0.0)
        whose = "the study" if entry.place.by_calendar else "a batch"
        if not 0.0 <= start < longest:
            table.complain("start", f"{start:g} h is outside {whose}, which lasts {longest:g} h")
            return 0.0, math.inf
        if not table.has("duration"):
            return start, math.inf
        duration = self.number(table, "duration", unit="h")
        if not 0.0 < duration <= longest - start + 1e-9:
            table.complain(
                "duration", f"{duration:g} h from {start:g} h on is outside {whose}, which lasts {longest:g} h; at most {longest - start:g} h"
            )
        return start, duration

    def _size(self, table: Table, entry: Entry, struck: list[str], *, own: str) -> float:
        sizes = [size for each in struck if (size := entry.size_for(each))]
        first = sizes[0]
        if not first.unit:
            if table.has("size"):
                table.complain("size", f"{entry.name} has no size")
            return 0.0
        low, high = max(each.low for each in sizes), min(each.high for each in sizes)
        own = own.replace("degC", "K") if first.unit.startswith("own") else own  # how far off is a difference
        return self.number(table, "size", unit=first.unit.replace("own", own), low=low, high=high)

    def _named(self, table: Table, key: str, known: set[str]) -> tuple[str, ...]:
        found = table.texts(key, needed=False)
        for each in found:
            if each not in known:
                table.complain(key, f"no {each[:40]!r} in the scenario; {meant(each, sorted(known))}")
        return found

    def _numbers(self, table: Table) -> tuple[tuple[int, int], ...]:
        """`3`, `3-8` or a list of them."""
        if not table.has("batches"):
            return ()
        texts = [each.text for each in table.values("batches")] if table.is_list("batches") else [table.text("batches")]
        out = []
        for text in texts:
            found = RANGE.fullmatch(text)
            first, last = (int(found[1]), int(found[2] or found[1])) if found else (0, 0)
            if not 0 < first <= last:
                table.complain("batches", f"{text[:40]!r} is not a number of a batch such as 3, or 3-8; the first is 1")
                continue
            out.append((first, last))
        return tuple(out)

    def switches(self, root: Table, switches: dict[str, bool]) -> None:
        """What is on must have something to show."""
        if switches["spectra"] and any(model.name != "antibody" for model in self.models.values()):
            root.complain("spectra", "a spectrometer stands on the antibody's vessels only")


def _in(text: str, unit: str, *, possible: str) -> float:
    """The number in `unit`; `possible` says which there may be."""
    if _BARE.fullmatch(text):
        if unit in ("1", "", "pH"):
            value = float(text)
            if not math.isfinite(value):
                raise NotValid(f"cannot use {text[:40]!r}", why="it is not a finite number")
            return value
        raise NotValid(f"{text.strip()[:40]} has no unit", possible=possible)
    quantity = Quantity.parse(text)
    if unit == "K" and "degC" in quantity.unit:
        raise NotValid(f"cannot use {quantity}", why="a difference of temperatures is in K", possible=f"{quantity.value:g} K")
    value = converter(quantity.unit, unit or "1")(quantity.value)
    if not math.isfinite(value):
        raise NotValid(f"cannot use {text[:40]!r}", why="it is not a finite number")
    return value
