"""Vectors of every Arrow form, sliced and ragged, become the matrix that Python lists would."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.reading.parquet import plain
from alcli.data.reading.vectors import bad_rows, is_vector, to_matrix, usual_length, vector_length
from alcli.errors import DataError

FORMS = [
    lambda k, d: pa.list_(k, d),
    lambda k, d: pa.list_(k),
    lambda k, d: pa.large_list(k),
    lambda k, d: pa.list_view(k),
    lambda k, d: pa.large_list_view(k),
]
KINDS = [(pa.float16(), np.float32), (pa.float32(), np.float32), (pa.float64(), np.float64)]


def where(row: int) -> str:
    return f"row {row}"


@given(
    form=st.sampled_from(FORMS),
    kind=st.sampled_from(KINDS),
    n=st.integers(0, 6),
    dim=st.integers(1, 4),
    cut=st.integers(0, 3),
    data=st.data(),
)
def test_matrix_of_any_slice_of_any_form(form, kind, n, dim, cut, data):
    rows = data.draw(
        st.lists(st.lists(st.integers(-9, 9), min_size=dim, max_size=dim), min_size=n + cut, max_size=n + cut)
    )
    column = plain(pa.array([[float(v) for v in row] for row in rows], form(kind[0], dim)).slice(cut))
    X_BD = to_matrix(column, dim, where)
    assert X_BD.dtype == kind[1]
    assert X_BD.tolist() == rows[cut:]


value = st.one_of(st.none(), st.sampled_from([0.0, 1.0, np.nan, np.inf, -np.inf]))


@given(
    form=st.sampled_from(FORMS[1:]),
    rows=st.lists(st.one_of(st.none(), st.lists(value, max_size=3)), max_size=8),
    cut=st.integers(0, 2),
)
def test_bad_rows_are_those_that_are_refused(form, rows, cut):
    column = plain(pa.array(rows, form(pa.float32(), 2)).slice(cut))
    bad_B = bad_rows(column, 2)
    expected = [row is None or len(row) != 2 or any(v is None or not np.isfinite(v) for v in row) for row in rows[cut:]]
    assert bad_B.tolist() == expected
    if any(expected):
        with pytest.raises(DataError):
            to_matrix(column, 2, where)
    else:
        assert to_matrix(column, 2, where).shape == (len(column), 2)


@given(rows=st.lists(st.one_of(st.none(), st.lists(value, min_size=2, max_size=2)), max_size=8), cut=st.integers(0, 2))
def test_bad_rows_of_fixed_size_lists(rows, cut):
    column = pa.array(rows, pa.list_(pa.float16(), 2)).slice(cut)
    assert bad_rows(column, 2).tolist() == [
        row is None or any(v is None or not np.isfinite(v) for v in row) for row in rows[cut:]
    ]


def test_messages_name_the_row_and_the_dimension():
    for rows, message in (
        ([[1, 2], None], "row 1: the vector is null"),
        ([[1, 2], [3]], "row 1: the vector has 1 values, expected 2"),
        ([[1, 2], [3, None]], "row 1: dimension 1 is null"),
        ([[1, 2], [3, 4], [np.nan, 4], [5, np.inf]], "row 2: dimension 0 is nan .and 1 more row of"),
    ):
        with pytest.raises(DataError, match=message):
            to_matrix(pa.array(rows, pa.list_(pa.float32())), 2, where)


def test_sums_that_overflow_are_not_taken_for_infinity():
    X_BD = np.full((4, 3), 3e38, np.float32)
    column = pa.FixedSizeListArray.from_arrays(pa.array(X_BD.ravel()), 3)
    assert to_matrix(column, 3, where).tolist() == X_BD.tolist()


def test_fixed_size_lists_are_not_copied():
    values = pa.array(np.arange(6, dtype=np.float32))
    X_BD = to_matrix(pa.FixedSizeListArray.from_arrays(values, 3), 3, where)
    assert np.shares_memory(X_BD, values.to_numpy())


def test_lengths_and_kinds():
    assert vector_length(pa.list_(pa.float32(), 7)) == 7
    assert vector_length(pa.fixed_shape_tensor(pa.float32(), (2, 3))) == 6
    assert vector_length(pa.list_(pa.float32())) is None
    assert is_vector(pa.list_view(pa.int8()))
    assert not is_vector(pa.list_(pa.string()))
    assert not is_vector(pa.float32())
    assert usual_length(pa.array([[1.0], [1.0, 2.0], None, [3.0, 4.0]])) == 2
    assert usual_length(pa.array([None, None], pa.list_(pa.float32()))) is None
