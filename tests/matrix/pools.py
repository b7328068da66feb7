"""The pools of the matrix, and the same pools in other layouts of files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.pools import fixed

DIGITS = Path(__file__).parents[2] / "sample_data" / "digits-features.parquet"
# More than two blocks of rows, and products that a BLAS with several threads would share out.
WIDE = (2_300, 600)
N_LABELS, N_NEW = 60, 12


def write_pools(folder: Path, wide: bool) -> None:
    """Write digits.parquet, numbers.parquet and, if asked for, wide.parquet, with labels, later labels, and ids to
    remove for each.
    """
    # Without the metadata of `embed`, whose fingerprint would be wrong for a part of the rows.
    table = pq.read_table(DIGITS).replace_schema_metadata(None)
    X_ND = _matrix(table)
    y_N = table["label"].to_numpy()
    rng = np.random.default_rng(0)
    train = np.flatnonzero(np.array(table["split"].to_pylist()) != "test")
    mean, scale = X_ND.mean(axis=0), X_ND.std(axis=0) + 0.1
    numbers_N = np.round(((X_ND - mean) / scale)[:, :8].sum(axis=1) + y_N, 3).astype(np.float64)
    _write(folder, "digits", table, y_N, train)
    _write(folder, "numbers", table.set_column(2, "label", pa.array(numbers_N)), numbers_N, train)
    names = np.array([X_ND[train][y_N[train] == c].mean(axis=0) for c in range(10)], np.float32)
    pq.write_table(pa.table({"id": [str(c) for c in range(10)], "features": fixed(names)}), folder / "names.parquet")
    if wide:
        n, dim = WIDE
        of = rng.integers(len(X_ND), size=n)
        noisy = X_ND[of] + 0.3 * rng.standard_normal((n, X_ND.shape[1]))
        lifted = np.maximum(0, noisy @ rng.standard_normal((X_ND.shape[1], dim)) / 8).astype(np.float32)
        ids = pa.array([f"w{i:05d}" for i in rng.permutation(n)])
        columns = {"id": ids, "features": fixed(lifted), "label": pa.array(y_N[of])}
        _write(folder, "wide", pa.table(columns), y_N[of], np.arange(n))


def relaid(folder: Path, into: Path, layout: str) -> None:
    """Write the pools of a folder in another layout, under the same names.

    layout: "row-groups" of 37 rows; "permuted" rows in four files in a folder, with labels in another order.
    """
    rng = np.random.default_rng(3)
    for path in sorted(folder.glob("*.parquet")):
        table = pq.read_table(path)
        if path.stem == "names" or layout == "row-groups":
            pq.write_table(table, into / path.name, row_group_size=37)
            continue
        (into / path.name).mkdir()
        for i, part in enumerate(np.array_split(rng.permutation(len(table)), 4)):
            pq.write_table(table.take(part), into / path.name / f"{'cabd'[i]}.parquet", row_group_size=301)
    for path in [*folder.glob("*.csv"), *folder.glob("*.txt")]:
        first, *rest = path.read_text().splitlines(keepends=True)
        shuffled = rest if layout == "row-groups" else [rest[i] for i in rng.permutation(len(rest))]
        (into / path.name).write_text("".join([first, *shuffled]))


def _write(folder: Path, name: str, table: pa.Table, label_N: np.ndarray, train: np.ndarray) -> None:
    """Write a pool and its files of labels. train: the rows that may be labelled."""
    pq.write_table(table, folder / f"{name}.parquet")
    ids = table["id"].to_pylist()
    drawn = np.random.default_rng(1).permutation(train)[: N_LABELS + N_NEW]
    for kind, rows in (("labels", drawn[:N_LABELS]), ("new", drawn[N_LABELS:])):
        lines = [f"{ids[row]},{label_N[row]}\n" for row in rows]
        (folder / f"{name}-{kind}.csv").write_text("".join(["id,label\n", *lines]))
    (folder / f"{name}-gone.csv").write_text("".join(["id\n", *(f"{ids[row]}\n" for row in drawn[:5])]))


def _matrix(table: pa.Table) -> np.ndarray:
    return np.stack(table["features"].to_numpy()).astype(np.float32)
