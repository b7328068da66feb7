import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.rows import unit_rows
from alcli.selection import subsets as _coverage
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import maxherding
from tests.helpers import view_of

STRATEGY = strategy_of(maxherding)


def choose(X_ND, k, labelled=(), seed=0, **options):
    return select(STRATEGY, view_of(X_ND, labelled=labelled), k, seed=seed, options=options)


def rows(n=200, D=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def test_covers_the_candidates_by_the_directions_of_their_features():
    X, labelled = rows(), [3, 50, 120]
    others = np.setdiff1d(np.arange(200), labelled)
    U = unit_rows(X)
    picks, gains = max_herding(U[others], 12, U[others], U[labelled], bandwidth=0.7)
    chosen = choose(X * np.linspace(1, 9, 200, dtype=np.float32)[:, None], 12, labelled, h=0.7)
    assert chosen.rows_K.tolist() == others[picks].tolist()
    assert np.allclose(chosen.scores_K, gains, rtol=1e-4)
    assert chosen.notes == ()


def test_the_first_pick_stands_for_the_largest_group_and_labelled_groups_wait():
    X = np.repeat(np.eye(3, dtype=np.float32), [10, 30, 20], axis=0) + 0.01 * rows(60, 3)
    groups = np.digitize(choose(X, 3).rows_K, [10, 40])
    assert groups.tolist() == [1, 2, 0]
    assert np.digitize(choose(X, 2, labelled=[15]).rows_K, [10, 40]).tolist() == [2, 0]


def test_coverage_measured_on_some_rows_is_said_and_still_judges_every_candidate():
    X = rows(400)
    some = [choose(X, 6, seed=s, evaluation=40) for s in range(6)]
    assert all("40 random rows of 400" in s.notes[0] for s in some)
    assert len({tuple(s.rows_K) for s in some}) > 1
    assert len(np.unique(np.concatenate([s.rows_K for s in some]))) > 6


def test_auto_measures_on_as_many_rows_as_the_budget_allows(monkeypatch):
    X = rows(400)
    monkeypatch.setattr(_coverage, "FEWEST", 30)
    for budget, said in (
        (400 * 400, ()),
        (400 * 160 - 1, "79 random rows of 400"),
        (400 * 400 - 1, "199 random rows of 400"),
        (400 * 10, "30 random rows of 400"),
    ):
        monkeypatch.setattr(_coverage, "BUDGET", budget)
        monkeypatch.setattr(_coverage, "KEPT", 1)
        notes = choose(X, 6).notes
        assert notes == said if not said else said in notes[0]
        assert choose(X, 6).rows_K.tolist() == choose(X, 6, evaluation="auto").rows_K.tolist()
    assert choose(X, 6, evaluation="400").notes == ()


def test_auto_measures_on_more_rows_once_labelled_ones_leave_few_pairs_that_gain(monkeypatch):
    X = rows(400)
    for name, value in (("FEWEST", 10), ("BUDGET", 16_000), ("KEPT", 500), ("MOST", 36_000)):
        monkeypatch.setattr(_coverage, name, value)
    seen = {L: choose(X, 2, labelled=range(L)).notes[0] for L in (0, 59, 200)}
    assert "20 random rows of 400" in seen[0]
    assert f"{500 * 60 // (2 * 341)} random rows of 341" in seen[59]
    assert f"{36_000 // (2 * 200)} random rows of 200" in seen[200]


def test_coverage_measured_on_a_tenth_of_the_rows_loses_little_of_it():
    X = rows(600)
    U = unit_rows(X).astype(np.float64)
    K = np.exp(-((U[:, None] - U[None]) ** 2).sum(-1))
    whole = K[choose(X, 8).rows_K].max(axis=0).mean()
    for seed in range(5):
        assert K[choose(X, 8, seed=seed, evaluation=60).rows_K].max(axis=0).mean() > 0.95 * whole


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"h": 0.0}, "'h'"),
        ({"h": 1e-300}, "'h'"),
        ({"h": float("inf")}, "'h'"),
        ({"h": float("nan")}, "'h'"),
        ({"evaluation": "0"}, "evaluation"),
        ({"evaluation": "few"}, "'evaluation' must be auto or a whole number"),
    ],
)
def test_options_out_of_range_are_refused(options, what):
    with pytest.raises(UsageError, match=what):
        choose(rows(9), 2, **options)


@pytest.mark.parametrize("h", [1e-6, 1e6])
def test_at_the_ends_of_the_radius_all_rows_are_picked_once(h):
    assert sorted(choose(rows(40), 40, h=h).rows_K.tolist()) == list(range(40))
