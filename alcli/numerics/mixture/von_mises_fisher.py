"""A mixture of von Mises-Fisher distributions, one for each class, with labelled rows fixed and rows of a pool soft.

The density of a direction u under class c is proportional to exp(kappa u.m_c), and all classes share kappa. Each pass
computes r_ic, the probability of class c given row i, and then m_c, the unit vector along
    (labelled directions of c) + (direction of the name of c, times its weight) + beta sum_i r_ic u_i.
beta <= 1 is chosen such that all rows of the pool together weigh as much as `pull`
labelled rows a class, however large the pool is. Classes are equally probable in r_ic: masses are neither estimated
nor forced to be equal. So classes may differ in their number of rows.
Letters: P classes that take part.
Source: Banerjee, Dhillon, Ghosh & Sra, Clustering on the Unit Hypersphere using von Mises-Fisher Distributions, JMLR
2005; the weight of unlabelled rows after Nigam, McCallum, Thrun & Mitchell, Text Classification from Labeled and
Unlabeled Documents using EM, 2000, section 5.3.
Cost: `passes` passes of two products of 2 N D P flops and N P exponentials. Memory: O(P D), and for each thread a block
of rows and of probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.blocks import Spread, share

# Yields lists of blocks of rows; the blocks of a list are worked on at the same time.
Groups: TypeAlias = Callable[[], Iterable[list[Floats]]]


@dataclass(frozen=True)
class VonMisesFisher:
    """A fitted mixture. means_PD: unit vectors, float64. mass_P: the probabilities of each class, added over the pool.

    length: the mean over the pool of the largest cosine of a row with a mean; 0 without a pool.
    """

    means_PD: Float64
    mass_P: Float64
    length: float


def fit_mixture(
    groups: Groups,
    n_pool: int,
    fixed_PD: Float64,
    concentration: float | Callable[[float], float],
    spread: Spread,
    *,
    passes: int,
    pull: float,
    direct: Callable[[Floats], Floats] | None = None,
) -> VonMisesFisher:
    """Fit the means.

    groups: yields the directions of the pool's n_pool rows, the same at every pass; or their features, and `direct`
    turns a block of them into directions. fixed_PD: the directions of labelled rows and of names, added up for each
    class. concentration: kappa; or a function from `length` of the pass before to kappa, which begins at length 0.5.
    pull: the weight of the whole pool, in labelled rows a class.
    The sums of the blocks are added in their order, so threads do not change a bit.
    """
    n_classes = len(fixed_PD)
    beta = min(1.0, pull * n_classes / n_pool) if n_pool else 0.0
    means_PD, mass_P, length = unit(fixed_PD), np.zeros(n_classes), 0.5
    for _ in range(passes if n_pool else 0):
        kappa = concentration(length) if callable(concentration) else concentration
        sums_PD, mass_P, length = fixed_PD.copy(), np.zeros(n_classes), 0.0
        for group in groups():
            for pulled_PD, of_block_P, lengths in _of_group(group, means_PD, kappa, spread, direct):
                sums_PD += beta * pulled_PD
                mass_P += of_block_P
                length += lengths / n_pool
        means_PD = unit(sums_PD)
    return VonMisesFisher(means_PD, mass_P, length if n_pool else 0.0)


def _of_group(
    group: list[Floats],
    means_PD: Float64,
    kappa: float,
    spread: Spread,
    direct: Callable[[Floats], Floats] | None,
) -> list[tuple[Floats, Float64, float]]:
    """Return for each block (sum_i r_ic u_i [P, D], sum_i r_ic [P], the sum over rows of the largest cosine)."""
    out: list[tuple[Floats, Float64, float]] = [(np.empty(0), np.empty(0), 0.0)] * len(group)
    means_DP = np.ascontiguousarray(means_PD.T)

    def of_block(i: int) -> None:
        U_BD = group[i] if direct is None else direct(group[i])
        r_BP = U_BD @ means_DP.astype(U_BD.dtype)
        largest_B = r_BP.max(axis=1)
        r_BP -= largest_B[:, None]
        r_BP *= U_BD.dtype.type(kappa)
        np.exp(r_BP, out=r_BP)
        r_BP /= r_BP.sum(axis=1)[:, None]
        out[i] = r_BP.T @ U_BD, r_BP.sum(axis=0, dtype=np.float64), float(largest_B.sum(dtype=np.float64))

    share(spread, len(group), of_block)
    return out


def unit(A_PD: Float64) -> Float64:
    """Scale rows to length one; rows of zeros stay zero."""
    lengths_P = np.sqrt(np.einsum("pd,pd->p", A_PD, A_PD))
    return A_PD / np.where(lengths_P > 0.0, lengths_P, 1.0)[:, None]


def fixed_sums(U_LD: Floats, y_L: Array, weights_L: Float64, names_CD: Float64) -> Float64:
    """Add up the directions of labelled rows and of names, [C, D]."""
    sums_CD = names_CD.copy()
    np.add.at(sums_CD, y_L, U_LD * weights_L[:, None])
    return sums_CD


def taking_part(y_L: Array, names_CD: Float64) -> Array:
    """Return a mask of the classes with a labelled row or a name, [C]."""
    return (np.bincount(y_L, minlength=len(names_CD)) > 0) | names_CD.any(axis=1)
