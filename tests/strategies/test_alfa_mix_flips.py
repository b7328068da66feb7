import numpy as np
import pytest

from alcli.numerics.logistic import log_softmax, softmax
from alcli.strategies.alfa_mix import flip_distances, loss_directions

M, C = 6, 5


def problem(seed=0, n=80):
    rng = np.random.default_rng(seed)
    return rng.standard_normal((C, M + 1)), rng.standard_normal((n, M))


def logits(W, H):
    return H @ W[:, :-1].T + W[:, -1]


def test_directions_are_the_normalised_gradient_by_finite_differences():
    W, H = problem()
    D = loss_directions(W[:, :-1], softmax(logits(W, H)))
    top, eps = logits(W, H).argmax(1), 1e-6

    def loss(X):
        return -log_softmax(logits(W, X))[np.arange(len(X)), top]

    G = np.stack([(loss(H + eps * e) - loss(H - eps * e)) / (2 * eps) for e in np.eye(M)], axis=1)
    assert np.allclose(D, G / np.linalg.norm(G, axis=1, keepdims=True), atol=1e-5)
    assert np.allclose(np.linalg.norm(D, axis=1), 1.0)


@pytest.mark.parametrize("seed", range(3))
def test_the_class_changes_just_beyond_the_distance_and_not_before(seed):
    W, H = problem(seed)
    D = loss_directions(W[:, :-1], softmax(logits(W, H)))
    t = flip_distances(W, H, D)
    top, ends = logits(W, H).argmax(1), np.isfinite(t)
    assert ends.any()
    for share, same in ((0.999, True), (1.001, False)):
        moved = logits(W, H[ends] + share * t[ends, None] * D[ends]).argmax(1)
        assert ((moved == top[ends]) == same).all()
    far = logits(W, H[~ends] + 1e6 * D[~ends]).argmax(1)
    assert (far == top[~ends]).all()


def test_certain_rows_have_no_direction_and_never_change():
    W, H = problem(n=2)
    P = np.eye(C)[:2]
    assert (loss_directions(W[:, :-1], P) == 0.0).all()
    assert (flip_distances(W, H, np.zeros((2, M))) == np.inf).all()
