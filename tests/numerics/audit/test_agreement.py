"""The agreement of rows with their neighbours, against a search of all distances."""

import numpy as np

from alcli.numerics.audit.agreement import References, references


def brute(X_ND, best_N, confidence_N, refs, k):
    out = []
    for i, x in enumerate(X_ND):
        others = [r for r in refs if r != i]
        near = sorted(others, key=lambda r: ((X_ND[r] - x) ** 2).sum())[:k]
        out.append(np.mean([confidence_N[r] * (best_N[r] == best_N[i]) for r in near]))
    return np.array(out)


def test_the_nearest_references_are_found():
    rng = np.random.default_rng(0)
    X_ND, best_N = rng.normal(size=(600, 5)).astype(np.float32), rng.integers(3, size=600)
    confidence_N, refs = rng.uniform(0.3, 1.0, 600), np.sort(rng.permutation(600)[:200])
    around = References(refs, X_ND[refs], best_N[refs], confidence_N[refs])
    found_N = around.agreement(np.arange(600), X_ND, best_N)
    np.testing.assert_allclose(found_N, brute(X_ND.astype(float), best_N, confidence_N, refs, 10), atol=1e-9)


def test_fewer_references_than_neighbours():
    X_ND, best_N = np.array([[0.0], [1.0], [5.0]]), np.array([0, 0, 1])
    around = References(np.arange(3), X_ND, best_N, np.array([0.5, 0.7, 0.9]))
    np.testing.assert_allclose(around.agreement(np.arange(3), X_ND, best_N), [0.35, 0.25, 0.0])
    alone = References(np.arange(1), X_ND[:1], best_N[:1], np.array([0.5]))
    np.testing.assert_array_equal(alone.agreement(np.arange(3), X_ND, best_N), np.ones(3))


def test_references_follow_the_ids():
    rows, keys = np.arange(20000), np.arange(20000, dtype=np.uint64) * 7919
    chosen = references(rows, keys)
    assert len(chosen) == 8192
    order = np.random.default_rng(0).permutation(20000)
    np.testing.assert_array_equal(np.sort(references(rows[order], keys[order])), chosen)
    assert len(references(np.arange(5), keys[:5])) == 5
