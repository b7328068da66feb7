"""Closed forms of kernels against Jacobians by automatic differentiation."""

import itertools

import numpy as np
import pytest

from alcli.numerics.network import Network
from alcli.numerics.tangent.kernels import gaussian_rows, linear, tangent_rows
from alcli.numerics.training_scale import TrainingScale

torch = pytest.importorskip("torch")
D, C = 4, 3
TORCH = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}


def network(widths=(6,), activation="tanh", seed=0):
    rng = np.random.default_rng(seed)
    sizes = [D, *widths]
    layers = tuple((rng.standard_normal((m, d)), rng.standard_normal(m)) for d, m in itertools.pairwise(sizes))
    return Network(layers, activation, rng.standard_normal((C, sizes[-1] + 1)))


def jacobian(X_ND, net):
    """Gradients of every output by every weight and bias, [N, C, all weights], by automatic differentiation."""
    weights = [torch.tensor(part) for layer in net.layers for part in layer] + [torch.tensor(net.W_CD1)]

    def outputs(*weights):
        h = torch.tensor(X_ND)
        for W, b in zip(weights[0:-1:2], weights[1:-1:2]):
            h = TORCH[net.activation](h @ W.T + b)
        return h @ weights[-1][:, :-1].T + weights[-1][:, -1]

    parts = torch.autograd.functional.jacobian(outputs, tuple(weights))
    return np.concatenate([part.reshape(len(X_ND), C, -1).numpy() for part in parts], axis=2)


@pytest.fixture
def rows():
    rng = np.random.default_rng(1)
    return rng.standard_normal((5, D)), rng.standard_normal((7, D))


def test_a_linear_head_has_one_kernel_and_it_is_that_of_the_features(rows):
    A, B = rows
    net = Network((), "relu", np.random.default_rng(2).standard_normal((C, D + 1)))
    full = np.einsum("ncp,mdp->ncmd", jacobian(A, net), jacobian(B, net))
    expected = A @ B.T + 1
    assert full == pytest.approx(np.einsum("nm,cd->ncmd", expected, np.eye(C)), abs=1e-12)
    for kind in ("class-average", "empirical", "first-logit", "sum-of-logits"):
        assert tangent_rows(A, net, kind).gram(tangent_rows(B, net, kind)) == pytest.approx(expected, abs=1e-12)
    assert linear(A).diagonal() == pytest.approx(np.diag(A @ A.T) + 1)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("widths", [(6,), (6, 5), (3, 4, 5)])
def test_kernels_of_hidden_layers_are_products_of_jacobians(rows, activation, widths):
    A, B = rows
    net = network(widths, activation)
    J_A, J_B = jacobian(A, net), jacobian(B, net)
    full = np.einsum("ncp,mdp->ncmd", J_A, J_B)
    made = tangent_rows(A, net, "empirical").gram(tangent_rows(B, net, "empirical"))
    assert made.reshape(full.shape) == pytest.approx(full, rel=1e-11, abs=1e-11)
    first = tangent_rows(A, net, "first-logit").gram(tangent_rows(B, net, "first-logit"))
    total = tangent_rows(A, net, "sum-of-logits").gram(tangent_rows(B, net, "sum-of-logits"))
    assert first == pytest.approx(full[:, 0, :, 0], rel=1e-11, abs=1e-11)
    assert total == pytest.approx(full.sum(axis=(1, 3)) / C, rel=1e-11, abs=1e-11)
    mean = tangent_rows(A, net, "class-average").gram(tangent_rows(B, net, "class-average"))
    assert mean == pytest.approx(np.einsum("ncmc->nm", full) / C, rel=1e-11, abs=1e-11)
    assert not np.allclose(first, total, rtol=0.01)
    assert not np.allclose(mean, total, rtol=0.01)


def test_the_first_layer_counts_in_the_coordinates_in_which_it_is_trained(rows):
    """Against the Jacobian of the network that takes scaled features."""
    A, B = (X * np.array([100.0, 1.0, 0.01, 3.0]) + np.array([5.0, 0.0, 1.0, -40.0]) for X in rows)
    scale, inner = TrainingScale(A, np.ones(len(A))), network((6, 5))
    outer = Network((scale.folded(inner.layers[0]), *inner.layers[1:]), inner.activation, inner.W_CD1)
    expected = np.einsum("ncp,mcp->nm", jacobian(scale(A), inner), jacobian(scale(B), inner)) / C
    made = tangent_rows(A, outer, "class-average", scale).gram(tangent_rows(B, outer, "class-average", scale))
    assert made == pytest.approx(expected, rel=1e-9, abs=1e-9)
    raw = tangent_rows(A, outer, "class-average").gram(tangent_rows(B, outer, "class-average"))
    assert not np.allclose(raw, expected, rtol=0.5)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_the_sum_of_the_logits_of_a_softmax_at_its_optimum_has_no_hidden_layers_and_the_mean_over_classes_has(
    rows, activation
):
    A, B = rows
    net = network((6,), activation)
    W = net.W_CD1 - net.W_CD1.mean(axis=0)  # the prior leaves the logits no common part
    centred = Network(net.layers, activation, W)
    last = centred.forward(A)[0][-1] @ centred.forward(B)[0][-1].T + 1
    total = tangent_rows(A, centred, "sum-of-logits").gram(tangent_rows(B, centred, "sum-of-logits"))
    mean = tangent_rows(A, centred, "class-average").gram(tangent_rows(B, centred, "class-average"))
    assert total == pytest.approx(last, rel=1e-12)
    assert np.abs(mean - last).max() > 0.5


@pytest.mark.parametrize("kind", ["class-average", "empirical", "first-logit", "sum-of-logits"])
def test_diagonals_parts_and_joins_are_those_of_the_whole(rows, kind):
    net = network()
    whole = tangent_rows(np.vstack(rows), net, kind)
    A, B = (tangent_rows(X, net, kind) for X in rows)
    K = whole.gram(whole)
    P = whole.outputs
    blocks = K.reshape(12, P, 12, P)[np.arange(12), :, np.arange(12), :]
    assert whole.diagonal().reshape(12, P, P) == pytest.approx(blocks, rel=1e-12)
    assert A.joined(B).gram(whole) == pytest.approx(K, rel=1e-12, abs=1e-12)
    assert whole.at(np.array([3, 1])).gram(whole.at(slice(5, 12))) == pytest.approx(
        K.reshape(12, P, 12, P)[[3, 1]][:, :, 5:].reshape(2 * P, 7 * P), rel=1e-12, abs=1e-12
    )


def test_rows_along_a_direction_of_outputs_multiply_the_kernel_by_it(rows):
    A, B = (tangent_rows(X, network((6, 5)), "empirical") for X in rows)
    R = np.random.default_rng(3).standard_normal((7, C))
    K = A.gram(B).reshape(5 * C, 7, C)
    assert A.gram(B.along(R)) == pytest.approx(np.einsum("amc,mc->am", K, R), rel=1e-11, abs=1e-11)


def test_the_squared_exponential_kernel(rows):
    X = np.vstack(rows)
    whole = gaussian_rows(X)
    sq = ((X[:, None] - X) ** 2).sum(axis=2)
    assert whole.gram(whole) == pytest.approx(np.exp(-sq / (2 * whole.scale**2)), abs=1e-12)
    assert whole.scale**2 == pytest.approx(sq.mean())
    assert whole.at(slice(0, 5)).joined(whole.at(slice(5, 12))).gram(whole.at([2])) == pytest.approx(
        whole.gram(whole)[:, [2]]
    )
    assert gaussian_rows(np.ones((4, 2))).diagonal().tolist() == [1.0] * 4
