"""Studies of simulated batches: a network of twenty sites for a year on one core, and what a second process gains."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from bench.report import Row
from isogenic.sim.scenarios import example, read_scenario
from isogenic.sim.studies import run_study

TARGET_S = 60.0
MANY = 4000
TEXT = "isogenic: scenario/1\ntitle: Speed\nprocess: antibody\nevery: 12 h\nsites: {PORTO: {}, GHENT: {}}\n"


def run() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "study.parquet"
        before, began = time.process_time(), time.perf_counter()
        study = run_study(read_scenario(example("network")), out)
        seconds = time.process_time() - before
        print(f"network of 20 sites, one year: {study.batches} batches in {seconds:.1f} s CPU, {time.perf_counter() - began:.1f} s by the clock")
        rates = {}
        for workers in (1, 2):
            began = time.perf_counter()
            run_study(read_scenario(TEXT), out, batches=MANY, workers=workers)
            rates[workers] = MANY / (time.perf_counter() - began)
    return [
        Row(
            "network of 20 sites, one simulated year, one core",
            f"{seconds:.1f} s",
            f"{study.batches} batches, {study.rows} rows",
            TARGET_S / seconds,
            f"<= {TARGET_S:g} s",
            seconds <= TARGET_S,
        ),
        Row(
            "antibody study with instruments, 2 processes",
            f"{rates[2]:.0f} batches/s",
            f"1 process {rates[1]:.0f} batches/s",
            rates[2] / rates[1],
            "-",
            None,
        ),
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
