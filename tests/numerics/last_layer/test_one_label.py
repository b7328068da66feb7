import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit
from alcli.numerics.last_layer.implicit import implicit_row
from alcli.numerics.last_layer.one_label import LabelAhead
from alcli.numerics.logistic import log_softmax, softmax


def problem(M=7, E=11, D=4, C=5, seed=0):
    """(W, P, H_M, H_E) with a precision P that is nothing special."""
    rng = np.random.default_rng(seed)
    root = rng.standard_normal((12, D + 1))
    return (
        rng.standard_normal((C, D + 1)),
        0.2 * np.eye(D + 1) + root.T @ root / 12,
        rng.standard_normal((M, D)),
        rng.standard_normal((E, D)),
    )


def phi(H):
    return np.hstack([H, np.ones((len(H), 1))])


def after(W, P, x, y):
    """The weights once a row has a label: the rule of `alcli update`, written out."""
    t = np.linalg.solve(P, x)
    return W + np.outer(implicit_row(W @ x, np.eye(len(W))[y], float(x @ t), 1.0), t)


def brute(score, labels, W, P, H_M, H_E):
    out = []
    for x in phi(H_M):
        p = softmax((W @ x)[None])[0]
        likely = np.argsort(-p, kind="stable")[:labels]
        out.append(sum(p[y] * score(log_softmax(phi(H_E) @ after(W, P, x, y).T)) for y in likely) / p[likely].sum())
    return np.array(out)


class Look:
    """The look of the M rows at the E rows of a problem."""

    def __init__(self, W, P, H_M, H_E, labels):
        self._ahead = LabelAhead(P, H_E, log_softmax(phi(H_E) @ W.T), labels)
        self._rows = H_M, log_softmax(phi(H_M) @ W.T)

    def entropy_fall(self):
        return self._ahead.entropy_fall(*self._rows)

    def error_fall(self):
        return self._ahead.error_fall(*self._rows)

    def change(self, output):
        return self._ahead.change(*self._rows, output)


@pytest.mark.parametrize("labels", [1, 3, 5, 9])
@pytest.mark.parametrize("seed", range(3))
def test_every_score_is_what_updating_the_weights_gives(labels, seed):
    W, P, H_M, H_E = given = problem(seed=seed)
    before = log_softmax(phi(H_E) @ W.T)

    def entropy(lp):
        return -(np.exp(lp) * lp).sum(1).mean()

    def error(lp):
        return (1 - np.exp(lp).max(1)).mean()

    def moved_probs(lp):
        return np.linalg.norm(np.exp(lp) - np.exp(before), axis=1).mean()

    ahead = Look(*given, labels)
    assert np.allclose(ahead.entropy_fall(), entropy(before) - brute(entropy, labels, *given), atol=1e-12)
    assert np.allclose(ahead.error_fall(), error(before) - brute(error, labels, *given), atol=1e-12)
    assert np.allclose(ahead.change("probs"), brute(moved_probs, labels, *given), atol=1e-12)
    moved = []
    for x in phi(H_M):
        p = softmax((W @ x)[None])[0]
        likely = np.argsort(-p, kind="stable")[:labels]
        shifts = [np.linalg.norm(phi(H_E) @ (after(W, P, x, y) - W).T, axis=1).mean() for y in likely]
        moved.append(p[likely] @ shifts / p[likely].sum())
    assert np.allclose(ahead.change("logits"), moved, atol=1e-12)


def test_a_row_that_cannot_move_teaches_nothing():
    W, P, H_M, H_E = problem()
    ahead = Look(W, 1e15 * P, H_M, H_E, 3)
    assert np.allclose(ahead.entropy_fall(), 0, atol=1e-10)
    assert np.allclose(ahead.change("probs"), 0, atol=1e-10)


def test_rows_that_share_no_feature_do_not_move_each_other():
    P = np.eye(3)
    H_M, H_E = np.array([[1.0, 0.0]]), np.array([[-1.0, 5.0]])  # with the bias, phi.phi' = -1 + 0 + 1
    W = np.random.default_rng(0).standard_normal((4, 3))
    assert np.allclose(Look(W, P, H_M, H_E, 4).change("logits"), 0, atol=1e-15)


def test_moves_that_no_exponential_could_hold_are_followed_too():
    W, P, H_M, H_E = problem()
    given = W, 1e-4 * P, H_M, H_E
    before = log_softmax(phi(H_E) @ W.T)
    ahead = Look(*given, 3)
    assert (np.abs(phi(H_M) @ np.linalg.solve(given[1], phi(H_E).T)).max(axis=1) > 1000.0).all()
    moved = brute(lambda lp: np.linalg.norm(np.exp(lp) - np.exp(before), axis=1).mean(), 3, *given)
    assert np.allclose(ahead.change("probs"), moved, atol=1e-9)
    error = brute(lambda lp: (1 - np.exp(lp).max(1)).mean(), 3, *given)
    assert np.allclose(ahead.error_fall(), (1 - np.exp(before).max(1)).mean() - error, atol=1e-9)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_candidate_is_judged_alike_among_many(threads):
    W, P, H_M, H_E = problem(M=150)
    with thread_limit(threads):
        together = Look(W, P, H_M, H_E, 2).entropy_fall()
    alone = [Look(W, P, H_M[[m]], H_E, 2).entropy_fall()[0] for m in range(150)]
    assert np.allclose(together, alone, rtol=1e-9, atol=1e-15)
