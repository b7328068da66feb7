"""Small pools and label files for tests."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.fingerprint import as_text, fingerprint, id_keys
from alcli.data.writing.pool_writer import PoolWriter

CLASSES = ("cat", "dog", "eel")


def tiny_features(n: int = 60, dim: int = 5, seed: int = 0):
    """(X_ND, y_N): three classes in turn around three centres, float32."""
    rng = np.random.default_rng(seed)
    y_N = np.arange(n) % 3
    X_ND = 2 * rng.standard_normal((3, dim))[y_N] + rng.standard_normal((n, dim))
    return X_ND.astype(np.float32), y_N


def names(n: int) -> list[str]:
    """The ids r000, r001, ..."""
    return [f"r{i:03d}" for i in range(n)]


def fixed(X_ND, kind: pa.DataType | None = None) -> pa.FixedSizeListArray:
    """Vectors as fixed-size lists."""
    X_ND = np.asarray(X_ND)
    values = pa.array(np.ascontiguousarray(X_ND).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values if kind is None else values.cast(kind), X_ND.shape[1])


def write_pool(
    path: str | Path,
    X_ND,
    ids: Sequence[object] | pa.Array | None = None,
    *,
    row_group_size: int | None = None,
    **columns: object,
) -> None:
    """A pool with `id`, `features` and other columns. X_ND: an array of vectors, or an Arrow array as it shall be
    stored.
    """
    features = X_ND if isinstance(X_ND, pa.Array) else fixed(X_ND)
    table = pa.table({"id": names(len(features)) if ids is None else ids, "features": features, **columns})
    written(table, path, row_group_size=row_group_size)


def written(table: pa.Table, path: str | Path, **options: Any) -> None:
    """Write a table; skip the test where this PyArrow cannot, as PyArrow before 25 writes no vectors that are null."""
    try:
        pq.write_table(table, path, **options)
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"PyArrow {pa.__version__} does not write it: {error}")


def write_embedded(file: BinaryIO, columns: pa.Table, X_ND, metadata: Mapping[str, Any]) -> None:
    """A pool as `embed` writes it. columns: `id` and others. X_ND: float16 or float32. The fingerprint is added to
    the metadata.
    """
    mark = as_text(fingerprint(id_keys(columns["id"].combine_chunks()), X_ND))
    about = {"rows": len(columns), "fingerprint": mark, **metadata}
    with PoolWriter(file, columns.schema, X_ND.shape[1], X_ND.dtype.name, about) as writer:
        writer.write(columns, X_ND)


def write_labels(path: str | Path, labels: Mapping[object, object]) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows([("id", "label"), *labels.items()])


def patches(n_groups: int = 20, dim: int = 5, seed: int = 1):
    """(X_ND, y_N, groups_N): groups of 1 to 6 rows, their numbers in the order of the rows; rows of a group are
    mostly of one class.
    """
    rng = np.random.default_rng(seed)
    groups_N = np.repeat(np.arange(n_groups), rng.integers(1, 7, n_groups))
    y_N = np.where(rng.random(len(groups_N)) < 0.8, groups_N % 3, rng.integers(0, 3, len(groups_N)))
    X_ND = 2 * rng.standard_normal((3, dim))[y_N] + rng.standard_normal((len(y_N), dim))
    return X_ND.astype(np.float32), y_N, groups_N


def group_names(groups_N) -> list[str]:
    """The ids g000, g001, ..."""
    return [f"g{g:03d}" for g in groups_N]


PURE, SPLIT, UNSURE = range(3)


def dense(counts=(120, 120, 60), size: int = 12, dim: int = 12, seed: int = 0):
    """(X_ND, y_N, groups_N, kind_G): groups of rows of three classes, in random order of the kinds; float32.

    A pure group has sure rows of one class, a split group sure rows of two classes. Half of the rows of an unsure group
    lie around the boundary of two classes, where their mean is; so is the mean of a split group.
    """
    rng = np.random.default_rng(seed)
    W_CD = np.linalg.qr(rng.standard_normal((dim, dim)))[0][:3]
    kind_G = np.repeat([PURE, SPLIT, UNSURE], counts)[rng.permutation(sum(counts))]
    Z_GRC, half = 0.1 * rng.standard_normal((len(kind_G), size, 3)), size // 2
    for Z_RC, kind in zip(Z_GRC, kind_G):
        a, b = rng.permutation(3)[:2]
        Z_RC[:half, a] += 5.0
        Z_RC[half:, a] += (5.0, 0.0, 2.5)[kind]
        Z_RC[half:, b] += (0.0, 5.0, 2.5)[kind]
        if kind == UNSURE:
            Z_RC[half:, [a, b]] += 0.5 * rng.standard_normal((size - half, 2))
    Z_NC, noise_ND = Z_GRC.reshape(-1, 3), rng.standard_normal((len(kind_G) * size, dim))
    X_ND = noise_ND - noise_ND @ W_CD.T @ W_CD + Z_NC @ W_CD
    return X_ND.astype(np.float32), Z_NC.argmax(axis=1), np.repeat(np.arange(len(kind_G)), size), kind_G


GATHERED = ("ant", "bee", "cow", "dog", "eel", "fox")


def gathered(n: int = 240, dim: int = 16, seed: int = 0):
    """(X_ND, y_N, names_CD): six classes in turn, whose rows gather around centres with a large common part.

    names_CD: the centres with noise, as embeddings of the names of the classes, in the order of `GATHERED`. float32.
    """
    rng = np.random.default_rng(seed)
    common_D, centres_CD = 1.5 * rng.standard_normal(dim), rng.standard_normal((6, dim))
    y_N = np.arange(n) % 6
    X_ND = common_D + centres_CD[y_N] + 1.1 * rng.standard_normal((n, dim))
    names_CD = common_D + centres_CD + 0.5 * rng.standard_normal((6, dim))
    return X_ND.astype(np.float32), y_N, names_CD.astype(np.float32)
