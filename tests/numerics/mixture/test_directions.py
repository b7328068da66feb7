"""Directions by hand, the sample, and independence of the size of the blocks."""

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.blocks import workers
from alcli.numerics.mixture.directions import SAMPLE_ROWS, grouped, measure


def rows_of(n, D, seed=0, dtype=np.float32):
    return (np.random.default_rng(seed).normal(size=(n, D)) + 1.0).astype(dtype)


def measured(X, labelled=None, block=100):
    labelled = X[:0] if labelled is None else labelled
    with workers() as spread:
        return measure(lambda: (X[a : a + block] for a in range(0, len(X), block)), labelled, spread)


def test_directions_are_centred_unit_rows():
    X, labelled = rows_of(50, 6), rows_of(9, 6, seed=1)
    found = measured(X, labelled)
    both = np.vstack([X, labelled]).astype(np.float64)
    unit = both / np.linalg.norm(both, axis=1, keepdims=True)
    np.testing.assert_allclose(found.centre_D, unit.mean(axis=0), atol=1e-12)
    assert found.length == pytest.approx(np.linalg.norm(both, axis=1).mean())
    assert found.rest == pytest.approx(np.sqrt(((unit - unit.mean(axis=0)) ** 2).sum(axis=1).mean()))
    assert found.spread == pytest.approx(((both - both.mean(axis=0)) ** 2).sum(axis=1).mean())
    expected = unit - unit.mean(axis=0)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(found.of(both), expected, atol=1e-12)
    assert found.of(X).dtype == np.float32
    assert found.n_pool == 50


def test_the_classifier_gives_cosines_times_the_concentration_where_rows_are_alike_in_length():
    """Rows of one length at one distance to their mean: the corners of a cross, moved along one more axis."""
    X = np.hstack([np.vstack([np.eye(4), -np.eye(4)]), np.full((8, 1), 2.0)]) * 30.0
    found = measured(X)
    means = found.of(X[[0, 5, 2]])
    W = found.classifier(means, 7.0)
    logits, cosines = X @ W[:, :-1].T + W[:, -1], 7.0 * found.of(X) @ means.T
    np.testing.assert_allclose(logits, cosines - cosines.mean(axis=1, keepdims=True), atol=1e-12)


def test_rows_of_zeros_have_no_direction_and_a_class_without_mean_no_weights():
    X = np.vstack([rows_of(5, 4), np.zeros((2, 4), np.float32)])
    found = measured(X)
    assert not found.of(X)[5:].any()
    assert not found.classifier(np.vstack([found.of(X[:2]), np.zeros((1, 4))]), 3.0)[2].any()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_neither_blocks_nor_their_memory_order_change_a_bit(dtype):
    X = rows_of(5000, 7, dtype=dtype)
    whole, other = measured(X, block=5000), measured(np.asfortranarray(X), block=37)
    for name in ("centre_D", "length", "rest", "spread", "sample_SD"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(other, name))


def test_the_sample_is_every_kth_row():
    X = rows_of(5 * SAMPLE_ROWS, 3)
    found = measured(X, block=999)
    np.testing.assert_array_equal(found.sample_SD, found.of(X)[::4])
    assert SAMPLE_ROWS <= len(found.sample_SD) < 2 * SAMPLE_ROWS


def test_blocks_are_cut_again_in_order():
    X = np.arange(9000.0)[:, None]
    cut = [block for group in grouped(lambda: np.split(X, [1, 1, 700, 8000])) for block in group]
    np.testing.assert_array_equal(np.concatenate(cut), X)
    assert [len(b) for b in cut] == [2048] * 4 + [808]


def test_names_lose_their_own_common_part_and_a_single_name_keeps_a_direction():
    X = rows_of(40, 5)
    found = measured(X)
    names = rows_of(3, 5, seed=3) + 5.0
    named = found.of_names(np.vstack([names, np.zeros((1, 5))]))
    assert not named[3].any()
    np.testing.assert_allclose(np.linalg.norm(named[:3], axis=1), 1.0)
    assert (named[:3] @ named[:3].T).min() < 0.0
    assert np.linalg.norm(found.of_names(names[:1])) == pytest.approx(1.0)


def test_no_row_is_one_sentence():
    with pytest.raises(DataError, match="needs rows"):
        measured(rows_of(0, 3))
