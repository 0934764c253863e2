"""Plain tables become batches, or are refused with the column named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from isogenic.errors import NotValid
from isogenic.monitoring import BatchTable, Variable, table_batches

VARIABLES = (Variable("flow", "mL/h"), Variable("level", "%"))


def batches(columns: dict[str, Any], *, batch_column: str | None = "batch", maturity_column: str | None = None) -> list[BatchTable]:
    return table_batches(columns, batch_column=batch_column, maturity_column=maturity_column, variables=VARIABLES)


def test_a_table_is_cut_into_its_batches_in_the_order_of_their_first_rows() -> None:
    tables = batches({"batch": np.array([7, 7, 3, 7]), "flow": [1.0, 2.0, 3.0, None], "level": np.array([5, 6, 7, 8]), "note": ["a"] * 4})
    assert [table.batch for table in tables] == ["7", "3"]
    assert tables[0].maturity.tolist() == [0.0, 1.0, 2.0]
    assert tables[0].values[:2].tolist() == [[1.0, 5.0], [2.0, 6.0]]
    assert np.isnan(tables[0].values[2, 0]) and tables[0].values[2, 1] == 8.0


def test_maturity_comes_from_its_column() -> None:
    (table,) = batches({"age": [0.5, 1.5], "flow": [1.0, 2.0], "level": [1.0, np.inf]}, batch_column=None, maturity_column="age")
    assert table.maturity.tolist() == [0.5, 1.5]
    assert np.isnan(table.values[1, 1])  # an impossible value is a missing one


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"batch": [1], "flow": [1.0]}, "no column 'level'; possible now: batch, flow"),
        ({"flow": [1.0], "level": [1.0]}, "no column 'batch'"),
        ({"batch": [1, 1], "flow": [1.0], "level": [1.0]}, "unlike lengths"),
        ({"batch": [], "flow": [], "level": []}, "it has no rows"),
        ({"batch": [None], "flow": [1.0], "level": [1.0]}, "row 0 names no batch"),
        ({"batch": [float("nan")], "flow": [1.0], "level": [1.0]}, "row 0 names no batch"),
        ({"batch": [1, 1], "flow": [1.0, "high"], "level": [1.0, 2.0]}, "column 'flow': it"),
        ({"batch": [1, 1], "flow": np.array([1.0, "high"], dtype=object), "level": [1.0, 2.0]}, "mixes numbers with something else"),
        ({"batch": [1], "flow": [True], "level": [1.0]}, "plain numbers"),
        ({"batch": [1], "flow": [1 + 2j], "level": [1.0]}, "plain numbers"),
        ({"batch": [1], "flow": [[1.0, 2.0]], "level": [1.0]}, "plain numbers"),
        ({"batch": [1], "flow": [10**400], "level": [1.0]}, "too large"),
    ],
)
def test_a_table_that_makes_no_sense_is_refused(columns: dict[str, Any], why: str) -> None:
    with pytest.raises(NotValid, match=why):
        batches(columns)


cell = st.one_of(st.floats(), st.integers(), st.none(), st.text(max_size=3), st.booleans())
column = st.lists(cell, max_size=6)


@settings(max_examples=100, deadline=None)
@given(st.fixed_dictionaries({"batch": column, "flow": column, "level": column}), st.booleans())
def test_any_table_becomes_batches_or_is_refused(columns: dict[str, list[Any]], by_flow: bool) -> None:
    try:
        tables = batches(columns, maturity_column="flow" if by_flow else None)
    except NotValid:
        return
    assert sum(len(table.maturity) for table in tables) == len(columns["batch"])
    assert not any(np.isinf(table.values).any() for table in tables)
