"""Dropout: moments against all masks there are, what a mask leaves alone, refusals and damage."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.errors import DataError, UsageError
from alcli.posteriors.dropout import Dropout
from alcli.workflows.recipe import Recipe


def problem(D=3, C=2, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(C, D + 1)), with_bias(rng.normal(size=(5, D)))


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75])
def test_mean_and_variance_are_those_over_all_masks(rate):
    W, phi = problem()
    masks = np.array(list(product([0, 1], repeat=3)))
    chance = np.prod(np.where(masks == 1, 1 - rate, rate), axis=1)
    logits = np.einsum("bd,md,cd->mbc", phi, np.column_stack([masks / (1 - rate), np.ones(8)]), W)
    mean = np.einsum("m,mbc->bc", chance, logits)
    np.testing.assert_allclose(mean, phi @ W.T, atol=1e-12)
    np.testing.assert_allclose(
        Dropout(rate).variance(W, phi), np.einsum("m,mbc->bc", chance, (logits - mean) ** 2), rtol=1e-12
    )


def test_a_draw_is_one_mask_for_all_classes_that_spares_the_bias():
    W, _ = problem(D=6, C=4)
    draws = Dropout(0.25).sample(W, 2000, seed=1)
    scales = draws / W
    np.testing.assert_allclose(scales, np.broadcast_to(scales[:, :1], scales.shape), atol=1e-12)
    np.testing.assert_array_equal(draws[:, :, -1], np.broadcast_to(W[:, -1], (2000, 4)))
    assert np.allclose(scales[:, 0, :-1][scales[:, 0, :-1] > 0], 4 / 3)
    kept = (scales[:, 0, :-1] > 0).mean(axis=0)
    assert (np.abs(kept - 0.75) < 5 * np.sqrt(0.75 * 0.25 / 2000)).all()


def test_by_hand():
    variance = Dropout(0.5).variance(np.array([[3.0, 1.0]]), np.array([[2.0, 1.0]]))
    np.testing.assert_allclose(variance, [[36.0]])


@pytest.mark.parametrize("rate", ["0", "1", "-0.5", "nan", "much"])
def test_rates_are_refused_before_data_is_read(rate):
    with pytest.raises(UsageError, match=r"between 0 and 1|must be a number"):
        Recipe(posterior="dropout", options={"posterior.rate": rate}).checked()


@pytest.mark.parametrize("rate", [0.0, 1.0, "x", None])
def test_damage_is_named(rate):
    with pytest.raises(DataError, match="'rate'"):
        Dropout.from_arrays({}, {"kind": "dropout", "rate": rate}, D1=3, C=2)
