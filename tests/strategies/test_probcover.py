import sys

import numpy as np
import pytest

from alcli.errors import UnavailableError, UsageError
from alcli.numerics.diversity import balls
from alcli.numerics.neighbours import faiss_index
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


def clusters(n=3000, D=8, C=30, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.random(C) + 0.2
    y = rng.choice(C, size=n, p=sizes / sizes.sum())
    return (3.0 * rng.standard_normal((C, D))[y] + 0.4 * rng.standard_normal((n, D))).astype(np.float32)


@pytest.mark.parametrize("labelled", [(), (5, 700, 1200)])
def test_an_index_that_finds_all_gives_the_picks_of_all_pairs(monkeypatch, labelled):
    monkeypatch.setattr(faiss_index.NeighbourIndex.__init__, "__kwdefaults__", {"n_probed": 10**6})
    X = clusters()
    exact = choose(X, 40, labelled, delta=0.25, evaluation=len(X))
    found = choose(X, 40, labelled, delta=0.25, neighbours="faiss")
    assert (found.scores_K > 0).sum() == 40
    assert found.rows_K.tolist() == exact.rows_K.tolist()
    assert found.scores_K.tolist() == exact.scores_K.tolist()
    assert "the index found 100.0% of the rows" in found.notes[0]


def test_an_index_covers_as_much_as_all_pairs_where_rows_cluster():
    X = clusters(6000)
    U = unit_rows(X).astype(np.float64)

    def covered(chosen):
        return (((U[:, None] - U[chosen.rows_K][None]) ** 2).sum(-1) < 0.2**2).any(axis=1).mean()

    exact, few = (covered(choose(X, 30, delta=0.2, evaluation=m)) for m in (6000, 60))
    found = choose(X, 30, delta=0.2, neighbours="faiss")
    assert covered(found) > 0.98 * exact
    assert covered(found) > few
    assert 0.95 * covered(found) < found.scores_K.sum() < covered(found) + 1e-6
    share = float(found.notes[0].split()[3].rstrip("%"))
    assert 95.0 < share <= 100.0


def test_once_an_index_covers_all_random_rows_fill_the_batch():
    chosen = choose(arms([10, 10]), 8, delta=0.7, neighbours="faiss")
    assert (chosen.scores_K > 0).sum() == 2
    assert len(set(chosen.rows_K.tolist())) == 8
    assert "the other 6 picks are random rows" in chosen.notes[1]


def test_the_memory_of_an_index_is_told_beforehand():
    view, told = view_of(rows(200)), []
    view.tell = told.append
    select(STRATEGY, view, 3, seed=0, options={"neighbours": "faiss"})
    assert told == ["an index of 200 rows takes 1 MiB beside the features"]


def test_an_index_needs_its_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UnavailableError, match="pip install 'faiss-cpu"):
        choose(rows(), 3, neighbours="faiss")
    assert len(choose(rows(), 3).rows_K) == 3


def test_balls_of_few_evaluated_rows_are_said():
    notes = choose(rows(500), 3, delta=0.1, evaluation=50).notes
    assert any("no ball holds more than 1 of the 50 rows" in text and "neighbours=faiss" in text for text in notes)
    assert not any("no ball" in text for text in choose(rows(500), 3, delta=1.5, evaluation=50).notes)
    assert not any("no ball" in text for text in choose(rows(500), 3, delta=0.1, evaluation=500).notes)
