"""Blocks of a `HeldView` hold what its matrices hold, which is what a view from scratch would compute."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.live.held import HeldRows, HeldView
from alcli.numerics.blocks import workers
from alcli.numerics.last_layer.pool_logits import PoolLogits
from alcli.selection.source import ArraySource
from alcli.selection.view import View

N, D, C = 5000, 4, 3
RNG = np.random.default_rng(0)
X = RNG.standard_normal((N, D))
MODEL = Model(LinearHead("softmax", RNG.standard_normal((C, D + 1)), 1.0), temperature=1.5)
SOURCE = ArraySource(X, RNG.permutation(N))
CLOSED, KNOWN = np.arange(10, 4000, 7), np.arange(10)


@pytest.fixture(params=["followed", "computed"])
def now(request) -> HeldView:
    held, logits = HeldRows(SOURCE, np.arange(10, N)), None
    if request.param == "followed":
        logits = PoolLogits(held.X_MD, C, lambda a, b: MODEL.logits(held.X_MD[a:b]))
        with workers() as spread:
            logits.visit(lambda a, b: None, spread)
    return HeldView(held, np.flatnonzero(~np.isin(held.rows_M, CLOSED)), KNOWN, MODEL, logits)


@pytest.mark.parametrize(
    "need", ["features", "logits", "log_probs", "predictive", "sq_norm", "labelled_distance", "row_key"]
)
def test_blocks_are_those_of_a_view_from_scratch(now, need):
    scratch = View(SOURCE, np.setdiff1d(np.arange(10, N), CLOSED), KNOWN, MODEL)
    expected = {int(row): value for rows_B, values_B in scratch.blocks(need) for row, value in zip(rows_B, values_B)}
    found = {int(row): value for rows_B, values_B in now.blocks(need) for row, value in zip(rows_B, values_B)}
    assert list(found) == scratch.rows.tolist(), "in the order of their ids"
    for row, value in found.items():
        np.testing.assert_allclose(value, expected[row], rtol=1e-9, atol=1e-9)
    if need != "row_key":
        np.testing.assert_allclose(np.array(list(found.values())), now.matrix(need), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_copies_tie_to_the_bit_however_often_the_logits_were_moved(dtype):
    rng = np.random.default_rng(1)
    some = rng.standard_normal((100, 7)).astype(dtype)
    held = HeldRows(ArraySource(np.tile(some, (3, 1)), rng.permutation(300)), np.arange(300))
    model = Model(LinearHead("softmax", rng.standard_normal((C, 8)), 1.0))
    logits = PoolLogits(held.X_MD, C, lambda a, b: model.logits(held.X_MD[a:b]))
    for _ in range(20):
        with workers() as spread:
            logits.visit(lambda a, b: None, spread)
        W_CD1 = model.head.W_CD1 + np.outer(rng.standard_normal(C), rng.standard_normal(8))
        logits.move(model.head.W_CD1, W_CD1)
        model = Model(LinearHead("softmax", W_CD1, 1.0))
    with workers() as spread:
        logits.visit(lambda a, b: None, spread)
    log_probs = HeldView(held, np.arange(300), KNOWN[:0], model, logits).matrix("log_probs")
    _, copy_of = np.unique(held.X_MD, axis=0, return_inverse=True)
    assert all(len(np.unique(log_probs[copy_of == i], axis=0)) == 1 for i in range(100))
    np.testing.assert_allclose(log_probs, model.log_probs(held.X_MD), atol=1e-4 if dtype == np.float32 else 1e-12)


def test_only_what_is_declared_can_be_read(now):
    with pytest.raises(LookupError, match="logits"):
        list(now.restricted_to(("features",)).blocks("logits"))
