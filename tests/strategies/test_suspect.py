"""suspect: labels left out one by one against a Newton step made here and against real fits; near-duplicates first."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.heads.ridge import ridge
from alcli.heads.softmax import at_map
from alcli.numerics.last_layer.prior import Anchor, prior_diagonal
from alcli.numerics.logistic import softmax
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import suspect as module
from alcli.strategies.suspect import conflicts, left_out_logits
from tests.helpers import TableHead, view_of
from tests.pools import tiny_features


def problem(n=40, seed=0, prior=0.5, anchored=False):
    X_ND, y_N = tiny_features(n, seed=seed)
    rng = np.random.default_rng(seed)
    y_N[rng.permutation(n)[: n // 10]] = rng.integers(0, 3, n // 10)
    anchor = Anchor(rng.standard_normal((3, 6)), prior, np.empty((0, 5)), np.empty(0, np.int64)) if anchored else None
    data = Training(X_ND, y_N, np.ones(n), 3, anchor)
    return data, at_map(data, prior)


@pytest.mark.parametrize("anchored", [False, True])
def test_a_newton_step_without_each_row(anchored):
    data, head = problem(anchored=anchored)
    found = left_out_logits(head.last_layer(data.X_LD), data.y_L, head.W_CD1, head.prior_precision)
    phi = with_bias(data.X_LD).astype(np.float64)
    p, prior = softmax(phi @ head.W_CD1.T), prior_diagonal(0.5, 6, "softmax")
    for i in range(data.n):
        others = np.arange(data.n) != i
        for c in range(3):
            s = p[others, c] * (1 - p[others, c])
            H = np.diag(prior) + (phi[others] * s[:, None]).T @ phi[others]
            # At the MAP the gradient of the others is minus that of the row.
            gradient = -(p[i, c] - (data.y_L[i] == c)) * phi[i]
            step = np.linalg.solve(H, -gradient)
            assert found[i, c] == pytest.approx(phi[i] @ (head.W_CD1[c] + step), abs=1e-7)


@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("prior", [0.1, 1.0])
def test_real_fits_without_each_row(anchored, prior):
    data, head = problem(60, seed=3, prior=prior, anchored=anchored)
    rows = np.arange(data.n)
    found = left_out_logits(head.last_layer(data.X_LD), data.y_L, head.W_CD1, prior)
    refits = np.stack([at_map(data.rows(rows != i), prior).logits(data.X_LD[i : i + 1])[0] for i in rows])

    def score(z):
        others = z.copy()
        others[rows, data.y_L] = -np.inf
        return others.max(axis=1) - z[rows, data.y_L]

    seen, real, fitted = score(found), score(refits), score(head.logits(data.X_LD))
    assert np.corrcoef(seen, real)[0, 1] > 0.94
    assert ((seen > 0) == (real > 0)).mean() > 0.9
    # It is nearer to the real fits than the fit that has seen the row.
    assert np.abs(seen - real).mean() < 0.5 * np.abs(fitted - real).mean()


def chosen(X_ND, y_N, k, head, labelled=None, candidates=None):
    labelled = np.arange(len(X_ND)) if labelled is None else labelled
    view = view_of(
        X_ND,
        labelled=labelled,
        head=head,
        labels=y_N[labelled],
        candidates=labelled if candidates is None else candidates,
    )
    return select(strategy_of(module), view, k, seed=0, options={})


def test_wrong_labels_come_first():
    X_ND, y_N = tiny_features(120, dim=20)
    wrong = np.array([5, 17, 40, 77, 90, 111])
    given = y_N.copy()
    given[wrong] = (y_N[wrong] + 1) % 3
    head = Model(at_map(Training(X_ND, given, np.ones(120), 3), 3.0))
    found = chosen(X_ND, given, 6, head)
    assert set(found.rows_K) == set(wrong)
    assert (found.scores_K > 0).all()
    assert (np.diff(found.scores_K) <= 0).all()
    assert (found.details["log_probs"].argmax(axis=1) == y_N[found.rows_K]).all()
    assert (found.details["label"] == given[found.rows_K]).all()
    everything = chosen(X_ND, given, 120, head)
    assert everything.record == {"contradicted": float((everything.scores_K > 0).sum()), "near-duplicates": 0.0}
    assert found.record == everything.record


def test_the_rarer_label_of_near_duplicates_comes_first():
    X_ND, y_N = tiny_features(60)
    X_ND[[1, 2]] = X_ND[0] + np.float32(1e-4)
    given = y_N.copy()
    given[[0, 1, 2]] = 0, 0, 1
    head = Model(at_map(Training(X_ND, given, np.ones(60), 3), 0.3))
    found = chosen(X_ND, given, 3, head)
    assert found.rows_K[0] == 2
    assert found.details["twin"].tolist() == [0, -1, -1]


def test_conflicts():
    X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    X[3] = X[1]
    X[9] = X[8] = X[7]
    y = np.zeros(30, np.int64)
    y[3], y[7], y[8], y[9] = 1, 2, 2, 1
    score = np.zeros(30)
    assert conflicts(X, y, score)[[1, 3, 7, 8, 9]].tolist() == [-1, 1, -1, -1, 7]
    score[1] = 1.0
    assert conflicts(X, y, score)[[1, 3]].tolist() == [3, -1]
    assert (np.delete(conflicts(X, y, score), [1, 9]) == -1).all()
    assert (conflicts(X[:1], y[:1], score[:1]) == -1).all()
    assert len(conflicts(X[:0], y[:0], score[:0])) == 0
    # Rows that are all equal are near-duplicates of each other: the rarer label is suspect.
    assert (np.flatnonzero(conflicts(X[[1, 1, 1]], np.array([0, 1, 0]), score[:3]) >= 0) == [1]).all()


def test_rows_without_a_label_have_the_likeliest_class():
    head = TableHead(np.eye(3))
    X_ND = np.array([[3.0, 0, 0], [0, 2, 1.9], [0, 1, 0]])
    found = chosen(X_ND, np.zeros(3, np.int64), 3, head, labelled=np.empty(0, np.int64), candidates=np.arange(3))
    assert found.rows_K.tolist() == [1, 2, 0]
    np.testing.assert_allclose(found.scores_K, [-0.1, -1.0, -3.0], rtol=1e-5)


def test_numbers_are_refused():
    X_ND, _ = tiny_features(20)
    head = Model(ridge(Training(X_ND, X_ND[:, 0].astype(np.float64), np.ones(20), None), 1.0))
    with pytest.raises(UsageError, match="numbers"):
        chosen(X_ND, X_ND[:, 0].astype(np.float64), 2, head)
