import numpy as np
import pytest
import torch

from alcli.errors import UsageError
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.numerics.blocks import workers
from alcli.numerics.network import Network
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import noise_stability
from alcli.strategies.noise_stability import jacobian_rows
from tests.helpers import view_of

ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}


def network_of(D=4, M=None, C=3, activation="tanh", size=1.0):
    rng = np.random.default_rng(3)
    if M is None:
        return Network((), "identity", size * rng.standard_normal((C, D + 1)))
    layer = rng.standard_normal((M, D)), rng.standard_normal(M)
    return Network([layer], activation, size * rng.standard_normal((C, M + 1)))


def jacobians(network, X, output, bias):
    """Of each layer's weights (and biases) by automatic differentiation, a list of [N, outputs * its number of
    weights].
    """
    parameters = [torch.tensor(np.column_stack([W, b])) for W, b in network.layers] + [torch.tensor(network.W_CD1)]

    def run(x, *weights):
        h = x
        for W in weights[:-1]:
            h = ACTIVATIONS[network.activation](W[:, :-1] @ h + W[:, -1])
        if output == "hidden":
            return h
        z = weights[-1][:, :-1] @ h + weights[-1][:, -1]
        return torch.softmax(z, 0) if output == "softmax" else z

    found = []
    for x in torch.tensor(X):
        parts = torch.autograd.functional.jacobian(lambda *w, x=x: run(x, *w), tuple(parameters))
        found.append([(part if bias else part[..., :-1]).reshape(-1).numpy() for part in parts])
    layers = [np.array(layer) for layer in zip(*found)]
    return layers[:-1] if output == "hidden" else layers


def gram(rows):
    with workers() as spread:
        return rows.inner_with(rows, np.arange(rows.n), spread) * rows.scale**2


CASES = [
    (M, activation, output)
    for M, activation in [(None, ""), (5, "tanh"), (8, "relu"), (6, "gelu")]
    for output in ("softmax", "logits", "hidden")
    if M or output != "hidden"
]


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("scaling", ["global", "layer"])
@pytest.mark.parametrize(("M", "activation", "output"), CASES)
def test_products_are_those_of_jacobians_by_automatic_differentiation(M, activation, output, scaling, bias):
    network = network_of(M=M, activation=activation)
    X = np.random.default_rng(0).standard_normal((12, 4)) * np.linspace(0.2, 4, 12)[:, None]
    layers = jacobians(network, X, output, bias)
    weights = [1.0] * len(layers)
    if scaling == "layer":
        matrices = [np.column_stack(layer) for layer in network.layers] + [network.W_CD1]
        matrices = [W if bias else W[:, :-1] for W in matrices]
        weights = [np.sum(W**2) / W.size for W in matrices]
    expected = sum(weight * J @ J.T for weight, J in zip(weights, layers))
    rows = jacobian_rows(network, X, output, scaling, bias=bias)
    assert np.allclose(gram(rows), expected, atol=1e-12)
    assert np.allclose(rows.sq_norms * rows.scale**2, np.diag(expected))


@pytest.mark.parametrize("M", [None, 6])
def test_confident_rows_keep_their_digits(M):
    """Jacobians of a sure row are small; the products keep their relative precision, in float32 as well."""
    network, X = (
        network_of(M=M, size=6.0),
        np.random.default_rng(1).standard_normal((200, 4)).astype(np.float32).astype(np.float64),
    )
    layers = np.hstack(jacobians(network, X, "softmax", False))
    norms = np.linalg.norm(layers, axis=1)
    known = norms > 1e-5  # automatic differentiation has no digits left below
    X, layers, norms = X[known], layers[known], norms[known]
    assert norms.min() < 1e-4 < 1e-1 < norms.max()
    for dtype, tolerance in ((np.float64, 1e-9), (np.float32, 1e-4)):
        found = gram(jacobian_rows(network, X.astype(dtype), "softmax"))
        assert (np.abs(found - layers @ layers.T) <= tolerance * np.outer(norms, norms)).all()


def test_a_regression_with_one_output():
    network, X = network_of(M=5, C=1), np.random.default_rng(0).standard_normal((9, 4))
    J = np.hstack(jacobians(network, X, "logits", False))
    assert np.allclose(gram(jacobian_rows(network, X, "logits")), J @ J.T)


def test_what_has_no_closed_form_is_refused():
    X, two = np.zeros((2, 4)), network_of(M=4)
    with pytest.raises(UsageError, match=r"one hidden layer.*sampled"):
        jacobian_rows(Network([*two.layers, two.layers[0]], "tanh", two.W_CD1), X, "softmax")
    with pytest.raises(UsageError, match="at most 40 units where there are 100 classes"):
        jacobian_rows(network_of(M=41, C=100), X, "softmax")
    assert jacobian_rows(network_of(M=41, C=100), X, "hidden").n == 2


def test_rows_that_hardly_move_for_their_many_classes_are_told_of():
    X = np.random.default_rng(0).standard_normal((50, 6))

    def notes(size, **options):
        view = view_of(
            X, head=Model(LinearHead("softmax", size * np.random.default_rng(1).standard_normal((4, 7)), 1.0))
        )
        return select(strategy_of(noise_stability), view, 3, seed=0, options=options).notes

    (note,) = notes(0.01)
    assert note.startswith("for 100% of the candidates no class has half of the probability; such rows move little")
    assert "selector=topnorm takes them last" in notes(0.01, selector="topnorm")[0]
    for options in ({"selector": "kmeanspp"}, {"selector": "direction"}, {"output": "logits"}):
        assert not any("half of the probability" in said for said in notes(0.01, **options))
    assert notes(100.0) == ()
