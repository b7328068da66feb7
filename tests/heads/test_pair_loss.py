"""The loss-prediction branch: the loss of pairs, what its gradient reaches, and what is stored."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.heads import _backprop
from alcli.heads._backprop import Schedule
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads._pair_loss import Auxiliary, pair_loss
from alcli.heads.mlp import mlp
from alcli.posteriors.laplace_shared import LaplaceShared
from tests.heads.test_mlp import SMALL, bytes_of, scale_by_hand, xor

torch = pytest.importorskip("torch")

AUX = {**SMALL, "aux_loss": True, "aux_units": 6}


def of(predicted, losses, weights=None, margin=1.0):
    predicted, losses = (torch.tensor(v, dtype=torch.float64) for v in (predicted, losses))
    weights = torch.ones_like(losses) if weights is None else torch.tensor(weights, dtype=torch.float64)
    return float(pair_loss(torch, predicted, losses, weights, margin))


# -- the loss of pairs
# ------------------------------------------------------------------------------------------------------------


def test_by_hand():
    # Pairs (1, 4) and (2, 3) of four rows: losses 5 > 1, 2 < 3.
    assert of([0.5, 0.0, 0.2, 0.0], [5.0, 2.0, 3.0, 1.0]) == pytest.approx(((1 - 0.5) + (1 + (0.0 - 0.2))) / 2)
    assert of([0.5, 0.0, 9.0], [5.0, 2.0, 1.0]) == pytest.approx(0.5)  # the last of three is left out
    assert of([0.5, 0.0], [5.0, 1.0], weights=[2.0, 3.0], margin=2.0) == pytest.approx(6 * 1.5)
    assert of([0.5], [5.0]) == 0.0


def test_equal_predictions_give_the_margin_the_right_order_nothing_and_the_wrong_one_the_margin_and_the_gap():
    losses = np.array([4.0, 7.0, 1.0, 0.5, 3.0, 9.0])
    assert of(np.full(6, 0.7), losses, margin=2.5) == 2.5
    assert of(2.5 * losses.argsort().argsort(), losses, margin=2.5) == 0.0
    # Pairs (4, 9), (7, 3), (1, 0.5): gaps of the ranks 2, 2, 1.
    assert of(-losses.argsort().argsort().astype(float), losses) == pytest.approx(1 + (2 + 2 + 1) / 3)


def test_only_the_order_of_losses_counts_and_a_constant_on_predictions_changes_nothing():
    rng = np.random.default_rng(0)
    predicted, losses = rng.normal(size=20), rng.exponential(size=20)
    assert (
        of(predicted, np.log(losses)) == of(predicted, losses) == pytest.approx(of(predicted + 11.0, losses), abs=1e-12)
    )


def test_equal_losses_want_the_first_predicted_smaller():
    assert of([1.0, 0.0], [2.0, 2.0]) == 2.0
    assert of([0.0, 1.0], [2.0, 2.0]) == 0.0


def test_over_all_orders_of_the_rows_it_is_the_mean_over_all_pairs():
    rng = np.random.default_rng(1)
    predicted, losses = rng.normal(size=5), rng.normal(size=5)
    orders = [of(predicted[list(order)], losses[list(order)]) for order in permutations(range(5))]
    pairs = [
        max(0.0, 1.0 - (1 if losses[i] > losses[j] else -1) * (predicted[i] - predicted[j]))
        for i in range(5)
        for j in range(5)
        if i != j
    ]
    assert np.mean(orders) == pytest.approx(np.mean(pairs), rel=1e-12)
    assert np.std(orders) > 0.01


# -- what it does to the head
# -----------------------------------------------------------------------------------------------------


def descent(**options):
    aux = Auxiliary(**({"units": 6} | options))
    schedule = Schedule((8, 5), "relu", "cross-entropy", 0.0, 1.0, 10, None, 0.01, 64, 0, aux)
    data = xor(60)
    return _backprop._Descent(torch, data, schedule, None), data


def aux_gradients(run, share):
    """The gradients of the branch's loss alone: by the main network's parameters, and by the branch's."""
    X, targets, weights = run._rows
    hidden = run._hidden(X, dropout=False)
    run._branch.loss([X, *hidden], run._losses(hidden[-1], targets), weights, share).backward()
    return [p.grad for p in run._parameters], [p.grad for p in run._branch.parameters]


