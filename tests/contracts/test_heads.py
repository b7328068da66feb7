"""What every head keeps, whatever it is: parametrised over the files of alcli/heads and the tasks they declare."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.errors import DataError, UsageError
from alcli.heads._contract import Training, family_of
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.numerics.blocks import thread_limit

HEADS = plugins.names("heads")
CASES = [(name, task) for name in HEADS for task in sorted(family_of(plugins.load("heads", name)).tasks)]


def family(name):
    return family_of(plugins.load("heads", name))


def training(task, n=30, D=6, C=3, seed=0, dtype=np.float64):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D)).astype(np.float32).astype(dtype)
    y = rng.integers(C, size=n) if task == "classification" else X[:, 0] + 0.1 * rng.normal(size=n)
    return Training(X, y, rng.uniform(0.5, 2.0, size=n), C if task == "classification" else None)


@pytest.mark.parametrize("name", HEADS)
def test_docstring_says_source_and_cost(name):
    summary = plugins.summary("heads", name)
    assert summary.line.endswith(".")
    assert all(summary.sections.get(section) for section in ("Source", "Cost"))


@pytest.fixture(params=CASES, ids=lambda case: "-".join(case))
def case(request):
    return request.param


def test_shapes_kinds_and_diagnostics(case):
    name, task = case
    data = training(task)
    head = family(name).fit(data, prior_precision=None, start=None)
    assert head.kind == name
    assert head.regression == (task == "regression")
    assert head.dim == 6
    assert len(head.W_CD1) == (data.n_classes or 1)
    logits = head.logits(data.X_LD)
    assert logits.dtype == np.float64
    np.testing.assert_allclose(logits, head.last_layer(data.X_LD) @ head.W_CD1.T, atol=1e-12)
    assert head.prior_precision > 0
    assert {"log_evidence", "iterations", "gradient_norm"} <= set(head.diagnostics)
    assert all(np.isfinite(value) for value in head.diagnostics.values())


def test_the_last_layer_sees_the_hidden_features_and_layers_lead_to_them(case):
    name, task = case
    data = training(task)
    head = family(name).fit(data, prior_precision=None, start=None)
    hidden = head.hidden(data.X_LD)
    np.testing.assert_array_equal(head.last_layer(data.X_LD), np.column_stack([hidden, np.ones(data.n)]))
    assert head.W_CD1.shape[1] == hidden.shape[1] + 1
    assert (hidden is data.X_LD) == (head.layers == ())
    assert (head.activation == "identity") == (head.layers == ())
    assert [W.shape[1] for W, _ in head.layers] == [head.dim, *(len(b) for _, b in head.layers)][: len(head.layers)]


def test_the_number_of_threads_does_not_change_a_byte(case):
    name, task = case
    found = []
    for threads in (1, 2):
        with thread_limit(threads), threadpool_limits(threads):
            found.append(family(name).fit(training(task, n=200, D=40), prior_precision=0.1, start=None).arrays())
    assert {k: v.tobytes() for k, v in found[0].items()} == {k: v.tobytes() for k, v in found[1].items()}


def test_the_same_data_give_the_same_bytes_and_stay_as_they_are(case):
    name, task = case
    data = training(task)
    copies = [array.copy() for array in (data.X_LD, data.y_L, data.weights_L)]
    first, second = (family(name).fit(data, prior_precision=None, start=None) for _ in range(2))
    assert first.W_CD1.tobytes() == second.W_CD1.tobytes()
    for array, copy in zip((data.X_LD, data.y_L, data.weights_L), copies):
        np.testing.assert_array_equal(array, copy)


def test_the_order_of_rows_does_not_matter(case):
    name, task = case
    data = training(task)
    order = np.random.default_rng(1).permutation(data.n)
    a, b = (family(name).fit(rows, prior_precision=0.1, start=None) for rows in (data, data.rows(order)))
    np.testing.assert_allclose(a.logits(data.X_LD), b.logits(data.X_LD), atol=1e-8)


def test_float32_and_float64_features_of_the_same_values_agree(case):
    name, task = case
    a, b = (
        family(name).fit(training(task, dtype=t), prior_precision=0.1, start=None) for t in (np.float32, np.float64)
    )
    np.testing.assert_allclose(a.W_CD1, b.W_CD1, atol=1e-12)


def test_a_warm_start_does_not_change_the_result(case):
    name, task = case
    data = training(task)
    cold = family(name).fit(data, prior_precision=0.1, start=None)
    start = family(name).fit(data.rows(np.arange(25)), prior_precision=0.3, start=None)
    warm = family(name).fit(data, prior_precision=0.1, start=start)
    np.testing.assert_allclose(warm.logits(data.X_LD), cold.logits(data.X_LD), atol=1e-7)


def test_a_weight_of_two_is_a_row_given_twice(case):
    name, task = case
    data = training(task)
    heavy = Training(data.X_LD, data.y_L, np.where(np.arange(30) < 5, 2.0, 1.0), data.n_classes)
    twice = np.concatenate([np.arange(30), np.arange(5)])
    repeated = Training(data.X_LD[twice], data.y_L[twice], np.ones(35), data.n_classes)
    a, b = (family(name).fit(rows, prior_precision=0.1, start=None) for rows in (heavy, repeated))
    np.testing.assert_allclose(a.logits(data.X_LD), b.logits(data.X_LD), atol=1e-7)


def test_arrays_and_settings_rebuild_the_same_head(case):
    name, task = case
    head = family(name).fit(training(task), prior_precision=None, start=None)
    again = family(name).restore(head.arrays(), json.loads(json.dumps(head.settings())))
    assert again.settings() == head.settings()
    assert again.W_CD1.tobytes() == head.W_CD1.tobytes()


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("shape", ["one per class", "identical rows", "an empty class", "constant feature", "two rows"])
def test_degenerate_data_give_finite_predictions(case, shape, scale):
    name, task = case
    data = training(task)
    X, y, C = data.X_LD * scale, data.y_L, data.n_classes
    if shape == "one per class" and task == "classification":
        y, C = np.arange(30), 30
    elif shape == "identical rows":
        X = np.repeat(X[:1], 30, axis=0)
    elif shape == "an empty class" and task == "classification":
        C = 9
    elif shape == "constant feature":
        X = np.column_stack([X[:, :-1], np.full(30, scale)])
    elif shape == "two rows":
        X, y = X[:2], y[:2] if task == "regression" else np.array([0, 1])
    data = Training(X, y, np.ones(len(X)), C)
    model = fit(data, FitSpec(family(name)), tune_update=False)
    assert np.isfinite(model.log_probs(X) if C else model.mean(X)).all()


def test_a_single_class_is_refused(case):
    name, task = case
    if task == "classification":
        data = training(task)
        with pytest.raises(DataError, match="needs 2 classes"):
            family(name).fit(
                Training(data.X_LD, np.zeros(30, np.int64), data.weights_L, 3), prior_precision=None, start=None
            )


def test_a_specification_can_be_pickled_and_a_model_fitted_with_it_predicts(case):
    name, task = case
    spec = pickle.loads(pickle.dumps(FitSpec(family(name))))
    model = fit(training(task), spec)
    if task == "classification":
        np.testing.assert_allclose(np.exp(model.log_probs(training(task).X_LD)).sum(axis=1), 1.0)
    with pytest.raises(DataError, match="length 6, these have 5"):
        model.logits(np.zeros((2, 5)))


def test_a_task_that_the_head_cannot_do_is_refused(case):
    name, _ = case
    for task in {"classification", "regression"} - set(family(name).tasks):
        with pytest.raises(UsageError, match=task):
            fit(training(task), FitSpec(family(name)))


def test_no_rows_are_refused(case):
    name, task = case
    with pytest.raises(DataError, match="no labelled rows"):
        fit(training(task).rows(np.arange(0)), FitSpec(family(name)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda a, s: a.pop("head.weight"), "'weight' is missing"),
        (lambda a, s: a.update({"head.extra": np.zeros(1)}), "'head.extra' does not belong"),
        (
            lambda a, s: a.update({"head.weight": a["head.weight"][:, 1:]}),
            r"'weight' has shape \(\d, \d+\), expected \(\d, \d+\)",
        ),
        (lambda a, s: a.update({"head.weight": a["head.weight"] * np.inf}), "'weight' holds NaN or infinity"),
        (lambda a, s: a.update({"head.weight": a["head.weight"].astype(np.float32)}), "'weight' has type float32"),
        (lambda a, s: s["head"].pop("dim"), "'dim' is missing"),
        (lambda a, s: s["head"].update(prior_precision=-1), "'prior_precision' is -1"),
        (lambda a, s: s["head"].update(link="probit"), "'link' is 'probit'"),
        (lambda a, s: s.update(temperature="hot"), "'temperature' is 'hot'"),
        (lambda a, s: s.pop("head"), "'head' is missing"),
    ],
)
def test_damage_is_named(case, damage, words):
    name, task = case
    model = fit(training(task), FitSpec(family(name)))
    arrays, settings = model.arrays(), json.loads(json.dumps(model.settings()))
    damage(arrays, settings)
    with pytest.raises(DataError, match=words):
        Model.from_arrays(arrays, settings, family=family(name), posterior=None)
