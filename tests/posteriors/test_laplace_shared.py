"""The shared covariance against dense algebra, and the identities that an update must satisfy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads.softmax import softmax as softmax_head
from alcli.numerics.last_layer.precision import PENDING_ROWS
from alcli.numerics.logistic import log_softmax, one_hot, softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors.laplace_shared import LaplaceShared
from tests.evidence import SOFTMAX_BIAS, prior_of, ridge
from tests.posteriors.other_forms import absorb_into_pool, dual_update

D, C, PRIOR = 5, 4, 0.7


def problem(seed=0, n=12, m=6, link="softmax", D=D):
    rng = np.random.default_rng(seed)

    def rows(k):
        targets = one_hot(rng.integers(C, size=k), C)
        return Evidence(with_bias(rng.normal(size=(k, D))), targets, rng.uniform(0.5, 2.0, size=k), link)

    return rng.normal(size=(C, D + 1)), rows(n), rows(m)


def dense(data, curvature, prior=PRIOR):
    weighted = data.phi_LD1 * data.weights_L[:, None]
    return np.diag(prior_of(prior, data.phi_LD1.shape[1], data.link)) + curvature * weighted.T @ data.phi_LD1


def dense_precision(parts, prior, curvature):
    total = np.diag(prior_of(prior, parts[0][0].shape[1]))
    for _, data in parts:
        total += curvature * (data.phi_LD1 * data.weights_L[:, None]).T @ data.phi_LD1
    return np.kron(np.eye(len(parts[0][0])), total)


def joined(a, b):
    return Evidence(
        *(np.concatenate([getattr(a, f), getattr(b, f)]) for f in ("phi_LD1", "targets_LC", "weights_L")), a.link
    )


def test_precision_covariance_and_variance_equal_their_dense_forms():
    W, old, _ = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=0.5, noise_variance=2.0)
    P = dense(old, 0.5)
    np.testing.assert_allclose(post.precision, P, atol=1e-13)
    np.testing.assert_allclose(post.covariance, np.linalg.inv(P), atol=1e-13)
    np.testing.assert_allclose(post.factor @ post.factor.T, P, atol=1e-13)
    phi = with_bias(np.random.default_rng(1).normal(size=(7, D)))
    np.testing.assert_allclose(post.variance(W, phi)[:, 0], 2.0 * np.diag(phi @ np.linalg.inv(P) @ phi.T), rtol=1e-12)


@pytest.mark.parametrize("mode", ["sequential", "batch"])
@pytest.mark.parametrize("curvature", [1.0, 0.1])
def test_sequential_batch_and_direct_inverse_agree_on_the_covariance(mode, curvature):
    W, old, new = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=curvature)
    _, after = post.update(W, new, gamma=1.0, mode=mode)
    P = dense(joined(old, new), curvature)
    np.testing.assert_allclose(after.precision, P, atol=1e-13)
    np.testing.assert_allclose(after.covariance, np.linalg.inv(P), atol=1e-12)


def test_a_rank_one_update_by_hand():
    # D = 1 with bias: P = diag(1, 1 / v), phi = (1, 1), so covariance phi = (1, v), covariance' phi = (1, v) / (2 + v)
    # and W' = gamma (e_y - 1/2) (1, v) / (2 + v).
    v = 1 / SOFTMAX_BIAS
    data = Evidence(np.ones((1, 2)), np.array([[1.0, 0.0]]), np.ones(1), "softmax")
    empty = Evidence(np.empty((0, 2)), np.empty((0, 2)), np.empty(0), "softmax")
    W, post = LaplaceShared.fit(np.zeros((2, 2)), empty, prior_precision=1.0)[1].update(
        np.zeros((2, 2)), data, gamma=2.0
    )
    np.testing.assert_allclose(W, np.array([[1, v], [-1, -v]]) / (2 + v), atol=1e-14)
    want = np.diag([1, v]) - np.array([[1, v], [v, v**2]]) / (2 + v)
    np.testing.assert_allclose(post.covariance, want, atol=1e-13)


@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_squared_loss_with_gamma_one_equals_ridge_on_all_rows(mode):
    _, old, new = problem(link="identity")
    W0 = ridge(old, PRIOR)
    _, post = LaplaceShared.fit(W0, old, prior_precision=PRIOR)
    both = joined(old, new)
    want = ridge(both, PRIOR)
    for order in (np.arange(6), np.arange(6)[::-1]):
        got, after = post.update(W0, new.rows(order), gamma=1.0, mode=mode)
        np.testing.assert_allclose(got, want, atol=1e-12)
        np.testing.assert_allclose(after.covariance, np.linalg.inv(dense(both, 1.0)), atol=1e-12)


@pytest.mark.parametrize("gamma", [1.7, None])
def test_the_dual_form_equals_the_sequential_recursion(gamma):
    W, old, new = problem()
    new = Evidence(new.phi_LD1, new.targets_LC, np.ones(new.n), "softmax")
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=0.3)
    got, _ = post.update(W, new, gamma=gamma)
    X, S = new.phi_LD1, post.covariance
    dual = dual_update(X @ S @ X.T, X @ W.T, new.targets_LC, gamma=gamma, curvature=0.3, mean=softmax)
    np.testing.assert_allclose(W + dual.coefficients_MC.T @ X @ S, got, atol=1e-12)
    held_out = with_bias(np.random.default_rng(5).normal(size=(9, D)))
    np.testing.assert_allclose(held_out @ W.T + dual.shift(held_out @ S @ X.T), held_out @ got.T, atol=1e-12)


def test_batch_mode_does_not_depend_on_order_and_sequential_mode_does():
    W, old, new = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR)
    backwards = new.rows(np.arange(new.n)[::-1])
    batch = [post.update(W, data, gamma=2.0, mode="batch")[0] for data in (new, backwards)]
    np.testing.assert_allclose(*batch, atol=1e-12)
    sequential = [post.update(W, data, gamma=2.0)[0] for data in (new, backwards)]
    assert np.abs(sequential[0] - sequential[1]).max() > 1e-3


def test_summing_corrections_of_one_covariance_is_right_for_one_row_and_wrong_for_two():
    # The published equation 7; two rows must be absorbed one after another instead.
    W, old, new = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR)
    S = post.covariance
    for m in (1, 2):
        summed = S.copy()
        for phi, weight in zip(new.phi_LD1[:m], new.weights_L[:m]):
            t = S @ phi
            summed -= weight * np.outer(t, t) / (1 + weight * phi @ t)
        error = np.abs(summed - post.update(W, new.rows(np.arange(m)), gamma=1.0)[1].covariance).max()
        assert error < 1e-13 if m == 1 else error > 1e-4


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), gamma=st.floats(0.05, 1.95), curvature=st.floats(0.5, 1.0))
def test_a_batch_update_from_the_map_always_lowers_the_objective_of_all_rows(seed, gamma, curvature):
    # Majorisation: curvature >= 1/2 bounds the Hessian, so every step in (0, 2) descends.
    rng = np.random.default_rng(seed)
    phi, y = with_bias(rng.normal(size=(18, D))), rng.integers(C, size=18)
    W = softmax_head(Training(phi[:12, :-1], y[:12], np.ones(12), C), PRIOR).W_CD1
    old, new = (Evidence(phi[i], one_hot(y[i], C), np.ones(len(y[i])), "softmax") for i in (slice(12), slice(12, 18)))
    after, _ = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=curvature)[1].update(
        W, new, gamma=gamma, mode="batch"
    )
    penalty = prior_of(PRIOR, D + 1) / 2
    loss = [-log_softmax(phi @ V.T)[np.arange(18), y].sum() + (V**2 @ penalty).sum() for V in (W, after)]
    assert loss[1] < loss[0]


def test_pool_bookkeeping_equals_recomputation_and_variances_never_grow():
    W, old, new = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=0.4, noise_variance=1.0)
    pool = with_bias(np.random.default_rng(3).normal(size=(20, D)))
    logits, variances = pool @ W.T, post.variance(W, pool)[:, 0].copy()
    for i in range(new.n):
        row = Evidence(new.phi_LD1[i : i + 1], new.targets_LC[i : i + 1], np.ones(1), "softmax")
        phi = row.phi_LD1[0]
        t, before = post.covariance @ phi, variances.copy()
        step = 1.5 * (row.targets_LC[0] - softmax((W @ phi)[None])[0])
        absorb_into_pool(logits, variances, pool @ t, float(phi @ t), step, 0.4)
        W, post = post.update(W, row, gamma=1.5)
        np.testing.assert_allclose(logits, pool @ W.T, atol=1e-12)
        np.testing.assert_allclose(variances, post.variance(W, pool)[:, 0], atol=1e-12)
        assert (variances <= before).all()
        assert (variances >= 0).all()


def test_an_unseen_class_learns_and_another_class_row_leaves_the_covariance():
    W, old, new = problem()
    W[-1] = 0.0
    target = np.zeros((1, C))
    target[0, -1] = 1.0
    row = Evidence(new.phi_LD1[:1], target, np.ones(1), "softmax")
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR)
    after, state = post.update(W, row, gamma=1.0)
    assert np.abs(after[-1]).max() > 1e-3
    wider = Evidence(row.phi_LD1, np.pad(target, ((0, 0), (0, 1))), np.ones(1), "softmax")
    _, wide_state = post.update(np.vstack([W, np.zeros(D + 1)]), wider, gamma=1.0)
    np.testing.assert_array_equal(wide_state.covariance, state.covariance)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_precision_and_covariance_do_not_drift_apart_in_1000_updates(scale):
    rng = np.random.default_rng(0)
    phi = with_bias(scale * rng.normal(size=(1040, 32)) / np.sqrt(32))
    data = Evidence(phi, one_hot(rng.integers(C, size=1040), C), np.ones(1040), "softmax")
    W = np.zeros((C, 33))
    _, post = LaplaceShared.fit(W, data.rows(np.arange(40)), prior_precision=0.01 * scale**2, curvature=0.5)
    for start in range(40, 1040, 50):
        W, post = post.update(
            W, data.rows(np.arange(start, start + 50)), gamma=0.5, mode="batch" if start % 100 else "sequential"
        )
    assert np.abs(post.covariance @ post.precision - np.eye(33)).max() < 1e-8
    assert len(post.state.taken_JD) == len(post.state.added_JD) < PENDING_ROWS
    np.testing.assert_allclose(post.precision, dense(data, 0.5, 0.01 * scale**2), atol=1e-9 * scale**2)


def test_samples_have_the_posterior_covariance_and_do_not_depend_on_how_many_are_drawn():
    W, old, _ = problem(D=2)
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, noise_variance=2.0)
    draws = post.sample(W, 20_000, seed=7) - W
    S = 2.0 * post.covariance
    for c in range(C):
        spread = np.sqrt((S**2 + np.outer(np.diag(S), np.diag(S))) / len(draws))
        assert (np.abs(draws[:, c].T @ draws[:, c] / len(draws) - S) < 4 * spread).all()
    np.testing.assert_array_equal(post.sample(W, 5, seed=7, first=3) - W, draws[3:8])
    assert np.abs(post.sample(W, 5, seed=8) - W - draws[:5]).max() > 0.1


def test_monte_carlo_prediction_equals_a_gauss_hermite_integral():
    W, old, _ = problem(D=2)
    W, old = W[:2], Evidence(old.phi_LD1, old.targets_LC[:, :2], old.weights_L, "softmax")
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, noise_variance=1.0)
    phi = np.array([[1.0, -2.0, 1.0]])
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    difference = float(phi[0] @ (W[0] - W[1])) + np.sqrt(2 * float(post.variance(W, phi)[0, 0])) * nodes
    want = (weights / np.sqrt(2 * np.pi)) @ (1 / (1 + np.exp(-difference)))
    probs = softmax(np.einsum("bd,scd->sbc", phi, post.sample(W, 20_000, seed=1)))[:, 0, 0]
    assert abs(probs.mean() - want) < 3 * probs.std() / np.sqrt(len(probs))


def test_the_default_scale_makes_the_weights_as_large_as_the_prior_expects():
    W, old, _ = problem()
    W = 0.1 * W
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=0.3)
    # The prior of the bias is not in units of the noise, so the bias does not count.
    effective = D - PRIOR * np.trace(np.linalg.inv(dense(old, 0.3))[:D, :D])
    assert post.noise_variance * C * effective / PRIOR == pytest.approx((W[:, :D] ** 2).sum())
    assert 0 < LaplaceShared.fit(0 * W, old, prior_precision=PRIOR)[1].noise_variance < 1e-5
    assert LaplaceShared.fit(100 * W, old, prior_precision=PRIOR)[1].noise_variance == 1.0


@pytest.mark.parametrize("link", ["softmax", "identity"])
@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_removing_the_rows_of_the_last_implicit_update_undoes_it(link, mode):
    W, old, new = problem(link=link)
    new = new.rows(np.arange(6 if mode == "batch" else 1))
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR, curvature=0.3 if link == "softmax" else 1.0)
    back, state = LaplaceShared.remove(post.update(W, new, mode=mode)[1], post.update(W, new, mode=mode)[0], new)
    np.testing.assert_allclose(back, W, atol=1e-11)
    np.testing.assert_allclose(state.precision, post.precision, atol=1e-12)
    np.testing.assert_allclose(state.covariance, post.covariance, atol=1e-12)


def test_removing_any_rows_is_exact_for_the_precision_and_for_ridge():
    _, old, new = problem(link="identity")
    both = joined(old, new)
    _, post = LaplaceShared.fit(ridge(both, PRIOR), both, prior_precision=PRIOR)
    W, post = post.remove(ridge(both, PRIOR), old.rows(np.arange(5)))
    rest = both.rows(np.arange(5, 18))
    np.testing.assert_allclose(W, ridge(rest, PRIOR), atol=1e-12)
    np.testing.assert_allclose(post.covariance, np.linalg.inv(dense(rest, 1.0)), atol=1e-12)


def test_removing_a_row_of_a_softmax_fit_comes_nearer_to_the_refit_without_it():
    rng = np.random.default_rng(0)
    phi, y = with_bias(rng.normal(size=(30, D))), rng.integers(C, size=30)

    def fitted(k):
        return softmax_head(Training(phi[k:, :-1], y[k:], np.ones(30 - k), C), PRIOR).W_CD1

    with_all, without = fitted(0), fitted(1)
    data = Evidence(phi, one_hot(y, C), np.ones(30), "softmax")
    W, _ = LaplaceShared.fit(with_all, data, prior_precision=PRIOR, curvature=0.2)[1].remove(
        with_all, data.rows(np.arange(1))
    )
    assert np.linalg.norm(W - without) < 0.5 * np.linalg.norm(with_all - without)


def test_rows_that_were_never_absorbed_cannot_be_removed():
    W, old, _ = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR)
    far = Evidence(100 * old.phi_LD1[:1], old.targets_LC[:1], np.ones(1), "softmax")
    with pytest.raises(DataError, match="without these rows is not positive definite"):
        post.remove(W, far)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda L: L[:-1], "shape"),
        (lambda L: L + np.triu(np.ones_like(L), 1), "lower factor"),
        (lambda L: L * (1 - 2 * np.eye(len(L))), "lower factor"),
        (lambda L: L + np.nan, "NaN"),
        (lambda L: L.astype(np.float32), "float32"),
    ],
)
def test_a_damaged_factor_is_named(damage, words):
    W, old, _ = problem()
    _, post = LaplaceShared.fit(W, old, prior_precision=PRIOR)
    with pytest.raises(DataError, match=f"'precision_factor'.*{words}"):
        LaplaceShared.from_arrays({"precision_factor": damage(post.factor)}, post.settings(), D1=D + 1, C=C)


def test_a_curvature_sum_that_is_not_positive_definite_is_a_data_error():
    W, old, _ = problem()
    bad = Evidence(old.phi_LD1, old.targets_LC, old.weights_L * np.nan, "softmax")
    with pytest.raises(DataError, match="positive definite"):
        LaplaceShared.fit(W, bad, prior_precision=PRIOR)
