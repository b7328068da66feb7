"""Batches of regressions in closed form: sparse approximation, the coreset and batchbald, of rows and of groups."""

from dataclasses import replace

import numpy as np
import pytest

from alcli import plugins
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.selection.group_source import Grouping, GroupSource
from alcli.selection.group_view import GroupedView
from alcli.selection.select import select
from alcli.selection.source import ArraySource, hash_ids
from alcli.selection.view import View
from alcli.strategies.acs_fw import frank_wolfe
from alcli.strategies.sparse_greedy import importance
from tests.committees import fitted_numbers
from tests.dense_sparse import Dense, dense_greedy, dense_iht

N, K = 40, 7
MODEL = fitted_numbers(n=200, dim=4, labelled=15, noise=1.5)[0]
X = np.random.default_rng(5).standard_normal((N, 4)).astype(np.float32) * np.linspace(0.2, 2.0, N)[:, None].astype("f4")
# Groups of 1, 2, 3, 1, 2, 3, ... rows, that follow each other.
GROUP_N = np.repeat(np.arange(20), [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 3])


def view(grouped):
    source = ArraySource(X, np.arange(N))
    if not grouped:
        return View(source, np.arange(N), np.empty(0, np.int64), MODEL)
    names = np.array([f"g{i:02d}" for i in range(20)], object)
    groups = GroupSource(source, Grouping(GROUP_N, names, hash_ids(names)))
    return GroupedView(groups, np.arange(20), np.empty(0, np.int64), MODEL)


def chosen(name, grouped, **options):
    return select(plugins.strategy(name), view(grouped), K, seed=0, options=options)


def written_out(form):
    """(the vector of each row, its expected distance to a labelled one, the noise), by the formulas of the paper."""
    noise = MODEL.head.noise_variance
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    covariance = MODEL.posterior.noise_variance * np.linalg.inv(MODEL.posterior.precision)
    variance = np.einsum("nd,de,ne->n", phi, covariance, phi)
    if form == "gradient":
        steps = np.sqrt((noise + variance) / noise)
        return steps[:, None] * phi, np.sqrt(2 / np.pi) * steps * np.linalg.norm(phi, axis=1)
    half = np.linalg.cholesky(covariance)
    root = phi @ half
    vectors = np.einsum("na,nb->nab", root, root).reshape(N, -1) / (np.sqrt(2) * noise)
    return vectors, np.sqrt(2 / np.pi) * np.sqrt((noise + variance) * variance) / noise


def by_group(vectors, distances, grouped):
    if not grouped:
        return vectors, distances
    starts = np.flatnonzero(np.diff(GROUP_N, prepend=-1))
    return np.add.reduceat(vectors, starts), np.sqrt(np.add.reduceat(distances**2, starts))


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
@pytest.mark.parametrize("form", ["gradient", "bayesian"])
def test_the_sparse_batches_are_those_of_vectors_written_out(form, grouped):
    G, distances = by_group(*written_out(form), grouped)
    n = len(G)
    v = G.mean(axis=0)
    sigma = distances / n
    alpha, beta = 0.2 * (v @ v) / np.sort(sigma**2)[-K:].sum(), 0.01 * (v @ v) / K
    problem = Dense(G, sigma, K, alpha, beta)
    greedy = chosen("sparse-greedy", grouped, form=form, alpha=alpha, beta=beta)
    S, w, _ = dense_greedy(problem, K)
    assert greedy.rows_K.tolist() == S
    assert np.allclose(greedy.weights_K, importance(w), rtol=2e-3, atol=1e-3)
    iht = chosen("sparse-iht", grouped, form=form, alpha=alpha, beta=beta, iterations=12)
    S = dense_iht(problem, K, 12)[1]
    assert sorted(iht.rows_K.tolist()) == sorted(np.asarray(S).tolist())
    assert (greedy.notes, iht.notes) == ((), ())


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_the_coreset_is_that_of_gradients_written_out(grouped):
    """The Fisher inner product c_ij phi_i.phi_j / noise^2, as vectors root (x) phi / noise."""
    noise = MODEL.head.noise_variance
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    half = np.linalg.cholesky(MODEL.posterior.noise_variance * np.linalg.inv(MODEL.posterior.precision))
    vectors = np.einsum("na,nb->nab", phi @ half / noise, phi).reshape(N, -1)
    G, _ = by_group(vectors, np.ones(N), grouped)
    found = frank_wolfe(GradientRows(G), K)
    coreset = chosen("acs-fw", grouped)
    assert coreset.rows_K.tolist()[: len(found.picks_M)] == found.picks_M.tolist()
    assert np.allclose(coreset.weights_K[: len(found.picks_M)], importance(np.append(
        found.weights_M, np.zeros(K - len(found.picks_M))))[: len(found.picks_M)], rtol=1e-3)  # fmt: skip


@pytest.mark.parametrize("grouped", [False, True], ids=["rows", "groups"])
def test_batchbald_gains_are_those_of_the_joint_predictive_covariance(grouped):
    noise = MODEL.head.noise_variance
    phi = np.column_stack([X, np.ones(N)]).astype(np.float64)
    joint = MODEL.posterior.noise_variance * phi @ np.linalg.inv(MODEL.posterior.precision) @ phi.T + noise * np.eye(N)
    found = chosen("batchbald", grouped)
    rows = [np.flatnonzero(i == GROUP_N) if grouped else np.array([i]) for i in found.rows_K]
    said = 0.0
    for k in range(K):
        labelled = np.concatenate(rows[: k + 1])
        entropy = 0.5 * np.linalg.slogdet(joint[np.ix_(labelled, labelled)] / noise)[1]
        assert np.isclose(found.scores_K[k], entropy - said, rtol=1e-4)
        said = entropy
    assert (np.diff(found.scores_K) <= 1e-6).all()
    assert found.record == {"exact-picks": K}


@pytest.mark.parametrize("name", ["sparse-greedy", "sparse-iht"])
def test_the_gradient_form_of_numbers_needs_no_posterior(name, monkeypatch):

    monkeypatch.setitem(globals(), "MODEL", replace(MODEL, posterior=None))
    found = chosen(name, False)
    assert len(set(found.rows_K.tolist())) == K
    assert np.isclose(found.weights_K.mean(), 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ["sparse-greedy", "sparse-iht", "acs-fw", "batchbald"])
def test_blocks_and_the_order_of_the_pool_do_not_matter(name):

    order = np.random.default_rng(1).permutation(N)
    nothing, strategy = np.empty(0, np.int64), plugins.strategy(name)
    one = select(strategy, View(ArraySource(X, np.arange(N)), np.arange(N), nothing, MODEL), K, seed=0, options={})
    moved = View(ArraySource(X[order], order, block_rows=7), np.arange(N), nothing, MODEL)
    other = select(strategy, moved, K, seed=0, options={})
    assert one.rows_K.tolist() == order[other.rows_K].tolist()
