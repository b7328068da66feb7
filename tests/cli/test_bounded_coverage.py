"""Choices by coverage whose features lie in a file, or are shared with workers, give the batch they give in memory."""

from __future__ import annotations

import numpy as np
import pytest

from tests.pools import write_labels, write_pool

N = 5000
EVALUATION = ("-p", "evaluation=400")


@pytest.fixture
def pool(folder):
    """A pool of three blocks in no order of ids, some rows twice, and labels of two classes."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N, 6)).astype(np.float32)
    X[3000:3100] = X[:100]
    write_pool("pool.parquet", X, ids=[f"r{i:04d}" for i in rng.permutation(N)], row_group_size=900)
    write_labels("labels.csv", {f"r{i:04d}": "ab"[i % 2] for i in range(30)})
    return "pool.parquet"


@pytest.mark.parametrize(
    "ask",
    [
        ("-s", "maxherding", *EVALUATION),
        ("-s", "maxherding", "-l", "labels.csv"),
        ("-s", "uherding", "-l", "labels.csv", *EVALUATION),
        ("-s", "probcover", "-l", "labels.csv", *EVALUATION),
        ("-s", "probcover", "-p", "delta=0.3"),
        ("-s", "auto", "-l", "labels.csv"),
    ],
    ids=" ".join,
)
def test_the_batch_is_the_same_wherever_the_features_lie(alcli, pool, ask):
    ask = ("query", pool, "-n", 25, *ask, "--format", "csv")
    expected = alcli(*ask).done()
    assert len(expected.lines) == 26
    for how in (("--max-memory", "64K"), ("--workers", 2)):
        assert alcli(*ask, *how).done().out == expected.out
