from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.optimize import minimize

from alcli.embedders import _contract as optional
from alcli.errors import DataError, UnavailableError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import sraal, vaal
from alcli.strategies.sraal import Relabelled, uncertainty
from alcli.strategies.vaal import Sides, VaalSettings
from tests.helpers import TableHead, view_of

torch = pytest.importorskip("torch")

STRATEGY = strategy_of(sraal)
HOW = VaalSettings(1, 6, 3, 16, 1e-3, 0.5, 2.0)


def chosen(X, k, options=None, seed=0, **view):
    head = view.pop("head", TableHead(np.random.default_rng(3).normal(size=(3, X.shape[1]))))
    labels = np.arange(len(view.get("labelled", ()))) % 3
    view = view_of(X, head=head, labels=view.pop("labels", labels), **view)
    return select(STRATEGY, view, k, seed=seed, options=options or {})


def variance(p):
    return np.mean((np.asarray(p) - np.mean(p)) ** 2)


# -- the uncertainty --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("C", [2, 3, 5])
def test_the_uncertainty_is_that_of_the_least_variance_by_search(C):
    """The least variance of probabilities with the same maximum is found by a general optimiser."""
    for p in np.random.default_rng(C).dirichlet(np.full(C, 0.7), size=10):
        most = p.max()
        found = minimize(
            lambda q, most=most: variance([most, *q]),
            np.full(C - 1, (1 - most) / (C - 1)) + np.linspace(-0.01, 0.01, C - 1) * (C > 2),
            bounds=[(0, most)] * (C - 1),
            constraints={"type": "eq", "fun": lambda q, most=most: q.sum() - (1 - most)},
            options={"ftol": 1e-14},
        )
        assert uncertainty(np.log(p)[None])[0] == pytest.approx(1 - found.fun / variance(p) * most, abs=1e-6)


def test_two_classes_are_as_uncertain_as_their_maximum_is_low():
    p = np.linspace(0.01, 0.99, 23)
    np.testing.assert_allclose(uncertainty(np.log(np.column_stack([p, 1 - p]))), 1 - np.maximum(p, 1 - p), rtol=1e-12)


def test_one_class_is_certain_and_equal_classes_are_as_uncertain_as_can_be():
    with np.errstate(divide="ignore"):
        p = np.log([[1.0, 0.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25], [0.5, 0.5, 0.0, 0.0], [0.5, 1 / 6, 1 / 6, 1 / 6]])
    found = uncertainty(p)
    assert found[:2].tolist() == [0.0, 0.75]
    assert found[2] > found[3] == pytest.approx(0.5), "few classes that compete are less certain than many"


# -- the losses -------------------------------------------------------------------------------------------------------


def test_the_losses_are_those_written_out():
    """One mini-batch, in float64 and by hand: losses of the generator and of the discriminator."""
    rng = np.random.default_rng(0)
    X, targets = rng.normal(size=(20, 4)), np.eye(3)[[0, 1, 2, 2, 0]]
    one, state = Relabelled(torch, 4, HOW, rng, targets, 0.7), rng.random(15).astype(np.float32)
    x, states, places = Sides(X[5:], X[:5], state).drawn(rng, 16)
    np.testing.assert_array_equal(states, np.concatenate([state[places[:16]], np.ones(16)]))
    one._rng = np.random.default_rng(9)
    noise = np.random.default_rng(9).standard_normal((32, 3), np.float32)

    def through(layers, h):
        (V, c), (W, b) = ([p.detach().numpy().astype(np.float64) for p in layer] for layer in layers)
        return np.maximum(h @ V.T + c, 0) @ W.T + b

    both = through(one._encoder, x)
    mean, log_variance = both[:, :3], both[:, 3:]
    code = mean + noise * np.exp(0.5 * log_variance)
    (W, b) = (p.detach().numpy() for p in one._predictor[0])
    logits = code[16:] @ W.T + b
    of_labels = -(logits - np.log(np.exp(logits).sum(axis=1, keepdims=True)))[range(16), targets.argmax(1)[places[16:]]]
    d = through(one._judge, mean)[:, 0]
    want = (
        np.mean((through(one._decoder, code) - x) ** 2)
        + 0.5 * np.mean(0.5 * (mean**2 + np.exp(log_variance) - 1 - log_variance))
        + 2.0 * np.mean(np.log1p(np.exp(-d)))
        + 0.7 * np.mean(of_labels)
    )
    tensor = torch.from_numpy(x)
    assert float(one._generator_loss(tensor, places).detach()) == pytest.approx(want, rel=1e-5)
    judged = np.mean(np.log1p(np.exp(d)) - states * d)
    found = one._taken_for(one._encoded(tensor)[0], torch.from_numpy(states))
    assert float(found.detach()) == pytest.approx(judged, rel=1e-5)


