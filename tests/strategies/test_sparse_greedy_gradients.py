"""strategies/sparse_greedy.py: expected gradients and likelihoods of the candidates."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.gradients.expected_losses import expected_and_spread, moments
from alcli.numerics.last_layer.temperature import temperature_between
from alcli.selection.strategy import strategy_of
from alcli.strategies import egl
from alcli.strategies import sparse_greedy as _gradients
from alcli.strategies.sparse_greedy import expected_rows, importance
from tests.dense_sparse import written_out
from tests.helpers import random_head, view_of

N, D, C = 12, 3, 4


def view(**head):
    X_ND = np.random.default_rng(0).standard_normal((N, D))
    return X_ND, (head := random_head(D, C, 1, **head)), view_of(X_ND, head=head).sampling(9, 5)


def all_of(rows):
    """The rows of an embedding, from their products with unit points."""
    units = np.eye(rows.K * rows.D1).reshape(-1, rows.K, rows.D1)
    with workers() as spread:
        return np.stack([rows.correlate(u, spread) for u in units], axis=1).reshape(rows.n, rows.K, rows.D1)


@pytest.mark.parametrize("label_dist", ["temp", "laplace", "pseudo", "mix"])
def test_rows_and_sigma_are_those_of_all_gradients_written_out(label_dist):
    X, head, seen = view(temperature=1.5)
    p, P = np.exp(head.trained_log_probs(X)), np.exp(head.log_probs(X))
    P = {"temp": P, "laplace": np.exp(head.predictive(X)), "pseudo": np.eye(C)[p.argmax(1)], "mix": 0.8 * P + 0.2 / C}[
        label_dist
    ]
    expected, sigma = written_out(X, p, P)
    found = expected_rows(seen, "gradient", label_dist, 0.2)
    assert np.allclose(all_of(found.rows), expected, rtol=0, atol=1e-6)  # log probabilities are float32
    assert np.allclose(found.sigma_N * N, sigma, rtol=1e-5, atol=1e-6)
    assert found.notes == ()


def test_the_factors_are_exact_in_float64(monkeypatch):
    X, head, seen = view(temperature=1.5)
    exact = {need: getattr(head, need)(X) for need in ("trained_log_probs", "log_probs")}
    monkeypatch.setattr(
        seen, "matrix", lambda need: exact[need] if need in exact else X if need == "hidden" else (X**2).sum(1)
    )
    expected, sigma = written_out(X, np.exp(exact["trained_log_probs"]), np.exp(exact["log_probs"]))
    found = expected_rows(seen, "gradient", "temp", 0.1)
    assert np.allclose(all_of(found.rows), expected, rtol=0, atol=1e-12)
    assert np.allclose(found.sigma_N * N, sigma, rtol=0, atol=1e-12)


def test_probabilities_of_the_model_itself_leave_no_gradient_and_sigma_is_the_gradient_length():
    X, head, seen = view(spread=0.0)
    found = expected_rows(seen, "gradient", "temp", 0.1)
    assert found.rows.sq_norms.max() == 0
    assert np.allclose(found.sigma_N * N, strategy_of(egl).run((X**2).sum(1), head.log_probs(X)), rtol=1e-6)


@pytest.mark.parametrize(
    ("T", "fallen"), [(1.0, True), (1.019, True), (0.981, True), (1.021, False), (0.979, False), (3.0, False)]
)
def test_temp_without_a_temperature_falls_back_to_laplace_and_says_so(T, fallen):
    _, _, seen = view(temperature=T)
    found = expected_rows(seen, "gradient", "temp", 0.1)
    laplace = expected_rows(seen, "gradient", "laplace", 0.1)
    assert np.array_equal(found.sigma_N, laplace.sigma_N) == fallen
    assert ["took laplace" in note for note in found.notes] == [True] * fallen


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.floats(0.05, 50.0), st.integers(0, 1000))
def test_the_temperature_is_found_from_the_probabilities(T, seed):
    rng = np.random.default_rng(seed)
    X, head = rng.standard_normal((30, D)), random_head(D, C, seed, temperature=T)
    assert np.isclose(temperature_between(head.trained_log_probs(X), head.log_probs(X)), T, rtol=1e-9)


def test_a_head_that_knows_nothing_has_no_temperature_between():
    flat = np.full((5, 3), np.log(1 / 3))
    assert temperature_between(flat, flat) == 1


def test_likelihoods_and_their_spread_by_their_definition():
    rng = np.random.default_rng(2)
    log_p = np.log(rng.dirichlet(np.ones(C), (5, 7)))  # 5 rows, 7 draws
    found = expected_and_spread(log_p)
    for j in range(5):
        P = np.exp(log_p[j]).mean(0)
        g = np.array([(-log_p[j, :, y] + log_p[j, :, y].mean()) / np.sqrt(7) for y in range(C)])
        assert np.allclose(found[j, 1:], P @ g, atol=1e-6)
        assert np.isclose(found[j, 0], sum(P[y] * np.linalg.norm(g[y] - P @ g) for y in range(C)), rtol=1e-6)


@settings(derandomize=True, max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.floats(-100, 100))
def test_a_constant_added_to_a_label_s_losses_under_all_draws_changes_nothing(seed, constant):
    rng = np.random.default_rng(seed)
    losses, P = rng.random((4, 6, C)), rng.dirichlet(np.ones(C), 4)
    shift = constant * rng.standard_normal((4, 1, C))
    assert np.allclose(moments(losses, P), moments(losses + shift, P), rtol=0, atol=1e-11)


def test_the_bayesian_form_reads_samples_alone_and_the_other_none():
    _, _, seen = view(temperature=2.0)
    expected_rows(seen.restricted_to(("sample_log_probs",)), "bayesian", "temp", 0.1)
    plain = ("hidden", "hidden_sq_norm", "trained_log_probs", "log_probs")
    expected_rows(seen.restricted_to(plain), "gradient", "temp", 0.1)
    with pytest.raises(LookupError, match="predictive"):
        expected_rows(seen.restricted_to(plain), "gradient", "laplace", 0.1)


@settings(derandomize=True, max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_importance_weights_are_positive_with_mean_one_and_keep_their_order(values):
    w = importance(np.array(values))
    assert (w > 0).all()
    assert np.isclose(w.mean(dtype=np.float64), 1, rtol=1e-5)
    order = np.argsort(values)
    assert (np.diff(w[order]) >= 0).all()


def test_importance_by_hand():
    # Mean 1; the 0 becomes 0.01, and all are divided by the new mean 1.0025.
    assert np.allclose(importance(np.array([0.0, 2, 1, 1])), np.array([0.01, 2, 1, 1]) / 1.0025)
    assert importance(np.zeros(3)).tolist() == [1, 1, 1]


def test_checks_say_what_is_allowed():
    _gradients.not_negative(alpha=None, beta=0.0)
    with pytest.raises(UsageError, match="'alpha-rel' must be at least 0, got -1"):
        _gradients.not_negative(alpha_rel=-1)
    with pytest.raises(UsageError, match="'beta' must be a positive number, got inf"):
        _gradients.not_negative(alpha=None, beta=np.inf)
