"""The committee: what a bootstrap keeps, members that share nothing but their rows, refusals and damage."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.arrays import with_bias
from alcli.errors import DataError, UsageError
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics.logistic import one_hot
from alcli.posteriors._contract import Evidence
from alcli.posteriors.ensemble import Ensemble, bootstrap_weights
from alcli.posteriors.laplace_full import LaplaceFull
from alcli.workflows.recipe import Recipe


def evidence(y, C, D=4, seed=0):
    rng = np.random.default_rng(seed)
    return Evidence(
        with_bias(rng.normal(size=(len(y), D))),
        one_hot(np.asarray(y), C),
        rng.uniform(0.5, 2.0, size=len(y)),
        "softmax",
    )


def training(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, 4)), rng.integers(3, size=n), rng.uniform(0.5, 2.0, size=n), 3)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=30), st.integers(0, 99))
@settings(max_examples=100, deadline=None, derandomize=True)
def test_a_bootstrap_keeps_every_class_and_the_sum_of_the_weights(y, seed):
    data = evidence(y, 5)
    weights = bootstrap_weights(data, np.random.default_rng(seed))
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(data.weights_L.sum())
    assert set(np.asarray(y)[weights > 0]) == set(y)


def test_a_bootstrap_that_loses_no_class_is_counts_times_weights():
    data = evidence(np.zeros(50, np.int64), 2)
    weights = bootstrap_weights(data, np.random.default_rng(0))
    counts = weights / data.weights_L
    unit = counts[counts > 0].min()
    np.testing.assert_allclose(counts / unit, np.round(counts / unit), atol=1e-9)
    assert np.round(counts / unit).sum() == 50


def test_rows_alone_in_their_class_still_make_members_that_disagree():
    data = Training(np.random.default_rng(0).normal(size=(7, 4)), np.arange(7), np.ones(7), 7)
    model = fit(data, FitSpec(softmax.head, Ensemble))
    members = model.posterior.sample(model.head.W_CD1, 10, seed=0)
    assert (members.std(axis=0) > 1e-4).mean() > 0.9
    assert (model.head.last_layer(data.X_LD) @ members.transpose(0, 2, 1)).argmax(axis=2).shape == (10, 7)
    assert ((model.head.last_layer(data.X_LD) @ members.transpose(0, 2, 1)).argmax(axis=2) == np.arange(7)).mean() > 0.9


@pytest.mark.parametrize("resample", ["bootstrap", "seeds"])
@pytest.mark.parametrize("family", [softmax, ridge])
def test_fewer_members_are_the_first_of_more_and_the_head_stays_the_map(family, resample):
    few, many = (
        fit(training(), FitSpec(family.head, Ensemble, seed=3, posterior_options={"members": m, "resample": resample}))
        for m in (3, 6)
    )
    np.testing.assert_array_equal(few.posterior.deviations_MCD1, many.posterior.deviations_MCD1[:3])
    np.testing.assert_array_equal(many.head.W_CD1, fit(training(), FitSpec(family.head)).head.W_CD1)
    assert many.posterior.settings()["members"] == many.posterior.distinct == 6


@pytest.mark.parametrize("family", [softmax, ridge])
def test_a_bootstrap_member_is_the_head_itself_fitted_to_the_resampled_rows(family):
    data = training()
    model = fit(data, FitSpec(family.head, Ensemble, prior_precision=0.3, seed=3))
    weights = bootstrap_weights(
        Evidence(with_bias(data.X_LD), one_hot(data.y_L, 3), data.weights_L, "softmax"), _stream(3, 1)
    )
    kept = weights > 0
    alone = family(Training(data.X_LD[kept], data.y_L[kept], weights[kept], 3), 0.3)
    member = model.posterior.sample(model.head.W_CD1, 1, seed=0, first=1)[0]
    assert np.linalg.norm(member - alone.W_CD1) < (0.02 if family is softmax else 1e-10) * np.linalg.norm(
        member - model.head.W_CD1
    )


def _stream(seed, i):
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, 0, i]))


@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_members_disagree_where_classes_are_separable_and_the_prior_is_weak(scale):
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=30)
    data = Training(scale * (4 * np.eye(3)[y] + 0.3 * rng.normal(size=(30, 3))), y, np.ones(30), 3)
    model = fit(data, FitSpec(softmax.head, Ensemble, prior_precision=1e-6 * scale**2))
    variance = model.posterior.variance(model.head.W_CD1, model.head.last_layer(data.X_LD))
    assert np.sqrt(variance).mean() > 0.1


def test_variance_is_over_the_members():
    model = fit(training(), FitSpec(softmax.head, Ensemble, posterior_options={"members": 4}))
    phi = model.head.last_layer(training(seed=1).X_LD)
    members = model.posterior.sample(model.head.W_CD1, 4, seed=0)
    np.testing.assert_allclose(
        model.posterior.variance(model.head.W_CD1, phi), (phi @ members.transpose(0, 2, 1)).var(axis=0), rtol=1e-10
    )


def test_randomised_members_of_a_ridge_head_are_draws_from_its_posterior():
    data = training()
    many = fit(data, FitSpec(ridge.head, Ensemble, posterior_options={"members": 3000, "resample": "seeds"}))
    exact = fit(data, FitSpec(ridge.head, LaplaceFull))
    phi = many.head.last_layer(training(seed=1).X_LD)
    want = exact.posterior.variance(exact.head.W_CD1, phi)
    np.testing.assert_allclose(many.posterior.variance(many.head.W_CD1, phi), want, rtol=6 * np.sqrt(2 / 3000))
    assert (np.abs(phi @ many.posterior.deviations_MCD1.mean(axis=0).T) < 5 * np.sqrt(want / 3000)).all()


def test_randomised_members_of_a_softmax_head_spread_as_the_full_laplace_form():
    data = training(n=400)
    spec = {"prior_precision": 0.5}
    many = fit(data, FitSpec(softmax.head, Ensemble, posterior_options={"members": 600, "resample": "seeds"}, **spec))
    full = fit(data, FitSpec(softmax.head, LaplaceFull, **spec))
    phi = many.head.last_layer(training(seed=1).X_LD)
    ratio = many.posterior.variance(many.head.W_CD1, phi) / full.posterior.variance(full.head.W_CD1, phi)
    assert 0.9 < ratio.mean() < 1.1


def test_new_classes_deviate_as_much_as_known_ones_and_out_of_step():
    model = fit(training(), FitSpec(softmax.head, Ensemble)).with_new_classes(2)
    phi = model.head.last_layer(training(seed=1).X_LD)
    variance = model.posterior.variance(model.head.W_CD1, phi)
    np.testing.assert_allclose(variance[:, 3:], variance[:, :2])
    logits = phi @ model.posterior.sample(model.head.W_CD1, 10, seed=0).transpose(0, 2, 1)
    assert np.abs(logits[:, :, 3] - logits[:, :, 0]).max() > 0.1 * np.sqrt(variance.max())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"posterior.members": "1"}, "at least 2 members"),
        ({"posterior.members": "many"}, "must be an integer"),
        ({"posterior.resample": "boot"}, "bootstrap, seeds"),
        ({"posterior.member": "3"}, "no parameter 'posterior.member'"),
        ({"posterior.seed": "3"}, "no parameter"),
        ({"posterior.curvature": "3"}, "no parameter"),
    ],
)
def test_options_are_refused_before_data_is_read(options, said):
    with pytest.raises(UsageError, match=said):
        Recipe(posterior="ensemble", options=options).checked()
    assert Recipe(posterior="ensemble", options={"posterior.members": "4"}).checked().spec(
        regression=False
    ).posterior_options == {"members": 4}


@pytest.mark.parametrize("damage", [{"members": 3}, {"members": 0}, {"resample": "x"}])
def test_damage_is_named(damage):
    posterior = fit(training(), FitSpec(softmax.head, Ensemble, posterior_options={"members": 4})).posterior
    with pytest.raises(DataError, match=r"deviations|members|resample"):
        Ensemble.from_arrays(posterior.arrays(), posterior.settings() | damage, D1=5, C=3)
