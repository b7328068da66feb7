"""The memory that each row of a pool takes in a query."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.pools import write_labels, write_pool
from tests.shell import with_peak

SMALL, LARGE = 20_000, 620_000
# Hashes, candidates and masks are some 20 bytes, and the blocks that are read add a few in small pools.
MOST = 90


@pytest.mark.parametrize("labels", ["in the pool", "in a file"])
def test_a_row_takes_few_bytes(folder: Path, labels: str) -> None:
    found = {}
    for n in (SMALL, LARGE):
        X_ND = np.random.default_rng(0).standard_normal((n, 4), np.float32)
        ids = [f"a-row-of-a-pool-{i:09d}" for i in range(n)]
        given = {ids[i]: "ab"[i // 50 % 2] for i in range(0, 2000, 50)}
        columns = {"label": [given.get(id) for id in ids]} if labels == "in the pool" else {}
        write_pool("pool.parquet", X_ND, ids, row_group_size=8192, **columns)
        write_labels("labels.csv", given)
        files = [] if columns else ["-l", "labels.csv"]
        done, found[n] = with_peak("query", "pool.parquet", "-s", "margin", "-n", 5, *files)
        assert done.code == 0, done.err
    assert (found[LARGE] - found[SMALL]) / (LARGE - SMALL) < MOST, found
