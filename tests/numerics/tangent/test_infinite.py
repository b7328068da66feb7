"""The kernel of wide random heads against drawn heads, and its expectations against numerical integration."""

import itertools

import numpy as np
import pytest
from scipy.special import ndtr

from alcli.numerics.network import ACTIVATIONS, SLOPES, Network
from alcli.numerics.tangent.infinite import _EXPECTATIONS, InfiniteRows
from alcli.numerics.tangent.kernels import tangent_rows

D, GAIN = 4, {"relu": 2.0, "gelu": 2.0, "tanh": 1.0}
FUNCTIONS = {
    "relu": (lambda u: np.maximum(u, 0.0), lambda u: (u > 0.0) * 1.0),
    "tanh": (np.tanh, lambda u: np.cosh(np.clip(u, -300, 300)) ** -2.0),
    "gelu": (lambda u: u * ndtr(u), lambda u: ndtr(u) + u * np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi)),
}


@pytest.fixture
def X():
    rows = np.random.default_rng(1).standard_normal((5, D))
    return np.vstack([rows, 3 * rows[:1], 1e-6 * rows[1:2]])


def drawn(widths, activation, rng):
    """A head at random weights, as training begins; its last layer drawn like the others."""
    sizes, gain = [D, *widths], GAIN[activation]
    draw = lambda outputs, inputs: rng.standard_normal((outputs, inputs)) * np.sqrt(gain / inputs)  # noqa: E731
    layers = tuple((draw(m, d), np.zeros(m)) for d, m in itertools.pairwise(sizes))
    return Network(layers, activation, np.column_stack([draw(1, sizes[-1]), np.zeros(1)]))


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize(("widths", "draws", "share"), [((20,), 3000, 0.03), ((300, 200), 60, 0.06)])
def test_it_is_the_mean_kernel_of_drawn_heads_with_these_widths(X, activation, widths, draws, share):
    """One hidden layer of any width: the expectation. Two: as widths grow."""
    rng, total = np.random.default_rng(2), np.zeros((len(X), len(X)))
    for _ in range(draws):
        rows = tangent_rows(X, drawn(widths, activation, rng), "first-logit")
        total += rows.gram(rows) / draws
    made = InfiniteRows(X, widths, activation)
    size = np.sqrt(np.outer(np.diag(total), np.diag(total)))
    assert np.abs(made.gram(made) - total).max() > 0.0
    assert (np.abs(made.gram(made) - total) / size).max() < share
    assert made.diagonal() == pytest.approx(np.diag(made.gram(made)), rel=1e-7)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("widths", [(20,), (300, 200)])
def test_with_the_last_layer_trained_it_is_the_covariance_of_the_outputs_of_drawn_heads(X, activation, widths):
    """Given the hidden layers, that of independent weights of variance 1; the bias adds 1 to the kernel."""
    rng, total, draws = np.random.default_rng(3), np.zeros((len(X), len(X))), 60_000 // widths[0]
    for _ in range(draws):
        head = drawn(widths, activation, rng)
        hidden = head.forward(X)[0][-1]
        total += hidden @ hidden.T / draws
    made = InfiniteRows(X, widths, activation, "last")
    size = np.sqrt(np.outer(np.diag(total), np.diag(total)))
    assert (np.abs(made.gram(made) - 1.0 - total) / size).max() < 0.03
    assert made.at([1, 0]).joined(made.at([2])).trained == "last"


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("widths", [(6,), (7, 5), (3, 4, 5)])
def test_parts_and_joins_are_those_of_the_whole(X, activation, widths):
    whole, A, B = (InfiniteRows(rows, widths, activation) for rows in (X, X[:3], X[3:]))
    K = whole.gram(whole)
    assert A.joined(B).gram(B) == pytest.approx(K[:, 3:], rel=1e-12)
    assert whole.at([4, 1]).gram(whole.at(slice(2, 6))) == pytest.approx(K[[4, 1], 2:6], rel=1e-12)
    assert np.linalg.eigvalsh(K).min() > -1e-6 * K.max()


def integral(function, c, q, q_):
    """E[f(u) f(v)] by nested trapezoids: over v given u inside, over u outside, with steps that fit the slopes."""
    a = np.linspace(-9, 9, 6001)
    inner_scale = np.sqrt(max(q_ - c**2 / q, 0.0))
    b = np.linspace(-9, 9, 6001)
    weight_a, weight_b = (np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi) * (z[1] - z[0]) for z in (a, b))
    u = np.sqrt(q) * a
    centres = np.linspace((c / q * u).min(), (c / q * u).max(), 4001)
    smooth = np.array([function(m + inner_scale * b) @ weight_b for m in centres])
    return (function(u) * np.interp(c / q * u, centres, smooth)) @ weight_a


@pytest.mark.parametrize("activation", ["tanh", "gelu"])
@pytest.mark.parametrize(
    ("q", "q_", "rho"),
    [(0.01, 0.02, 0.5), (1.0, 2.0, -0.7), (10.0, 10.0, 0.9), (74.0, 60.0, 0.3), (930.0, 800.0, -0.95)],
)
def test_expectations_hold_at_any_scale(activation, q, q_, rho):
    c = rho * np.sqrt(q * q_)
    values, slopes = _EXPECTATIONS[activation](*(np.array([z]) for z in (c, q, q_)))
    act, slope = FUNCTIONS[activation]
    assert values[0] == pytest.approx(integral(act, c, q, q_), rel=2e-4, abs=1e-6)
    assert slopes[0] == pytest.approx(integral(slope, c, q, q_), rel=2e-3, abs=1e-6)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
@pytest.mark.parametrize("q", [1e-8, 0.3, 74.0, 1e6])
def test_of_a_row_with_itself_they_are_integrals_of_one_normal(activation, q):
    edges = np.concatenate([[0.0], np.geomspace(1e-12, 40.0, 4000)])
    nodes, weights = np.polynomial.legendre.leggauss(8)
    u = (edges[:-1, None] + (nodes + 1) / 2 * np.diff(edges)[:, None]).ravel()
    density = np.exp(-(u**2) / 2) / np.sqrt(2 * np.pi) * (weights / 2 * np.diff(edges)[:, None]).ravel()
    made = _EXPECTATIONS[activation](*(np.array([q]),) * 3)
    for found, function in zip(made, FUNCTIONS[activation], strict=True):
        expected = (function(np.sqrt(q) * u) ** 2 + function(-np.sqrt(q) * u) ** 2) @ density
        assert found[0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_the_functions_of_the_test_are_those_of_heads(activation):
    u = np.linspace(-5, 5, 41)
    act, slope = FUNCTIONS[activation]
    assert act(u) == pytest.approx(ACTIVATIONS[activation](u.copy()), abs=1e-12)
    assert slope(u) == pytest.approx(SLOPES[activation](u), abs=1e-12)


def test_rows_of_zeros_and_by_hand():
    """relu, one hidden layer of M units: M q / 2 + 1 + 2 (1/2) (x.x + 1) with q = 2 x.x / D."""
    x = np.array([[1.0, 2.0, 0.0, 2.0]])
    assert InfiniteRows(x, (10,), "relu").diagonal() == pytest.approx([10 * 4.5 / 2 + 1 + 10], rel=1e-12)
    for activation in GAIN:
        zero = InfiniteRows(np.zeros((2, D)), (10, 10), activation)
        assert np.isfinite(zero.gram(zero)).all()
