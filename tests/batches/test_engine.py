from __future__ import annotations


def test_a_whole_batch_runs_to_its_end(floor):
    floor.run_to_end()
    for f in floor.facts:
        print(f.at, f.kind, str(f.body())[:200])
    print(floor.plant.executions, len(floor.ledger))
