from __future__ import annotations

import numpy as np
import pytest

from alcli import parsing
from alcli.errors import UsageError
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.numerics.network import Network
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import ent_gradnorm, entropy
from alcli.strategies.ent_gradnorm import norms
from tests.helpers import TableHead, random_head, view_of

STRATEGY = strategy_of(ent_gradnorm)


def chosen(X, head, k, seed=0, options=None, **view):
    return select(STRATEGY, view_of(X, head=head, **view), k, seed=seed, options=options or {})


def deep(D=6, M=5, C=4, temperature=1.0):
    rng = np.random.default_rng(3)
    last = LinearHead("mlp", rng.normal(size=(C, M + 1)), 1.0, temperature=temperature)
    return Model(NetworkHead(((rng.normal(size=(M, D)), rng.normal(size=M)),), "relu", last), temperature=3.0)


@pytest.mark.parametrize("norm", ["fro", "sum", "weights"])
def test_a_linear_head_has_the_closed_form_of_the_paper(norm):
    X, head = np.random.default_rng(0).normal(size=(40, 3)), random_head(3, 4, 1)
    p = np.exp(head.log_probs(X))
    H = -(p * np.log(p)).sum(axis=1, keepdims=True)
    g, h = np.linalg.norm(p * (np.log(p) + H), axis=1), np.linalg.norm(X, axis=1)
    want = {"fro": g * np.sqrt(h**2 + 1), "sum": g * (h + 1), "weights": g * h}[norm]
    found = chosen(X, head, 40, options={"norm": norm})
    np.testing.assert_allclose(found.scores_K, np.sort(want)[::-1], rtol=1e-6)
    assert found.rows_K.tolist() == np.argsort(-want.astype(np.float32), kind="stable").tolist()


def test_with_feature_norm_l2_long_rows_come_no_sooner_and_predictions_stay():
    X, head = np.random.default_rng(0).normal(size=(40, 3)), random_head(3, 4, 1)
    X[:5] = 0.0
    p = np.exp(head.log_probs(X))
    g = np.linalg.norm(p * (np.log(p) - (p * np.log(p)).sum(axis=1, keepdims=True)), axis=1)
    found = chosen(X, head, 40, options={"feature_norm": "l2", "norm": "weights"})
    np.testing.assert_allclose(found.scores_K, np.sort(np.where(X.any(axis=1), g, 0.0))[::-1], rtol=1e-6)
    assert sorted(found.rows_K[-5:].tolist()) == [0, 1, 2, 3, 4]
    assert found.rows_K.tolist() != chosen(X, head, 40, options={"norm": "weights"}).rows_K.tolist()
    assert parsing.parse_options(STRATEGY.declared, {"feature-norm": "l2"}, "ent-gradnorm") == {"feature_norm": "l2"}
    with pytest.raises(UsageError, match="must be one of none, l2"):
        parsing.parse_options(STRATEGY.declared, {"feature-norm": "l1"}, "ent-gradnorm")


def test_hidden_layers_count_and_probabilities_are_those_that_training_saw():
    X, model = np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32), deep(temperature=2.0)
    head = model.head
    for feature_norm in ("none", "l2"):
        want, _ = norms(Network(head.layers, head.activation, head.W_CD1), X, "fro", 2.0, feature_norm)
        found = chosen(X, model, 20, options={"feature_norm": feature_norm})
        np.testing.assert_allclose(found.scores_K, np.sort(want)[::-1][:20], rtol=1e-6)


@pytest.mark.parametrize("block_rows", [1, 13, 600, 1300])
def test_blocks_of_any_size_give_the_same_batch(block_rows):
    X = np.random.default_rng(0).normal(size=(1300, 6)).astype(np.float32)
    for options in ({}, {"feature_norm": "l2"}):
        whole, parts = (
            chosen(X, deep(), 300, options=options),
            chosen(X, deep(), 300, options=options, block_rows=block_rows),
        )
        assert whole.rows_K.tolist() == parts.rows_K.tolist()
        assert whole.scores_K.tobytes() == parts.scores_K.tobytes()


def test_only_a_random_part_is_looked_at_and_that_is_said():
    X = np.random.default_rng(0).normal(size=(300, 6))
    few = [chosen(X, random_head(6, 4), 20, seed=s, options={"candidates": 50}) for s in (0, 0, 1)]
    assert few[0].rows_K.tolist() == few[1].rows_K.tolist() != few[2].rows_K.tolist()
    assert "looked at 50 random candidates" in few[0].notes[0]
    all_of_them = {
        int(r) for s in range(2) for r in chosen(X, random_head(6, 4), 50, seed=s, options={"candidates": 50}).rows_K
    }
    assert 50 < len(all_of_them) < 100
    assert chosen(X, random_head(6, 4), 20).notes == ()
    assert len(chosen(X, random_head(6, 4), 60, options={"candidates": 50}).rows_K) == 60


def test_with_two_classes_it_prefers_the_surer_rows_of_a_vague_head_and_says_so():
    X = np.linspace(-0.2, 0.2, 21)[:, None]  # p between 0.4 and 0.6
    head = TableHead([[1.0], [-1.0]])
    found = chosen(X, head, 2)
    assert sorted(found.rows_K.tolist()) == [0, 20]
    assert len(found.notes) == 1
    assert "median entropy is above 0.95 log C" in found.notes[0]
    assert "surer rows come first" in found.notes[0]


@pytest.mark.parametrize(("n_vague", "said"), [(9, False), (10, False), (11, True)])
def test_it_is_said_when_more_than_half_of_the_rows_are_vague(n_vague, said):
    X = np.where(np.arange(20) < n_vague, 0.01, 3.0)[:, None]
    assert bool(chosen(X, TableHead([[1.0], [-1.0]]), 2).notes) == said


def test_the_fall_back_takes_the_largest_entropies_of_the_same_rows():
    X, head = np.linspace(-0.2, 0.2, 21)[:, None], TableHead([[1.0], [-1.0]], temperature=3.0)
    fallen = chosen(X, head, 5, options={"fallback": "entropy"})
    uncertain = select(strategy_of(entropy), view_of(X, head=head), 5, seed=0, options={})
    assert fallen.rows_K.tolist() == uncertain.rows_K.tolist()
    assert fallen.scores_K.tobytes() == uncertain.scores_K.tobytes()
    assert "took the highest entropies" in fallen.notes[0]
    part = chosen(X, head, 5, options={"fallback": "entropy", "candidates": 8})
    same = chosen(X, head, 8, options={"candidates": 8})
    assert set(part.rows_K.tolist()) <= set(same.rows_K.tolist())
    sharp = TableHead([[30.0], [-30.0]])
    assert chosen(X, sharp, 5, options={"fallback": "entropy"}).notes == ()
