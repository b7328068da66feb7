"""Neighbours by an index of faiss, beside all pairs; and the exact nearest rows of centres in one pass."""

from __future__ import annotations

import itertools
import subprocess
import sys

import numpy as np
import pytest

from alcli.data.cached.file_array import new_file
from alcli.errors import MemoryLimitError, UnavailableError
from alcli.numerics.blocks import alone, thread_limit, workers
from alcli.numerics.neighbours import faiss_index
from alcli.numerics.neighbours.faiss_index import NeighbourIndex, n_lists
from alcli.numerics.neighbours.nearest_rows import NearestRows


def rows(n, D, seed=0, centres=None, noise=1.0):
    """Normal rows; with `centres`, around as many random points."""
    rng = np.random.default_rng(seed)
    X = noise * rng.standard_normal((n, D))
    if centres:
        X += 5.0 * rng.standard_normal((centres, D))[rng.integers(centres, size=n)]
    return X.astype(np.float32)


def gaps(X, Y):
    return np.sqrt(((X[:, None].astype(np.float64) - Y[None].astype(np.float64)) ** 2).sum(-1))


def index(X, seed=0, **options):
    return NeighbourIndex(X, np.random.default_rng(seed), **options)


def as_sets(starts, found):
    return [set(found[a:b].tolist()) for a, b in itertools.pairwise(starts)]


def recall(X, queries, k, **options):
    found = index(X, **options).nearest(queries, k)[0]
    true = np.argsort(gaps(queries, X), axis=1, kind="stable")[:, :k]
    return np.mean([len(np.intersect1d(a, b)) / k for a, b in zip(found, true)])


def test_with_every_list_the_answers_are_those_of_all_pairs():
    X, queries = rows(3000, 6), rows(70, 6, seed=1)
    near, true = index(X, n_probed=10**6), gaps(queries, X)
    assert near.n_probed == near.n_lists == n_lists(3000) == 93
    radius = float(np.quantile(true, 0.01))
    starts, found = near.within(queries, radius)
    assert as_sets(starts, found) == [set(np.flatnonzero(row < radius).tolist()) for row in true]
    assert all((np.diff(found[a:b]) > 0).all() for a, b in itertools.pairwise(starts))
    rows_QK, distances_QK = near.nearest(queries, 12)
    assert (rows_QK == np.argsort(true, axis=1, kind="stable")[:, :12]).all()
    assert np.allclose(distances_QK, np.sort(true, axis=1)[:, :12], rtol=1e-5)


def test_recall_is_high_where_rows_cluster_and_low_where_they_do_not():
    clustered, plain = rows(8000, 32, centres=50), rows(8000, 32)
    assert recall(clustered, clustered[:200], 10) > 0.98
    assert 0.2 < recall(plain, plain[:200], 10) < 0.9
    assert recall(plain, plain[:200], 10, n_probed=10**6) == 1.0


def test_a_range_finds_in_clusters_most_of_all_pairs_and_nothing_else():
    X = rows(8000, 32, centres=50)
    radius = float(np.quantile(gaps(X[:100], X), 0.005))
    starts, found = index(X).within(X[:100], radius)
    true = gaps(X[:100], X) < radius
    assert true[np.repeat(np.arange(100), np.diff(starts)), found].all()
    assert len(found) > 0.98 * true.sum()


def test_neither_threads_nor_company_nor_a_file_change_an_answer(tmp_path):
    X = rows(9000, 16, centres=40)
    file = new_file(str(tmp_path / "x"), X.shape, X.dtype)
    file.write(0, X)
    radius = 6.0

    def answer(X_ND):
        near = index(X_ND)
        return [a.tobytes() for a in (*near.within(X[:3000], radius), *near.nearest(X[:3000], 9), near.lists_of(X))]

    with thread_limit(1):
        one = answer(X)
    with thread_limit(2):
        assert answer(X) == one
    assert answer(file) == one
    near = index(X)
    lists = near.lists_of(X)
    starts, found = near.within(X, radius, lists)
    # Rows by themselves, with the lists that they looked into in company.
    for row in (0, 2047, 2048, 8999):
        alone_ = near.within(X[[row]], radius, lists[[row]])[1]
        assert (alone_ == found[starts[row] : starts[row + 1]]).all()


def test_another_seed_finds_other_lists():
    X = rows(3000, 8)
    assert (index(X, 0).lists_of(X) != index(X, 1).lists_of(X)).any()
    assert (index(X, 0).lists_of(X) == index(X, 0).lists_of(X)).all()


