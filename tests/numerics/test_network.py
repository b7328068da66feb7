import numpy as np
import pytest
import torch

from alcli.numerics.blocks import thread_limit
from alcli.numerics.network import ACTIVATIONS, SLOPES, Network, by_blocks

TORCH = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_activations_and_slopes_are_those_of_torch(name):
    a = np.linspace(-6, 6, 41)
    x = torch.tensor(a, requires_grad=True)
    y = TORCH[name](x)
    y.sum().backward()
    assert np.allclose(ACTIVATIONS[name](a.copy()), y.detach().numpy(), atol=1e-14)
    assert np.allclose(SLOPES[name](a), x.grad.numpy(), atol=1e-14)
    assert ACTIVATIONS.keys() == SLOPES.keys() == TORCH.keys()


def test_forward_by_hand():
    # One unit max(x - 1, 0) and an output 2 h + 3.
    network = Network([(np.array([[1.0]]), np.array([-1.0]))], "relu", np.array([[2.0, 3.0]]))
    inputs, before = network.forward(np.array([[0.0], [4.0]], np.float32))
    assert [a.tolist() for a in inputs] == [[[0.0], [4.0]], [[0.0], [3.0]]]
    assert [a.tolist() for a in before] == [[[-1.0], [3.0]]]
    assert network.outputs(inputs[-1]).tolist() == [[3.0], [9.0]]


def test_a_linear_head_has_its_features_as_the_inputs_of_its_last_layer():
    X = np.random.default_rng(0).standard_normal((5, 3))
    inputs, before = Network((), "identity", np.ones((2, 4))).forward(X)
    assert not before
    assert np.array_equal(inputs[-1], X)


@pytest.mark.parametrize("step", [1, 64, 2048])
def test_blocks_are_those_of_fixed_rows_whatever_the_threads(step):
    X, seen = np.arange(5000.0).reshape(-1, 1), {}
    for threads in (1, 2):
        calls = seen[threads] = []
        with thread_limit(threads):
            out = by_blocks(lambda X_BD, calls=calls: calls.append((X_BD[0, 0], len(X_BD))) or 2 * X_BD, X, step)
        assert np.array_equal(out, 2 * X)
    assert sorted(seen[1]) == sorted(seen[2])
    assert by_blocks(lambda X_BD: X_BD[:, 0], X.astype(np.float32)).dtype == np.float32
