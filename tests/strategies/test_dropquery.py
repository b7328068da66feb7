import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.numerics.diversity.kmeans import central_rows
from alcli.numerics.hashing import hash_integers
from alcli.numerics.rows import unit_rows
from alcli.strategies import dropquery
from alcli.strategies.dropquery import _least_changes, kept
from tests.helpers import TableHead, chooser, normal_rows, random_head

choose = chooser(dropquery)


def test_candidates_are_the_rows_that_change_and_one_of_each_cluster_is_picked():
    X, head, k = normal_rows(300, 8), random_head(8, 5), 6
    rng = np.random.default_rng(np.random.SeedSequence(3))
    seed = int(rng.integers(1 << 62))
    masks = [kept(hash_integers(np.arange(300)), 8, 0.75, seed, s) for s in range(3)]
    changes = sum((head.logits(4.0 * X * mask).argmax(1) != head.logits(X).argmax(1)).astype(int) for mask in masks)
    least = _least_changes(changes, 3, 25 * k)
    candidates = np.flatnonzero(changes >= least)
    picks, sizes = central_rows(unit_rows(X[candidates]), k, rng)
    chosen = choose(X, head, k, seed=3)
    assert chosen.rows_K.tolist() == candidates[picks].tolist()
    assert chosen.scores_K.tolist() == sizes.tolist()
    assert chosen.record["least-changes"] == least


def test_how_many_changes_are_asked_for():
    changes = np.repeat([0, 1, 2, 3], [10, 40, 20, 5])
    assert _least_changes(changes, 3, 25) == 2
    assert _least_changes(changes, 3, 26) == 1
    assert _least_changes(changes, 3, 1000) == 1
    assert _least_changes(changes, 5, 5) == 3
    assert _least_changes(changes, 1, 5) == 1


def test_rows_that_hang_on_one_feature_are_never_candidates_while_others_are():
    # The class of the first 50 rows is the bias, whatever is dropped; the others lose it with their first feature.
    X = np.zeros((60, 4), np.float32)
    X[50:, 0] = 1.0
    head = TableHead([[0.0, 0, 0, 0], [2.0, 0, 0, 0]], b_C=np.array([1.0, 0.0]))
    chosen = choose(X, head, 5)
    assert (chosen.rows_K >= 50).all()
    assert chosen.notes == ()


def test_too_few_candidates_are_filled_with_random_rows_and_said():
    X = np.zeros((60, 4), np.float32)
    X[58:, 0] = 1.0
    head = TableHead([[0.0, 0, 0, 0], [2.0, 0, 0, 0]], b_C=np.array([1.0, 0.0]))
    chosen = choose(X, head, 9)
    assert set(chosen.rows_K[:2]) == {58, 59}
    assert chosen.scores_K.tolist() == [1.0] * 2 + [0.0] * 7
    assert "only 2 candidates" in chosen.notes[0]
    assert "other 7" in chosen.notes[0]
    assert choose(X, head, 9, seed=1).rows_K.tolist() != chosen.rows_K.tolist()


def test_nothing_dropped_changes_nothing():
    assert "only 0 candidates" in choose(normal_rows(300, 8), random_head(8, 5), 4, rate=0.0).notes[0]


@pytest.mark.parametrize("rate", [-0.1, 1.0, float("nan")])
def test_rates_out_of_range_are_refused(rate):
    with pytest.raises(UsageError, match="rate"):
        choose(normal_rows(9, 8), random_head(8, 2), 2, rate=rate)
