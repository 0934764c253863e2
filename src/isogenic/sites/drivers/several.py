"""Modules that speak different protocols, as one source of readings and one sink of set-points.

The plant document says of each module how it is spoken to (`protocol:`); each kind has a driver of its
own, and this joins them: one frame, one set of changes, one mapping of settings.

Guarantees: a scan takes as long as its slowest kind, not their sum; a kind whose driver breaks makes its
own signals BAD and nobody else's; what is written or ordered goes to the driver whose module has the tag.
A protocol whose library is not installed is refused at the start, by name, not at the first scan.
Leaves to others: the protocols (the drivers beside this file).
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from isogenic.clock import Clock
from isogenic.errors import Refusal
from isogenic.ids import ModuleId
from isogenic.plant.model import Protocol as Spoken
from isogenic.plant.model import SitePlant
from isogenic.plant.readings import Frame, Quality, Sink, Source, TagIndex

if TYPE_CHECKING:
    from isogenic.sites.drivers.certificates import OpcUaTrust

__all__ = ["Driver", "SeveralDrivers", "drivers_for"]

log = logging.getLogger(__name__)


class Driver(Source, Sink, Protocol):
    """What each kind of driver offers."""

    index: TagIndex

    async def start(self) -> None:
        """Begin to connect."""
        ...

    async def close(self) -> None:
        """Let go of every connection."""
        ...

    def changes(self) -> list[tuple[str, bool, str]]:
        """(module, up, why) since the last call."""
        ...

    def connections(self) -> Mapping[ModuleId, Any]:
        """Where each module's connection stands."""
        ...

    def since(self) -> Mapping[ModuleId, datetime]:
        """When each module last came or went."""
        ...

    async def settings(self) -> Mapping[str, str]:
        """What the newest poll read of the modules' settings."""
        ...


class SeveralDrivers:
    """All modules of one site, whatever they speak."""

    def __init__(self, plant: SitePlant, drivers: Sequence[Driver]) -> None:
        """Every tag of the plant belongs to one of the drivers."""
        self.index = TagIndex([signal.tag for signal in plant.signals()])
        self.drivers = tuple(drivers)
        self._columns = [np.array([self.index.of(tag) for tag in driver.index.tags], dtype=np.intp) for driver in drivers]
        self._of_tag = {tag: driver for driver in drivers for tag in driver.index.tags}
        self._broken: set[int] = set()  # drivers whose last poll raised
        self._settings: tuple[Mapping[str, str], ...] = ()
        self._told: Mapping[str, str] = {}

    async def start(self) -> None:
        """Begin to connect, all kinds at once."""
        await asyncio.gather(*(driver.start() for driver in self.drivers))

    async def close(self) -> None:
        """Close every connection. Equipment keeps its last set-points."""
        await asyncio.gather(*(driver.close() for driver in self.drivers))

    async def __aenter__(self) -> SeveralDrivers:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def read(self, at: datetime) -> Frame:
        """The newest value of every signal, of every kind of module."""
        values = np.full(len(self.index.tags), math.nan)
        quality = np.full(len(self.index.tags), int(Quality.BAD), dtype=np.uint8)
        overflowed: frozenset[str] = frozenset()
        frames = await asyncio.gather(*(driver.read(at) for driver in self.drivers), return_exceptions=True)
        for number, (columns, frame) in enumerate(zip(self._columns, frames, strict=True)):
            if isinstance(frame, BaseException):
                self._tell_broken(number, frame)
                continue
            self._broken.discard(number)
            values[columns], quality[columns] = frame.values, frame.quality
            overflowed |= frame.overflowed
        return Frame(at, self.index, values, quality, overflowed)

    def _tell_broken(self, number: int, trouble: BaseException) -> None:
        """A driver that raises is a defect of it; the scan goes on without it."""
        if not isinstance(trouble, Exception):
            raise trouble
        if number not in self._broken:
            self._broken.add(number)
            log.error("%s does not read", type(self.drivers[number]).__name__, exc_info=trouble)

    async def write(self, setpoints: Mapping[str, float]) -> Mapping[str, str]:
        """Write canonical values by tag; gives the tags that were refused, and why."""
        refused = {tag: "the plant document does not name it" for tag in setpoints if tag not in self._of_tag}
        parts = [(driver, {tag: value for tag, value in setpoints.items() if self._of_tag.get(tag) is driver}) for driver in self.drivers]
        for answer in await asyncio.gather(*(_written(driver, part) for driver, part in parts if part)):
            refused.update(answer)
        return refused

    async def order(self, orders: Mapping[str, Any]) -> Mapping[str, str]:
        """Give each order, by `UNIT.service`, to the kind of driver that knows the service's state; gives what was refused, and why."""
        refused: dict[str, str] = {}
        parts: dict[int, dict[str, Any]] = {}
        for name, order in orders.items():
            number = next((at for at, driver in enumerate(self.drivers) if self._of_tag.get(f"{name}_state") is driver), None)
            if number is None or not hasattr(self.drivers[number], "order"):
                refused[name] = "no module of the plant document has this service"
            else:
                parts.setdefault(number, {})[name] = order
        answers = await asyncio.gather(*(self.drivers[at].order(part) for at, part in parts.items()))  # type: ignore[attr-defined]
        for answer in answers:
            refused.update(answer)
        return refused

    async def settings(self) -> Mapping[str, str]:
        """What the newest poll read of every module's settings: the same object for as long as nothing changes."""
        parts = tuple(await asyncio.gather(*(driver.settings() for driver in self.drivers)))
        if len(parts) != len(self._settings) or any(new is not old for new, old in zip(parts, self._settings, strict=False)):
            self._settings, self._told = parts, {key: text for part in parts for key, text in part.items()}
        return self._told

    def connections(self) -> Mapping[ModuleId, Any]:
        """Where each module's connection stands now."""
        return {module: state for driver in self.drivers for module, state in driver.connections().items()}

    def since(self) -> Mapping[ModuleId, datetime]:
        """When each module's connection last came or went, by the node's clock."""
        return {module: at for driver in self.drivers for module, at in driver.since().items()}

    def changes(self) -> list[tuple[str, bool, str]]:
        """(module, up, why) for each module lost or restored since this was last asked."""
        return [change for driver in self.drivers for change in driver.changes()]


