"""Names of signals and units as a process engineer says them.

Guarantees: it changes how a text is shown, never the text on record; a screen that shows a
recorded statement in these words shows the recorded one, too.
"""

from __future__ import annotations

import re

from isogenic.plant.classes import CLASSES

__all__ = ["plain_words", "signal_title", "unit_words"]

UNITS = {"degC": "°C", "1e6 cell/mL": "10⁶ cells/mL", "1": "", "pH": ""}
_SIGNALS = {name: signal.title for cls in CLASSES.values() for name, signal in cls.signals.items()}
_NAME = re.compile(r"\b[a-z][a-z0-9]*(?:_[a-z0-9]+)+\b")
_ABBREVIATIONS = frozenset({"pH"})


def signal_title(name: str) -> str:
    """`feed_pressure` -> `Feed pump discharge pressure`."""
    return _SIGNALS.get(name, name.replace("_", " ").capitalize())


def unit_words(unit: str) -> str:
    """`degC` -> `°C`."""
    return UNITS.get(unit, unit)


def plain_words(text: str) -> str:
    """A recorded text with the names of signals as people say them."""
    said = _NAME.sub(lambda found: _lower(_SIGNALS[found[0]]) if found[0] in _SIGNALS else found[0], text)
    said = said.replace("degC", "°C").replace("1e6 cell/mL", "10⁶ cells/mL")
    return said[:1].upper() + said[1:] if text[:1].islower() and not said.startswith("pH") else said


def _lower(title: str) -> str:
    return title if title in _ABBREVIATIONS else title[:1].lower() + title[1:]
