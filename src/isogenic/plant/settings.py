"""The settings of a module, and the released set that they are held against.

A *setting* is what a module holds beside its signals and a recipe does not write: limits, the tuning
of controllers, firmware, an analyser's method, a printer's label, the model of a soft sensor. The
plant document says where each is read; the *released set* says what it must be. It stands in the plant
document (`released:`), or in a document of its own that the control site publishes:

    isogenic: module-settings/1
    site: GHENT
    version: 3
    title: As qualified in March
    modules:
      BR-200-VESSEL:
        firmware: "4.2.1"
        temperature_high: 40 degC

Guarantees: a released set that exists is whole; otherwise one `NotValid` with every complaint and its
line. What a published set says goes before what the plant document says; its digest is of its text.
Leaves to others: reading (drivers), comparing (drift), who may publish it (the control site).
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import sha256

from isogenic.documents import Document
from isogenic.errors import NotValid
from isogenic.ids import ModuleId, SiteId, UnitId
from isogenic.records.facts import fact
from isogenic.units import Quantity, same_dimension

__all__ = [
    "TEXT",
    "Expected",
    "ReleasedSet",
    "Setting",
    "SettingKind",
    "SettingsReleased",
    "expected_settings",
    "load_settings",
    "read_text",
    "released_number",
    "short_text",
]

KIND = "isogenic: module-settings/1"
TEXT = ""  # the unit of a setting that is a text
TEXT_MAX = 200  # characters of a setting that are kept and compared: a firmware's name, not a program


class SettingKind(StrEnum):
    """What a setting is."""

    SETPOINT = "setpoint"
    LIMIT = "limit"
    TUNING = "tuning"
    FIRMWARE = "firmware"
    METHOD = "method"
    LABEL = "label"
    MODEL = "model"
    SCALING = "scaling"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of one module: where it is read, and what the plant document says it must be."""

    unit_id: UnitId
    module: ModuleId
    name: str
    kind: SettingKind
    node: str  # in the form of the module's protocol
    unit: str = TEXT  # in which the module reports it; empty: it is a text
    released: str = ""  # as written; empty: only a published set says it
    within: float = 0.0  # in `unit`: how far a number may lie off and be the same

    @property
    def key(self) -> str:
        """`MODULE.name`, unique within a site."""
        return f"{self.module}.{self.name}"


@fact("plant.settings_released", subject="site")
@dataclass(frozen=True, slots=True)
class SettingsReleased:
    """The control site said what a site's modules must be set to."""

    site: SiteId
    version: int
    text: str  # the document
    digest: str  # sha256 of the text


@dataclass(frozen=True, slots=True)
class ReleasedSet:
    """What modules must be set to, as one document says it."""

    site: SiteId
    version: int
    title: str
    values: Mapping[str, str] = field(default_factory=dict)  # by key, as written
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Expected:
    """One setting and what it must be."""

    unit_id: UnitId | None  # None: no unit of this site has such a module
    module: ModuleId
    name: str
    kind: SettingKind | None  # None: the plant document does not say where it is read
    released: str
    number: float = math.nan  # in the module's own unit; NaN: a text
    within: float = 0.0
    unit: str = TEXT

    @property
    def key(self) -> str:
        """`MODULE.name`."""
        return f"{self.module}.{self.name}"


def load_settings(text: str | bytes, *, name: str) -> ReleasedSet:
    """Read a released set; `name` says in complaints which one it is."""
    document = Document.read(text, what=f"module settings {name}", kind=KIND)
    root = document.root
    values: dict[str, str] = {}
    modules = root.table("modules")
    for key in modules.names():
        try:
            module = ModuleId(key)
        except NotValid as trouble:
            modules.complain(key, str(trouble))
            continue
        inner = modules.table(key)
        for setting in inner.names():
            values[f"{module}.{setting}"] = short_text(inner.text(setting))
    data = text.encode() if isinstance(text, str) else text
    found = ReleasedSet(root.id("site", SiteId), root.whole("version", low=1), root.text("title"), values, sha256(data).hexdigest())
    document.done()
    return found


def expected_settings(
    settings: Iterable[Setting], released: ReleasedSet | None = None, *, unit_of: Callable[[ModuleId], UnitId | None] | None = None
) -> dict[str, Expected]:
    """What every setting must be: as the published set says it, else as the plant document does. One that nobody released is not in it."""
    known = {each.key: each for each in settings}
    said = {key: each.released for key, each in known.items() if each.released}
    if released is not None:
        said |= released.values
    return {key: _expected(key, text, known.get(key), unit_of) for key, text in said.items()}


def _expected(key: str, text: str, setting: Setting | None, unit_of: Callable[[ModuleId], UnitId | None] | None) -> Expected:
    if setting is None:
        module, _, name = key.partition(".")
        return Expected(unit_of(ModuleId(module)) if unit_of else None, ModuleId(module), name, None, text)
    number = released_number(text, setting.unit) if setting.unit != TEXT else math.nan
    return Expected(setting.unit_id, setting.module, setting.name, setting.kind, text, number, setting.within, setting.unit)


def released_number(text: str, unit: str) -> float:
    """A released number in the unit in which the module reports it; NaN where the text is no such quantity, so that nothing equals it."""
    try:
        quantity = Quantity.parse(text)
        return quantity.to(unit).value if same_dimension(quantity.unit, unit) else math.nan
    except NotValid:
        return math.nan


def read_text(raw: object) -> str:
    """What a module answered for a setting, as text: a number so that it can be read back exactly; empty where it is neither text nor number."""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, int):
        return repr(raw) if abs(raw) < 2**64 else ""
    if isinstance(raw, float):
        return repr(raw)  # `inf` and `nan`, too: a limit that was taken away is told, and equals no released number
    return short_text(raw) if isinstance(raw, str) else ""


def short_text(text: str) -> str:
    """A text as it is compared: composed, without signs that nobody sees, bounded. A longer one ends in a digest of the whole."""
    clean = "".join(sign if sign.isprintable() else " " for sign in unicodedata.normalize("NFC", text[: 4 * TEXT_MAX]))
    short = " ".join(clean.split())
    if len(text) <= 4 * TEXT_MAX and len(short) <= TEXT_MAX:
        return short
    mark = f" sha256:{sha256(text.encode(errors='surrogatepass')).hexdigest()[:32]}"
    return short[: TEXT_MAX - len(mark)] + mark
