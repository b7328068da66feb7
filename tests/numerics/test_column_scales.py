"""The remark on scales: made on tables of several units, and on nothing that a model makes."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import datasets

from alcli.numerics.column_scales import uneven_columns

RNG = np.random.default_rng(0)
GAUSS = RNG.normal(size=(2000, 256)) @ RNG.normal(size=(256, 256))
DIGITS = datasets.load_digits().data
WINE = datasets.load_wine().data


def principal(X_ND):
    """All principal components of X."""
    centred = X_ND - X_ND.mean(axis=0)
    return centred @ np.linalg.svd(centred, full_matrices=False)[2].T


EVEN = {
    "gaussians": GAUSS,
    "unit length times 30": 30 * GAUSS / np.linalg.norm(GAUSS, axis=1, keepdims=True),
    "far from zero": GAUSS + 1e5 * RNG.normal(size=256),
    "relu": np.maximum(GAUSS, 0),
    "sparse relu": np.maximum(GAUSS - 40, 0),
    "relu of many thresholds": np.maximum(GAUSS - RNG.normal(0, 40, 256), 0),
    "digits": DIGITS,
    "pixels to 255": DIGITS * (255 / 16),
    "components of digits": principal(DIGITS),
    "falling components": RNG.normal(size=(2000, 300)) * np.exp(-np.arange(300) / 20),
    "one-hot": np.eye(50)[RNG.integers(0, 50, 500)],
    "rare categories": np.eye(200)[np.minimum(RNG.zipf(1.5, 1000) - 1, 199)],
    "counts of words": RNG.poisson(3 / np.arange(1, 2001), size=(2000, 2000)),
    "one dimension that is 50 times the others": GAUSS * np.where(np.arange(256) == 5, 50, 1),
    "iris": datasets.load_iris().data,
    "standardised wine": (WINE - WINE.mean(axis=0)) / WINE.std(axis=0),
    "constants beside": np.hstack([GAUSS, np.full((2000, 300), 1e6)]),
    "all constant": np.ones((100, 5)),
    "an outlier": np.where(np.arange(2000 * 256).reshape(2000, 256) == 12345, 1e19, GAUSS),
    "outliers in one column": np.where((np.arange(2000) % 40 == 0)[:, None] & (np.arange(256) == 7), 1e6, GAUSS),
    "one column": RNG.normal(size=(100, 1)) * 1e6,
    "few rows": WINE[:15],
    "no rows": WINE[:0],
}
UNEVEN = {
    "wine": (WINE, 12),
    "16 rows of wine": (WINE[::11][:16], 12),
    "breast cancer": (datasets.load_breast_cancer().data, 23),
    "age and income": (np.column_stack([RNG.normal(40, 12, 500), RNG.normal(4e4, 1e4, 500)]), 1),
    "20 of 200 in dollars": (np.hstack([GAUSS[:, :180], 1e4 * GAUSS[:, 180:200]]), None),
}


@pytest.mark.parametrize("name", EVEN)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_even(name, dtype):
    assert uneven_columns(EVEN[name].astype(dtype)) is None


@pytest.mark.parametrize("name", UNEVEN)
def test_uneven(name):
    X_ND, largest = UNEVEN[name]
    found = uneven_columns(X_ND.astype(np.float32))
    assert found is not None
    assert largest in (None, found.large)
    assert found.large_scale > 100 * found.small_scale
    assert found.large_scale == pytest.approx(X_ND[:, found.large].std(), rel=0.35)


def test_the_factor_and_the_share_of_the_variance_decide():
    """Two columns in four hold 99% of the variance as long as the others are small enough."""
    X_ND = np.tile([[1.0], [-1.0]], (50, 4))
    assert uneven_columns(X_ND * [1, 1, 101, 101]) is not None
    assert uneven_columns(X_ND * [1, 1, 99, 99]) is None
    assert uneven_columns(X_ND * [1, 99, 101, 101]) is None
