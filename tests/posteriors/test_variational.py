"""The variational posterior: against laplace-diag where both are exact, in a head, its options, and damaged files."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError, UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.posteriors.laplace_diag import LaplaceDiag
from alcli.posteriors.laplace_full import LaplaceFull
from alcli.posteriors.variational import Variational
from alcli.workflows.recipe import Recipe
from tests.evidence import prior_of


def rows(n=40, seed=0, C=3):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, 4)), rng.integers(C, size=n), rng.uniform(0.5, 2.0, size=n), C)


def test_under_squared_loss_it_is_laplace_diag_and_the_mean_is_the_ridge_solution():
    q, diag = (fit(rows(), FitSpec(ridge.head, form)) for form in (Variational, LaplaceDiag))
    np.testing.assert_array_equal(q.head.W_CD1, diag.head.W_CD1)
    phi = q.head.last_layer(rows(seed=1).X_LD)
    np.testing.assert_allclose(
        q.posterior.variance(q.head.W_CD1, phi), diag.posterior.variance(diag.head.W_CD1, phi), rtol=1e-12
    )
    assert q.head.diagnostics["elbo"] < q.head.diagnostics["log_evidence"]


def test_the_head_takes_the_mean_and_reports_the_bound():
    q, plain = (fit(rows(), FitSpec(softmax.head, form, prior_precision=0.5)) for form in (Variational, None))
    assert np.abs(q.head.W_CD1 - plain.head.W_CD1).max() > 1e-4
    assert q.head.diagnostics["elbo"] == q.posterior.elbo < 0
    assert q.head.diagnostics["posterior_steps"] >= 1
    np.testing.assert_allclose(q.head.W_CD1.sum(axis=0), 0, atol=0.05)


def test_at_temperature_one_the_bound_is_greatest_and_below_the_evidence():
    spec = {"prior_precision": 0.5}
    bounds = [
        fit(rows(), FitSpec(softmax.head, Variational, posterior_options={"temperature": t}, **spec)).posterior.elbo
        for t in (0.3, 1.0, 3.0)
    ]
    assert bounds[1] > max(bounds[0], bounds[2])
    assert bounds[1] < evidence(rows(), 0.5)


def evidence(data, prior):
    """log p(labels) by importance sampling around the full Laplace form."""
    full = fit(data, FitSpec(softmax.head, LaplaceFull, prior_precision=prior, curvature=0.7))
    posterior = LaplaceFull(prior, 0.7, 1.0, 3, full.posterior.state)
    W = posterior.sample(full.head.W_CD1, 40_000, seed=0)
    away = (W - full.head.W_CD1).reshape(len(W), -1)
    log_q = 0.5 * (
        np.linalg.slogdet(posterior.state.precision)[1]
        - np.einsum("si,ij,sj->s", away, posterior.state.precision, away)
        - away.shape[1] * np.log(2 * np.pi)
    )
    prior_D1 = prior_of(prior, W.shape[2])
    log_prior = 0.5 * (3 * np.log(prior_D1 / (2 * np.pi)).sum() - (W**2 @ prior_D1).sum(axis=1))
    logits = full.head.last_layer(data.X_LD) @ W.transpose(0, 2, 1)
    log_p = logits - np.logaddexp.reduce(logits, axis=2, keepdims=True)
    log_w = (log_p[:, np.arange(data.n), data.y_L] @ data.weights_L) + log_prior - log_q
    return float(np.logaddexp.reduce(log_w) - np.log(len(W)))


def test_its_variance_answers_to_the_temperature_and_draws_are_independent():
    cold, warm = (
        fit(rows(), FitSpec(softmax.head, Variational, posterior_options={"temperature": t})).posterior
        for t in (0.01, 0.1)
    )
    assert (cold.variance_CD1 < warm.variance_CD1).all()
    draws = warm.sample(np.zeros((3, 5)), 20_000, seed=2).reshape(20_000, 15)
    correlation = np.corrcoef(draws.T) - np.eye(15)
    assert np.abs(correlation).max() < 5 / np.sqrt(20_000)


def test_another_seed_of_the_nodes_hardly_matters():
    data = rows(n=300)
    a, b = (fit(data, FitSpec(softmax.head, Variational, prior_precision=0.5, seed=s)) for s in (0, 1))
    assert np.abs(a.head.W_CD1 - b.head.W_CD1).max() < 0.2 * np.sqrt(a.posterior.variance_CD1.min())
    np.testing.assert_allclose(a.posterior.variance_CD1, b.posterior.variance_CD1, rtol=0.02)


@pytest.mark.parametrize("temperature", ["0", "-1", "inf", "hot"])
def test_temperatures_are_refused_before_data_is_read(temperature):
    with pytest.raises(UsageError, match=r"positive number|must be a number"):
        Recipe(posterior="variational", options={"posterior.temperature": temperature}).checked()


def test_a_ridge_head_takes_no_temperature():
    with pytest.raises(UsageError, match="takes no temperature"):
        fit(rows(), FitSpec(ridge.head, Variational, posterior_options={"temperature": 1.0}))


def test_damage_is_named():
    posterior = fit(rows(), FitSpec(softmax.head, Variational)).posterior
    with pytest.raises(DataError, match="'variance' holds numbers that are not positive"):
        Variational.from_arrays({"variance": -posterior.variance_CD1}, posterior.settings(), D1=5, C=3)
    with pytest.raises(DataError, match="'elbo' is missing"):
        Variational.from_arrays(posterior.arrays(), {"kind": "variational", "steps": 1.0}, D1=5, C=3)
