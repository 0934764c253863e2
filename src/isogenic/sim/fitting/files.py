"""A fit as files: the numbers, the report, the page, and the scenario of a twin.

Guarantees: each file is whole or not there; `fit.json` carries the digest of the table and of the settings, and the versions
that made it, so that it can be made again. A fit whose numbers are not to be used writes no scenario.
"""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import scipy

from isogenic import __version__
from isogenic.records.durable import write_whole
from isogenic.sim.fitting.result import Fit
from isogenic.sim.fitting.scenario import scenario_of

__all__ = ["FILES", "write_fit"]

FILES = ("fit.json", "report.txt", "page.html", "scenario.yaml")
PIECE = 1 << 20


def write_fit(found: Fit, out: Path, *, table: Path, beside: str, page: str) -> list[str]:
    """Write them into the folder `out`; which there are."""
    data: dict[str, Any] = {
        "isogenic": "fit/1",
        "table": table.name,
        "table_sha256": _digest(table),
        "settings_sha256": sha256(beside.encode()).hexdigest() if beside else None,
        "versions": {"isogenic": __version__, "numpy": np.__version__, "scipy": scipy.__version__},
        **found.plain(),
    }
    texts = [json.dumps(_finite(data), indent=1) + "\n", str(found), page, *([] if found.doubt else [scenario_of(found)])]
    files = dict(zip(FILES, texts, strict=False))
    for name, text in files.items():
        write_whole(out / name, text.encode())
    for name in FILES[len(files) :]:  # of an earlier fit, which this one takes the place of
        (out / name).unlink(missing_ok=True)
    return list(files)


def _digest(path: Path) -> str:
    digest = sha256()
    with path.open("rb") as stream:
        while piece := stream.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _finite(value: Any) -> Any:
    """JSON knows no infinity: nothing in its place."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value