async def _written(driver: Driver, part: Mapping[str, float]) -> Mapping[str, str]:
    try:
        return await driver.write(part)
    except Refusal as refusal:
        return dict.fromkeys(part, str(refusal))


def drivers_for(plant: SitePlant, *, clock: Clock, answer_limit_s: float, folder: Path | None = None) -> SeveralDrivers:
    """A driver for each protocol that the plant document speaks of. `folder`: where the site's own certificates and documents are."""
    spoken = {module.protocol for unit in plant.units.values() for module in unit.modules.values()}
    made = [_MAKERS[each](plant.of_protocol(each), clock, answer_limit_s, folder) for each in Spoken if each in spoken]
    return SeveralDrivers(plant, made)


def _trust(folder: Path | None) -> OpcUaTrust | None:
    from isogenic.sites.drivers.certificates import FOLDER, OpcUaTrust

    return OpcUaTrust(folder / FOLDER) if folder is not None else None


def _opcua(plant: SitePlant, clock: Clock, limit_s: float, folder: Path | None) -> Driver:
    from isogenic.sites.drivers.opcua import OpcUaDriver

    return OpcUaDriver(plant, clock=clock, answer_limit_s=limit_s, trust=_trust(folder))


def _mtp(plant: SitePlant, clock: Clock, limit_s: float, folder: Path | None) -> Driver:
    from isogenic.sites.drivers.manifests import manifests_in
    from isogenic.sites.drivers.mtp import MtpDriver

    return MtpDriver(plant, manifests_in(folder, plant), clock=clock, answer_limit_s=limit_s, trust=_trust(folder))


def _sila(plant: SitePlant, clock: Clock, limit_s: float, folder: Path | None) -> Driver:
    from isogenic.sites.drivers.sila import SilaDriver

    return SilaDriver(plant, clock=clock, answer_limit_s=limit_s, folder=folder / "sila" if folder is not None else None)


def _sparkplug(plant: SitePlant, clock: Clock, limit_s: float, folder: Path | None) -> Driver:
    from isogenic.sites.drivers.sparkplug import SparkplugDriver

    return SparkplugDriver(plant, clock=clock, folder=folder / "sparkplug" if folder is not None else None)


# A kind's libraries are imported only where a module speaks it.
_MAKERS: Mapping[Spoken, Callable[[SitePlant, Clock, float, Path | None], Driver]] = {
    Spoken.OPCUA: _opcua,
    Spoken.MTP: _mtp,
    Spoken.SILA: _sila,
    Spoken.SPARKPLUG: _sparkplug,
}
