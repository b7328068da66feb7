"""The rows that a head learns from without labels, and the remarks on names of classes."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.data.class_names import ClassNames
from alcli.data.pool import open_pool
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec
from alcli.heads._pair import Unlabelled, fit_pair
from alcli.heads._pool_prior import pool_prior
from alcli.heads.softmax import softmax
from alcli.workflows.unlabelled import remark_on_missing, remark_on_pool, unlabelled
from tests.pools import GATHERED, gathered, write_pool

X_ND, Y_N, NAMES_CD = gathered()
NAMES = ClassNames(GATHERED, NAMES_CD)
LABELLED = np.array([5, 3, 100])


def rows(found):
    return np.concatenate([np.empty((0, 16), np.float32), *found.blocks()])


@pytest.mark.parametrize("kept_bytes", [0, 1 << 30])
def test_labelled_rows_test_rows_and_rows_without_a_vector_take_no_part(named, kept_bytes):
    spoilt = X_ND.copy()
    spoilt[[7, 200], 1] = np.nan
    write_pool("pool.parquet", spoilt, split=["test" if i >= 180 else None for i in range(240)], row_group_size=50)
    found = unlabelled(open_pool("pool.parquet", bad_rows="skip"), LABELLED, NAMES, GATHERED, kept_bytes=kept_bytes)
    expected = np.delete(spoilt[:180], [3, 5, 7, 100], axis=0)
    assert np.array_equal(rows(found), expected)
    assert np.array_equal(rows(found), expected), "blocks begin anew at every call"
    assert np.array_equal(found.names_CD, NAMES_CD)


def test_rows_that_are_kept_come_in_the_order_of_their_ids(named):
    order = np.random.default_rng(0).permutation(240)
    write_pool("pool.parquet", X_ND[order], [f"r{i:03d}" for i in order], row_group_size=17)
    pool = open_pool("pool.parquet")
    assert np.array_equal(rows(unlabelled(pool, LABELLED[:0], None, GATHERED)), X_ND)
    assert np.array_equal(rows(unlabelled(pool, LABELLED[:0], None, GATHERED, kept_bytes=0)), X_ND[order])


def test_rows_that_are_read_again_give_the_same_prior(named):
    """Up to the order of the sums."""
    order = np.random.default_rng(1).permutation(240)
    write_pool("pool.parquet", X_ND[order], [f"r{i:03d}" for i in order], row_group_size=17)
    pool = open_pool("pool.parquet")
    data = Training(X_ND[:12], Y_N[:12].astype(np.int64), np.ones(12), 6)
    labelled = pool.ids.rows_of([f"r{i:03d}" for i in range(12)])
    for names in (None, NAMES):
        kept, again = (
            pool_prior(found.blocks, data, found.names_CD)
            for found in (unlabelled(pool, labelled, names, GATHERED, kept_bytes=n) for n in (1 << 30, 0))
        )
        np.testing.assert_allclose(again.W_CD1, kept.W_CD1, rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(again.mass_C, kept.mass_C, rtol=1e-3)


def test_an_empty_rest_is_no_rows(named):
    write_pool("pool.parquet", X_ND[:3])
    assert rows(unlabelled(open_pool("pool.parquet"), np.arange(3), None, GATHERED)).shape == (0, 16)


def test_classes_without_a_name_are_told():
    notes: list[str] = []
    remark_on_missing(ClassNames(("bee",), NAMES_CD[:1]), ["bee"], notes.append)
    assert notes == []
    remark_on_missing(ClassNames(("bee",), NAMES_CD[:1]), ["ant", "bee"], notes.append)
    remark_on_missing(ClassNames(("yak",), NAMES_CD[:1]), GATHERED, notes.append)
    assert notes == [
        "1 labelled class has no name: 'ant'",
        "6 labelled classes have no name: 'ant', 'bee', 'cow', 'dog', 'eel' and 1 more",
    ]


@pytest.mark.parametrize(
    ("D", "is_named", "told"),
    [(2, False, "does not count"), (6, False, "counts less"), (6, True, "names and pool can cost"), (64, False, None)],
)
def test_few_dimensions_are_remarked_on(D, is_named, told):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=90)
    X = 0.5 * rng.normal(size=(3, D))[y] + rng.normal(size=(90, D))
    names_CD = np.array([X[y == c].mean(axis=0) for c in range(3)]) if is_named else None
    pair = fit_pair(
        Training(X[:12], y[:12], np.ones(12), 3), FitSpec(softmax.head), Unlabelled(lambda: [X[12:]], names_CD)
    )
    notes: list[str] = []
    remark_on_pool(pair, notes.append)
    assert len(notes) == (told is not None)
    assert all("effective dimensions" in text and told in text for text in notes)
