"""The cosine graph against its dense matrix, and the network's gradients against autograd."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.strategies.core_gcn import CosineGraph, Weights, hidden, loss_and_gradients, train, trained_hidden

torch = pytest.importorskip("torch")


def dense(X):
    norms = np.linalg.norm(X, axis=1, keepdims=True)
    U = X / np.where(norms > 0, norms, 1.0)
    W = (1.0 + U @ U.T) / 2
    np.fill_diagonal(W, 0.0)
    degrees = W.sum(axis=1)
    S = np.diag(np.where(degrees > 1e-9, 1.0 / np.sqrt(np.maximum(degrees, 1e-9)), 0.0))
    return S @ W @ S + np.eye(len(X))


@pytest.mark.parametrize(
    "X",
    [
        np.random.default_rng(0).normal(size=(30, 4)),
        np.eye(3),
        np.vstack([np.eye(2), np.zeros((1, 2))]),
        np.ones((1, 2)),
    ],
    ids=["cloud", "axes", "zero", "one"],
)
def test_products_with_the_graph_are_those_of_its_matrix(X):
    V = np.random.default_rng(1).normal(size=(len(X), 3)).astype(np.float32)
    np.testing.assert_allclose(CosineGraph(X)(V), dense(X) @ V, atol=2e-6)


def test_antipodal_rows_have_no_edge():
    V = np.array([[1.0], [5.0]], np.float32)
    np.testing.assert_array_equal(CosineGraph(np.array([[2.0], [-3.0]]))(V), V)


@pytest.mark.parametrize("with_dropout", [False, True])
@pytest.mark.parametrize("n_labelled", [0, 6, 20])
def test_gradients_are_those_of_autograd_over_the_dense_graph(with_dropout, n_labelled):
    rng = np.random.default_rng(0)
    X, labelled = rng.normal(size=(20, 4)), np.arange(20) < n_labelled
    graph = CosineGraph(X)
    weights = Weights.drawn(4, 5, rng)
    keep = (rng.random((20, 5)) > 0.3).astype(np.float32) / 0.7 if with_dropout else None
    loss, gradients = loss_and_gradients(graph, weights, labelled, 1.2, keep)

    A, mask = (
        torch.from_numpy(dense(X)),
        torch.from_numpy(np.ones((20, 5)) if keep is None else keep.astype(np.float64)),
    )
    V, c, w, b = (torch.tensor(p.astype(np.float64), requires_grad=True) for p in weights.all())
    U = torch.from_numpy(X / np.linalg.norm(X, axis=1, keepdims=True))
    p = torch.sigmoid(A @ ((torch.relu(A @ U @ V + c) * mask) @ w) + b)[:, 0]
    known = torch.from_numpy(labelled)
    want = -(torch.log(p[known]).sum() / max(n_labelled, 1)) - 1.2 * torch.log(1 - p[~known]).sum() / max(
        20 - n_labelled, 1
    )
    want.backward()
    assert loss == pytest.approx(float(want.detach()), rel=1e-5)
    for found, expected in zip(gradients, (V, c, w, b)):
        np.testing.assert_allclose(found, expected.grad.numpy(), rtol=1e-3, atol=2e-6)


def shifted():
    X, labelled = np.random.default_rng(0).normal(size=(60, 6)), np.arange(60) < 15
    X[labelled, 0] += 3.0
    graph = CosineGraph(X)
    return X, labelled, graph


def test_steps_are_those_of_adam():
    _, labelled, graph = shifted()
    weights = Weights.drawn(6, 8, np.random.default_rng(1))
    parameters = [torch.tensor(w.copy(), requires_grad=True) for w in weights.all()]
    optimiser = torch.optim.Adam(parameters, lr=1e-2, weight_decay=5e-4)
    for _ in range(10):
        now = Weights(*(p.detach().numpy() for p in parameters))
        for p, gradient in zip(parameters, loss_and_gradients(graph, now, labelled, 1.2, None)[1]):
            p.grad = torch.from_numpy(gradient.astype(np.float32))
        optimiser.step()
    train(weights, graph, labelled, steps=10, dropout=0.0, balance=1.2, rng=np.random.default_rng(0))
    for w, p in zip(weights.all(), parameters):
        np.testing.assert_allclose(w, p.detach().numpy(), rtol=1e-3, atol=1e-5)


def test_training_lowers_the_loss_and_gives_the_hidden_units_of_the_trained_weights():
    X, labelled, graph = shifted()
    weights, rng = Weights.drawn(6, 16, np.random.default_rng(1)), np.random.default_rng(1)
    before, _ = loss_and_gradients(graph, weights, labelled, 1.2, None)
    Weights.drawn(6, 16, rng)
    train(weights, graph, labelled, steps=100, dropout=0.3, balance=1.2, rng=rng)
    after, _ = loss_and_gradients(graph, weights, labelled, 1.2, None)
    assert after < 0.5 * before
    found = trained_hidden(X, labelled, units=16, steps=100, dropout=0.3, balance=1.2, rng=np.random.default_rng(1))
    np.testing.assert_array_equal(found, hidden(graph.P_ND, weights).astype(np.float32))


def test_hidden_units_are_relu_of_the_first_layer():
    weights = Weights(np.array([[1.0, -1.0]]), np.array([0.5, 0.0]), np.ones((2, 1)), np.zeros(1))
    assert hidden(np.array([[2.0], [-3.0]]), weights).tolist() == [[2.5, 0.0], [0.0, 3.0]]
