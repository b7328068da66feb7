"""Ids: order, look-up, hashes and parsing agree with Python's."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.ids import Ids, to_ids
from alcli.errors import DataError

texts = st.lists(st.text(min_size=1, max_size=6), unique=True, max_size=12)
integers = st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=12)


def ids_of(values: list[str] | list[int], text: bool) -> Ids:
    return Ids(pa.array(values, pa.large_string() if text else pa.int64()))


@given(st.one_of(st.tuples(texts, st.just(True)), st.tuples(integers, st.just(False))), st.data())
def test_order_lookup_and_keys(pair, data):
    values, text = pair
    ids = ids_of(values, text)
    rows = np.array(data.draw(st.permutations(range(len(values)))), np.int64)
    by_id = sorted(range(len(values)), key=lambda r: values[r].encode() if text else values[r])
    assert ids.order(rows).tolist() == by_id
    assert ids.rows_of(values).tolist() == list(range(len(values)))
    assert ids.keys(rows).tolist() == [values[r] for r in rows]
    assert ids.hashes(rows).tolist() == ids.hashes()[rows].tolist()
    assert [ids[r] for r in range(len(ids))] == values
    ids.check_unique(str)


def test_lookup_of_what_is_not_there():
    assert ids_of(["a", "b"], True).rows_of(["b", "c"]).tolist() == [1, -1]
    assert ids_of([1, 2], False).rows_of([]).tolist() == []


@given(texts.filter(bool), st.data())
def test_duplicates_are_named(values, data):
    at = data.draw(st.integers(0, len(values) - 1))
    with pytest.raises(DataError, match=f"row {at} and row {len(values)}: the same id twice"):
        ids_of([*values, values[at]], True).check_unique(lambda row: f"row {row}")


@given(st.integers(-(2**63), 2**63 - 1), st.sampled_from(["{}", " {}", "{} ", "{:+}", "{:025}"]))
def test_text_that_stands_for_an_integer(value, form):
    assert ids_of([1], False).parse(form.format(value), "here", from_text=True) == value


@pytest.mark.parametrize(
    ("value", "from_text"),
    [
        ("1.0", True),
        ("1e3", True),
        ("+-1", True),
        ("", True),
        ("1", False),
        (1.0, False),
        (True, False),
        (None, False),
        (2**63, False),
        ("9" * 5000, True),
        ("\u0663", True),
        (b"1", False),
    ],
)
def test_what_is_no_integer_id(value, from_text):
    with pytest.raises(DataError, match="here: "):
        ids_of([1], False).parse(value, "here", from_text=from_text)


@pytest.mark.parametrize("value", [1, 1.5, None, False])
def test_what_is_no_text_id(value):
    with pytest.raises(DataError, match="here: "):
        ids_of(["a"], True).parse(value, "here", from_text=False)
    assert ids_of(["a"], True).parse("007", "here", from_text=True) == "007"


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.5]),
        pa.array([True]),
        pa.array([1], pa.timestamp("s")),
        pa.array([b"\xff"]),
        pa.array(["a", None]),
        pa.array(["a", ""]),
        pa.array([2**64 - 1], pa.uint64()),
    ],
)
def test_columns_that_hold_no_ids(column):
    with pytest.raises(DataError, match="row"):
        to_ids(column, lambda row: f"row {row}")
