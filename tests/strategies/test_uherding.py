import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.rows import unit_rows
from alcli.selection import subsets as _coverage
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import maxherding, uherding
from alcli.strategies.margin import margin
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(uherding)


def choose(X_ND, head, k, labelled=(), seed=0, **options):
    return select(STRATEGY, view_of(X_ND, labelled=labelled, head=head), k, seed=seed, options=options)


def rows(n=200, D=4, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def test_covers_by_the_margins_of_the_candidates():
    X, head, labelled = rows(), random_head(4, 5), [3, 50, 120]
    others = np.setdiff1d(np.arange(200), labelled)
    U, weights = unit_rows(X), margin(head.log_probs(X[others]))
    picks, gains = max_herding(U[others], 12, U[others], U[labelled], weights_M=weights)
    chosen = choose(X, head, 12, labelled)
    assert chosen.rows_K.tolist() == others[picks].tolist()
    assert np.allclose(chosen.scores_K, gains, rtol=1e-4)


def test_equal_uncertainty_everywhere_is_maxherding():
    X, head = rows(), TableHead(np.zeros((3, 4)))  # all classes equally likely: every weight is 1
    plain = select(strategy_of(maxherding), view_of(X, labelled=[1, 2]), 15, seed=0, options={})
    unsure = choose(X, head, 15, [1, 2])
    assert unsure.rows_K.tolist() == plain.rows_K.tolist()
    assert np.allclose(unsure.scores_K, plain.scores_K, rtol=1e-5)


def test_the_published_radius_is_the_smallest_distance_between_labelled_rows():
    X, head, labelled = rows(), random_head(4, 5), [3, 50, 120, 7]
    U = unit_rows(X)[labelled].astype(np.float64)
    gaps = np.linalg.norm(U[:, None] - U[None], axis=-1) + 9.0 * np.eye(4)
    chosen = choose(X, head, 10, labelled, radius="published")
    assert chosen.record["radius"] == pytest.approx(gaps.min(), rel=1e-5)
    fixed = choose(X, head, 10, labelled, h=chosen.record["radius"])
    assert chosen.rows_K.tolist() == fixed.rows_K.tolist()


@pytest.mark.parametrize("labelled", [[], [5]])
def test_the_published_radius_is_h_while_no_two_labelled_rows_differ(labelled):
    assert choose(rows(30), random_head(4, 5), 3, labelled, radius="published", h=0.8).record["radius"] == 0.8


def test_a_sure_crowd_is_passed_over_for_a_few_unsure_rows():
    # Forty rows far on one side of the boundary, five on it.
    X = np.concatenate([np.tile([1.0, 0.1], (40, 1)), np.tile([0.01, 1.0], (5, 1))]).astype(np.float32)
    head = TableHead([[20.0, 0.0], [-20.0, 0.0]])
    assert choose(X, head, 1, h=0.7).rows_K[0] >= 40
    assert select(strategy_of(maxherding), view_of(X), 1, seed=0, options={"h": 0.7}).rows_K[0] < 40


def test_few_evaluation_rows_ask_the_head_about_these_alone():
    X, head, asked = rows(300), random_head(4, 5), []
    log_probs = head.log_probs
    head.log_probs = lambda X_BD: (asked.append(len(X_BD)), log_probs(X_BD))[1]
    chosen = choose(X, head, 5, evaluation=20)
    assert sum(asked) == 20
    assert "20 random rows of 300" in chosen.notes[0]


def test_auto_measures_on_as_many_rows_as_the_budget_of_maxherding_allows(monkeypatch):
    X, head = rows(300), random_head(4, 5)
    assert choose(X, head, 5).notes == ()
    for name, value in (("FEWEST", 10), ("BUDGET", 300 * 40), ("KEPT", 1)):
        monkeypatch.setattr(_coverage, name, value)
    assert choose(X, head, 5).notes == select(strategy_of(maxherding), view_of(X), 5, seed=0, options={}).notes
    assert "20 random rows of 300" in choose(X, head, 5).notes[0]


def test_an_evaluation_of_no_rows_is_refused():
    with pytest.raises(UsageError, match="'evaluation' must be auto or a whole number of at least 1, got '0'"):
        choose(rows(9), random_head(4, 5), 2, evaluation="0")
