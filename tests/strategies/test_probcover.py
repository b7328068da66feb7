import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.numerics.diversity import balls
from alcli.numerics.rows import unit_rows
from alcli.selection import subsets as _coverage
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import probcover
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(probcover)


def choose(X_ND, k, labelled=(), seed=0, head=None, **options):
    return select(STRATEGY, view_of(X_ND, labelled=labelled, head=head), k, seed=seed, options=options)


def rows(n=200, D=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def arms(sizes, seed=0):
    """Rows near the axes, so many of each."""
    return np.repeat(np.eye(len(sizes), dtype=np.float32), sizes, axis=0) + 0.02 * rows(sum(sizes), len(sizes), seed)


def test_picks_cover_the_largest_groups_first_and_labelled_groups_are_covered():
    X = arms([10, 30, 20])
    chosen = choose(X, 3, delta=0.7)
    assert np.digitize(chosen.rows_K, [10, 40]).tolist() == [1, 2, 0]
    assert np.allclose(chosen.scores_K, [30 / 60, 20 / 60, 10 / 60])
    assert chosen.notes == ()
    assert np.digitize(choose(X, 2, labelled=[15], delta=0.7).rows_K, [10, 40]).tolist() == [2, 0]


def test_every_pick_covers_most_of_what_is_left():
    X, labelled = rows(150), [1, 2, 3]
    others = np.setdiff1d(np.arange(150), labelled)
    U = unit_rows(X).astype(np.float64)
    near = np.linalg.norm(U[:, None] - U[None], axis=-1) < 0.5
    left = ~near[labelled].any(axis=0)
    left[labelled] = False
    for row, score in zip(*(lambda c: (c.rows_K, c.scores_K))(choose(X, 10, labelled, delta=0.5))):
        gains = (near[others] & left).sum(axis=1)
        assert (near[row] & left).sum() == gains.max()
        assert score == pytest.approx(gains.max() / len(others))
        left &= ~near[row]


def test_the_radius_found_separates_groups_that_are_apart():
    chosen = choose(arms([40, 40, 40]), 3)
    assert np.sort(np.digitize(chosen.rows_K, [40, 80])).tolist() == [0, 1, 2]
    assert 0.2 < chosen.record["radius"] < 1.5


def test_the_radius_is_pure_for_as_many_clusters_as_the_head_has_classes_whatever_the_batch():
    X = arms([40, 40, 40])
    three = choose(X, 9, classes=3).record["radius"]
    assert choose(X, 9, head=random_head(3, 3)).record["radius"] == three
    assert choose(X, 3).record["radius"] == three  # without a head, as many as rows are asked for
    assert choose(X, 9).record["radius"] < 0.5 * three
    assert choose(X, 9, head=random_head(3, 3), classes=9).record["radius"] == choose(X, 9).record["radius"]
    assert choose(X, 9, head=Regression()).record["radius"] == choose(X, 9).record["radius"]


class Regression(TableHead):
    """A head of labels that are numbers: one output, no classes."""

    n_classes = None

    def __init__(self):
        super().__init__(np.ones((1, 3)))


def test_once_all_is_covered_random_rows_fill_the_batch():
    X = arms([10, 10])
    chosen = choose(X, 8, delta=0.7)
    assert (chosen.scores_K > 0).sum() == 2
    assert len(set(chosen.rows_K.tolist())) == 8
    assert "the other 6 picks are random rows" in chosen.notes[0]
    assert choose(X, 8, seed=1, delta=0.7).rows_K[:2].tolist() == chosen.rows_K[:2].tolist()
    assert choose(X, 8, seed=1, delta=0.7).rows_K[2:].tolist() != chosen.rows_K[2:].tolist()


def test_a_radius_that_had_to_be_lowered_is_said(monkeypatch):
    monkeypatch.setattr(balls, "MOST_PAIRS", 1000)
    chosen = choose(rows(), 3, delta=1.9)
    assert "the radius was lowered from 1.9" in chosen.notes[0]
    assert chosen.record["radius"] < 1.9


def test_some_evaluation_rows_are_said():
    assert "50 random rows of 200" in choose(rows(), 3, evaluation=50).notes[0]


def test_auto_measures_on_as_many_rows_as_the_budget_allows(monkeypatch):
    monkeypatch.setattr(_coverage, "FEWEST", 10)
    monkeypatch.setattr(_coverage, "BUDGET", 200 * 80)
    assert "40 random rows of 200" in choose(rows(), 3).notes[0]
    monkeypatch.setattr(_coverage, "BUDGET", 200 * 200)
    assert choose(rows(), 3).rows_K.tolist() == choose(rows(), 3, evaluation="200").rows_K.tolist()


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"delta": -1.0}, "delta"),
        ({"delta": float("inf")}, "delta"),
        ({"purity": 0.0}, "purity"),
        ({"purity": 1.5}, "purity"),
        ({"classes": -1}, "classes"),
        ({"evaluation": "-1"}, "evaluation"),
    ],
)
def test_options_out_of_range_are_refused(options, what):
    with pytest.raises(UsageError, match=what):
        choose(rows(9), 2, **options)


def test_a_radius_beyond_all_distances_is_the_widest():
    one, other = choose(rows(), 3, delta=1e308), choose(rows(), 3, delta=2.0)
    assert one.record["radius"] == 2.0
    assert one.rows_K.tolist() == other.rows_K.tolist()
    assert one.scores_K[0] == 1.0
