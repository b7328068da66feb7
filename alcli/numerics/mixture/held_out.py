"""Cosines of labelled rows with the means of mixtures that were fitted without their labels.

Stratified folds; in each the held-out rows join a sample of the pool, without their labels. A class whose rows are all
held out takes no part, unless it has a name; rows of such a class cannot be judged and are left out.
Cost: N_FOLDS fits of a mixture to the sample.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import Spread, share
from alcli.numerics.folds import stratified_folds
from alcli.numerics.mixture.von_mises_fisher import fit_mixture, fixed_sums, taking_part

N_FOLDS = 5


def held_out_cosines(
    sample_SD: Floats,
    U_LD: Floats,
    y_L: Array,
    weights_L: Float64,
    names_CD: Float64,
    concentration: float,
    spread: Spread,
    *,
    passes: int,
    pull: float,
) -> tuple[Float64, Int64]:
    """Return (cosines [H, C], classes int64 [H]) of the held-out rows, -inf for classes that took no part.

    U_LD: the directions of the labelled rows. names_CD: of the names, times
    their weight; zeros for a class without a name.
    """
    n_folds = min(N_FOLDS, len(y_L))
    folds_L = stratified_folds(y_L, n_folds, seed=0) if n_folds > 1 else np.zeros(0, np.int64)
    found: list[tuple[Float64, Int64]] = [(np.empty((0, len(names_CD))), np.empty(0, np.int64))] * n_folds

    def of_fold(k: int) -> None:
        kept_L, held_L = np.flatnonzero(folds_L != k), np.flatnonzero(folds_L == k)
        fixed_CD = fixed_sums(U_LD[kept_L], y_L[kept_L], weights_L[kept_L], names_CD)
        present_C = taking_part(y_L[kept_L], names_CD)
        pool = [sample_SD, U_LD[held_L]]
        n = len(sample_SD) + len(held_L)
        mixture = fit_mixture(lambda: [pool], n, fixed_CD[present_C], concentration, _alone, passes=passes, pull=pull)
        judged = held_L[present_C[y_L[held_L]]]
        cosines_HC = np.full((len(judged), len(names_CD)), -np.inf)
        cosines_HC[:, present_C] = U_LD[judged] @ mixture.means_PD.T
        found[k] = cosines_HC, y_L[judged]

    if n_folds > 1:
        share(spread, n_folds, of_fold)
    if not found:
        return np.empty((0, len(names_CD))), np.empty(0, np.int64)
    return np.concatenate([c for c, _ in found]), np.concatenate([y for _, y in found])


def _alone(n: int, work: Callable[[int, int], None]) -> None:
    """Do the work in the thread of the caller."""
    work(0, n)
