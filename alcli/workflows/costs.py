"""`-p cost-col=C`: what the items of a pool cost, read from one of its columns."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from alcli.arrays import Float64
from alcli.data.pool import Pool
from alcli.errors import DataError, printable
from alcli.workflows.items import Items


def costs_of(pool: Pool, items: Items, column: str) -> Float64:
    """What each item costs, float64 by its number; a group what its rows cost together. Rows without a usable vector cost nothing.

    Raises DataError for a column that is missing, holds no numbers, or has a null, or what is not a positive finite number, at a usable row.
    """
    values = pool.column(column)
    if values is None:
        raise DataError(f"{pool.name}: no column '{printable(column)}' to read costs from", hint="-p cost-col names a column of numbers")
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(f"{pool.name}: column '{printable(column)}' is of type {values.type}, costs are numbers")
    costs_N = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    wrong = np.flatnonzero(~((costs_N > 0.0) & (costs_N < np.inf)) & ~pool.is_bad)
    if len(wrong):
        what = "no value" if not values[int(wrong[0])].is_valid else f"{costs_N[wrong[0]]:g}"
        raise DataError(f"{pool.describe(int(wrong[0]))}: column '{printable(column)}' has {what}, a cost is a positive number")
    costs_N = np.where(pool.is_bad, 0.0, costs_N)
    return costs_N if items.groups is None else np.bincount(items.of_rows(np.arange(pool.n)), costs_N, len(items.ids)).astype(np.float64)