def test_the_discriminator_learns_one_minus_the_uncertainty():
    """All rows alike: the best state is the mean of the states of both sides."""
    X, state = np.zeros((40, 2)), np.full(30, 0.4, np.float32)
    how = VaalSettings(400, 8, 2, 32, 0.02, 1.0, 0.0)
    one = Relabelled(torch, 2, how, np.random.default_rng(0), np.eye(2)[[0] * 10], 1.0)
    sides = Sides(X[:30], X[30:], state)
    one.train(sides)
    found = 1 / (1 + np.exp(-one.labelled_logits(X, sides.standard)))
    np.testing.assert_allclose(found, 0.7, atol=0.02)


def test_codes_learn_the_labels():
    rng = np.random.default_rng(0)
    y = np.arange(60) % 3
    X = np.eye(3)[y] * 4 + rng.normal(size=(60, 3)) * 0.3
    how = VaalSettings(300, 16, 4, 32, 0.01, 0.1, 0.1)

    def right(label_weight):
        one = Relabelled(torch, 3, how, np.random.default_rng(1), np.eye(3)[y[:20]], label_weight)
        sides = Sides(X[20:], X[:20], np.zeros(40, np.float32))
        one.train(sides)
        code = one._encoded(torch.from_numpy(sides.standard(X[20:])))[0]
        return (one._through(one._predictor, code).argmax(dim=1).numpy() == y[20:]).mean()

    assert right(1.0) > 0.9 > right(0.0)


# -- the choice -------------------------------------------------------------------------------------------------------


def test_uncertain_rows_come_before_sure_rows_that_lie_as_far():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 4)).astype(np.float32)
    X[100:, 0] += 6.0
    X[100:200, 1], X[200:, 1] = -5.0, 0.0  # the border between the classes is where the second number is 0
    head = TableHead([[0, 3.0, 0, 0], [0, -3.0, 0, 0]])
    labelled = np.arange(60)
    found = chosen(X, 50, head=head, labelled=labelled, labels=labelled % 2)
    assert (found.rows_K >= 200).mean() > 0.9
    assert (np.diff(found.scores_K) <= 0).all()


def test_rows_far_from_the_labelled_ones_come_first_where_all_are_as_uncertain():
    X = np.random.default_rng(0).normal(size=(200, 5)).astype(np.float32)
    X[100:, 0] += 6.0
    found = chosen(X, 30, head=TableHead(np.zeros((3, 5))), labelled=np.arange(50))
    assert (found.rows_K >= 100).mean() > 0.9


def test_a_seed_gives_one_choice():
    X = np.random.default_rng(0).normal(size=(60, 4))
    picks = [chosen(X, 10, {"steps": 20}, seed=seed, labelled=[0, 1, 2]).rows_K.tolist() for seed in (0, 0, 1)]
    assert picks[0] == picks[1] != picks[2]


def test_degenerate_pools():
    same = np.ones((12, 3), np.float32)
    assert len(chosen(same, 4, {"steps": 5}, labelled=[0]).rows_K) == 4
    everything = chosen(np.eye(5, dtype=np.float32), 4, {"steps": 2}, labelled=[2])
    assert sorted(everything.rows_K.tolist()) == [0, 1, 3, 4]
    sure = TableHead(np.array([[1e4, 0.0], [-1e4, 0.0]]))
    found = chosen(np.array([[1.0, 0], [-1, 0], [0.5, 1], [2, 2]]), 2, {"steps": 5}, head=sure, labelled=[0])
    assert np.isfinite(found.scores_K).all()


def test_without_labels_a_note_says_so_and_unknown_labels_are_refused():
    X = np.random.default_rng(0).normal(size=(20, 4))
    assert chosen(X, 3, {"steps": 2}).notes == (vaal.NOTHING,)
    assert chosen(X, 3, {"steps": 2}, labelled=[1]).notes == ()
    with pytest.raises(DataError, match="labels of the labelled rows"):
        chosen(X, 3, {"steps": 2}, labelled=[1], labels=None)


def test_without_the_library_its_package_is_named(monkeypatch):
    monkeypatch.setattr(optional, "_LIBRARIES", {})
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match=r"'torch' is not installed"):
        chosen(np.eye(4), 1)
