"""A pool in memory gives the answers, and refuses in the words, of a pool on disk with the same columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.array_pool import pool_of
from alcli.data.pool import Pool, open_pool
from alcli.data.schema import Columns
from alcli.data.streamed.feature_blocks import BLOCK_BYTES
from alcli.errors import AlcliError, UsageError
from tests.pools import CLASSES, fixed, group_names, names, patches, tiny_features

X_ND, Y_N = tiny_features()
LABELS = [CLASSES[y] if i % 3 else None for i, y in enumerate(Y_N)]
SPLIT = ["test" if i % 5 == 0 else None for i in range(60)]
GROUPS = group_names(patches()[2])
WITH_GAPS: list[Any] = [row.tolist() for row in X_ND]
WITH_GAPS[7], WITH_GAPS[9] = None, [1.0]
WITH_GAPS[11][2], WITH_GAPS[13][0] = float("nan"), None


def table(features: Any = None, ids: Any = None, **columns: Any) -> pa.Table:
    return pa.table(
        {"id": names(60) if ids is None else ids, "features": fixed(X_ND) if features is None else features, **columns}
    )


def both(columns: pa.Table, names: Columns = Columns(), **how: Any) -> list[Callable[[], Pool]]:
    """Openers of the two pools, whose messages call both by one name."""
    pq.write_table(columns, "pool.parquet")
    return [
        lambda: open_pool("pool.parquet", names, **how),
        lambda: pool_of(columns, names, name="pool.parquet", **how),
    ]


POOLS = {
    "float32": table(),
    "float16": table(fixed(X_ND.astype(np.float16))),
    "float64": table(fixed(X_ND.astype(np.float64))),
    "lists": table(pa.array(X_ND.tolist(), pa.list_(pa.float32()))),
    "large lists": table(pa.array(X_ND.tolist(), pa.large_list(pa.float64()))),
    "integers as ids": table(ids=np.random.default_rng(0).permutation(60)),
    "dictionary": table(ids=pa.array(names(60)).dictionary_encode(), label=pa.array(LABELS).dictionary_encode()),
    "labels, split": table(label=LABELS, split=SPLIT),
    "numbers": table(label=[float(y) for y in Y_N]),
    "groups": table(group=GROUPS[:60]),
    "chunks": pa.concat_tables([table().slice(0, 17), table().slice(17, 1), table().slice(18)]),
    "no rows": table().slice(0, 0),
    "metadata": table().replace_schema_metadata(
        {"alcli": '{"format": 1, "model": "m", "rows": 60, "fingerprint": "00000000000000ff"}'}
    ),
}


def answers(pool: Pool) -> list[Any]:
    """All that a command asks of a pool."""
    everything = np.arange(pool.n)
    some = np.random.default_rng(1).permutation(pool.n)[:20]
    labels, groups = pool.labels(), pool.groups
    return [
        pool.name,
        pool.n,
        pool.dim,
        pool.dtype,
        pool.metadata,
        pool.label_place,
        pool.fingerprint(),
        pool.ids.arrow(everything).to_pylist(),
        pool.ids.hashes().tolist(),
        pool.sort_keys(some).tolist(),
        pool.sorted_by_id(some).tolist(),
        pool.row_keys(some).tolist(),
        [pool.describe(int(row)) for row in some[:3]],
        None if labels is None else (labels.type, labels.to_pylist()),
        pool.is_test.tolist(),
        pool.is_bad.tolist(),
        None if groups is None else (groups.ids.arrow(np.arange(len(groups))).to_pylist(), groups.of_N.tolist()),
        pool.take(some).tobytes(),
        pool.take(some).dtype,
        pool.take(np.empty(0, np.int64)).shape,
        [(first, X_BD.tobytes()) for first, X_BD in pool.blocks()],
    ]


@pytest.mark.parametrize("name", POOLS)
def test_the_same_answers(folder, name):
    on_disk, in_memory = both(POOLS[name])
    expected, found = answers(on_disk()), answers(in_memory())
    blocks = [b"".join(values for _, values in one.pop()) for one in (expected, found)]
    assert found == expected
    assert blocks[0] == blocks[1]


def test_the_same_answers_where_bad_rows_are_skipped(folder):
    columns = table(pa.array(WITH_GAPS, pa.list_(pa.float32())))
    expected, found = (answers(opened()) for opened in both(columns, bad_rows="skip"))
    assert found == expected
    assert np.flatnonzero(found[15]).tolist() == [7, 9, 11, 13]


def test_the_same_columns_by_other_names(folder):
    columns = table(label=LABELS).rename_columns(["key", "vector", "class"])
    expected, found = (answers(opened()) for opened in both(columns, Columns("vector", "key", "class")))
    assert found == expected


REFUSED = {
    "an id twice": table(ids=["a", "a", *names(58)]),
    "a null id": table(ids=[None, *names(59)]),
    "an empty id": table(ids=["", *names(59)]),
    "ids with fractions": table(ids=X_ND[:, 0]),
    "no ids": table().drop(["id"]),
    "no features": table().drop(["features"]),
    "integers as features": table(fixed(X_ND.astype(np.int64))),
    "null vectors": table(pa.array([None] * 60, pa.list_(pa.float32()))),
    "a null vector": table(pa.array([None, *WITH_GAPS[:7], *[[0.0] * 5] * 52], pa.list_(pa.float32()))),
    "another length": table(pa.array([*WITH_GAPS[:7], [1.0], *[[0.0] * 5] * 52], pa.list_(pa.float32()))),
    "not a number": table(fixed(np.where(X_ND[50, 3] == X_ND, np.nan, X_ND))),
    "a row without a group": table(group=[*GROUPS[:59], None]),
    "labels of no class": table(label=pa.array([0] * 60, pa.date32())),
    "the metadata of another program": table().replace_schema_metadata({"alcli": "?"}),
    "two columns of one name": pa.table(
        [pa.array(names(60)), pa.array(names(60)), fixed(X_ND)], names=["id", "id", "features"]
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_the_same_refusals(folder, name):
    said = []
    for opened in both(REFUSED[name]):
        with pytest.raises(AlcliError) as refusal:
            answers_of_labels(opened())
        said.append((type(refusal.value), str(refusal.value)))
    assert said[0] == said[1]


def answers_of_labels(pool: Pool) -> None:
    from alcli.workflows.labelled import own_labels

    answers(pool)
    own_labels(pool, np.arange(pool.n))


def test_arrays_become_columns():
    pool = pool_of({"id": np.arange(60), "features": X_ND, "label": np.array(LABELS, object)})
    assert pool.take(np.arange(60)).tobytes() == X_ND.tobytes()
    assert pool.labels().to_pylist() == LABELS
    assert [pool.ids[row] for row in (0, 59)] == [0, 59]


def test_features_are_not_copied():
    X = np.zeros((60, 5), np.float32)
    pool = pool_of({"id": names(60), "features": X})
    ((_, block),) = pool.blocks()
    assert np.shares_memory(block, X)


def test_nan_marks_a_row_without_a_label():
    pool = pool_of({"id": names(60), "features": X_ND, "label": np.where(Y_N == 2, np.nan, Y_N)})
    assert pool.labels().null_count == (Y_N == 2).sum()


def test_only_blocks_that_hold_a_row_are_read(monkeypatch):
    n, dim = 3 * 8192, 2
    assert BLOCK_BYTES // (4 * dim) > 8192
    pool = pool_of({"id": np.arange(n), "features": np.arange(n * dim, dtype=np.float32).reshape(n, dim)})
    looked_at = [first for first, _, _ in pool._features.columns(np.array([5, 8191, 2 * 8192]))]
    assert looked_at == [0, 2 * 8192]
    assert pool.take(np.array([2 * 8192, 5])).tolist() == [[4.0 * 8192, 4.0 * 8192 + 1], [10.0, 11.0]]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"id": ["a"], "features": X_ND}, "different numbers of rows: 'id' 1, 'features' 60"),
        ({"id": ["a", 3], "features": X_ND[:2]}, "column 'id' cannot be read"),
        ({"id": ["a", "b"], "features": np.zeros((2, 0))}, "column 'features' cannot be read"),
        ({"id": ["a", "b"], "features": np.zeros((2, 2, 2))}, "column 'features' cannot be read"),
    ],
)
def test_columns_that_make_no_table(columns, words):
    with pytest.raises(UsageError, match=words):
        pool_of(columns)
