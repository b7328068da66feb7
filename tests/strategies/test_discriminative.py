from __future__ import annotations

import numpy as np
from sklearn.linear_model import LogisticRegression

from alcli.heads._prior import RELATIVE_DEFAULT
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import discriminative
from tests.evidence import SOFTMAX_BIAS
from tests.helpers import view_of

STRATEGY = strategy_of(discriminative)


def chosen(X, k, options=None, seed=0, **view):
    return select(STRATEGY, view_of(X, **view), k, seed=seed, options=options or {})


def two_clouds(n=60, seed=0):
    """Rows 0..n-1 to the left, n..2n-1 to the right."""
    X = np.random.default_rng(seed).normal(size=(2 * n, 3))
    X[:, 0] += np.repeat([-3.0, 3.0], n)
    return X


def reference(X, is_labelled):
    """The log odds of being unlabelled by another solver, on features of root mean square norm 1."""
    Z = X / np.sqrt((X**2).sum(axis=1).mean())
    L, U = is_labelled.sum(), (~is_labelled).sum()
    weights = np.where(is_labelled, 1.0, L / U)
    prior = RELATIVE_DEFAULT * ((Z - Z.mean(axis=0)) ** 2).sum(axis=1).mean()
    # A softmax of two classes with weights w and -w: the penalty prior |w|^2 is that of the difference 2 w at prior /
    # 2. The bias is the weight of a column, whose value makes its prior precision that of a bias.
    Z1 = np.column_stack([Z, np.full(len(Z), np.sqrt(prior / SOFTMAX_BIAS))])
    fitted = LogisticRegression(C=2.0 / prior, fit_intercept=False, tol=1e-12, max_iter=10_000).fit(
        Z1, ~is_labelled, sample_weight=weights
    )
    return Z1 @ fitted.coef_[0]


def test_one_part_takes_the_largest_odds_of_a_logistic_regression():
    X, labelled = two_clouds(), np.array([1, 5, 30, 61])
    found = chosen(X, 20, {"parts": 1}, labelled=labelled)
    is_labelled = np.isin(np.arange(120), labelled)
    odds = np.where(is_labelled, -np.inf, reference(X, is_labelled))
    assert found.rows_K.tolist() == np.argsort(-odds, kind="stable")[:20].tolist()
    np.testing.assert_allclose(found.scores_K, np.sort(odds)[::-1][:20], rtol=1e-4)


def test_every_part_is_picked_after_a_fit_to_what_was_picked_before():
    X, labelled = two_clouds(), np.array([1, 5, 30, 61])
    found, is_labelled, want = chosen(X, 6, {"parts": 3}, labelled=labelled), np.isin(np.arange(120), labelled), []
    for _ in range(3):
        odds = np.where(is_labelled, -np.inf, reference(X, is_labelled))
        part = np.argsort(-odds, kind="stable")[:2]
        want += part.tolist()
        is_labelled[part] = True
    assert found.rows_K.tolist() == want


def test_the_cloud_without_labels_comes_first_and_parts_keep_a_batch_from_one_side():
    X = two_clouds()
    assert (chosen(X, 10, {"parts": 1}, labelled=np.arange(20)).rows_K >= 60).all()
    middle = np.random.default_rng(1).normal(size=(80, 1))
    middle[:10] = 0.01 * middle[:10]  # labelled: in the middle of a line
    one, many = (
        chosen(np.column_stack([middle, np.zeros(80)]), 10, {"parts": p}, labelled=np.arange(10)).rows_K
        for p in (1, 10)
    )
    sides = [min((middle[rows, 0] > 0).sum(), (middle[rows, 0] < 0).sum()) for rows in (one, many)]
    assert sides[0] == 0
    assert sides[1] >= 2


def test_without_labels_the_first_is_the_row_of_largest_norm():
    X = two_clouds()
    found = chosen(X, 5)
    assert found.rows_K[0] == np.linalg.norm(X, axis=1).argmax()
    assert found.scores_K[0] == np.float32(np.linalg.norm(X, axis=1).max())


def test_of_many_rows_a_random_part_takes_part():
    found = [chosen(two_clouds(), 5, {"candidates": 40}, seed=s, labelled=np.arange(3)) for s in (0, 1)]
    assert found[0].rows_K.tolist() != found[1].rows_K.tolist()
    assert "looked at 40 random candidates" in found[0].notes[0]
    assert chosen(two_clouds(), 5, labelled=np.arange(3)).notes == ()
