import itertools

import numpy as np
import pytest

from alcli.numerics.gradients.deviations import (
    deviations,
    output_norms,
    perturbations,
    perturbed_layers,
    softmax_deviation,
)
from alcli.numerics.logistic import log_softmax, softmax
from alcli.numerics.network import ACTIVATIONS, Network

RNG = np.random.default_rng(0)
X = RNG.standard_normal((30, 5))
LINEAR = Network((), "identity", RNG.standard_normal((3, 6)))


def deep(activation, widths=(4, 3)):
    rng, dims = np.random.default_rng(1), (5, *widths)
    layers = [(rng.standard_normal((m, d)), rng.standard_normal(m)) for d, m in itertools.pairwise(dims)]
    return Network(layers, activation, rng.standard_normal((3, dims[-1] + 1)))


def naive(network, output, steps, s):
    """The output with perturbed weights less that without, by two forward passes."""

    def run(X, change):
        h = X
        for i, (W, b) in enumerate(network.layers):
            step = steps[i][s] * change
            h = ACTIVATIONS[network.activation](
                h @ (W + step[:, : W.shape[1]]).T + b + (step[:, -1] if step.shape[1] > W.shape[1] else 0)
            )
        if output == "hidden":
            return h
        W, step = network.W_CD1[:, :-1], steps[-1][s] * change
        z = (
            h @ (W + step[:, : W.shape[1]]).T
            + network.W_CD1[:, -1]
            + (step[:, -1] if step.shape[1] > W.shape[1] else 0)
        )
        return softmax(z) if output == "softmax" else z

    return run(X, 1.0) - run(X, 0.0)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("output", ["softmax", "logits", "hidden"])
@pytest.mark.parametrize(
    "network", [LINEAR, deep("tanh"), deep("relu"), deep("gelu", (4,))], ids=["linear", "tanh", "relu", "gelu"]
)
@pytest.mark.parametrize("scaling", ["global", "layer"])
def test_deviations_are_differences_of_two_forward_passes(network, output, bias, scaling):
    if output == "hidden" and not network.layers:
        return
    weights = perturbed_layers(network, output, bias=bias)
    steps, _ = perturbations(
        np.random.default_rng(2).standard_normal((4, sum(W.size for W in weights))), weights, 0.3, scaling
    )
    E = deviations(network, X, steps, output).reshape(30, 4, -1)
    for s in range(4):
        assert np.allclose(E[:, s], naive(network, output, steps, s), atol=1e-12)


def test_steps_have_the_length_that_was_asked_for():
    network = deep("tanh")
    weights = perturbed_layers(network, "softmax", bias=True)
    noise = np.random.default_rng(0).standard_normal((7, sum(W.size for W in weights)))
    whole = np.sqrt(sum((W**2).sum() for W in weights))
    steps, _ = perturbations(noise, weights, 1e-2, "global")
    assert np.allclose(sum((step**2).sum(axis=(1, 2)) for step in steps), (1e-2 * whole) ** 2)
    steps, _ = perturbations(noise, weights, 1e-2, "layer")
    for step, W in zip(steps, weights):
        assert np.allclose(np.linalg.norm(step, axis=(1, 2)), 1e-2 * np.linalg.norm(W))


def test_hidden_features_do_not_feel_the_last_layer():
    network = deep("tanh")
    assert [W.shape for W in perturbed_layers(network, "hidden", bias=False)] == [(4, 5), (3, 4)]
    assert [W.shape for W in perturbed_layers(network, "softmax", bias=True)] == [(4, 6), (3, 5), (3, 4)]


def test_weights_that_are_all_zero_are_perturbed_too():
    network = Network((), "identity", np.zeros((3, 6)))
    weights = perturbed_layers(network, "softmax", bias=False)
    steps, factor = perturbations(np.random.default_rng(0).standard_normal((2, 15)), weights, 1e-3, "global")
    E = deviations(network, X, steps, "softmax") * factor
    assert np.isfinite(E).all()
    assert (E != 0).all()


@pytest.mark.parametrize("size", [1e-6, 1.0, 50.0, 1e5])
def test_the_deviation_of_a_softmax_at_any_size_of_the_step(size):
    rng = np.random.default_rng(0)
    z, delta = 5 * rng.standard_normal((50, 4)), size * rng.standard_normal((50, 6, 4))
    found = softmax_deviation(log_softmax(z), delta)
    assert np.allclose(found, softmax(z[:, None] + delta) - softmax(z)[:, None], atol=1e-15)


def test_the_dtype_of_the_features_is_kept_and_blocks_do_not_show():
    weights = perturbed_layers(LINEAR, "softmax", bias=False)
    steps, _ = perturbations(np.random.default_rng(0).standard_normal((30, 15)), weights, 1e-3, "global")
    many = np.tile(X, (300, 1))
    E = deviations(LINEAR, many, steps, "softmax")
    assert E.shape == (9000, 90)
    assert np.allclose(E[:30], E[-30:], rtol=1e-9)
    assert deviations(LINEAR, X.astype(np.float32), steps, "softmax").dtype == np.float32


def test_output_norms():
    network = deep("tanh")
    hidden = network.forward(X)[0][-1]
    assert np.allclose(output_norms(network, X, "hidden"), np.linalg.norm(hidden, axis=1))
    assert np.allclose(output_norms(network, X, "logits"), np.linalg.norm(network.outputs(hidden), axis=1))
    assert np.allclose(output_norms(network, X, "softmax"), np.linalg.norm(softmax(network.outputs(hidden)), axis=1))
