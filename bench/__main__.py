"""Every measurement, and one table at the end.

    python -m bench [records] [monitoring] [network] [scan] [engine] [readings] [recipes] [scale] [studies] [mtp] [twins] [penicillin] [equipment]
        [facility] [fitting] [forecasting] [instruments] [mrna] [car_t]

Ends with exit code 1 where a target was missed. What else runs on the machine decides with: the
column to believe is the ratio to what was measured beside it, in the same run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

from bench import (
    car_t,
    engine,
    equipment,
    facility,
    fitting,
    forecasting,
    instruments,
    monitoring,
    mrna,
    mtp,
    network,
    penicillin,
    readings,
    recipes,
    records,
    scale,
    scan,
    studies,
    twins,
)
from bench.report import HEAD, Row

ALL: dict[str, Callable[[], list[Row]]] = {
    "records": records.run,
    "monitoring": monitoring.run,
    "network": network.run,
    "car_t": car_t.run,
    "scan": scan.run,
    "engine": engine.run,
    "equipment": equipment.run,
    "facility": facility.run,
    "fitting": fitting.run,
    "forecasting": forecasting.run,
    "instruments": instruments.run,
    "recipes": recipes.run,
    "readings": readings.run,
    "scale": scale.run,
    "studies": studies.run,
    "mtp": mtp.run,
    "twins": twins.run,
    "penicillin": penicillin.run,
    "mrna": mrna.run,
}


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no measurement {unknown[0]!r}; possible: {', '.join(ALL)}", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in names or list(ALL):
        print(f"---- {name}")
        rows += ALL[name]()
    print(f"\n{HEAD}")
    for row in rows:
        print(row)
    return int(any(row.met is False for row in rows))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
