from __future__ import annotations

import numpy as np
import pytest

from alcli.heads._branch import Branch
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import ent_gradnorm, lplgrad
from tests.helpers import random_head, view_of


@pytest.mark.parametrize(
    "options", [{}, {"norm": "sum"}, {"feature_norm": "l2"}, {"candidates": 30}, {"fallback": "entropy"}], ids=str
)
def test_of_a_linear_head_it_is_ent_gradnorm_and_says_that_the_branch_is_inactive(options):
    X, head = np.random.default_rng(0).normal(size=(100, 5)), random_head(5, 3)
    one, other = (
        select(strategy_of(m), view_of(X, head=head), 20, seed=4, options=options) for m in (lplgrad, ent_gradnorm)
    )
    assert one.rows_K.tolist() == other.rows_K.tolist()
    assert one.scores_K.tobytes() == other.scores_K.tobytes()
    assert set(one.notes) - set(other.notes) == {lplgrad.LINEAR}
    assert lplgrad.LINEAR.startswith("aux: inactive; a linear head")


def deep(branch):
    rng = np.random.default_rng(3)
    last = LinearHead("mlp", rng.normal(size=(3, 5)), 1.0)
    return Model(NetworkHead(((rng.normal(size=(4, 5)), rng.normal(size=4)),), "relu", last, branch))


def test_of_hidden_layers_it_says_only_whether_a_branch_was_trained():
    X = np.random.default_rng(0).normal(size=(100, 5))
    with_branch = deep(Branch(((np.ones((2, 4)), np.zeros(2)),), (np.ones((1, 2)), np.zeros(1))))
    plain, trained = (
        select(strategy_of(lplgrad), view_of(X, head=m), 10, seed=0, options={}) for m in (deep(None), with_branch)
    )
    assert plain.rows_K.tolist() == trained.rows_K.tolist()
    assert plain.notes == (lplgrad.WITHOUT,)
    assert trained.notes == ()
    assert (plain.record, trained.record) == ({"aux-active": 0.0}, {"aux-active": 1.0})
