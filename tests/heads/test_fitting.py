"""Fitting as a whole: calibration out of fold, curvature at held-out rows, refusals."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.datasets import load_digits

from alcli.errors import DataError, UsageError
from alcli.heads import _tuning
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model, evidence_of
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer.temperature import BOUNDS
from alcli.numerics.logistic import log_softmax
from alcli.numerics.metrics import nll
from alcli.posteriors.ensemble import Ensemble
from alcli.posteriors.laplace_block import LaplaceBlock
from alcli.posteriors.laplace_full import LaplaceFull
from alcli.posteriors.laplace_shared import LaplaceShared


def digits(scale):
    X, y = load_digits(return_X_y=True)
    X = X * (scale / np.sqrt((X**2).sum(axis=1).mean()))
    order = np.random.default_rng(0).permutation(len(X))
    return lambda i, j: Training(X[order[i:j]], y[order[i:j]].astype(np.int64), np.ones(j - i), 10)


def accuracy(model, data):
    return (model.logits(data.X_LD).argmax(axis=1) == data.y_L).mean()


def test_calibration_repairs_confidence_that_the_prior_has_spoilt():
    rows = digits(1.0)
    train, test = rows(0, 200), rows(200, 1700)
    strong = {"prior_precision": 1.0}
    plain = fit(train, FitSpec(softmax.head, **strong))
    calibrated = fit(train, FitSpec(softmax.head, calibrate="temperature", **strong))
    assert calibrated.temperature < 0.5
    assert calibrated.head.diagnostics["calibration_rows"] == 200
    assert nll(test.y_L, calibrated.log_probs(test.X_LD)) < 0.7 * nll(test.y_L, plain.log_probs(test.X_LD))
    np.testing.assert_array_equal(calibrated.head.W_CD1, plain.head.W_CD1)


@pytest.mark.parametrize("form", [None, LaplaceShared, LaplaceFull, Ensemble])
def test_each_temperature_is_the_best_of_a_scan_over_rows_out_of_fold(form):
    """The oracle fits head and posterior of each fold by itself and asks the models of all temperatures."""
    data = digits(3.0)(0, 90)
    model = fit(data, FitSpec(softmax.head, form, calibrate="temperature", seed=3))
    folds_L = stratified_folds(data.y_L, 5, seed=3)
    models = []
    for k in range(5):
        rows = data.rows(folds_L != k)
        head = softmax(rows, model.head.prior_precision)
        arguments = {} if form is Ensemble else {"curvature": getattr(model.posterior, "curvature", None)}
        posterior = form and form.fit(
            head.W_CD1, evidence_of(head, rows), prior_precision=head.prior_precision, seed=3, **arguments
        )
        models.append(Model(head, posterior[1] if posterior else None))

    def loss(function, temperature):
        total = 0.0
        for k, one in enumerate(models):
            rows = data.rows(folds_L == k)
            log_probs = getattr(replace(one, temperature=temperature), function)(rows.X_LD)
            total -= log_probs[np.arange(rows.n), rows.y_L].sum()
        return total

    grid = np.geomspace(*BOUNDS, 150)
    assert loss("log_probs", model.temperature) <= min(loss("log_probs", t) for t in grid) + 1e-4
    if form is None:
        assert model.predictive_temperature is None
    else:
        best = min(loss("predictive", t) for t in grid)
        assert loss("predictive", model.predictive_temperature) <= best + 1e-4
        assert loss("predictive", 3.0 * model.predictive_temperature) > best + 1e-2


def test_calibration_lowers_the_loss_of_shown_probabilities_that_the_posterior_has_spread_too_far():
    rows = digits(1.0)
    train, test = rows(0, 200), rows(200, 1700)
    plain, calibrated = (
        fit(train, FitSpec(softmax.head, LaplaceFull, calibrate=how)) for how in ("none", "temperature")
    )
    assert calibrated.predictive_temperature < calibrated.temperature
    losses = [nll(test.y_L, one.predictive(test.X_LD)) for one in (plain, calibrated)]
    assert losses[1] < 0.9 * losses[0]


def test_calibration_stands_back_where_classes_have_one_row():
    rng = np.random.default_rng(0)
    data = Training(rng.normal(size=(20, 4)), np.arange(20), np.ones(20), 20)
    model = fit(data, FitSpec(softmax.head, calibrate="temperature"))
    assert model.temperature == 1.0
    assert model.head.diagnostics["calibration_rows"] == 0


def test_calibration_of_a_regression_is_refused():
    data = Training(np.eye(4), np.arange(4.0), np.ones(4), None)
    with pytest.raises(UsageError, match="is for class labels"):
        fit(data, FitSpec(ridge.head, calibrate="temperature"))


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_tuned_updates_recover_most_of_what_a_refit_gains(scale):
    rows = digits(scale)
    test = rows(800, 1797)
    gains = []
    for first in (0, 200, 400):
        train, new = rows(first, first + 60), rows(first + 60, first + 110)
        spec = FitSpec(softmax.head, LaplaceShared)
        base = fit(train, spec)
        fixed = FitSpec(softmax.head, prior_precision=base.head.prior_precision)
        refit = fit(rows(first, first + 110), fixed, start=base)
        gains.append([accuracy(model, test) - accuracy(base, test) for model in (base.update(new), refit)])
    update, refit = np.mean(gains, axis=0)
    assert refit > 0.02
    assert update > 0.75 * refit


def test_the_curvature_is_that_of_held_out_predictions():
    data = digits(1.0)(0, 60)
    model = fit(data, FitSpec(softmax.head, LaplaceShared, seed=4))
    held_out = stratified_folds(data.y_L, 5, seed=4) == 0
    probs = np.exp(log_softmax(softmax(data.rows(~held_out), model.head.prior_precision).logits(data.X_LD[held_out])))
    assert model.posterior.curvature == pytest.approx(np.mean((1 - (probs**2).sum(axis=1)) / 10), rel=1e-6)
    seen = np.exp(model.log_probs(data.X_LD))
    assert model.posterior.curvature > 2 * (seen * (1 - seen)).mean()


def test_few_labels_take_the_default_curvature_and_squared_loss_the_exact_one():
    rows = digits(1.0)
    default = _tuning.default_curvature(LaplaceShared, 10)
    assert default == pytest.approx(0.09)
    assert fit(rows(0, 8), FitSpec(softmax.head, LaplaceShared)).posterior.curvature == default
    assert fit(rows(0, 40), FitSpec(softmax.head, LaplaceShared), tune_update=False).posterior.curvature == default
    assert fit(rows(0, 40), FitSpec(ridge.head, LaplaceShared)).posterior.curvature == _tuning.EXACT
    assert fit(rows(0, 40), FitSpec(softmax.head, LaplaceBlock)).posterior.curvature == 1.0


def test_given_curvature_gamma_and_posterior_options_are_kept():
    model = fit(digits(1.0)(0, 40), FitSpec(softmax.head, LaplaceShared, curvature=0.25, gamma=3.0))
    assert (model.posterior.curvature, model.gamma) == (0.25, 3.0)
    with pytest.raises(DataError, match="limit is 600 weights, these are 650"):
        fit(digits(1.0)(0, 40), FitSpec(softmax.head, LaplaceFull, posterior_options={"max_parameters": 600}))
