"""Small committees for tests: random members, and views of a real model with a Laplace posterior."""

from __future__ import annotations

import numpy as np

from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics.logistic import log_softmax
from alcli.posteriors.laplace_shared import LaplaceShared
from tests.helpers import view_of
from tests.pools import tiny_features


def members(B, S, C, *, seed=0, scale=2.0):
    """Log class probabilities of B rows by S members, [B, S, C]."""
    return log_softmax(scale * np.random.default_rng(seed).standard_normal((B, S, C)))


def of_probs(probs_BSC):
    """Logs of given probabilities; what is 0 becomes 1e-300."""
    return np.log(np.maximum(np.asarray(probs_BSC, np.float64), 1e-300))


def fitted(n=400, dim=5, labelled=12, **options):
    """(model, view): a softmax head with a Laplace posterior on `labelled` rows of three classes, and a view of the
    other rows.
    """
    X_ND, y_N = tiny_features(n, dim)
    labels = np.arange(labelled)
    model = fit(Training(X_ND[labels], y_N[labels], np.ones(labelled), 3), FitSpec(softmax.head, LaplaceShared))
    return model, view_of(X_ND, labelled=labels, head=model, **options)


def fitted_numbers(n=200, dim=5, labelled=20, noise=0.3):
    """(model, view): a ridge regression with a Laplace posterior on `labelled` rows, and a view of the other rows."""
    rng = np.random.default_rng(2)
    X_ND = rng.standard_normal((n, dim)).astype(np.float32)
    y_N = X_ND @ np.arange(dim) + noise * rng.standard_normal(n)
    labels = np.arange(labelled)
    model = fit(Training(X_ND[labels], y_N[labels], np.ones(labelled), None), FitSpec(ridge.head, LaplaceShared))
    return model, view_of(X_ND, labelled=labels, head=model)


def draws_of(model, view, samples, seed=0):
    """Log class probabilities of the view's candidates under the draws that a selection with this seed sees, [n, S,
    C].
    """
    view = view.sampling(samples, seed)
    return view.evaluate("sample_log_probs", view.matrix("features"))


def information_by_entropies(log_probs_BSC):
    """H(mean) - mean H, written out in extended precision."""
    P = np.exp(np.asarray(log_probs_BSC, np.longdouble))
    P = P / P.sum(axis=2, keepdims=True)
    mean = P.mean(axis=1)
    h = lambda p: -(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1)  # noqa: E731
    return (h(mean) - h(P).mean(axis=1)).astype(np.float64)
