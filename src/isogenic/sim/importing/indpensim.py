"""The public file of a hundred industrial-scale penicillin batches, and files of its layout.

Guarantees: the columns are known by the short name in their brackets, as in `Sugar feed rate(Fs:L/h)`; a heading whose
commas were not quoted is put together again (the published file has 2,239 headings for 2,237 columns: taken as it is,
every column behind would bear the name of another); a file that cannot be put together is refused. Names and units are
those of the `indpensim` process, so that its batches stand beside simulated ones.
Leaves to others: reading the rows (`tables`).

Layout: Goldrick, Stefan, Lovett, Montague & Lennox 2015 (J Biotechnol 193:70); Goldrick, Duran-Villalobos, Jankauskas,
Lovett, Farid & Lennox 2019 (Comput Chem Eng 130:106471); data set under CC BY 4.0, "100_Batches_IndPenSim_V3.csv". Four
headings name another unit than the numbers have, seen from the model that made them: air is m^3/min, not L/h;
phenylacetate and ammonia are mg/L, not g/L; oxygen in the off-gas is a share, not percent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from isogenic.errors import NotValid
from isogenic.sim.importing.mapping import Column, Layout

__all__ = ["is_indpensim", "layout_of", "mended"]

_SHORT = re.compile(r"\((\w+):")
_CHANNEL = re.compile(r"\s*(\d{3,4})(\.0*)?\s*")
_SPLIT, _JOINT = re.compile(r"no\s+raman\s+spec", re.IGNORECASE), re.compile(r"\(PAT_ref", re.IGNORECASE)
# short name -> name here, unit of the numbers, unit here
KNOWN = {
    "Fg": ("aeration", "m^3/min", "m^3/min"),
    "RPM": ("agitation", "rpm", "rpm"),
    "Fs": ("sugar_feed", "L/h", "L/h"),
    "Fa": ("acid", "L/h", "L/h"),
    "Fb": ("base", "L/h", "L/h"),
    "Fc": ("coolant", "L/h", "L/h"),
    "Fh": ("heating", "L/h", "L/h"),
    "Fw": ("water", "L/h", "L/h"),
    "pressure": ("back_pressure", "bar", "bar"),
    "Fremoved": ("discharge", "L/h", "L/h"),
    "S": ("substrate", "g/L", "g/L"),
    "DO2": ("oxygen", "mg/L", "mg/L"),
    "P": ("penicillin", "g/L", "g/L"),
    "V": ("volume", "L", "L"),
    "Wt": ("weight", "kg", "kg"),
    "pH": ("ph", "pH", "pH"),
    "T": ("temperature", "K", "degC"),
    "Q": ("heat", "kJ", "kJ"),
    "CO2outgas": ("off_gas_carbon_dioxide", "%", "%"),
    "Fpaa": ("phenylacetate_feed", "L/h", "L/h"),
    "PAA_offline": ("phenylacetate_measured", "mg/L", "mg/L"),
    "Foil": ("oil_feed", "L/h", "L/h"),
    "NH3_offline": ("ammonia_measured", "mg/L", "mg/L"),
    "OUR": ("oxygen_uptake", "g/min", "g/min"),
    "O2": ("off_gas_oxygen", "1", "%"),
    "P_offline": ("penicillin_measured", "g/L", "g/L"),
    "X_offline": ("biomass_measured", "g/L", "g/L"),
    "CER": ("carbon_evolution", "g/h", "g/h"),
    "NH3_shots": ("ammonia_shots", "kg", "kg"),
    "Viscosity_offline": ("viscosity_measured", "cP", "cP"),
    "Fault_ref": ("fault", "1", "1"),
    "Control_ref": ("operator_led", "1", "1"),
    "PAT_ref": ("spectra_recorded", "1", "1"),
}
_NEEDED = {"Fg", "Fs", "P", "V"}


def is_indpensim(headings: Sequence[str]) -> bool:
    """Whether a table's first line is of this layout."""
    short = {found[1] for heading in headings if (found := _SHORT.search(heading))}
    return "Time (h)" in {heading.strip() for heading in headings} and short >= _NEEDED


def mended(headings: Sequence[str], *, width: int) -> tuple[str, ...]:
    """The headings, as many as the rows have values."""
    if len(headings) == width:
        return tuple(headings)
    first = next((at for at, heading in enumerate(headings) if _SPLIT.search(heading)), None)
    last = next((at for at, heading in enumerate(headings) if _JOINT.search(heading)), None)
    if first is not None and last is not None and first <= last:
        out = (*headings[:first], ",".join(headings[first : last + 1]), *headings[last + 1 :])
        if len(out) == width:
            return out
    raise NotValid(
        "cannot read the table",
        why=f"line 1 has {len(headings)} headings and line 2 has {width} values",
        possible="a file whose headings fit its columns",
    )


def layout_of(headings: Sequence[str], *, spectra: bool) -> Layout:
    """What every column is; spectra only where asked for."""
    names = [heading.strip() for heading in headings]
    batch = next((at for at, name in enumerate(names) if name == "Batch ID" or "(Batch_ref:" in name), None)
    if batch is None:
        raise NotValid("cannot read the table", why="line 1: no column is the batch", possible="Batch ID or Batch reference(Batch_ref:Batch ref)")
    time = names.index("Time (h)")
    columns, left, taken = [], [], set()
    for at, name in enumerate(names):
        found, channel = _SHORT.search(name), _CHANNEL.fullmatch(name)
        known = KNOWN.get(found[1]) if found else None
        if known and known[0] not in taken:
            columns.append(Column(at, headings[at], *known))
            taken.add(known[0])
        elif channel and spectra and (here := f"raman_{channel[1]}") not in taken:
            columns.append(Column(at, headings[at], here, "1", "1"))
            taken.add(here)
        elif at not in (batch, time):
            left.append(headings[at])
    return Layout(tuple(headings), batch, time, "h", 0.0, None, tuple(columns), tuple(left), wide=spectra)
