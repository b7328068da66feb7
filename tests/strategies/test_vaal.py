from __future__ import annotations

import sys

import numpy as np
import pytest

from alcli.embedders import _contract as optional
from alcli.errors import UnavailableError, UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import vaal
from alcli.strategies.vaal import Adversary, Sides, Standard, VaalSettings, divergence
from tests.helpers import view_of

torch = pytest.importorskip("torch")

STRATEGY = strategy_of(vaal)
HOW = VaalSettings(1, 6, 3, 16, 1e-3, 1.0, 1.0)


def chosen(X, k, options=None, seed=0, **view):
    return select(STRATEGY, view_of(X, **view), k, seed=seed, options=options or {})


def test_rows_far_from_all_labelled_ones_come_first():
    X = np.random.default_rng(0).normal(size=(400, 5)).astype(np.float32)
    X[200:, 0] += 6.0
    found = chosen(X, 50, labelled=np.arange(100))
    assert (found.rows_K >= 200).mean() > 0.9
    assert (np.diff(found.scores_K) <= 0).all()


def test_scores_are_log_odds_of_the_networks_by_hand():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(3000, 4))
    one, standard = Adversary(torch, 4, HOW, rng), Standard(X)
    z = (X - X.mean(axis=0)) / np.sqrt(((X - X.mean(axis=0)) ** 2).mean())
    (V, c), (W, b) = ([p.detach().numpy() for p in layer] for layer in one._encoder)
    mean = (np.maximum(z @ V.T + c, 0) @ W.T + b)[:, :3]
    (V, c), (W, b) = ([p.detach().numpy() for p in layer] for layer in one._judge)
    np.testing.assert_allclose(
        one.labelled_logits(X, standard), (np.maximum(mean @ V.T + c, 0) @ W.T + b)[:, 0], rtol=1e-3, atol=1e-4
    )


def test_the_divergence_is_that_of_torch():
    mean, log_variance = (torch.from_numpy(np.random.default_rng(s).normal(size=(7, 3))) for s in (0, 1))
    normal = torch.distributions.Normal
    want = torch.distributions.kl_divergence(
        normal(mean, (0.5 * log_variance).exp()), normal(0.0, torch.ones(7, 3, dtype=torch.float64))
    ).mean()
    assert float(divergence(mean, log_variance)) == pytest.approx(float(want), rel=1e-12)


def test_the_autoencoder_learns_to_rebuild_and_the_two_pull_at_the_codes_against_each_other():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 6))  # two numbers say all
    x = torch.from_numpy(Standard(X)(X))

    def error(steps, adversary):
        one = Adversary(torch, 6, VaalSettings(steps, 32, 4, 64, 3e-3, 0.01, adversary), np.random.default_rng(1))
        one.train(Sides(X[:100], X[100:], np.zeros(100, np.float32)))
        return float(((one._through(one._decoder, one._encoded(x)[0]) - x) ** 2).mean().detach())

    assert error(200, 0.0) < 0.2 * error(1, 0.0)
    one = Adversary(torch, 6, HOW, rng)
    code = one._encoded(x)[0].detach().requires_grad_()
    gradients = [torch.autograd.grad(one._taken_for(code, torch.full((200,), side)), code)[0] for side in (0.0, 1.0)]
    assert float((gradients[0] * gradients[1]).sum()) < 0.0


def test_the_autoencoder_makes_all_codes_look_labelled():
    X = np.random.default_rng(0).normal(size=(100, 4))
    standard = Standard(X)
    one, x = (
        Adversary(torch, 4, VaalSettings(1, 6, 3, 16, 1e-2, 0.0, 10.0), np.random.default_rng(1)),
        torch.from_numpy(standard(X)),
    )
    before = one.labelled_logits(X, standard).mean()
    for _ in range(20):
        one._step(one._by_autoencoder, one._autoencoder_loss(x)[0])
    assert one.labelled_logits(X, standard).mean() > before + 0.1


def test_the_scale_and_place_of_features_do_not_matter():
    X = np.random.default_rng(0).normal(size=(60, 4))
    one, other = chosen(X, 10, labelled=[0, 1]), chosen(64.0 * X + 128.0, 10, labelled=[0, 1])
    assert one.rows_K.tolist() == other.rows_K.tolist()


def test_without_labels_a_note_says_that_the_order_means_little():
    X = np.random.default_rng(0).normal(size=(20, 4))
    assert chosen(X, 3, {"steps": 2}).notes == (vaal.NOTHING,)
    assert chosen(X, 3, {"steps": 2}, labelled=[1]).notes == ()


def test_threads_of_torch_are_left_as_they_are_and_bad_options_refused():
    before = torch.get_num_threads()
    chosen(np.eye(4), 1, {"steps": 1})
    assert torch.get_num_threads() == before
    with pytest.raises(UsageError, match="'learning-rate' must be above 0"):
        vaal.positive_rate(learning_rate=0.0)


def test_without_the_library_its_package_is_named(monkeypatch):
    monkeypatch.setattr(optional, "_LIBRARIES", {})
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UnavailableError, match=r"'torch' is not installed; pip install 'torch>=2\.6,<3'"):
        chosen(np.eye(4), 1)
