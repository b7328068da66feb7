"""The entropy's gradient in closed form against autograd, one row at a time, and where it vanishes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit
from alcli.numerics.logistic import log_softmax
from alcli.numerics.network import Network
from alcli.strategies.ent_gradnorm import entropy_signal, layer_norms, norms

torch = pytest.importorskip("torch")

FUNCTIONS = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}


def network(widths, activation="tanh", D=5, C=4, seed=0):
    rng, sizes = np.random.default_rng(seed), [D, *widths]
    layers = [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in zip(sizes, widths)]
    return Network(layers, activation, 0.7 * rng.normal(size=(C, sizes[-1] + 1)))


def rows(n=12, D=5, seed=1):
    return np.random.default_rng(seed).normal(size=(n, D))


def by_autograd(net, x, temperature=1.0, loss=None):
    """Gradients [(by W, by b), ...] of one row's entropy (or of `loss` of its log probabilities), the last layer
    last, and its value.
    """
    W = net.W_CD1
    parameters = [torch.tensor(a, requires_grad=True) for layer in [*net.layers, (W[:, :-1], W[:, -1])] for a in layer]
    h = torch.tensor(x)
    for w, b in zip(parameters[:-2:2], parameters[1:-2:2]):
        h = FUNCTIONS[net.activation](w @ h + b)
    logs = torch.log_softmax((parameters[-2] @ h + parameters[-1]) / temperature, 0)
    value = -(logs.exp() * logs).sum() if loss is None else loss(logs)
    value.backward()
    return [p.grad.numpy() for p in parameters], float(value.detach())


@pytest.mark.parametrize(
    ("widths", "activation"),
    [((), "relu"), ((6,), "relu"), ((6,), "tanh"), ((6, 3), "relu"), ((6, 3), "tanh"), ((4, 5, 3), "gelu")],
)
@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_norms_are_those_that_autograd_finds_for_every_row(widths, activation, temperature):
    net, X = network(widths, activation), rows()
    found = [by_autograd(net, x, temperature) for x in X]
    for norm, expected in all_norms(found).items():
        values, entropies = norms(net, X, norm, temperature)
        np.testing.assert_allclose(values, expected, rtol=1e-12)
        np.testing.assert_allclose(entropies, [value for _, value in found], rtol=1e-12)


def all_norms(found):
    """What `by_autograd` found of every row, as one number a row."""
    return {
        "fro": [np.sqrt(sum((g**2).sum() for g in grads)) for grads, _ in found],
        "sum": [sum(np.linalg.norm(g) for g in grads) for grads, _ in found],
        "weights": [np.sqrt(sum((g**2).sum() for g in grads[0::2])) for grads, _ in found],
    }


def with_first_layer(net, factor):
    """The same network with the weights of its first layer times a factor, biases as they are."""
    if not net.layers:
        return Network((), net.activation, net.W_CD1 * np.append(np.full(net.W_CD1.shape[1] - 1, factor), 1.0))
    (W, b), *others = net.layers
    return Network([(factor * W, b), *others], net.activation, net.W_CD1)


@pytest.mark.parametrize(
    ("widths", "activation"), [((), "relu"), ((6,), "relu"), ((6,), "tanh"), ((6, 3), "relu"), ((4, 5, 3), "gelu")]
)
def test_with_l2_they_are_by_weights_in_units_of_the_row_s_length(widths, activation):
    """By autograd of a network of each row's own, that predicts the same of the row at length 1."""
    net, X = network(widths, activation), rows() * np.geomspace(1e-3, 2.0, 12)[:, None]
    lengths = np.linalg.norm(X, axis=1)
    found = [by_autograd(with_first_layer(net, r), x / r, 1.5) for x, r in zip(X, lengths)]
    for norm, expected in all_norms(found).items():
        values, entropies = norms(net, X, norm, 1.5, "l2")
        np.testing.assert_allclose(values, expected, rtol=1e-12)
        np.testing.assert_array_equal(entropies, norms(net, X, norm, 1.5)[1])


def test_with_l2_a_linear_layer_leaves_the_signal_alone_and_rows_of_zeros_stay_zeros():
    net, X = network(()), rows()
    X[3] = 0.0
    signals, _, _ = layer_norms(net, X)
    g, nonzero = np.sqrt(signals[0]), np.arange(12) != 3
    for norm, expected in (("fro", g * np.sqrt(nonzero + 1.0)), ("sum", g * (nonzero + 1.0)), ("weights", g * nonzero)):
        np.testing.assert_allclose(norms(net, X, norm, feature_norm="l2")[0], expected, rtol=1e-12)
    assert norms(net, X, "weights", feature_norm="l2")[0][3] == 0.0
    deep = network((6,), "relu")
    np.testing.assert_array_equal(*(norms(deep, X[3:4], "fro", feature_norm=how)[0] for how in ("none", "l2")))


