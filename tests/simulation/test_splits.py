from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.simulation.splits import held_out, initial_rows, most_frequent, with_two_classes

labels = st.lists(st.integers(0, 4), min_size=2, max_size=60).map(np.array)


def rng(seed=0):
    return np.random.default_rng(seed)


@given(labels, st.floats(0.01, 0.99), st.integers(0, 5))
def test_held_out_rows_are_a_share_of_every_class(y, fraction, seed):
    rows = np.arange(len(y)) * 2  # row numbers are not positions
    y_all = np.repeat(y, 2)
    test = held_out(y_all, rows, fraction, rng(seed), classes=True)
    assert len(test) < len(rows)
    assert np.isin(test, rows).all()
    assert len(np.unique(test)) == len(test)
    target = min(max(1, round(fraction * len(rows))), len(rows) - 1)
    for code in np.unique(y):
        n, held = (y == code).sum(), (y_all[test] == code).sum()
        assert held <= n - 1, "a class keeps a row to learn from"
        assert abs(held - n * target / len(rows)) < 2 or held == n - 1


@given(labels, st.floats(0.01, 0.99))
def test_held_out_rows_of_a_regression_have_the_size_asked_for(y, fraction):
    test = held_out(y.astype(float), np.arange(len(y)), fraction, rng(), classes=False)
    assert len(test) == min(max(1, round(fraction * len(y))), len(y) - 1)
    assert (np.diff(test) > 0).all()


def test_twenty_per_cent_of_fifty_and_thirty():
    y = np.repeat([0, 1], [50, 30])
    test = held_out(y, np.arange(80), 0.2, rng(), classes=True)
    assert np.bincount(y[test]).tolist() == [10, 6]


@given(labels, st.integers(2, 30), st.integers(0, 5), st.booleans())
def test_initial_rows_show_two_classes_if_there_are_two(y, m, seed, stratified):
    rows = np.arange(len(y))
    m = min(m, len(y))
    chosen = initial_rows(y, rows, m, rng(seed), classes=True, stratified=stratified)
    assert len(np.unique(chosen)) == m
    assert len(np.unique(y[chosen])) >= min(2, len(np.unique(y)))


@given(labels, st.integers(1, 30), st.integers(0, 5))
def test_stratified_initial_rows_take_the_classes_in_turn(y, m, seed):
    chosen = initial_rows(y, np.arange(len(y)), min(m, len(y)), rng(seed), classes=True, stratified=True)
    counts = np.bincount(y[chosen], minlength=5)
    left = np.bincount(y, minlength=5) - counts
    assert all(counts[c] >= counts.max() - 1 for c in range(5) if left[c] > 0), (
        "a class falls behind only when it is used up"
    )


def test_draws_follow_the_order_given_and_not_the_numbers_of_the_rows():
    y = np.array([0, 1, 0, 1, 1, 0, 0, 1, 0, 1])
    moved = np.random.default_rng(5).permutation(10)  # item i is now row moved[i]
    y_moved = np.empty(10, int)
    y_moved[moved] = y
    for draw in (
        lambda y, rows: held_out(y, rows, 0.3, rng(), classes=True),
        lambda y, rows: initial_rows(y, rows, 4, rng(), classes=True, stratified=False),
    ):
        assert moved[draw(y, np.arange(10))].tolist() == draw(y_moved, moved).tolist()


def test_the_most_frequent_label_by_a_count_in_a_loop():
    rng = np.random.default_rng(4)
    groups, labels = rng.integers(0, 30, 300), rng.integers(0, 5, 300)
    groups[groups == 7] = 8
    expected = [np.bincount(labels[groups == g]).argmax() if g != 7 else 0 for g in range(30)]
    assert most_frequent(labels, groups, 30).tolist() == expected
    assert most_frequent(np.array([2, 1, 1, 2]), np.zeros(4, np.int64), 1).tolist() == [1]


def test_two_classes_are_shown_where_any_item_can_show_them():
    labels = {0: [1, 1], 1: [1], 2: [1, 0], 3: [1], 4: [0]}

    def labels_of(items):
        return np.concatenate([labels[int(i)] for i in items])

    found = {
        with_two_classes(np.array([0, 1]), np.arange(5), labels_of, np.random.default_rng(s)).tolist()[1]
        for s in range(20)
    }
    assert found == {2, 4}
    assert with_two_classes(np.array([0, 2]), np.arange(5), labels_of, np.random.default_rng(0)).tolist() == [0, 2]
    assert with_two_classes(np.array([0, 1]), np.array([0, 1, 3]), labels_of, np.random.default_rng(0)).tolist() == [
        0,
        1,
    ]