@pytest.mark.parametrize("taps_input", [False, True])
def test_its_gradient_reaches_the_hidden_layers_until_they_are_detached_and_never_the_last_layer(taps_input):
    main, beside = aux_gradients(descent(taps_input=taps_input)[0], 0.5)
    assert all(float(g.abs().max()) > 0 for g in main[:4])
    assert main[4] is None
    assert main[5] is None
    assert all(g is not None for g in beside)
    main, beside = aux_gradients(descent(taps_input=taps_input)[0], 0.6)
    assert all(g is None for g in main)  # nor through the losses
    assert all(float(g.abs().max()) > 0 for g in beside[:-1])


@pytest.mark.parametrize("options", [{"aux_weight": 0.0}, {"aux_detach": 0.0}], ids=str)
@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_a_branch_that_reaches_no_hidden_layer_leaves_their_bytes_as_they_are(options, dropout):
    """The branch draws from a stream of its own."""
    data = xor(60)
    plain, beside = mlp(data, dropout=dropout, **SMALL), mlp(data, dropout=dropout, **AUX, **options)
    assert bytes_of(plain) == [beside.arrays()[name].tobytes() for name in plain.arrays()]
    assert plain.branch is None
    assert beside.branch is not None
    assert bytes_of(mlp(data, dropout=dropout, **AUX))[1] != bytes_of(plain)[1]


def test_weights_are_measured_by_their_mean():
    data = replace(xor(60), weights_L=np.random.default_rng(0).uniform(0.5, 2.0, 60))
    one, other = (mlp(rows, **AUX) for rows in (data, replace(data, weights_L=8.0 * data.weights_L)))
    for found, expected in zip(
        (*other.layers, *other.branch.taps, other.branch.last), (*one.layers, *one.branch.taps, one.branch.last)
    ):
        np.testing.assert_allclose(found[0], expected[0], rtol=1e-9)


def test_epochs_are_detached_from_their_share_on(monkeypatch):
    seen, loss = [], _backprop.BranchDescent.loss

    def recording(self, outputs, losses, weights, share):
        seen.append(share)
        return loss(self, outputs, losses, weights, share)

    monkeypatch.setattr(_backprop.BranchDescent, "loss", recording)
    mlp(xor(60), widths="4", epochs=10, aux_loss=True)
    assert seen == [epoch / 10 for epoch in range(10)]


def test_a_pair_with_a_row_of_next_to_no_weight_does_not_count():
    assert of([0.5, 0.3, 0.2, 0.0], [5.0, 2.0, 3.0, 1.0], weights=[1e-12, 1.0, 1.0, 1.0]) == pytest.approx(
        (1 - 0.1 + 0.2) / 2, abs=1e-11
    )


@pytest.mark.parametrize("taps_input", [False, True])
def test_predictions_are_those_of_the_branch_as_it_was_trained_on_scaled_features(taps_input, monkeypatch):
    runs, initial = [], _backprop._Descent.__init__

    def recording(self, *rest):
        initial(self, *rest)
        runs.append(self)

    monkeypatch.setattr(_backprop._Descent, "__init__", recording)
    data = replace(xor(60), X_LD=5.0 * xor(60).X_LD + 3.0)
    model = Model(mlp(data, aux_input=taps_input, **AUX))
    divisor, mean = scale_by_hand(data)
    X = torch.from_numpy((data.X_LD - mean) / divisor)
    want = runs[0]._branch.predict([X, *runs[0]._hidden(X, dropout=False)]).detach().numpy()
    np.testing.assert_allclose(model.predicted_loss(data.X_LD), want, rtol=1e-9, atol=1e-9)


