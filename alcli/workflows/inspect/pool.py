"""The facts about a pool: its rows and columns, its labels, and vectors that are unusable, zero or there twice.

Cost: three passes over the features. Memory: about 60 bytes a row with an integer id, and two blocks of features.
Two vectors are the same where a 64-bit hash of their float32 values is; two different vectors of a million share a hash
by chance with a probability of 3e-8.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.data.fingerprint import add, as_text, feature_keys, fingerprint
from alcli.data.labels import class_type_of
from alcli.data.pool import Pool

_UNIT = 1e-3
_NAMED = 5


@dataclass(frozen=True)
class _Vectors:
    """One pass over the features. keys_N: a hash of each vector. norms_N: float32, NaN for an unusable vector."""

    keys_N: Keys
    norms_N: Floats
    fingerprint: str


def about_pool(pool: Pool) -> dict[str, Any]:
    """Return the facts about a pool that was opened to skip bad rows. Raises what reading it raises."""
    vectors = _read(pool)
    facts: dict[str, Any] = {"rows": pool.n, "files": pool.n_files, "dim": pool.dim}
    if pool.groups is not None:
        facts |= {"groups": len(pool.groups), "group_column": pool.groups.column}
    facts |= {"ids": "strings" if pool.ids.is_text else "integers", "columns": pool.column_types()}
    facts |= {"test_rows": int(pool.is_test.sum())}
    codes_N, of_labels = _labels(pool)
    facts |= of_labels | _of_vectors(pool, vectors) | _of_duplicates(pool, vectors, codes_N)
    written = {key: value for key, value in pool.metadata.items() if key not in ("fingerprint", "standardization")}
    stored = pool.metadata.get("fingerprint")
    facts |= {"written_by_embed": written} if written else {}
    facts["fingerprint"] = vectors.fingerprint
    if stored is not None:
        facts["fingerprint_is_that_of_embed"] = stored == vectors.fingerprint
    facts["files_without_page_checksums"] = len(pool.without_checksums())
    return facts


def _read(pool: Pool) -> _Vectors:
    """Hash and measure every vector."""
    keys_N, norms_N, marks = np.zeros(pool.n, np.uint64), np.full(pool.n, np.nan, np.float32), [0]
    for first, X_BD in pool.blocks():
        rows = slice(first, first + len(X_BD))
        keys_N[rows] = feature_keys(X_BD)
        norms_N[rows] = np.sqrt(np.einsum("bd,bd->b", X_BD, X_BD, dtype=np.float64))
        marks.append(fingerprint(pool.ids.hashes()[rows], X_BD))
    norms_N[pool.is_bad] = np.nan
    return _Vectors(keys_N, norms_N, as_text(add(*marks)))


def _labels(pool: Pool) -> tuple[Array | None, dict[str, Any]]:
    """Return a number for the label of each row, int32 [N], -1 without one, None without labels; and the facts."""
    column = pool.labels()
    if column is None or column.null_count == len(column):
        return None, {"labelled_rows": 0}
    kind = class_type_of(column.type, pool.label_place)
    values = column.cast(pa.large_string()) if kind != "string" else column
    coded = values.dictionary_encode()
    codes_N = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int32)
    n = int((codes_N >= 0).sum())
    if kind == "float":
        low, high = (float(v) for v in pc.min_max(column.cast(pa.float64())).as_py().values())
        return codes_N, {"labelled_rows": n, "labels": "numbers", "label_min": low, "label_max": high}
    counts = np.bincount(codes_N[codes_N >= 0], minlength=len(coded.dictionary)).tolist()
    by_name = dict(sorted(zip(map(str, coded.dictionary.to_pylist()), counts)))
    return codes_N, {
        "labelled_rows": n,
        "labels": f"classes ({kind})",
        "classes": len(by_name),
        "rows_of_class": by_name,
    }


def _of_vectors(pool: Pool, vectors: _Vectors) -> dict[str, Any]:
    """Vectors that cannot be used, vectors of zeros, and the norms of the vectors that are neither."""
    is_zero_N = vectors.norms_N == 0
    used = vectors.norms_N[~pool.is_bad & ~is_zero_N]
    facts: dict[str, Any] = pool.bad_counts() | {"zero_vectors": int(is_zero_N.sum())}
    if len(used):
        least, median, most = (float(v) for v in np.quantile(used, [0.0, 0.5, 1.0]))
        facts |= {"norm_min": least, "norm_median": median, "norm_max": most}
        facts["unit_norms"] = bool(abs(least - 1) < _UNIT and abs(most - 1) < _UNIT)
    return facts


def _of_duplicates(pool: Pool, vectors: _Vectors, codes_N: Array | None) -> dict[str, Any]:
    """Vectors that several rows have; vectors whose rows have different labels, or are test rows and others."""
    rows = np.flatnonzero(~np.isnan(vectors.norms_N))
    rows = rows[np.argsort(vectors.keys_N[rows], kind="stable")]
    keys = vectors.keys_N[rows]
    starts = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])) if len(rows) else np.empty(0, np.int64)
    sizes = np.diff(np.append(starts, len(rows)))
    facts: dict[str, Any] = {
        "duplicate_rows": int(len(rows) - len(starts)),
        "duplicated_vectors": int((sizes > 1).sum()),
    }
    if not len(rows):
        return facts
    test = np.add.reduceat(pool.is_test[rows].astype(np.int64), starts)
    facts["vectors_in_test_and_other_rows"] = int(((test > 0) & (test < sizes)).sum())
    if codes_N is not None:
        mixed = _mixed(codes_N[rows], starts)
        facts["vectors_with_different_labels"] = int(mixed.sum())
        first = rows[starts[np.flatnonzero(mixed)[:_NAMED]]]
        facts |= {"for_example": [str(pool.ids[int(row)]) for row in np.sort(first)]} if len(first) else {}
    return facts


def _mixed(codes: Array, starts: Int64) -> Array:
    """A mask of the runs that begin at `starts` and hold two different codes; -1 is no code."""
    highest = np.maximum.reduceat(codes, starts)
    least = np.minimum.reduceat(np.where(codes < 0, np.iinfo(codes.dtype).max, codes), starts)
    return (highest >= 0) & (least < highest)
