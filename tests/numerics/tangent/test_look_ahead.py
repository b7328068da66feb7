"""The rank-one look-ahead against direct solves, refits, gradient descent and the updates of a head."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.heads._contract import LinearHead, Training
from alcli.heads._model import Model
from alcli.numerics.blocks import thread_limit
from alcli.numerics.last_layer.precision import Precision
from alcli.numerics.network import Network
from alcli.numerics.tangent import look_ahead as ahead
from alcli.numerics.tangent.acquisitions import eer, emoc, flip, mlmoc, mlmoc_sq, project
from alcli.numerics.tangent.covariance import Difference, Factored
from alcli.numerics.tangent.covariance_sums import abs_sums, columns, square_sums
from alcli.numerics.tangent.kernel_ridge import dual, fit, primal
from alcli.numerics.tangent.kernels import linear, tangent_rows
from alcli.posteriors.laplace_shared import LaplaceShared

n, N, D, K = 7, 9, 10, 3  # fewer labelled rows than features: the kernel matrix is regular
ALL = slice(None)


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.standard_normal((n, D)), np.eye(K)[rng.integers(K, size=n)], rng.standard_normal((N, D))


def theta(A, B):
    return A @ B.T + 1


def network_rows(X_L, X, kind):
    rng = np.random.default_rng(8)
    network = Network(((rng.standard_normal((6, D)), rng.standard_normal(6)),), "tanh", rng.standard_normal((K, 7)))
    return tangent_rows(X_L, network, kind), tangent_rows(X, network, kind)


def supposed(f):
    return np.eye(K)[f.argmax(axis=1)] - f


def equation_12(X_L, Y, x_new, y_new, X, f, *, inverted=True):
    """The retrained prediction as printed, around a network f, with or without the inverse in v."""
    T, cross = theta(X_L, X_L), theta(X, X_L)
    v = np.linalg.solve(T, theta(X_L, x_new)) if inverted else theta(X_L, x_new)
    u = theta(x_new, x_new) - theta(x_new, X_L) @ v
    f_lin = f(X) + cross @ np.linalg.solve(T, Y - f(X_L))
    return f_lin + (cross @ v - theta(X, x_new)) / u * (v.T @ (Y - f(X_L)) - (y_new - f(x_new)))


def test_equation_12_is_the_direct_solve_with_the_inverse_and_is_not_without(data):
    X_L, Y, X = data
    W = np.random.default_rng(1).standard_normal((D, K))
    f = lambda A: np.tanh(A @ W)  # noqa: E731
    for j in range(N):
        x, y = X[j : j + 1], np.eye(K)[[j % K]]
        joined, targets = np.vstack([X_L, x]), np.vstack([Y, y])
        direct = f(X) + theta(X, joined) @ np.linalg.solve(theta(joined, joined), targets - f(joined))
        assert equation_12(X_L, Y, x, y, X, f) == pytest.approx(direct, abs=1e-11)
        assert np.abs(equation_12(X_L, Y, x, y, X, f, inverted=False) - direct).max() > 0.1
        # The compact form, around the same network: a regression on what it leaves over.
        fitted = dual(linear(X_L), Y - f(X_L), 0.0)
        f_lin = f(X) + fitted.predict(linear(X))
        look = ahead.RankOne.after(fitted.covariance(linear(X)), 0.0)
        after = f_lin + look.changes(np.array([j]), y - f_lin[[j]], ALL)[0].T
        assert after == pytest.approx(direct, abs=1e-11)
        assert after[j] == pytest.approx(y[0], abs=1e-12)


def test_a_label_that_was_predicted_changes_nothing(data):
    X_L, Y, X = data
    look = ahead.RankOne.after(primal(linear(X_L), Y, 0.1).covariance(linear(X)), 0.1)
    assert not look.changes(np.arange(N), np.zeros((N, K)), ALL).any()


@given(st.integers(0, 1000), st.floats(1e-3, 10), st.integers(3, 20))
def test_under_a_ridge_it_is_a_refit_from_scratch(seed, prior, n):
    rng = np.random.default_rng(seed)
    X_L, Y, X = rng.standard_normal((n, 4)), rng.standard_normal((n, K)), rng.standard_normal((N, 4))
    fitted = primal(linear(X_L), Y, prior)
    look, R = ahead.RankOne.after(fitted.covariance(linear(X), np.float64), prior), rng.standard_normal((N, K))
    refit = ahead.Refit(linear(X_L), Y, linear(X), prior)
    assert look.changes(np.arange(N), R, ALL) == pytest.approx(refit.changes(np.arange(N), R, ALL), rel=1e-8, abs=1e-10)


def test_the_update_of_weights_is_of_rank_one(data):
    """W + (y - W phi) a^T / (1 + phi.a), a = A^-1 phi."""
    X_L, Y, X = data
    before, after = (
        primal(linear(X_L), Y, 0.2),
        primal(linear(np.vstack([X_L, X[:1]])), np.vstack([Y, [[0, 1, 0]]]), 0.2),
    )
    phi = np.append(X[0], 1.0)
    a = np.linalg.solve(before.factor_DD @ before.factor_DD.T, phi)
    assert before.W_KD1 + np.outer([0, 1, 0] - before.W_KD1 @ phi, a) / (1 + phi @ a) == pytest.approx(
        after.W_KD1, abs=1e-10
    )


def brute_force(rows_L, Y, rows, prior, measure, other=0):
    """measure(after, before) for every candidate under its predicted class plus `other`, by one regression from
    scratch each.
    """
    f = fit(rows_L, Y, prior).predict(rows)
    scores = []
    for j in range(rows.n):
        target = np.eye(K)[(f[j].argmax() + other) % K]
        after = fit(rows_L.joined(rows.at([j])), np.vstack([Y, target]), prior).predict(rows)
        scores.append(measure(after, f))
    return np.array(scores)


LOOKS = ["linear", "first-logit", "sum-of-logits", "empirical"]


def looking(kind, X_L, Y, X, prior):
    rows_L, rows = (linear(X_L), linear(X)) if kind == "linear" else network_rows(X_L, X, kind)
    fitted = fit(rows_L, Y, prior)
    if kind == "empirical":
        return rows_L, rows, fitted.predict(rows), ahead.Coupled(fitted, rows)
    covariance = fitted.covariance(rows, np.float64) if kind == "linear" else fitted.covariance(rows)
    return rows_L, rows, fitted.predict(rows), ahead.RankOne.after(covariance, prior)


@pytest.mark.parametrize("kind", LOOKS)
def test_acquisitions_are_those_of_retraining_for_every_candidate(data, kind):
    X_L, Y, X = data
    prior = 0.1
    rows_L, rows, f, look = looking(kind, X_L, Y, X, prior)
    R = supposed(f)

    def brute(measure, other=0):
        return brute_force(rows_L, Y, rows, prior, measure, other)

    lengths = brute(lambda after, before: np.linalg.norm(after - before, axis=1).sum())
    assert lengths.min() > 1e-3
    assert mlmoc(look, R) == pytest.approx(lengths, rel=1e-9)
    assert mlmoc_sq(look, R) == pytest.approx(brute(lambda after, before: np.linalg.norm(after - before)), rel=1e-9)
    for other in range(K):
        flips = brute(lambda after, before: (after.argmax(axis=1) != before.argmax(axis=1)).sum(), other)
        assert flips.any() or other == 0
        assert np.array_equal(flip(look, f, np.eye(K)[(f.argmax(axis=1) + other) % K] - f), flips)


@pytest.mark.parametrize("kind", ["linear", "empirical"])
def test_expectations_over_labels_are_those_of_retraining(data, kind):
    X_L, Y, X = data
    prior, rows_E = 0.1, np.array([0, 3, 4, 8])
    rows_L, rows, f, look = looking(kind, X_L, Y, X, prior)
    q = project(f + np.random.default_rng(2).random((N, K)))
    changes, minus_entropy = np.zeros(N), np.zeros(N)
    for j in range(N):
        likely = np.argsort(-q[j])[:2]
        for y in range(K):
            after = fit(rows_L.joined(rows.at([j])), np.vstack([Y, np.eye(K)[y]]), prior).predict(rows)
            changes[j] += q[j, y] * np.linalg.norm(after - f, axis=1).sum()
            p = project(after[rows_E])
            plogp = p * np.log(np.where(p > 0, p, 1))
            minus_entropy[j] += plogp.sum() * (q[j, y] / q[j, likely].sum() if y in likely else 0)
    assert emoc(look, f, q) == pytest.approx(changes, rel=1e-9)
    assert eer(look, f, q, rows_E, labels=2) == pytest.approx(minus_entropy, rel=1e-9, abs=1e-12)


def test_emoc_of_a_certain_label_is_mlmoc(data):
    X_L, Y, X = data
    _, _, f, look = looking("linear", X_L, Y, X, 0.1)
    assert emoc(look, f, np.eye(K)[f.argmax(axis=1)]) == pytest.approx(mlmoc(look, supposed(f)), rel=1e-12)


def test_no_class_flips_without_a_residual_and_a_shift_of_all_classes_flips_none_more(data):
    X_L, Y, X = data
    _, _, f, look = looking("linear", X_L, Y, X, 0.1)
    assert not flip(look, f, np.zeros((N, K))).any()
    shifted = f + 5.0
    assert np.array_equal(flip(look, shifted, np.eye(K)[f.argmax(axis=1)] + 5.0 - shifted), flip(look, f, supposed(f)))


@pytest.mark.parametrize("most", [0, ahead.MOST_HELD])
@pytest.mark.parametrize("kind", ["linear", "sum-of-logits"])
def test_labels_one_after_another_are_a_refit_with_all_of_them_in_any_order(data, kind, most, monkeypatch):
    monkeypatch.setattr(ahead, "MOST_HELD", most)
    X_L, Y, X = data
    prior = 0.1
    rows_L, rows, f, look = looking(kind, X_L, Y, X, prior)
    told = {2: [0, 1, 0], 6: [1, 0, 0], 5: [0.2, 0.3, 0.5]}
    larger = fit(rows_L.joined(rows.at(list(told))), np.vstack([Y, *told.values()]), prior)
    expected = larger.predict(rows)
    for order in (list(told), list(told)[::-1]):
        moving = ahead.Sequential(look.covariance, prior, f)
        for j in order:
            moving.tell(j, np.array(told[j]))
        assert moving.f_NK == pytest.approx(expected, abs=1e-11)
        fresh = ahead.RankOne.after(larger.covariance(rows), prior)
        assert mlmoc(moving.look, supposed(expected)) == pytest.approx(
            mlmoc(fresh, supposed(expected)), rel=1e-5 if kind == "linear" else 1e-9
        )
    assert look.covariance.block(ALL, ALL) == pytest.approx(
        looking(kind, X_L, Y, X, prior)[3].covariance.block(ALL, ALL), abs=0
    )


def test_updates_of_a_head_under_squared_loss_are_the_same(data):
    """The shared covariance with curvature 1 absorbs a row exactly as the look-ahead foresees.

    In the kernel of the look-ahead the bias has the prior of the weights, and so it has in this posterior.
    """
    X_L, _, X = data
    y = np.array([0, 1, 2, 0, 1, 2, 0])
    fitted = primal(linear(X_L), np.eye(K)[y], 0.4)
    state = Precision.gram(np.full(D + 1, 0.4), np.column_stack([X_L, np.ones(n)]))
    model = Model(LinearHead("ridge", fitted.W_KD1, 0.4, {}, link="identity"), LaplaceShared(0.4, 1.0, 1.0, state))
    updated = model.update(Training(X[:1], np.array([2]), np.ones(1), K))
    refit = primal(linear(np.vstack([X_L, X[:1]])), np.eye(K)[[*y, 2]], 0.4)
    assert np.allclose(updated.head.W_CD1, refit.W_KD1, rtol=0, atol=1e-12)
    look = ahead.RankOne.after(fitted.covariance(linear(X), np.float64), 0.4)
    change = look.changes(np.array([0]), np.eye(K)[[2]] - model.head.logits(X[:1]), ALL)[0].T
    assert updated.head.logits(X) - model.head.logits(X) == pytest.approx(change, abs=1e-12)


def test_gradient_descent_from_the_head_ends_at_the_regression_around_it(data):
    """Squared loss, a linear head, infinite time: anchor `current`, prior 0."""
    X_L, Y, X = data
    phi_L, phi = (np.column_stack([A, np.ones(len(A))]) for A in (X_L, X))
    start = np.random.default_rng(3).standard_normal((K, D + 1))
    W, step = start.copy(), 1.0 / np.linalg.eigvalsh(phi_L @ phi_L.T).max()
    for _ in range(20_000):
        W += step * (Y - phi_L @ W.T).T @ phi_L
    around = phi @ start.T + dual(linear(X_L), Y - phi_L @ start.T, 0.0).predict(linear(X))
    assert phi @ W.T == pytest.approx(around, abs=1e-8)


def test_one_gradient_step(data):
    X = data[2]
    phi = np.column_stack([X, np.ones(N)])
    W, y = np.random.default_rng(3).standard_normal((K, D + 1)), np.eye(K)[np.arange(N) % K]
    look = ahead.gradient_look(linear(X), mean_square=4.0)
    for j in range(N):
        moved = W + 0.25 * np.outer(y[j] - W @ phi[j], phi[j])
        change = look.changes(np.array([j]), (y[j] - W @ phi[j])[None], ALL)[0].T
        assert phi @ (moved - W).T == pytest.approx(change, abs=1e-12)


@pytest.mark.parametrize("form", ["factored", "difference"])
def test_sums_over_tiles_are_those_of_the_whole_at_any_number_of_threads(form, rng):
    m = 2500
    G = rng.standard_normal((m, 6))
    C = G @ G.T
    if form == "factored":
        covariance = Factored(G, np.diag(C))
    else:
        V = rng.standard_normal((m, 3))
        C = G @ G.T + 1 - V @ V.T
        covariance = Difference(linear(G), V, np.diag(C))
    answers = []
    for threads in (1, 2, 3):
        with thread_limit(threads):
            answers.append([abs_sums(covariance, m), square_sums(covariance, m)])
    assert answers[0][0] == pytest.approx(np.abs(C).sum(axis=0), rel=1e-12)
    assert answers[0][1] == pytest.approx((C**2).sum(axis=0), rel=1e-12)
    for answer in answers[1:]:
        assert all(np.array_equal(one, other) for one, other in zip(answers[0], answer, strict=True))


@pytest.mark.parametrize("shape", [(40, 6), (6, 40), (2500, 5)])
@pytest.mark.parametrize("rank", [5, 2])
def test_columns_have_the_products_of_those_of_the_whole(shape, rank, rng):
    G = rng.standard_normal((shape[0], rank)) @ rng.standard_normal((rank, shape[1]))
    C = G @ G.T
    short = columns(Factored(G, np.diag(C)), len(G))
    assert short.shape == G.shape
    assert np.allclose(short @ short.T, C @ C, rtol=1e-9, atol=1e-9 * np.abs(C @ C).max())
    assert np.allclose(columns(Difference(linear(G), np.ones((len(G), 1)), np.diag(C)), len(G)), C, rtol=1e-9)


@pytest.mark.parametrize("measure", ["flip", "eer", "norms"])
def test_pieces_do_not_matter(data, measure, monkeypatch):
    X_L, Y, X = data
    _, _, f, look = looking("empirical", X_L, Y, X, 0.1)
    run = {
        "flip": lambda: flip(look, f, supposed(f)),
        "eer": lambda: eer(look, f, project(f), np.arange(5)),
        "norms": lambda: look.norms(supposed(f)),
    }[measure]
    whole = run()
    monkeypatch.setattr(ahead, "_PIECE", 1)
    assert run() == pytest.approx(whole, rel=1e-12)
