"""The mlp head: its network against PyTorch's, what it can learn, and that where rows, threads and libraries are does
not matter.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_digits

from alcli.embedders import _contract as optional
from alcli.errors import DataError, UnavailableError, UsageError
from alcli.heads import _backprop
from alcli.heads import mlp as module
from alcli.heads._backprop import Schedule, train
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead, forward
from alcli.heads.mlp import mlp
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics.blocks import thread_limit
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer.ridge import GRID
from alcli.numerics.logistic import log_softmax, one_hot
from alcli.numerics.logistic import softmax as probabilities
from alcli.numerics.metrics import accuracy, nll
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.workflows.recipe import Recipe
from tests.evidence import prior_of

torch = pytest.importorskip("torch")

AMES = Path(__file__).parents[3] / "shared" / "data" / "ames" / "features.parquet"
SMALL = {"widths": "16", "epochs": 20}


def xor(n=200, seed=0, noise=0.15):
    """Two classes in opposite corners of a square: no plane separates them."""
    rng = np.random.default_rng(seed)
    corners = rng.integers(2, size=(n, 2))
    return Training(2.0 * corners - 1 + noise * rng.normal(size=(n, 2)), corners.sum(axis=1) % 2, np.ones(n), 2)


def wave(n=300, seed=0, noise=0.1):
    """Targets around 50 that rise and fall along a line."""
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, size=(n, 2))
    return Training(X, 50 + 5 * np.sin(2 * X[:, 0]) + 5 * noise * rng.normal(size=n), np.ones(n), None)


def pixels(n, scale, seed=0):
    """n rows of digit images and 700 test rows, of norm `scale` on average."""
    X, y = load_digits(return_X_y=True)
    X = (X * (scale / np.sqrt((X**2).sum(axis=1).mean()))).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(X))
    return Training(X[order[:n]], y[order[:n]].astype(np.int64), np.ones(n), 10), X[order[-700:]], y[order[-700:]]


def bytes_of(head):
    return [array.tobytes() for array in head.arrays().values()]


def schedule(**options):
    given = {
        "widths": (8,),
        "activation": "relu",
        "loss": "cross-entropy",
        "dropout": 0.0,
        "weight_decay": 1.0,
        "epochs": 10,
        "patience": None,
        "learning_rate": 0.01,
        "batch_size": 64,
        "seed": 0,
    }
    return Schedule(**(given | options))


# -- the network
# ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("activation", ["relu", "tanh", "gelu"])
def test_predictions_are_those_of_the_same_network_in_torch(activation):
    head, X = mlp(xor(), activation=activation, widths="7,5", epochs=3), xor(1500, seed=1).X_LD
    function = {"relu": torch.relu, "tanh": torch.tanh, "gelu": torch.nn.functional.gelu}[activation]
    h = torch.from_numpy(X)
    for W, b in head.layers:
        h = function(h @ torch.from_numpy(W).T + torch.from_numpy(b))
    W = torch.from_numpy(head.W_CD1)
    np.testing.assert_allclose(head.hidden(X), h.numpy(), atol=1e-12)
    np.testing.assert_allclose(head.logits(X), (h @ W[:, :-1].T + W[:, -1]).numpy(), atol=1e-12)
    assert [W.shape for W, _ in head.layers] == [(7, 2), (5, 7)]
    assert head.last_layer(X).shape == (1500, 6)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_a_training_step_follows_the_gradient_that_torch_finds_in_a_network_of_its_own(loss):
    """One epoch of one batch: AdamW moves each weight by the learning rate, against the sign of its gradient."""
    data = replace(xor(40), weights_L=np.random.default_rng(2).uniform(0.5, 2, 40))
    rate = 1e-6
    start = NetworkHead(
        ((np.array([[1.0, 0.5], [-0.7, 1.2]]), np.array([0.1, -0.2])),),
        "tanh",
        LinearHead("mlp", np.array([[0.3, -0.4, 0.1], [-0.2, 0.6, 0.2]]), 1.0),
    )
    moved = train(
        data,
        schedule(widths=(2,), activation="tanh", loss=loss, epochs=1, learning_rate=rate, weight_decay=0.0),
        start=start,
    ).layers[0]
    W, b = (torch.tensor(array, requires_grad=True) for array in start.layers[0])
    outputs = torch.tanh(torch.from_numpy(data.X_LD) @ W.T + b) @ torch.from_numpy(
        start.W_CD1[:, :-1]
    ).T + torch.from_numpy(start.W_CD1[:, -1])
    losses = (
        torch.nn.functional.cross_entropy(outputs, torch.from_numpy(data.y_L), reduction="none")
        if loss == "cross-entropy"
        else ((outputs - torch.from_numpy(one_hot(data.y_L, 2))).square().sum(dim=1))
    )
    (torch.from_numpy(data.weights_L) * losses).sum().backward()
    divisor, mean = scale_by_hand(data)
    scaled_W, scaled_b = moved[0] * divisor, moved[1] + moved[0] @ mean
    # The gradient by the weights of scaled features: x = mean + divisor * scaled.
    by_W = (W.grad.numpy() - np.outer(b.grad.numpy(), mean)) / divisor
    np.testing.assert_allclose(scaled_W - start.layers[0][0] * divisor, -rate * np.sign(by_W), rtol=1e-4)
    np.testing.assert_allclose(
        scaled_b - start.layers[0][1] - start.layers[0][0] @ mean, -rate * np.sign(b.grad.numpy()), rtol=1e-4
    )


def scale_by_hand(data):
    mean = data.weights_L @ data.X_LD / data.weights_L.sum()
    variance = data.weights_L @ (data.X_LD - mean) ** 2 / data.weights_L.sum()
    return np.sqrt((variance + variance.mean()) / 2), mean


def test_the_last_layer_stands_at_the_mode_over_the_hidden_features():
    data = replace(xor(), weights_L=np.random.default_rng(1).uniform(0.5, 2, 200))
    head = mlp(data, **SMALL)
    phi = head.last_layer(data.X_LD)
    errors = (probabilities(head.logits(data.X_LD)) - one_hot(data.y_L, 2)) * data.weights_L[:, None]
    np.testing.assert_allclose(errors.T @ phi, -head.W_CD1 * prior_of(head.prior_precision, 17), atol=1e-7)


# -- what it learns
# ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
@pytest.mark.parametrize("scale", [0.1, 30.0])
def test_classes_that_no_plane_separates_are_learnt(loss, scale):
    data, test = (replace(rows, X_LD=rows.X_LD * scale) for rows in (xor(), xor(seed=1)))
    head = mlp(data, loss=loss, widths="32")
    assert accuracy(test.y_L, head.logits(test.X_LD).argmax(axis=1)) > 0.97
    assert accuracy(test.y_L, softmax(data).logits(test.X_LD).argmax(axis=1)) < 0.8


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_digits_are_told_apart_better_than_by_a_linear_head_at_both_scales(loss, scale):
    data, X, y = pixels(300, scale)
    head, linear = mlp(data, loss=loss), (softmax if loss == "cross-entropy" else ridge)(data)
    assert accuracy(y, head.logits(X).argmax(axis=1)) > accuracy(y, linear.logits(X).argmax(axis=1)) + 0.005
    assert nll(y, log_softmax(head.logits(X) / head.temperature)) < nll(
        y, log_softmax(linear.logits(X) / linear.temperature)
    )


def test_the_scale_and_place_of_features_do_not_matter():
    data, test = pixels(60, 1.0)[0], pixels(60, 1.0)[1]
    wide = [
        replace(data, X_LD=data.X_LD.astype(np.float64)),
        replace(data, X_LD=30.0 * data.X_LD.astype(np.float64) + 7.0),
    ]
    small, large = (mlp(rows, **SMALL) for rows in wide)
    np.testing.assert_allclose(
        large.logits(30.0 * test.astype(np.float64) + 7.0), small.logits(test.astype(np.float64)), atol=1e-6
    )
    assert large.prior_precision == pytest.approx(small.prior_precision, rel=1e-6)


def test_a_regression_follows_a_curve_and_knows_its_noise():
    data, test = wave(), wave(seed=1)
    head = mlp(data, widths="64", epochs=150, learning_rate=0.01)
    assert head.regression
    assert head.link == "identity"
    assert np.abs(head.logits(test.X_LD)[:, 0] - test.y_L).mean() < 0.6
    assert np.abs(ridge(data).logits(test.X_LD)[:, 0] - test.y_L).mean() > 2.0
    assert 0.25 * 0.7 < head.noise_variance < 0.25 * 2.0
    again = mlp(replace(data, y_L=1000 * data.y_L - 7e5), widths="64", epochs=150, learning_rate=0.01)
    np.testing.assert_allclose(again.logits(test.X_LD), 1000 * head.logits(test.X_LD) - 7e5, atol=0.5)


@pytest.mark.parametrize("options", [{}, {"patience": 5}], ids=str)
def test_targets_that_are_noise_are_not_taken_for_signal(options):
    rng = np.random.default_rng(0)
    data = Training(rng.normal(size=(60, 20)), 3.0 * rng.normal(size=60), np.ones(60), None)
    head = mlp(data, weight_decay=0.0, epochs=100, **options)
    assert head.noise_variance > 6.0
    assert np.abs(head.logits(rng.normal(size=(300, 20)))).mean() < 2.0
    assert mlp(data, 1e-6, weight_decay=0.0, epochs=100, **options).noise_variance > 6.0


@pytest.mark.parametrize(
    "data", [wave(40, noise=1.0), xor(40), pixels(80, 1.0)[0]], ids=["regression", "two classes", "ten classes"]
)
def test_prior_and_noise_under_squared_loss_are_those_of_rows_that_no_layer_has_seen(data):
    """By hand: layers trained without a fifth of the rows, a ridge head on them for each candidate, its error on that
    fifth.
    """
    rows = module._in_own_order(replace(data, weights_L=np.random.default_rng(1).uniform(0.5, 2, data.n)))
    fifth = stratified_folds(rows.y_L, 5, seed=0) == 0
    rest, fifth = rows.rows(~fifth), rows.rows(fifth)
    trained = train(rest, schedule(widths=(16,), loss="squared", epochs=20))
    targets = [r.y_L[:, None] if data.n_classes is None else one_hot(r.y_L, data.n_classes) for r in (rest, fifth)]
    hidden = [forward(trained.layers, "relu", r.X_LD) for r in (rest, fifth)]
    away = hidden[0] - np.average(hidden[0], axis=0, weights=rest.weights_L)
    square = np.average((away**2).sum(axis=1), weights=rest.weights_L)
    learned = replace(rest, X_LD=hidden[0])

    def error(prior):
        return np.average(
            ((ridge(learned, prior).logits(hidden[1]) - targets[1]) ** 2).mean(axis=1), weights=fifth.weights_L
        )

    errors = {float(g * square): error(g * square) for g in GRID}
    least = min(errors.values())
    spread = np.average(
        ((targets[0] - np.average(targets[0], axis=0, weights=rest.weights_L)) ** 2).mean(axis=1),
        weights=rest.weights_L,
    )
    want = max([least / spread * square, *(p for p, e in errors.items() if e <= 1.02 * least)])
    head = mlp(rows, loss="squared", learning_rate=0.01, **SMALL)
    assert head.prior_precision == pytest.approx(want, rel=1e-9)
    assert head.noise_variance == pytest.approx(error(want), rel=1e-9)


@pytest.mark.skipif(not AMES.is_file(), reason="the Ames data is not beside the repository")
def test_sale_prices_are_predicted_about_as_well_as_by_a_linear_head_and_the_noise_is_honest():
    import pyarrow.parquet as pq

    table = pq.read_table(AMES)
    X, y = np.stack(table.column("features").to_numpy(zero_copy_only=False)), table.column("label").to_numpy()
    train_rows, test_rows = (
        np.flatnonzero(np.array(table.column("split").to_pylist()) == name) for name in ("train", "test")
    )
    data = Training(X[train_rows[:300]], y[train_rows[:300]], np.ones(300), None)
    head, linear = mlp(data), ridge(data)
    errors = [np.sqrt(np.mean((h.logits(X[test_rows])[:, 0] - y[test_rows]) ** 2)) for h in (head, linear)]
    assert errors[0] < 1.05 * errors[1]
    assert 0.6 < np.sqrt(head.noise_variance) / errors[0] < 1.5


def test_rows_of_next_to_no_weight_do_not_count():
    data = xor(120)
    wrong = Training(
        np.concatenate([data.X_LD, data.X_LD[:20]]),
        np.concatenate([data.y_L, 1 - data.y_L[:20]]),
        np.append(np.ones(120), np.full(20, 1e-12)),
        2,
    )
    full = {"batch_size": 1000, **SMALL}
    np.testing.assert_allclose(mlp(wrong, **full).logits(data.X_LD), mlp(data, **full).logits(data.X_LD), atol=1e-6)


def test_under_squared_loss_probabilities_are_calibrated_on_rows_that_training_has_not_seen():
    rng = np.random.default_rng(0)
    y = rng.integers(3, size=2300)
    rows = Training(1.5 * one_hot(y, 3) @ rng.normal(size=(3, 4)) + rng.normal(size=(2300, 4)), y, np.ones(2300), 3)
    head, test = mlp(rows.rows(np.arange(300)), loss="squared", widths="64"), rows.rows(np.arange(300, 2300))
    log_probs = log_softmax(head.logits(test.X_LD) / head.temperature)
    assert abs(np.exp(log_probs.max(axis=1)).mean() - accuracy(test.y_L, log_probs.argmax(axis=1))) < 0.06


def test_few_separable_rows_do_not_make_it_certain():
    data, X, y = pixels(60, 1.0)
    head = mlp(data, loss="squared")
    log_probs = log_softmax(head.logits(X) / head.temperature)
    assert np.exp(log_probs.max(axis=1)).mean() < accuracy(y, log_probs.argmax(axis=1)) + 0.1


# -- training
# ---------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def epochs_seen(monkeypatch):
    """The held-out loss after every epoch, with the first hidden layer of the moment as it was then, by a network of
    the test's own.
    """
    seen, epoch = [], _backprop._Descent._epoch

    def recording(self, number):
        epoch(self, number)
        seen.append([p.detach().numpy().copy() for p in self._parameters])

    monkeypatch.setattr(_backprop._Descent, "_epoch", recording)
    return seen


def held_out_losses(seen, data, held_out):
    divisor, mean = scale_by_hand(data)
    for W, b, V, c in seen:
        hidden = np.maximum((held_out.X_LD - mean) / divisor @ W.T + b, 0.0)
        yield (
            -(held_out.weights_L @ log_softmax(hidden @ V.T + c)[np.arange(held_out.n), held_out.y_L])
            / held_out.weights_L.sum()
        )


def noisy(n, seed):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, 8)), rng.integers(2, size=n), rng.uniform(0.5, 2, size=n), 2)


def test_early_stopping_keeps_the_best_epoch_and_waits_no_longer_than_its_patience(epochs_seen):
    data, held_out = noisy(50, 0), noisy(60, 1)  # nothing to learn: what is held out soon gets worse
    trained = train(data, schedule(epochs=60, patience=5, learning_rate=0.02), held_out=held_out)
    losses = list(held_out_losses(epochs_seen, data, held_out))
    best = int(np.argmin(losses))
    assert trained.epochs == best + 1
    assert trained.held_out_loss == pytest.approx(losses[best], rel=1e-10)
    assert len(losses) == best + 1 + 5 < 60
    divisor, mean = scale_by_hand(data)
    W, b = trained.layers[0]
    np.testing.assert_allclose(W * divisor, epochs_seen[best][0], rtol=1e-12)
    np.testing.assert_allclose(b + W @ mean, epochs_seen[best][1], atol=1e-12)


def test_with_patience_a_fifth_is_held_out_and_without_all_epochs_are_run(epochs_seen):
    head = mlp(xor(), patience=3, **SMALL)
    assert {"epochs", "held_out_loss"} <= set(head.diagnostics)
    assert head.diagnostics["epochs"] <= len(epochs_seen) <= head.diagnostics["epochs"] + 3
    epochs_seen.clear()
    head = mlp(xor(), **SMALL)
    assert len(epochs_seen) == head.diagnostics["epochs"] == 20
    assert "held_out_loss" not in head.diagnostics


def test_early_stopping_under_squared_loss_trains_once(epochs_seen):
    head = mlp(wave(100), patience=20, **SMALL)
    assert len(epochs_seen) == 20
    assert np.isfinite(head.noise_variance)


def test_too_few_rows_hold_nothing_out():
    head = mlp(xor(8), patience=3, **SMALL)
    assert head.diagnostics["epochs"] == 20
    assert mlp(wave(8), **SMALL).noise_variance > 0


def test_a_diverging_descent_is_refused():
    with np.errstate(all="ignore"), pytest.raises(DataError, match=r"did not stay finite.*learning-rate"):
        mlp(wave(30), learning_rate=1e200, epochs=5, widths="4,4")


@pytest.mark.parametrize("options", [{}, {"dropout": 0.4}, {"patience": 3}, {"loss": "squared"}], ids=str)
def test_the_seed_decides_and_the_same_seed_gives_the_same_bytes(options):
    data = xor(60)
    first, second, other = (mlp(data, seed=seed, **SMALL, **options) for seed in (1, 1, 2))
    assert bytes_of(first) == bytes_of(second)
    assert bytes_of(first) != bytes_of(other)


@pytest.mark.parametrize("loss", ["cross-entropy", "squared"])
def test_the_number_of_threads_and_the_order_of_rows_change_no_byte(loss):
    data, _, _ = pixels(500, 1.0)
    order, before, found = np.random.default_rng(3).permutation(data.n), torch.get_num_threads(), []
    try:
        for threads, rows in ((1, data), (2, data), (2, data.rows(order))):
            torch.set_num_threads(threads)
            with thread_limit(threads):
                found.append(bytes_of(mlp(rows, loss=loss, widths="64", epochs=3)))
            train(rows, schedule(loss=loss, epochs=1))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_dropout_changes_what_is_learnt_and_not_how_predictions_are_made():
    data = xor(80)
    plain, dropped = mlp(data, **SMALL), mlp(data, dropout=0.5, **SMALL)
    assert bytes_of(plain) != bytes_of(dropped)
    assert dropped.logits(data.X_LD).tobytes() == dropped.logits(data.X_LD).tobytes()


# -- starts and refits
# ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [xor(), wave()], ids=["classes", "regression"])
def test_a_warm_start_begins_at_the_weights_of_the_head(data):
    head = mlp(data, **SMALL)
    moved = (
        replace(data, X_LD=3.0 * data.X_LD + 1.0) if data.n_classes else data
    )  # scaled otherwise, the layers still compute the same
    still = {"epochs": 1, "learning_rate": 1e-14}
    warm = mlp(moved, start=head, warm_start=True, widths="16", **still)
    np.testing.assert_allclose(warm.hidden(moved.X_LD), head.hidden(moved.X_LD), rtol=1e-9, atol=1e-9)
    assert (
        np.abs(mlp(moved, start=head, widths="16", **still).hidden(moved.X_LD) - head.hidden(moved.X_LD)).max() > 0.01
    )


def test_a_warm_start_trains_on_from_the_last_layer_too(monkeypatch):
    begun, initial = [], _backprop._Descent.__init__

    def recording(self, *rest):
        initial(self, *rest)
        begun.append([p.detach().numpy().copy() for p in self._parameters])

    data, head = wave(), mlp(wave(), **SMALL)
    monkeypatch.setattr(_backprop._Descent, "__init__", recording)
    train(data, schedule(widths=(16,), loss="squared", epochs=1), start=head)
    outputs = head.hidden(data.X_LD) @ begun[0][2].T + begun[0][3]
    np.testing.assert_allclose(outputs * data.y_L.std() + data.y_L.mean(), head.logits(data.X_LD), rtol=1e-9)


def test_a_start_of_another_shape_is_not_begun_at():
    data = xor(60)
    for other in ({"widths": "9"}, {"activation": "tanh"}):
        start = mlp(data, **(SMALL | other))
        assert bytes_of(mlp(data, start=start, warm_start=True, **SMALL)) == bytes_of(mlp(data, **SMALL))


def test_fits_to_a_part_of_the_rows_begin_cold_and_with_the_seed_of_the_specification():
    calls = []

    def recorded(data, **given):
        calls.append((data.n, given))
        return mlp(data, **given, **SMALL)

    fit(xor(60), FitSpec(replace(mlp.head, fit=recorded), LaplaceShared, calibrate="temperature", seed=5))
    assert [n for n, _ in calls] == [60, *[48] * 6]
    assert all(given["seed"] == 5 and given["start"] is None for _, given in calls)


# -- all that works for a linear head
# ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [xor(), wave()], ids=["classes", "regression"])
def test_updates_move_the_last_layer_alone_and_can_be_undone(data):
    old, new = data.rows(np.arange(150)), data.rows(np.arange(150, 160))
    model = fit(old, FitSpec(mlp.head, LaplaceShared, options=SMALL))
    updated = model.update(new)
    for before, after in zip(model.head.layers, updated.head.layers):
        np.testing.assert_array_equal(before[0], after[0])
    distance = [
        np.abs(m.head.logits(new.X_LD) - (one_hot(new.y_L, 2) if data.n_classes else new.y_L[:, None])).mean()
        for m in (model, updated)
    ]
    assert data.n_classes or distance[1] < distance[0]
    if data.n_classes:
        assert nll(new.y_L, updated.log_probs(new.X_LD)) < nll(new.y_L, model.log_probs(new.X_LD))
    assert (updated.logit_variance(new.X_LD) < model.logit_variance(new.X_LD)).all()
    one = new.rows(np.array([0]))
    np.testing.assert_allclose(model.update(one).remove(one).head.W_CD1, model.head.W_CD1, rtol=1e-8, atol=1e-8)


def test_hidden_features_come_in_the_type_of_the_features_from_a_model():
    data = xor(60)
    model = fit(data, FitSpec(mlp.head, options=SMALL))
    assert model.hidden(data.X_LD.astype(np.float32)).dtype == np.float32
    np.testing.assert_array_equal(model.hidden(data.X_LD), model.head.hidden(data.X_LD))
    linear = Model(LinearHead("softmax", np.zeros((2, 3)), 1.0))
    assert linear.hidden(data.X_LD) is data.X_LD


def test_a_new_class_leaves_the_hidden_layers():
    model = fit(xor(60), FitSpec(mlp.head, LaplaceShared, options=SMALL)).with_new_classes(2)
    assert model.n_classes == 4
    assert model.head.layers[0][0].shape == (16, 2)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda a, s: a.pop("head.hidden1.bias"), "'hidden1.bias' is missing"),
        (
            lambda a, s: a.update({"head.hidden0.weight": a["head.hidden0.weight"].T.copy()}),
            r"'hidden0.weight' has shape \(2, 6\), expected \(6, 2\)",
        ),
        (lambda a, s: a.update({"head.hidden0.bias": a["head.hidden0.bias"] * np.nan}), "'hidden0.bias' holds NaN"),
        (lambda a, s: a.update({"head.hidden2.weight": np.zeros((1, 1))}), "'head.hidden2.weight' does not belong"),
        (lambda a, s: s["head"].update(widths=[6]), "'weight' has shape"),
        (lambda a, s: s["head"].update(widths=[]), r"'widths' is \[\], expected a list of whole numbers"),
        (lambda a, s: s["head"].update(widths=[6, True]), "expected a list of whole numbers"),
        (lambda a, s: s["head"].update(widths="6,5"), "expected a list of whole numbers"),
        (lambda a, s: s["head"].update(widths=[6, -5]), "expected a list of whole numbers"),
        (lambda a, s: s["head"].pop("widths"), "'widths' is missing"),
        (lambda a, s: s["head"].update(activation="sine"), "'activation' is 'sine'"),
        (lambda a, s: s["head"].update(activation=["relu"]), "'activation' is"),
    ],
)
def test_damaged_hidden_layers_are_named(damage, words):
    model = fit(xor(40), FitSpec(mlp.head, options={"widths": "6,5", "epochs": 2}))
    arrays, settings = model.arrays(), json.loads(json.dumps(model.settings()))
    damage(arrays, settings)
    with pytest.raises(DataError, match=words):
        Model.from_arrays(arrays, settings, family=mlp.head, posterior=None)


def test_a_stored_head_predicts_the_same_bits():
    model = fit(xor(40), FitSpec(mlp.head, LaplaceShared, options={"widths": "6,5", "activation": "gelu", "epochs": 2}))
    again = Model.from_arrays(
        model.arrays(), json.loads(json.dumps(model.settings())), family=mlp.head, posterior=LaplaceShared
    )
    X = xor(30, seed=2).X_LD
    assert again.predictive(X).tobytes() == model.predictive(X).tobytes()
    assert again.settings() == model.settings()


# -- options, and the library
# -----------------------------------------------------------------------------------------------------


def test_options_are_read_from_text():
    options = {
        "widths": "32,8",
        "activation": "tanh",
        "dropout": "0.1",
        "patience": "none",
        "batch-size": "16",
        "warm-start": "true",
    }
    spec = Recipe(head="mlp", options=options, seed=3).checked().spec(regression=False)
    assert spec.options == {
        "widths": "32,8",
        "activation": "tanh",
        "dropout": 0.1,
        "patience": None,
        "batch_size": 16,
        "warm_start": True,
    }
    assert spec.seed == 3


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"widths": "32,,8"}, "'widths' must be the units of each hidden layer, such as 256 or 256,128, got '32,,8'"),
        ({"widths": "0"}, "'widths' must be"),
        ({"widths": "-3"}, "'widths' must be"),
        ({"widths": "wide"}, "'widths' must be"),
        ({"dropout": "1"}, "'dropout' must be at least 0 and below 1, got 1"),
        ({"weight-decay": "-1"}, "'weight-decay' must be at least 0"),
        ({"learning-rate": "0"}, "'learning-rate' must be above 0, got 0"),
        ({"learning-rate": "nan"}, "'learning-rate' must be above 0"),
        ({"epochs": "0"}, "'epochs' must be at least 1"),
        ({"patience": "0"}, "'patience' must be at least 1"),
        ({"batch-size": "0"}, "'batch-size' must be at least 1"),
        ({"activation": "sine"}, "'activation' must be one of relu, tanh, gelu"),
        ({"loss": "hinge"}, "'loss' must be one of"),
        ({"seed": "1"}, "has no parameter 'seed'"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_any_data_is_read(options, words):
    with pytest.raises(UsageError, match=words):
        Recipe(head="mlp", options=options).checked()


def test_cross_entropy_is_refused_for_a_regression():
    with pytest.raises(UsageError, match=r"cross-entropy, which is for classes.*loss=squared"):
        mlp(wave(20), loss="cross-entropy")


def test_without_the_library_its_package_is_named(monkeypatch):
    monkeypatch.setattr(optional, "_LIBRARIES", {})
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match=r"'torch' is not installed; pip install 'torch>=2\.6,<3'"):
        mlp(xor(20))


def test_predictions_updates_and_loading_do_not_import_the_library(tmp_path):
    model = fit(xor(40), FitSpec(mlp.head, LaplaceShared, options=SMALL))
    (tmp_path / "settings.json").write_text(json.dumps(model.settings()))
    np.savez(tmp_path / "arrays.npz", **model.arrays())
    program = f"""
import json, sys
import numpy as np
from alcli import plugins
from alcli.heads._contract import Training, family_of
from alcli.heads._model import Model
from alcli.posteriors.laplace_shared import LaplaceShared
settings = json.load(open({str(tmp_path / "settings.json")!r}))
arrays, family = dict(np.load({str(tmp_path / "arrays.npz")!r})), family_of(plugins.load("heads", "mlp"))
model = Model.from_arrays(arrays, settings, family=family, posterior=LaplaceShared)
model = model.update(Training(np.eye(2), np.array([0, 1]), np.ones(2), 2))
print(float(model.predictive(np.eye(2))[0, 0]), "torch" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
        env=os.environ,
    )
    assert done.returncode == 0, done.stderr
    value, loaded = done.stdout.split()
    assert loaded == "False"
    updated = model.update(Training(np.eye(2), np.array([0, 1]), np.ones(2), 2))
    assert float(value) == pytest.approx(float(updated.predictive(np.eye(2))[0, 0]), rel=1e-12)
