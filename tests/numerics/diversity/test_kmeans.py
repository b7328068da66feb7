import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.diversity.kmeans import _assign, _without_empty, k_means, nearest_rows
from alcli.numerics.rows import feature_rows


def blobs(n=20, C=4, seed=0):
    rng = np.random.default_rng(seed)
    return (np.repeat(30 * np.eye(C), n, axis=0) + rng.standard_normal((n * C, C))).astype(np.float32)


def test_finds_well_separated_blobs():
    clusters = k_means(blobs(), 4, np.random.default_rng(0))
    parts = clusters.labels_N.reshape(4, 20)
    assert (parts == parts[:, :1]).all()
    assert len(set(parts[:, 0])) == 4
    assert np.allclose(clusters.centres_KD[parts[:, 0]], blobs().reshape(4, 20, 4).mean(1), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 50), st.integers(1, 50), st.integers(0, 99), st.booleans())
def test_no_cluster_is_empty_and_every_centre_is_a_mean(n, k, seed, with_ties):
    rng = np.random.default_rng(seed)
    X = rng.integers(0, 3, (n, 2)).astype(np.float64) if with_ties else rng.standard_normal((n, 2))
    k = min(k, n)
    clusters = k_means(X, k, rng)
    assert np.bincount(clusters.labels_N, minlength=k).min() >= 1
    means = [X[clusters.labels_N == c].mean(0) for c in range(k)]
    assert np.allclose(clusters.centres_KD, means)
    assert np.isclose(clusters.inertia, ((X - clusters.centres_KD[clusters.labels_N]) ** 2).sum(), atol=1e-9)


def test_an_empty_cluster_gets_the_row_farthest_from_its_centre():
    X = np.array([[0.0], [1.0], [9.0], [100.0]])
    with workers() as spread:
        labels, gaps = _assign(feature_rows(X)[0], np.array([[0.0], [500.0], [99.0]]), spread)
    assert labels.tolist() == [0, 0, 0, 2]
    assert np.allclose(gaps, [0, 1, 81, 1])
    assert _without_empty(labels, gaps, 3).tolist() == [0, 0, 1, 2]


def test_converged_rows_belong_to_their_nearest_centre():
    X = np.random.default_rng(1).standard_normal((300, 3))
    clusters = k_means(X, 6, np.random.default_rng(2), iterations=500, tolerance=-1e-15)
    distances = ((X[:, None] - clusters.centres_KD) ** 2).sum(-1)
    assert (distances.argmin(1) == clusters.labels_N).all()


def test_is_as_tight_as_scikit_learn():
    sklearn = pytest.importorskip("sklearn.cluster")
    X = np.random.default_rng(3).standard_normal((1500, 10)).astype(np.float32)
    ours = min(k_means(X, 30, np.random.default_rng(s)).inertia for s in range(3))
    theirs = min(sklearn.KMeans(30, n_init=1, random_state=s).fit(X).inertia_ for s in range(3))
    assert ours < 1.01 * theirs


def test_threads_do_not_matter():
    X = np.random.default_rng(4).standard_normal((6000, 8)).astype(np.float32)
    answers = set()
    for threads in (1, 2):
        with thread_limit(threads):
            answers.add(k_means(X, 40, np.random.default_rng(0)).centres_KD.tobytes())
    assert len(answers) == 1


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_extreme_scales(scale):
    X = blobs() * np.float32(scale)
    clusters = k_means(X, 4, np.random.default_rng(0))
    assert np.bincount(clusters.labels_N).tolist() == [20] * 4
    assert np.allclose(clusters.centres_KD / scale, k_means(blobs(), 4, np.random.default_rng(0)).centres_KD, rtol=1e-4)


def test_nearest_rows_equals_brute_force_with_distinct_picks():
    rng = np.random.default_rng(5)
    X, centres, order = rng.standard_normal((60, 3)), rng.standard_normal((50, 3)), rng.permutation(50)
    picks, gaps = nearest_rows(X, centres, order)
    taken = []
    for c, pick, gap in zip(order, picks, gaps, strict=True):
        distances = np.sqrt(((X - centres[c]) ** 2).sum(1))
        distances[taken] = np.inf
        assert pick == distances.argmin()
        assert np.isclose(gap, distances.min())
        taken.append(pick)


def test_a_greedy_start_ends_at_less_inertia():
    rng = np.random.default_rng(0)
    X = (4.0 * rng.standard_normal((60, 8))[np.arange(600) % 60] + rng.standard_normal((600, 8))).astype(np.float32)
    plain, greedy = (
        np.mean([k_means(X, 60, np.random.default_rng(s), greedy=g).inertia for s in range(8)]) for g in (False, True)
    )
    assert greedy < 0.9 * plain


def test_a_greedy_start_of_many_rows_looks_at_a_part_and_gives_the_same_with_any_number_of_threads():
    X = np.random.default_rng(0).standard_normal((9000, 4)).astype(np.float32)
    with thread_limit(1):
        one = k_means(X, 20, np.random.default_rng(1), greedy=True)
    many = k_means(X, 20, np.random.default_rng(1), greedy=True)
    assert np.array_equal(one.labels_N, many.labels_N)
    assert one.inertia == many.inertia
    assert one.inertia < 1.02 * k_means(X, 20, np.random.default_rng(1)).inertia
