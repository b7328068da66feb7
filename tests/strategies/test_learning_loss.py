from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.heads._branch import Branch
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.live.live import Live
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.strategies import learning_loss
from tests.helpers import view_of

STRATEGY = strategy_of(learning_loss)


def model(taps_input=False, D=3, M=4, U=5):
    rng = np.random.default_rng(0)
    taps = tuple((rng.normal(size=(U, d)), rng.normal(size=U)) for d in ([D, M] if taps_input else [M]))
    branch = Branch(taps, (rng.normal(size=(1, U * len(taps))), np.array([0.3])), taps_input)
    head = NetworkHead(
        ((rng.normal(size=(M, D)), rng.normal(size=M)),),
        "tanh",
        LinearHead("mlp", rng.normal(size=(2, M + 1)), 1.0),
        branch,
    )
    return Model(head)


@pytest.mark.parametrize("taps_input", [False, True])
def test_rows_come_by_what_the_branch_says_of_all_tapped_layers(taps_input):
    X, m = np.random.default_rng(1).normal(size=(3000, 3)), model(taps_input)
    h = np.tanh(X @ m.head.layers[0][0].T + m.head.layers[0][1])
    seen = np.hstack(
        [np.maximum(a @ W.T + b, 0.0) for a, (W, b) in zip([X, h] if taps_input else [h], m.head.branch.taps)]
    )
    want = seen @ m.head.branch.last[0][0] + 0.3
    chosen = select(STRATEGY, view_of(X, head=m), 100, seed=0, options={})
    np.testing.assert_allclose(chosen.scores_K, np.sort(want)[::-1][:100], rtol=1e-5)


def test_a_head_without_a_branch_is_refused():
    linear = Model(LinearHead("softmax", np.ones((2, 4)), 1.0))
    with pytest.raises(UsageError, match="the head has no loss-prediction branch"):
        select(STRATEGY, view_of(np.eye(3), head=linear), 1, seed=0, options={})


def test_a_pool_that_is_labelled_one_row_at_a_time_is_asked_in_the_same_order():
    X, fitted = np.random.default_rng(2).normal(size=(60, 3)), model()
    live = Live(ArraySource(X, np.arange(60)), np.arange(5, 60), np.arange(5), fitted, STRATEGY)
    asked = []
    for _ in range(8):
        row, _ = live.next()
        asked.append(row)
        live.skip(row)
    assert (
        asked == select(STRATEGY, view_of(X, head=fitted, labelled=np.arange(5)), 8, seed=0, options={}).rows_K.tolist()
    )


def test_a_regression_head_will_do():
    rng = np.random.default_rng(0)
    branch = Branch(((rng.normal(size=(5, 4)), rng.normal(size=5)),), (rng.normal(size=(1, 5)), np.zeros(1)))
    last = LinearHead("mlp", rng.normal(size=(1, 5)), 1.0, link="identity", regression=True)
    head = Model(NetworkHead(((rng.normal(size=(4, 3)), rng.normal(size=4)),), "tanh", last, branch))
    assert not STRATEGY.needs_classes
    assert len(select(STRATEGY, view_of(np.eye(3), head=head), 2, seed=0, options={}).rows_K) == 2