def test_it_learns_which_rows_are_hard():
    """Labels of one half of the plane are noise: there the loss stays large."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(600, 2))
    y = np.where(X[:, 0] > 0, rng.integers(2, size=600), (X[:, 1] > 0).astype(int))
    model = Model(mlp(Training(X[:500], y[:500], np.ones(500), 2), widths="32", epochs=60, aux_loss=True))
    predicted = model.predicted_loss(X[500:])
    assert np.corrcoef(predicted, X[500:, 0] > 0)[0, 1] > 0.5


def test_early_stopping_goes_back_to_the_branch_of_the_best_epoch(monkeypatch):
    seen, epoch = [], _backprop._Descent._epoch

    def recording(self, number):
        epoch(self, number)
        seen.append([p.detach().numpy().copy() for p in self._branch.parameters])

    monkeypatch.setattr(_backprop._Descent, "_epoch", recording)
    data = replace(
        xor(60), y_L=np.random.default_rng(0).integers(2, size=60)
    )  # nothing to learn: what is held out soon gets worse
    stopped = mlp(data, patience=3, learning_rate=0.02, **AUX)
    best = int(stopped.diagnostics["epochs"])
    assert best < len(seen) < 20
    np.testing.assert_array_equal(stopped.branch.taps[0][0], seen[best - 1][0])
    np.testing.assert_array_equal(stopped.branch.last[1], seen[best - 1][-1])


def test_a_warm_start_begins_at_the_branch_too():
    data = xor()
    head = mlp(data, aux_input=True, **AUX)
    still = {
        "epochs": 1,
        "learning_rate": 1e-14,
        "aux_loss": True,
        "aux_units": 6,
        "aux_input": True,
        "widths": "16",
        "start": head,
    }
    moved = replace(data, X_LD=3.0 * data.X_LD + 1.0)  # scaled otherwise
    warm, cold = mlp(moved, warm_start=True, **still), mlp(moved, **still)
    np.testing.assert_allclose(
        Model(warm).predicted_loss(moved.X_LD), Model(head).predicted_loss(moved.X_LD), rtol=1e-8, atol=1e-8
    )
    assert np.abs(Model(cold).predicted_loss(moved.X_LD) - Model(head).predicted_loss(moved.X_LD)).max() > 0.01
    wider = mlp(moved, warm_start=True, **(still | {"aux_units": 9}))
    assert wider.branch.units == 9


def test_a_regression_has_a_branch_too():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    head = mlp(Training(X, X[:, 0] + 0.1 * rng.normal(size=60), np.ones(60), None), **AUX)
    assert np.isfinite(Model(head).predicted_loss(X)).all()


# -- what is stored
# ---------------------------------------------------------------------------------------------------------------


def stored():
    model = fit(
        xor(40),
        FitSpec(
            mlp.head,
            LaplaceShared,
            options={"widths": "6,5", "epochs": 2, "aux_loss": True, "aux_units": 3, "aux_input": True},
        ),
    )
    return model, model.arrays(), json.loads(json.dumps(model.settings()))


def test_a_stored_branch_predicts_the_same_bits_and_updates_leave_it():
    model, arrays, settings = stored()
    again = Model.from_arrays(arrays, settings, family=mlp.head, posterior=LaplaceShared)
    X = xor(3000, seed=2).X_LD
    assert again.predicted_loss(X).tobytes() == model.predicted_loss(X).tobytes()
    assert again.settings() == model.settings()
    moved = model.update(xor(5, seed=3)).with_new_classes(1)
    assert moved.predicted_loss(X).tobytes() == model.predicted_loss(X).tobytes()
    assert [W.shape for W, _ in model.head.branch.taps] == [(3, 2), (3, 6), (3, 5)]


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda a, s: a.pop("head.branch1.bias"), "'branch1.bias' is missing"),
        (
            lambda a, s: a.update({"head.branch.weight": np.zeros((1, 6))}),
            r"'branch.weight' has shape \(1, 6\), expected \(1, 9\)",
        ),
        (
            lambda a, s: a.update({"head.branch0.weight": a["head.branch0.weight"] * np.nan}),
            "'branch0.weight' holds NaN",
        ),
        (lambda a, s: s["head"].pop("branch"), r"'head.branch.*' does not belong"),
        (lambda a, s: s["head"].update(branch=None), "'branch' is None, expected an object"),
        (lambda a, s: s["head"]["branch"].update(units=0), "'units' is 0"),
        (lambda a, s: s["head"]["branch"].update(taps_input=1.5), "'taps_input' is 1.5"),
        (lambda a, s: s["head"]["branch"].update(taps_input=False), "'branch0.weight' has shape"),
    ],
)
def test_a_damaged_branch_is_named(damage, words):
    _, arrays, settings = stored()
    damage(arrays, settings)
    with pytest.raises(DataError, match=words):
        Model.from_arrays(arrays, settings, family=mlp.head, posterior=LaplaceShared)
