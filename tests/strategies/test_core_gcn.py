from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import core_gcn
from alcli.strategies.core_gcn import trained_hidden
from tests.helpers import view_of

STRATEGY = strategy_of(core_gcn)


def chosen(X, k, options=None, seed=0, **view):
    return select(STRATEGY, view_of(X, **view), k, seed=seed, options=options or {})


def test_picks_are_a_greedy_core_set_of_the_hidden_units_by_brute_force():
    X, labelled = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32), np.arange(5)
    found = chosen(X, 8, {"units": 6, "steps": 20}, labelled=labelled)
    order = np.r_[5:50, 0:5]
    rng = np.random.default_rng(np.random.SeedSequence(0))
    h = trained_hidden(X[order], np.arange(50) >= 45, units=6, steps=20, dropout=0.3, balance=1.2, rng=rng).astype(
        np.float64
    )
    centres, want = list(range(45, 50)), []
    for _ in range(8):
        distances = np.linalg.norm(h[:, None] - h[centres], axis=2).min(axis=1)
        want.append(int(order[distances.argmax()]))
        centres.append(int(distances.argmax()))
    assert found.rows_K.tolist() == want


def test_of_many_rows_a_random_part_takes_part_and_that_is_said():
    X = np.random.default_rng(0).normal(size=(80, 4))
    found = chosen(X, 5, {"candidates": 30, "steps": 5})
    assert "looked at 30 random candidates" in found.notes[0]
    assert chosen(X, 5, {"steps": 5}).notes == ()


def test_dropout_of_everything_is_refused():
    with pytest.raises(UsageError, match="'dropout' must be at least 0 and below 1, got 1"):
        chosen(np.eye(4), 1, {"dropout": 1.0})
