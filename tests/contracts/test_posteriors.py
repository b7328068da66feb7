"""What every posterior keeps, whatever it is: parametrised over the files of alcli/posteriors."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from alcli import plugins
from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.heads._comparators import reweight
from alcli.heads._contract import LinearHead, Training, family_of
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.numerics.logistic import one_hot, softmax
from alcli.posteriors._contract import Evidence, posterior_of

SOFTMAX = family_of(plugins.load("heads", "softmax"))
RIDGE = family_of(plugins.load("heads", "ridge"))


def rows(n=30, D=5, C=3, seed=0):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, D)), rng.integers(C, size=n), rng.uniform(0.5, 2.0, size=n), C)


@pytest.fixture(params=plugins.names("posteriors"))
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return fit(rows(), FitSpec(SOFTMAX, posterior_of(plugins.load("posteriors", name))))


@pytest.fixture
def learner(model):
    """A model whose posterior can absorb labels in closed form."""
    if not model.posterior.absorbs:
        pytest.skip("its update is refused, see below")
    return model


def restored(model, name):
    settings = json.loads(json.dumps(model.settings()))
    return Model.from_arrays(
        model.arrays(), settings, family=SOFTMAX, posterior=posterior_of(plugins.load("posteriors", name))
    )


def test_docstring_says_source_and_cost(name):
    summary = plugins.summary("posteriors", name)
    assert summary.line.endswith(".")
    assert all(summary.sections.get(section) for section in ("Source", "Cost"))


def test_it_says_its_name(model, name):
    assert model.posterior.kind == name
    assert model.posterior.settings()["kind"] == name


def test_variances_are_positive_finite_and_fit_the_logits(model):
    X = rows(seed=1).X_LD
    variance = model.posterior.variance(model.head.W_CD1, model.head.last_layer(X))
    assert variance.shape in ((30, 1), (30, 3))
    assert np.isfinite(variance).all()
    assert (variance > 0).all()


def test_the_root_gives_the_covariances_of_a_single_output(name):
    y = rows().X_LD @ np.arange(5.0)
    data = Training(rows().X_LD, y, np.ones(30), None)
    model = fit(data, FitSpec(RIDGE, posterior_of(plugins.load("posteriors", name))))
    W, phi = model.head.W_CD1, model.head.last_layer(rows(seed=1).X_LD[:6])
    root = model.posterior.root(W, phi)
    np.testing.assert_allclose((root**2).sum(axis=1), model.posterior.variance(W, phi)[:, 0], rtol=1e-9)
    n_draws = model.posterior.distinct or 40_000
    outputs = phi @ model.posterior.sample(W, n_draws, seed=0)[:, 0].T
    covariances = root @ root.T
    np.testing.assert_allclose(covariances, np.cov(outputs, bias=True), atol=0.05 * covariances.max())


def test_the_predictive_is_a_distribution(model):
    np.testing.assert_allclose(np.exp(model.predictive(rows(seed=1).X_LD)).sum(axis=1), 1.0)


def test_the_predictive_is_the_mean_over_all_draws_or_less_sure_than_the_weights_alone(model):
    X, distinct = rows(seed=1).X_LD, model.posterior.distinct
    predictive = model.predictive(X)
    if distinct is None:
        assert (predictive.max(axis=1) <= model.log_probs(X).max(axis=1) + 1e-12).all()
    else:
        draws = model.posterior.sample(model.head.W_CD1, distinct, seed=0)
        each = softmax(model.head.last_layer(X) @ draws.transpose(0, 2, 1))
        np.testing.assert_allclose(np.exp(predictive), each.mean(axis=0), rtol=1e-12)


def test_samples_are_whole_last_layers_and_counter_based(model):
    W = model.head.W_CD1
    draws = model.posterior.sample(W, 6, seed=3)
    assert draws.shape == (6, *W.shape)
    np.testing.assert_allclose(model.posterior.sample(W, 2, seed=3, first=4), draws[4:], atol=1e-13)
    np.testing.assert_allclose(
        np.concatenate([model.posterior.sample(W, 1, seed=3, first=i) for i in range(6)]), draws, atol=1e-13
    )
    assert model.posterior.sample(W, 0, seed=3).shape == (0, *W.shape)


def test_there_are_as_many_different_draws_as_it_says(model):
    W, distinct = model.head.W_CD1, model.posterior.distinct
    draws = model.posterior.sample(W, 24, seed=3)
    n_found = len(np.unique(draws.reshape(24, -1), axis=0))
    if distinct is None:
        assert n_found > 8  # of 24: masks over 5 features do repeat
        assert (model.posterior.sample(W, 6, seed=4) != draws[:6]).any()
    else:
        assert n_found == distinct
        np.testing.assert_array_equal(draws[distinct:], draws[: 24 - distinct])
        np.testing.assert_array_equal(model.posterior.sample(W, 24, seed=4), draws)


def test_draws_stand_around_the_mean_and_move_with_it(model):
    W, shift = model.head.W_CD1, np.random.default_rng(0).normal(size=model.head.W_CD1.shape)
    if model.posterior.distinct is None:
        many = model.posterior.sample(W, 4000, seed=0)
        assert (np.abs(many.mean(axis=0) - W) <= 5 * many.std(axis=0) / np.sqrt(4000) + 1e-12).all()
    phi = model.head.last_layer(rows(seed=1).X_LD[:4])
    moved = np.einsum("bd,scd->sbc", phi, model.posterior.sample(W + shift, 2000, seed=0))
    want = np.broadcast_to(model.posterior.variance(W + shift, phi), moved.shape[1:])
    np.testing.assert_allclose(moved.var(axis=0), want, rtol=6 * np.sqrt(2 / 2000))
    contrasts = moved - (moved.sum(axis=2, keepdims=True) - moved) / 2
    want = np.broadcast_to(model.posterior.contrast_variance(W + shift, phi), moved.shape[1:])
    np.testing.assert_allclose(contrasts.var(axis=0), want, rtol=6 * np.sqrt(2 / 2000))


def test_sample_variances_are_the_declared_ones(model):
    phi = model.head.last_layer(rows(seed=1).X_LD[:4])
    logits = np.einsum("bd,scd->sbc", phi, model.posterior.sample(model.head.W_CD1, 4000, seed=0))
    want = np.broadcast_to(model.posterior.variance(model.head.W_CD1, phi), logits.shape[1:])
    np.testing.assert_allclose(logits.var(axis=0), want, rtol=6 * np.sqrt(2 / 4000))


@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_an_update_learns_the_label_shrinks_the_variance_and_leaves_the_old_model(learner, mode):
    one = rows(seed=2).rows(np.array([0]))
    before = {key: value.copy() for key, value in learner.arrays().items()}
    after = learner.update(one, mode=mode)
    y = one.y_L[0]
    assert after.log_probs(one.X_LD)[0, y] > learner.log_probs(one.X_LD)[0, y]
    phi = learner.head.last_layer(one.X_LD)
    assert (after.posterior.variance(after.head.W_CD1, phi) < learner.posterior.variance(learner.head.W_CD1, phi)).all()
    for key, value in learner.arrays().items():
        np.testing.assert_array_equal(value, before[key])


def test_rows_one_call_at_a_time_equal_one_call(learner):
    new = rows(n=7, seed=2)
    whole, step = learner.update(new), learner
    for i in range(7):
        step = step.update(new.rows(np.array([i])))
    np.testing.assert_allclose(step.head.W_CD1, whole.head.W_CD1, atol=1e-11)
    phi = learner.head.last_layer(new.X_LD)
    np.testing.assert_allclose(
        step.posterior.variance(step.head.W_CD1, phi), whole.posterior.variance(whole.head.W_CD1, phi), atol=1e-11
    )


def test_batch_mode_ignores_the_order_of_rows(learner):
    new = rows(n=7, seed=2)
    a, b = (learner.update(new.rows(order), mode="batch") for order in (np.arange(7), np.arange(7)[::-1]))
    np.testing.assert_allclose(a.head.W_CD1, b.head.W_CD1, atol=1e-10)


def test_nothing_new_changes_nothing(learner):
    for mode in ("sequential", "batch"):
        after = learner.update(rows(n=0), mode=mode)
        for key, value in learner.arrays().items():
            np.testing.assert_array_equal(after.arrays()[key], value)


def test_storage_keeps_predictions_draws_and_bytes(model, name):
    again, X = restored(model, name), rows(seed=3).X_LD
    np.testing.assert_array_equal(again.log_probs(X), model.log_probs(X))
    np.testing.assert_allclose(again.predictive(X), model.predictive(X), atol=1e-12)
    draws, known = (m.posterior.sample(m.head.W_CD1, 3, seed=1) for m in (again, model))
    np.testing.assert_allclose(draws, known, rtol=1e-9, atol=1e-12)
    assert again.settings() == model.settings()
    for key, value in model.arrays().items():
        assert again.arrays()[key].tobytes() == value.tobytes()


def test_storage_keeps_updates_and_what_they_made(learner, name):
    updated = learner.update(rows(n=4, seed=2))
    again = restored(updated, name)
    X, new = rows(seed=3).X_LD, rows(n=3, seed=4)
    np.testing.assert_allclose(again.update(new).predictive(X), updated.update(new).predictive(X), atol=1e-10)
    for key, value in updated.arrays().items():
        assert again.arrays()[key].tobytes() == value.tobytes()


def test_a_fit_repeats_itself_byte_for_byte_and_leaves_its_data(name):
    data, form = rows(), posterior_of(plugins.load("posteriors", name))
    before = data.X_LD.copy()
    a, b = (fit(data, FitSpec(SOFTMAX, form, seed=5)).arrays() for _ in range(2))
    assert a.keys() == b.keys()
    assert all(a[key].tobytes() == b[key].tobytes() for key in a)
    np.testing.assert_array_equal(data.X_LD, before)


def test_what_cannot_absorb_labels_says_what_to_do_instead(model):
    if model.posterior.absorbs:
        pytest.skip("it absorbs")
    for change in (model.update, model.remove):
        with pytest.raises(DataError, match=model.posterior.kind) as refusal:
            change(rows(n=2, seed=2))
        assert "--method refit" in refusal.value.hint


def test_draws_can_be_reweighted_by_labels_and_each_is_looked_at_once(model):
    new, X = rows(n=5, seed=2), rows(seed=3).X_LD
    found = reweight(model, new, gamma=1.0, n_samples=40)
    assert len(found.weights_S) == (model.posterior.distinct or 40)
    np.testing.assert_allclose(np.exp(found.predictive(X)).sum(axis=1), 1.0)
    # The same draws at equal weights: under a strong prior they are so few and so alike that chance moves their mean.
    even = replace(found, weights_S=np.full_like(found.weights_S, 1.0 / len(found.weights_S)))
    likelihood = [new.weights_L @ m.collapsed().log_probs(new.X_LD)[np.arange(5), new.y_L] for m in (even, found)]
    assert likelihood[1] > likelihood[0]


def test_a_stored_tensor_that_is_missing_is_named(model, name):
    if not model.posterior.arrays():
        pytest.skip("it stores none")
    arrays = {key: value for key, value in model.arrays().items() if not key.startswith("posterior.")}
    with pytest.raises(DataError, match=r"tensor '.*' is missing"):
        Model.from_arrays(
            arrays, model.settings(), family=SOFTMAX, posterior=posterior_of(plugins.load("posteriors", name))
        )


def test_what_its_fit_reports_is_finite_and_in_the_diagnostics_of_the_head(model):
    assert np.isfinite(list(model.posterior.figures.values())).all()
    assert dict(model.posterior.figures).items() <= dict(model.head.diagnostics).items()


@pytest.mark.parametrize("family", ["softmax", "ridge"])
def test_it_serves_both_losses_and_a_temperature(name, family):
    head, form = family_of(plugins.load("heads", family)), posterior_of(plugins.load("posteriors", name))
    model, X = fit(rows(), FitSpec(head, form)), rows(seed=1).X_LD
    model = replace(model, temperature=1.7)
    np.testing.assert_allclose(np.exp(model.predictive(X)).sum(axis=1), 1.0)
    np.testing.assert_allclose(np.exp(model.predictive_samples(X, 7)).sum(axis=1), 1.0)


def test_a_regression_has_a_variance(name):
    head, form = family_of(plugins.load("heads", "ridge")), posterior_of(plugins.load("posteriors", name))
    data = Training(rows().X_LD, rows().X_LD @ np.arange(5.0), np.ones(30), None)
    model = fit(data, FitSpec(head, form))
    variance = model.logit_variance(rows(seed=1).X_LD)
    assert variance.shape == (30, 1)
    assert (variance > 0).all()


def test_new_classes_leave_the_others_and_can_be_learnt(model):
    wider, X = model.with_new_classes(2), rows(seed=1).X_LD
    np.testing.assert_array_equal(wider.logits(X)[:, :3], model.logits(X))
    assert not wider.logits(X)[:, 3:].any()
    phi = model.head.last_layer(X)
    before, after = model.posterior.variance(model.head.W_CD1, phi), wider.posterior.variance(wider.head.W_CD1, phi)
    np.testing.assert_allclose(after[:, : before.shape[1]], before, rtol=1e-10)
    if not model.posterior.absorbs:
        assert wider.posterior.sample(wider.head.W_CD1, 2, seed=0).shape == (2, 5, 6)
        return
    assert (after > 0).all()
    new = Training(X[:1], np.array([4]), np.ones(1), 5)
    assert wider.update(new).log_probs(X[:1])[0, 4] > wider.log_probs(X[:1])[0, 4]


class Dense:
    """A tiny problem and what the test of a posterior, by its function `dense_precision`, says its precision is.

    dense_precision(parts, prior, curvature): over all C D1 weights, class by class; parts: (mean, rows) pairs, each
    with rows whose curvature is taken at that mean.
    """

    prior, curvature, noise = 0.7, 0.6, 1.3

    def __init__(self, name, function):
        rng = np.random.default_rng(5)
        self.W = rng.normal(size=(3, 3))
        self.old, self.new = (
            Evidence(
                with_bias(rng.normal(size=(n, 2))),
                one_hot(rng.integers(3, size=n), 3),
                rng.uniform(0.5, 2.0, size=n),
                "softmax",
            )
            for n in (10, 5)
        )
        self.phi = with_bias(rng.normal(size=(6, 2)))
        form = posterior_of(plugins.load("posteriors", name))
        _, self.posterior = form.fit(
            self.W, self.old, prior_precision=self.prior, curvature=self.curvature, noise_variance=self.noise
        )
        self._function = function

    def precision(self, *parts):
        return self._function([(self.W, self.old), *parts], self.prior, self.curvature)

    def check(self, posterior, precision):
        """Variances of logits, and of logits minus the mean of the two others."""
        covariance = self.noise * np.linalg.inv(precision)
        contrasts = 1.5 * np.eye(3) - 0.5
        for variance, rows in ((posterior.variance, np.eye(3)), (posterior.contrast_variance, contrasts)):
            want = [[np.kron(e, phi) @ covariance @ np.kron(e, phi) for e in rows] for phi in self.phi]
            np.testing.assert_allclose(np.broadcast_to(variance(self.W, self.phi), (6, 3)), want, rtol=1e-10)


@pytest.fixture
def dense(name):
    path = Path(__file__).parents[1] / "posteriors" / f"test_{name.replace('-', '_')}.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "dense_precision"):
        pytest.skip("not a Gaussian with a precision matrix")
    return Dense(name, module.dense_precision)


def test_variances_equal_the_dense_form(dense):
    dense.check(dense.posterior, dense.precision())


@pytest.mark.parametrize("noise", [0.2, 2.0])
def test_the_predictive_is_near_the_softmax_averaged_over_dense_draws(dense, noise):
    """The draws are of logits, from the dense covariance. The posterior gives the closed form."""
    covariance = noise * np.linalg.inv(dense.precision())
    posterior = replace(dense.posterior, noise_variance=noise)
    model = Model(LinearHead("softmax", dense.W, dense.prior), posterior)
    noise_SC3 = np.random.default_rng(0).multivariate_normal(np.zeros(9), covariance, size=50_000).reshape(-1, 3, 3)
    logits_SBC = dense.phi @ (dense.W + np.concatenate([noise_SC3, -noise_SC3])).transpose(0, 2, 1)
    exact_BC = softmax(logits_SBC).mean(axis=0)
    got_BC, plain_BC = np.exp(model.predictive(dense.phi[:, :-1])), softmax(dense.phi @ dense.W.T)
    assert np.abs(got_BC - exact_BC).max() < 0.05
    # With the variances of the logits themselves, four of the six forms are above half.
    assert np.abs(got_BC - exact_BC).mean() < 0.42 * np.abs(plain_BC - exact_BC).mean()


def test_under_squared_loss_the_prior_of_the_bias_is_flat(dense):
    """Every class has the same matrix then, or the diagonal of it. The features stand far from zero."""
    precision = dense.precision()
    independent = not (precision - np.diag(np.diag(precision))).any()
    old, new = (
        Evidence(rows.phi_LD1 + [30.0, -50.0, 0.0], rows.targets_LC, rows.weights_L, "identity")
        for rows in (dense.old, dense.new)
    )

    def want(*parts):
        P = np.diag([dense.prior, dense.prior, 0.0])
        for data in parts:
            P += dense.curvature * (data.phi_LD1 * data.weights_L[:, None]).T @ data.phi_LD1
        return np.kron(np.eye(3), np.diag(np.diag(P)) if independent else P)

    _, posterior = type(dense.posterior).fit(
        dense.W, old, prior_precision=dense.prior, curvature=dense.curvature, noise_variance=dense.noise
    )
    dense.check(posterior, want(old))
    for mode in ("sequential", "batch"):
        dense.check(posterior.update(dense.W, new, mode=mode)[1], want(old, new))
    draws = (posterior.sample(dense.W, 20_000, seed=7) - dense.W) @ [0.0, 0.0, 1.0]
    deviations = np.sqrt(dense.noise * np.diag(np.linalg.inv(want(old)))[2::3])
    np.testing.assert_allclose(draws.std(axis=0), deviations, rtol=5 / np.sqrt(2 * 20_000))


def test_samples_have_the_dense_covariance(dense):
    draws = (dense.posterior.sample(dense.W, 20_000, seed=7) - dense.W).reshape(-1, 9)
    S = dense.noise * np.linalg.inv(dense.precision())
    spread = np.sqrt((S**2 + np.outer(np.diag(S), np.diag(S))) / len(draws))
    assert (np.abs(draws.T @ draws / len(draws) - S) < 4.5 * spread).all()


@pytest.mark.parametrize("m", [1, 5])
@pytest.mark.parametrize("mode", ["sequential", "batch"])
@pytest.mark.parametrize("gamma", [None, 1.4])
def test_after_an_update_the_precision_is_that_of_all_rows(dense, mode, gamma, m):
    rows_in_turn = (
        [dense.new.rows(np.arange(m))] if mode == "batch" else [dense.new.rows(np.array([i])) for i in range(m)]
    )
    parts, W, one_by_one = [], dense.W, dense.posterior
    for data in rows_in_turn:
        W, one_by_one = one_by_one.update(W, data, gamma=gamma, mode=mode)
        parts.append((W, data))
    got, posterior = dense.posterior.update(dense.W, dense.new.rows(np.arange(m)), gamma=gamma, mode=mode)
    np.testing.assert_allclose(got, W, atol=1e-11)
    dense.check(posterior, dense.precision(*parts))
    dense.check(one_by_one, dense.precision(*parts))


@pytest.mark.parametrize("m", [1, 5])
def test_an_implicit_update_is_the_mode_of_the_new_rows_under_the_posterior(dense, m):
    data = dense.new.rows(np.arange(m))
    W, _ = dense.posterior.update(dense.W, data, mode="batch")
    residual = (data.targets_LC - softmax(data.phi_LD1 @ W.T)) * data.weights_L[:, None]
    np.testing.assert_allclose(
        dense.precision() @ (W - dense.W).ravel(), (residual.T @ data.phi_LD1).ravel(), atol=1e-9
    )


@pytest.mark.parametrize("m", [1, 5])
def test_a_linearised_update_is_gamma_times_a_step_against_the_dense_precision_of_all_rows(dense, m):
    data = dense.new.rows(np.arange(m))
    W, _ = dense.posterior.update(dense.W, data, gamma=1.4, mode="batch")
    residual = (data.targets_LC - softmax(data.phi_LD1 @ dense.W.T)) * data.weights_L[:, None]
    step = np.linalg.solve(dense.precision((dense.W, data)), (residual.T @ data.phi_LD1).ravel())
    np.testing.assert_allclose((W - dense.W).ravel(), 1.4 * step, atol=1e-11)


def test_under_squared_loss_implicit_is_linearised_with_gamma_one(dense):
    data = Evidence(dense.new.phi_LD1, dense.new.targets_LC, dense.new.weights_L, "identity")
    for mode in ("sequential", "batch"):
        (a, _), (b, _) = (dense.posterior.update(dense.W, data, gamma=gamma, mode=mode) for gamma in (None, 1.0))
        np.testing.assert_array_equal(a, b)
