"""Two coordinates for each item: the axes against the dense answer, and UMAP as the library is called."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest

from alcli.data.pool import open_pool
from alcli.embedders import _contract
from alcli.errors import DataError, UnavailableError
from alcli.remarks import NoProgress, silence
from alcli.workflows.items import Items
from alcli.workflows.report.placing import SAMPLE, check_projection, lowest_hashes, principal_axes, umap_places
from tests.pools import names, tiny_features, write_pool


def items_of(X_ND, **columns) -> Items:
    write_pool("pool.parquet", X_ND, row_group_size=17, **columns)
    return Items(open_pool("pool.parquet"))


@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_axes_are_the_eigenvectors_of_the_covariance(folder, rng, offset):
    X_ND = (
        rng.standard_normal((400, 6)) * [5, 1, 3, 0.5, 1, 1] @ np.linalg.qr(rng.standard_normal((6, 6)))[0]
    ) + offset
    X_ND = X_ND.astype(np.float32)
    found = principal_axes(items_of(X_ND), np.arange(400), NoProgress())
    values, vectors = np.linalg.eigh(np.cov(X_ND.astype(float).T, bias=True))
    np.testing.assert_allclose(found.mean_D, X_ND.astype(float).mean(axis=0), rtol=1e-9)
    np.testing.assert_allclose(found.share_2, values[:-3:-1] / values.sum(), rtol=1e-5)
    for k in range(2):
        assert abs(found.axes_D2[:, k] @ vectors[:, -1 - k]) == pytest.approx(1.0, abs=1e-6)
        assert found.axes_D2[np.abs(found.axes_D2[:, k]).argmax(), k] > 0
    np.testing.assert_allclose(found.project(X_ND).mean(axis=0), 0.0, atol=1e-6 * max(offset, 1.0))


def test_only_the_chosen_items_count(folder):
    X_ND = tiny_features()[0]
    X_ND[40:] += 100.0
    found = principal_axes(items_of(X_ND), np.arange(40), NoProgress())
    np.testing.assert_allclose(found.mean_D, X_ND[:40].astype(float).mean(axis=0), rtol=1e-6)


def test_features_without_variance_and_features_that_are_too_large(folder):
    found = principal_axes(items_of(np.ones((5, 3), np.float32)), np.arange(5), NoProgress())
    np.testing.assert_array_equal(found.share_2, 0.0)
    np.testing.assert_allclose(found.project(np.ones((2, 3))), 0.0, atol=1e-12)
    with pytest.raises(DataError, match=r"too large for a map"), np.errstate(all="ignore"):
        principal_axes(items_of(np.array([[1e200, 0.0], [-1e200, 1.0]])), np.arange(2), NoProgress())


def test_a_sample_does_not_depend_on_the_order_of_the_rows(folder, rng):
    X_ND, order = tiny_features()[0], rng.permutation(60)
    sample = [names(60)[k] for k in lowest_hashes(items_of(X_ND), np.arange(60), 7)]
    write_pool("pool.parquet", X_ND[order], [names(60)[k] for k in order])
    other = Items(open_pool("pool.parquet"))
    assert len(sample) == 7
    assert {other.ids[int(k)] for k in lowest_hashes(other, np.arange(60), 7)} == set(sample)
    np.testing.assert_array_equal(lowest_hashes(other, np.arange(3, 9), 7), np.arange(3, 9))


class Recorder:
    """Stands for umap-learn, which CI does not install: places items by their first two features."""

    asked: ClassVar[dict[str, object]] = {}

    def __init__(self, **options):
        Recorder.asked = options

    def fit_transform(self, X_MD):
        assert X_MD.dtype == np.float32
        return X_MD[:, :2]


def test_umap_places_the_items_in_their_order(folder, monkeypatch):
    monkeypatch.setitem(_contract._LIBRARIES, "umap", SimpleNamespace(UMAP=Recorder))
    X_ND = tiny_features()[0]
    placed, xy_M2 = umap_places(items_of(X_ND), np.arange(5, 60), np.array([7, 9]), 3, silence)
    np.testing.assert_array_equal(placed, np.arange(5, 60))
    np.testing.assert_array_equal(xy_M2, X_ND[5:, :2])
    assert Recorder.asked == {"n_components": 2, "n_neighbors": 15, "random_state": 3, "n_jobs": 1}
    with pytest.raises(DataError, match="UMAP needs 4 items, there are 3"):
        umap_places(items_of(X_ND), np.arange(3), np.array([1]), 0, silence)


def test_umap_of_many_items_places_a_sample_with_what_is_shown(folder, monkeypatch):
    monkeypatch.setitem(_contract._LIBRARIES, "umap", SimpleNamespace(UMAP=Recorder))
    n, remarks = SAMPLE + 50, []
    X_ND = np.arange(2 * n, dtype=np.float32).reshape(n, 2)
    items = items_of(X_ND, ids=[f"i{k}" for k in range(n)])
    left_out = np.setdiff1d(np.arange(n), lowest_hashes(items, np.arange(n), SAMPLE))
    placed, xy_M2 = umap_places(items, np.arange(n), left_out[:2], 0, remarks.append)
    assert len(placed) == SAMPLE + 2
    assert set(left_out[:2]) <= set(placed.tolist())
    np.testing.assert_array_equal(xy_M2, X_ND[placed])
    assert remarks == [f"UMAP places {SAMPLE + 2} items of {n}: the batch, labelled items and a sample"]


def test_a_missing_library_is_told_before_the_work(head, alcli, monkeypatch):
    monkeypatch.delitem(_contract._LIBRARIES, "umap", raising=False)
    monkeypatch.setitem(sys.modules, "umap", None)
    check_projection("pca")
    with pytest.raises(UnavailableError, match="umap"):
        check_projection("umap")
    asked = ("report", "pool.parquet", "-H", head, "-o", "report.html", "--map", "umap")
    alcli(*asked).refused(69, "pip install 'umap-learn>=0.5.7'", "--map pca")
