"""Check that a head and a pool belong together: same D, same embedding model, same features of the ids in both."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Floats, Int64, Keys
from alcli.data.head_file import HeadFile
from alcli.data.pool import Pool
from alcli.data.schema import same_features
from alcli.errors import DataError
from alcli.remarks import Note

N_ANCHORS = 4
# Relative difference of the features of an id. It admits float16 storage and another processor, but no other model.
ANCHOR_TOLERANCE = 0.05


def choose_anchors(ids: Keys, X_LD: Floats) -> tuple[Keys, Floats]:
    """Return (ids, features) of a few of the labelled rows.

    The rows with the smallest hashes of ids are taken, so that the order of the rows does not matter.
    """
    few = np.unique(ids, return_index=True)[1][:N_ANCHORS]
    return ids[few], np.ascontiguousarray(X_LD[few])


def check_pool(head: HeadFile, shown: str, pool: Pool, note: Note) -> None:
    """Raise DataError for a pool of another D, another embedding model, or other features of the ids in the head.

    shown: the head as messages name it. note: told where there was nothing to compare but D. Cost: one read of the
    row groups that hold the remembered ids.
    """
    if pool.dim != head.model.dim:
        hint = "use the pool that the head was fitted on, or fit a new head"
        raise DataError(f"{pool.name} has D={pool.dim}, the head {shown} expects {head.model.dim}", hint=hint)
    difference = same_features(pool.metadata, head.provenance)
    if difference:
        same = "embed with the same model"
        if difference.startswith("columns"):
            same = "give the features the scale of the head's pool, by alcli embed -m identity --standardize-like POOL"
        hint = f"{same}, or fit a new head"
        raise DataError(f"{pool.name} holds features of {difference} as the head {shown} was fitted on", hint=hint)
    rows = rows_of_hashes(head.anchor_id, pool.ids.hashes())
    present = np.flatnonzero(rows >= 0)
    _check_anchors(head, shown, pool, present, rows[present])
    if not len(present) and not ("model" in pool.metadata and "model" in head.provenance):
        what = f"nothing shows that the features of {pool.name} come from the model that the head was fitted on"
        why = "they share no id" if len(head.anchor_id) else "the head has no label"
        note(f"{what}: {why}, and they name no model")


def _check_anchors(head: HeadFile, shown: str, pool: Pool, present: Int64, rows: Int64) -> None:
    """Compare the anchors `present` with `rows` of the pool; A anchors. Raises DataError for features that differ."""
    if not len(rows):
        return
    then_AD, now_AD = head.anchors[present].astype(np.float64), pool.take(rows).astype(np.float64)
    # Scaled, because squares of large features would not fit into float64.
    scale = max(np.abs(then_AD).max(), np.abs(now_AD).max(), 1e-300)
    difference_A = np.linalg.norm((then_AD - now_AD) / scale, axis=1)
    norm_A = np.linalg.norm(then_AD / scale, axis=1)
    wrong = np.flatnonzero(difference_A > ANCHOR_TOLERANCE * norm_A)
    if len(wrong):
        i = wrong[0]
        by = f"{difference_A[i] / norm_A[i]:.0%} of their norm" if norm_A[i] else "all of it, they were zero"
        what = f"its features are not those that the head {shown} was fitted on (they differ by {by})"
        hint = "use features of the same model and scaling, or fit a new head"
        raise DataError(f"{pool.describe(int(rows[i]))}: {what}", hint=hint)


def rows_of_hashes(wanted: Keys, pool_hashes: Keys) -> Int64:
    """Return the row number in the pool of each hash, -1 where the pool has none.

    Cost: O(N log n) for n hashes, because the hashes are sorted and the pool is not.
    """
    rows = np.full(len(wanted), -1)
    if len(wanted):
        order = np.argsort(wanted, kind="stable")
        at = np.minimum(np.searchsorted(wanted[order], pool_hashes), len(wanted) - 1)
        found = np.flatnonzero(wanted[order][at] == pool_hashes)
        rows[order[at[found]]] = found
    return rows


def audited_rows(pool: Pool, head: HeadFile) -> Int64:
    """Return the row numbers of the items that the head was measured by, as far as the pool has them."""
    rows = rows_of_hashes(head.audited.id_M, pool.ids.hashes())
    return rows[rows >= 0]