@pytest.mark.parametrize("widths", [(), (6,), (6, 3)])
def test_with_l2_the_unit_of_the_features_does_not_matter_and_without_it_does(widths):
    net, X = network(widths), rows()
    finer = with_first_layer(net, 1e-3)
    for norm in ("fro", "sum", "weights"):
        np.testing.assert_allclose(
            norms(finer, 1e3 * X, norm, feature_norm="l2")[0], norms(net, X, norm, feature_norm="l2")[0], rtol=1e-11
        )
        assert (norms(finer, 1e3 * X, norm)[0] > 1.1 * norms(net, X, norm)[0]).all()
        unit = X / np.linalg.norm(X, axis=1, keepdims=True)
        np.testing.assert_allclose(norms(net, unit, norm, feature_norm="l2")[0], norms(net, unit, norm)[0], rtol=1e-12)


def test_the_expected_gradient_norm_of_others_is_the_entropy_s_and_without_the_gradient_of_p_nothing():
    net, x = network((6,)), rows()[0]
    entropy, _ = by_autograd(net, x)
    same, _ = by_autograd(net, x, loss=lambda logs: (logs.exp() * -logs).sum())
    detached, _ = by_autograd(net, x, loss=lambda logs: (logs.exp().detach() * -logs).sum())
    for g, s, d in zip(entropy, same, detached):
        np.testing.assert_allclose(s, g, atol=1e-15)
        np.testing.assert_allclose(d, 0.0, atol=1e-15)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.lists(st.floats(-300, 300), min_size=2, max_size=8), st.floats(-1e3, 1e3))
def test_the_signal_sums_to_zero_and_a_constant_on_all_logits_changes_nothing(logits, shift):
    z = np.array([logits])
    signal, entropy = entropy_signal(log_softmax(z))
    assert abs(signal.sum()) < 1e-13
    assert -1e-13 <= entropy[0] <= np.log(len(logits)) + 1e-13
    np.testing.assert_allclose(entropy_signal(log_softmax(z + shift))[0], signal, atol=1e-10)


@pytest.mark.parametrize("C", [2, 3, 77])
def test_it_vanishes_at_the_uniform_prediction_and_at_a_certain_one(C):
    signal, entropy = entropy_signal(np.full((1, C), -np.log(C)))
    assert np.abs(signal).max() < 1e-15
    assert entropy[0] == pytest.approx(np.log(C))
    certain = np.where(np.arange(C) == 1, 0.0, -np.inf)[None]
    signal, entropy = entropy_signal(certain)
    assert np.abs(signal).max() < 1e-250
    assert entropy[0] < 1e-250


def test_of_two_classes_it_is_longest_at_p_0_824():
    p = np.linspace(0.5, 1.0 - 1e-9, 200_001)
    signal, _ = entropy_signal(np.log(np.column_stack([p, 1.0 - p])))
    lengths = np.sqrt((signal**2).sum(axis=1))
    np.testing.assert_allclose(lengths, np.sqrt(2.0) * p * (1.0 - p) * np.abs(np.log(p / (1.0 - p))), atol=1e-12)
    assert p[lengths.argmax()] == pytest.approx(0.82396, abs=1e-5)


def test_of_a_linear_layer_it_scales_with_the_inputs_as_the_norms_say():
    net, X = network(()), rows()
    scaled = Network(
        (), "relu", np.column_stack([net.W_CD1[:, :-1] / 3.0, net.W_CD1[:, -1]])
    )  # the same logits for inputs thrice as long
    signals, inputs, _ = layer_norms(net, X)
    g, h = np.sqrt(signals[0]), np.sqrt(inputs[0])
    for norm, expected in (("fro", g * np.sqrt(9 * h**2 + 1)), ("sum", g * (3 * h + 1)), ("weights", g * 3 * h)):
        np.testing.assert_allclose(norms(scaled, 3.0 * X, norm)[0], expected, rtol=1e-12)


@pytest.mark.parametrize("widths", [(), (6,)])
def test_a_constant_on_all_logits_changes_no_norm(widths):
    net, X = network(widths), rows()
    moved = Network(net.layers, net.activation, net.W_CD1 + np.eye(net.W_CD1.shape[1])[-1] * 40.0)
    for norm in ("fro", "sum", "weights"):
        for one, other in zip(norms(moved, X, norm), norms(net, X, norm)):
            np.testing.assert_allclose(one, other, rtol=1e-11)


def test_parts_of_the_rows_and_threads_give_what_all_rows_give():
    net, X = network((9, 7), "relu"), rows(5000)
    whole, _ = norms(net, X, "fro")
    np.testing.assert_allclose(
        np.concatenate([norms(net, part, "fro")[0] for part in np.array_split(X, 7)]), whole, rtol=1e-13
    )
    found = []
    for threads in (1, 2):
        with thread_limit(threads):
            found.append(norms(net, X, "fro")[0].tobytes())
    assert found[0] == found[1]
