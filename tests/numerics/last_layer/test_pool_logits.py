"""Followed logits equal those of the weights of the moment, whatever moved them and in however many passes."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.last_layer import pool_logits
from alcli.numerics.last_layer.pool_logits import PoolLogits, factored
from alcli.numerics.last_layer.probability_drift import ProbabilityDrift
from alcli.numerics.logistic import log_softmax

N, D, C, T = 1500, 9, 5, 1.7
BOUND = {np.float64: 1e-10, np.float32: 1e-4}


class Moving:
    """A pool, a last layer that moves, and the logits that follow it."""

    def __init__(self, dtype, seed=0):
        self.rng = np.random.default_rng(seed)
        self.H_ND = self.rng.standard_normal((N, D)).astype(dtype)
        self.W_CD1 = self.rng.standard_normal((C, D + 1))
        self.logits = PoolLogits(self.H_ND, C, lambda a, b: self.exact()[a:b])

    def exact(self):
        return (self.H_ND.astype(np.float64) @ self.W_CD1[:, :-1].T + self.W_CD1[:, -1]) / T

    def step(self, rank=1, size=0.1):
        before = self.W_CD1
        A, B = self.rng.standard_normal((len(before), rank)), self.rng.standard_normal((rank, D + 1))
        self.W_CD1 = before + size * A @ B
        self.logits.move(before / T, self.W_CD1 / T)

    def visit(self, look=lambda a, b: None):
        with workers() as spread:
            self.logits.visit(look, spread)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("rank", [1, 3, C])
def test_followed_logits_are_those_of_the_moved_weights(dtype, rank):
    pool = Moving(dtype)
    pool.visit()
    for step in range(41):
        pool.step(rank)
        if step % 3 == 0:  # moves wait for a pass, and several go into one
            pool.visit()
            np.testing.assert_allclose(pool.logits.logits(slice(0, N)), pool.exact(), rtol=0, atol=BOUND[dtype])
    assert not pool.logits.current
    pool.visit()
    assert pool.logits.current
    assert pool.logits.Z_NC.dtype == dtype


def test_every_row_is_visited_once_and_is_up_to_date_when_it_is():
    pool, seen, worst = Moving(np.float64), np.zeros(N, int), []
    pool.visit()
    pool.step()

    def look(a, b):
        seen[a:b] += 1
        worst.append(np.abs(pool.logits.logits(slice(a, b)) - pool.exact()[a:b]).max())

    pool.visit(look)
    assert (seen == 1).all()
    assert max(worst) < 1e-10


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_log_probs_are_those_of_the_logits_also_after_a_leap(dtype):
    pool = Moving(dtype)
    for size in (0.1, 0.1, 1000.0, 0.1):
        found = np.empty((N, C))

        def look(a, b, found=found):
            found[a:b] = pool.logits.log_probs(slice(a, b))

        pool.visit(look)
        exact = pool.exact()
        np.testing.assert_allclose(
            found, log_softmax(exact), rtol=0, atol=30 * np.abs(exact).max() * np.finfo(dtype).eps
        )
        np.testing.assert_allclose(
            pool.logits.logits(slice(0, N)), exact, rtol=0, atol=30 * np.abs(exact).max() * np.finfo(dtype).eps
        )
        pool.step(size=size)


def test_no_row_carries_roundings_for_ever(monkeypatch):
    """Errors that were put in by hand are gone once all rows were taken anew."""
    monkeypatch.setattr(pool_logits, "REFRESH_PASSES", 8)
    pool = Moving(np.float32)
    pool.visit()
    pool.logits.Z_NC += 1.0
    for _ in range(8):
        pool.visit()
    np.testing.assert_allclose(pool.logits.logits(slice(0, N)), pool.exact(), rtol=0, atol=1e-5)


def test_bits_do_not_depend_on_the_number_of_threads(monkeypatch):
    monkeypatch.setattr("alcli.numerics.blocks.BLOCK_ROWS", 512)
    found = []
    for threads in (1, 3):
        pool = Moving(np.float32)
        monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(8)), raising=False)
        with thread_limit(threads):
            for _ in range(5):
                pool.visit()
                pool.step()
        found.append(pool.logits.Z_NC.copy())
    assert np.array_equal(*found)


def test_a_move_by_one_product_is_recognised_and_any_other_is_kept_whole():
    rng = np.random.default_rng(1)
    W = 100 * rng.standard_normal((C, D + 1))
    for rank, expected in ((1, 1), (2, C)):
        after = W + 1e-3 * rng.standard_normal((C, rank)) @ rng.standard_normal((rank, D + 1))
        A, B = factored(W, after)
        assert A.shape == (C, expected)
        np.testing.assert_allclose(A @ B, after - W, rtol=0, atol=1e-12)
    A, B = factored(W, W)
    assert not (A @ B).any()


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_rows_by_number_are_those_of_a_slice_and_other_rows_stay(dtype):
    pool, rows = Moving(dtype), np.array([7, 3, 1400])
    for size in (0.1, 1000.0):
        pool.visit()
        others = np.setdiff1d(np.arange(N), rows)
        before = pool.logits.Z_NC[others].copy()
        found = pool.logits.log_probs(rows)
        bound = 30 * np.abs(pool.exact()).max() * np.finfo(dtype).eps
        np.testing.assert_allclose(found, log_softmax(pool.exact()[rows]), rtol=0, atol=bound)
        np.testing.assert_allclose(pool.logits.logits(rows), pool.exact()[rows], rtol=0, atol=bound)
        assert np.array_equal(pool.logits.Z_NC[others], before)
        with pytest.raises(ValueError, match="read-only"):
            pool.logits.log_probs(slice(0, 3))[:] = 0.0
        pool.step(size=size)


@pytest.mark.parametrize("rank", [1, C])
def test_classes_may_be_added_while_moves_wait(rank):
    pool = Moving(np.float64)
    pool.visit()
    for _ in range(3):
        pool.step(rank)
        pool.W_CD1 = np.pad(pool.W_CD1, ((0, 1), (0, 0)))
        pool.logits.add_classes(1)
        pool.step()
        pool.visit()
        np.testing.assert_allclose(pool.logits.logits(slice(0, N)), pool.exact(), rtol=0, atol=1e-10)
        np.testing.assert_allclose(pool.logits.log_probs(slice(0, N)), log_softmax(pool.exact()), rtol=0, atol=1e-10)


@pytest.mark.parametrize("rank", [1, 3, C])
def test_the_drift_is_told_of_every_move(rank):
    pool = Moving(np.float64)
    pool.logits.drift = ProbabilityDrift(N, C, np.float64)
    pool.visit()
    before = pool.logits.log_probs(slice(0, N)).copy()
    pool.logits.drift.note(np.arange(N), before)
    for _ in range(3):
        pool.step(rank, size=0.02)
        pool.step(1, size=0.02)
        pool.visit()
        l1_N = np.abs(np.exp(log_softmax(pool.exact())) - np.exp(before)).sum(axis=1)
        assert (l1_N <= pool.logits.drift.l1_N).all()
    assert np.isfinite(pool.logits.drift.l1_N).all() == (rank == 1)
