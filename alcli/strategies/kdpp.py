"""Long feature vectors that point in different directions.

The batch is drawn with probability proportional to the determinant of its Gram matrix. With selection=map a
greedy search looks for the likeliest batch instead. The Gram matrix is made of the features as they are. No
label is looked at.

Source: Kulesza & Taskar 2012, "Determinantal point processes for machine learning", section 5; selection=map
is the greedy search of Chen, Zhang & Zhou 2018, "Fast greedy MAP inference for determinantal point process",
Alg. 1.
Cost: sample N R^2 + R^3 + N K^2 flops with R = min(N, D) at most 4096; map N K^2 + 2 N D flops for each
column asked for, in practice a fraction of K (`numerics/diversity/columns.py`); memory N K + R^2 numbers.
Passes: 1.

Options:
    selection: choice of the batch.
        sample: draw it.
        map: search greedily for the likeliest batch.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.numerics.diversity.kdpp import k_dpp
from alcli.numerics.diversity.maxdet import max_det
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View


@batch(needs=["features"], random=True)
def kdpp(view: View, k: int, *, rng: np.random.Generator, selection: Literal["sample", "map"] = "sample") -> Selection:
    """Pick k rows of large determinant.

    Scores: with sample the probability with which a row was drawn at its turn, with map its distance to the
    span of the earlier picks. Features of rank R span R rows; beyond R, the batch holds random rows (sample)
    or the longest rows (map).
    """
    rows = Rows(Factor(view.matrix("features")))
    if selection == "map":
        picks_K, scores_K = max_det(rows, k)
        rank = int(np.count_nonzero(scores_K))
    else:
        picks_K, scores_K, rank = k_dpp(rows, k, rng)
    return Selection(view.rows[picks_K], finite32(scores_K), notes=rank_note("the features", rank, k))


def rank_note(what: str, rank: int, k: int) -> tuple[str, ...]:
    """The note on a batch that is larger than the rank of the rows; none on a smaller batch. what: name of the rows."""
    return (f"{what} have rank {rank}: beyond {rank} picks, determinants are 0 and say nothing",) if rank < k else ()