@pytest.mark.parametrize("scale", [1e-25, 1.0, 1e25])
def test_rows_of_any_size(scale):
    X = rows(500, 4) * np.float64(scale)
    near = index(X.astype(np.float32), n_probed=100)
    rows_QK, distances_QK = near.nearest(X[:9], 4)
    true = gaps(X[:9], X)
    assert (rows_QK == np.argsort(true, axis=1)[:, :4]).all()
    assert np.allclose(distances_QK, np.sort(true, axis=1)[:, :4], rtol=1e-5, atol=1e-6 * scale)
    assert as_sets(*near.within(X[:9], scale)) == [set(np.flatnonzero(row < scale).tolist()) for row in true]


def test_few_rows_equal_rows_and_no_queries():
    same = np.ones((300, 3), np.float32)
    assert index(same, n_probed=100).nearest(same[:2], 5)[0].tolist() == [[0, 1, 2, 3, 4]] * 2
    one = index(same[:1])
    assert one.nearest(same[:1], 5)[0].tolist() == [[0]]
    assert one.within(same[:0], 1.0)[0].tolist() == [0]
    assert one.nearest(same[:0], 2)[0].shape == (0, 1)
    assert one.within(same[:1] + 5.0, 1.0)[1].tolist() == []


def test_a_list_that_is_too_short_leaves_places_empty():
    X = rows(2000, 3, centres=20, noise=0.01)
    found, distances = index(X, n_probed=1).nearest(X[:5], 1000)
    assert (found < 0).any()
    assert (np.isinf(distances) == (found < 0)).all()


def test_without_the_library(monkeypatch):
    monkeypatch.setitem(sys.modules, "faiss", None)
    with pytest.raises(UnavailableError, match=r"the library 'faiss' is not installed; pip install 'faiss-cpu>="):
        index(rows(10, 2))


def test_rows_that_do_not_fit_in_memory(monkeypatch):
    def full(self, X_ND):
        raise MemoryError

    monkeypatch.setattr(faiss_index.NeighbourIndex, "_add", full)
    with pytest.raises(MemoryLimitError, match="no memory for an index of 10 rows"):
        index(rows(10, 2))


def test_the_library_is_loaded_with_an_index():
    code = (
        "import sys, numpy as np\nfrom alcli.strategies import probcover\n"
        "from alcli.workflows.query import batch, neighbours\n"
        "from alcli.numerics.neighbours.faiss_index import NeighbourIndex\nprint('faiss' in sys.modules)\n"
        "NeighbourIndex(np.eye(9, dtype='f'), np.random.default_rng(0))\nprint('faiss' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True"], done.stderr


# -- the exact nearest rows of centres


def near_centres(X, centres, k, cuts, spread=alone):
    found, keys = NearestRows(centres, k), np.arange(len(X))
    for part, of_part in zip(np.split(X, cuts), np.split(keys, cuts)):
        found.see(of_part, part, spread)
    return found.keys().tolist()


@pytest.mark.parametrize(("k", "cuts"), [(1, []), (7, [100, 100, 1500]), (40, [9]), (5000, [3])])
def test_the_nearest_rows_of_centres_are_those_of_all_pairs(k, cuts):
    X, centres = rows(2000, 5), rows(300, 5, seed=1)
    true = np.argsort(gaps(centres, X), axis=1, kind="stable")[:, :k]
    assert near_centres(X, centres, k, cuts) == np.unique(true).tolist()


def test_of_equally_near_rows_the_lowest_keys_are_found_whatever_the_blocks():
    X = np.repeat(rows(40, 7), 50, axis=0)[np.random.default_rng(0).permutation(2000)]
    centres = X[[5, 70, 900]] + np.float32(0.0)
    whole = near_centres(X, centres, 20, [])
    for cuts in ([1], [77, 1300], list(range(100, 2000, 100))):
        assert near_centres(X, centres, 20, cuts) == whole
    for centre in centres:
        copies = np.flatnonzero((centre == X).all(axis=1))
        assert set(copies[:20].tolist()) <= set(whole)
        assert not set(copies[20:].tolist()) & set(whole)
    with thread_limit(2), workers() as spread:
        assert near_centres(X, centres, 20, [77, 1300], spread) == whole


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_centres_of_any_size(scale):
    X, centres = rows(300, 3).astype(np.float64), rows(20, 3, seed=1).astype(np.float64)
    assert near_centres(scale * X, scale * centres, 4, [50]) == near_centres(X, centres, 4, [])
