"""What people say beside a table of batches: settings as they were, instruments, what is known already.

    isogenic: fit-settings/1
    variables: [viable_cells, titre]            # only these are used
    settings: {feed_share: 0.03 1/d}            # of all batches
    batches:
      BAT-7: {feed_share: 0.025 1/d}            # of this one
    instruments:
      viable_cells: {noise_share: 0.04}         # in place of the process's table; in the variable's unit, or a share
    scatter: {growth: 0.03}                     # CV between batches, in place of the process's own
    given: {seed_density: 1.1 1}                # constants that are known
    lots: {BAT-7: M-12, BAT-8: M-12}            # which batches share a lot of medium

A scenario says the settings of its process and of the site instead. Unknown names are refused with their line.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from isogenic.documents import Document, Table
from isogenic.errors import NotFound
from isogenic.sim.instruments import INSTRUMENTS, Instrument
from isogenic.sim.processes.process import Constant, Process, Setting

__all__ = ["KIND", "Beside", "read_beside"]

KIND = "isogenic: fit-settings/1"
_ERRORS = ("noise", "noise_share", "bias", "bias_share", "drift", "drift_share")


@dataclass(frozen=True, slots=True)
class Beside:
    """What was said."""

    settings: Mapping[str, float] = field(default_factory=dict)
    of_batch: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    scatter: Mapping[str, float] | None = None
    given: Mapping[str, float] = field(default_factory=dict)
    variables: tuple[str, ...] | None = None
    lots: Mapping[str, str] = field(default_factory=dict)


def read_beside(text: str, process: Process, *, site: str = "") -> Beside:
    """Settings of a fit, or of a scenario."""
    if "isogenic: scenario/" in text[:2000]:
        return _of_scenario(text, process, site=site)
    document = Document.read(text, what="settings of a fit", kind=KIND)
    root = document.root
    batches = root.table("batches", needed=False)
    scatter = root.table("scatter", needed=False)
    instruments = root.table("instruments", needed=False)
    lots = root.table("lots", needed=False)
    variables = root.texts("variables", needed=False)
    for name in variables:
        if name not in process.variables:
            root.complain("variables", f"{name[:60]!r} is no variable of {process.name}; it has {', '.join(process.variables)}")
    out = Beside(
        settings=_numbers(root.table("settings", needed=False), process.settings, what="setting"),
        of_batch={name: _numbers(batches.table(name), process.settings, what="setting") for name in batches.names()},
        instruments={name: _instrument(instruments, name, process) for name in instruments.names()},
        scatter={name: scatter.number(name, low=0.0, high=2.99) for name in _known(scatter, process)} if root.has("scatter") else None,
        given=_numbers(root.table("given", needed=False), process.constants, what="constant"),
        variables=variables or None,
        lots={name: lots.text(name) for name in lots.names()},
    )
    document.done()
    return out


def _of_scenario(text: str, process: Process, *, site: str) -> Beside:
    from isogenic.sim.scenarios import read_scenario

    scenario = read_scenario(text)
    product = next((each for each in scenario.products if each.process == process.name), None)
    if product is None:
        raise NotFound(f"no process {process.name} in the scenario", why="it runs " + ", ".join(each.process for each in scenario.products))
    own = next((each for each in scenario.sites if each.name == site), scenario.sites[0] if len(scenario.sites) == 1 else None)
    here = {name: value for (of, name), value in own.settings.items() if of == process.name} if own else {}
    return Beside(settings={**product.settings, **here}, given=dict(product.constants))


def _numbers(table: Table, known: Mapping[str, Setting] | Mapping[str, Constant], *, what: str) -> dict[str, float]:
    out = {}
    for name in table.names():
        if name not in known:
            table.complain(name, f"no such {what}; there are {', '.join(known)}")
            continue
        unit = known[name].unit
        found = table.quantity(name, like=unit)
        out[name] = found.value if found.unit == unit or not found.unit else found.to(unit).value
    return out


def _known(table: Table, process: Process) -> list[str]:
    for name in table.names():
        if name not in process.constants:
            table.complain(name, f"{process.name} has no such constant")
    return [name for name in table.names() if name in process.constants]


def _instrument(table: Table, name: str, process: Process) -> Instrument:
    if name not in process.variables:
        table.complain(name, f"{process.name} has no such variable; it has {', '.join(process.variables)}")
    inner = table.table(name)
    numbers = {each: inner.number(each, low=0.0, high=1e9) for each in _ERRORS if inner.has(each)}
    if not any(numbers.values()):
        table.complain(name, f"an instrument has an error: {', '.join(_ERRORS)}")
        return INSTRUMENTS.get(process.name, {}).get(name, Instrument(noise=1.0))
    return replace(Instrument(), **numbers)  # type: ignore[arg-type]  # only numbers are among them
