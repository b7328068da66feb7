"""Rows farthest from all labelled and picked rows.

Greedy k-centre: each pick is the row of the largest distance to the nearest labelled or picked row. Without
labels the first pick is the row of largest norm.

Source: Sener & Savarese 2018, "Active learning for convolutional neural networks: a core-set approach", Alg.
1.
Cost: at most 2 N D (L + 32 K) flops, in practice 2 N D (L + 58 sqrt K); memory 180 N bytes beside the features,
which may lie in a file. Asked for one row at a time: a GEMV pass for each row that was labelled since.
Passes: at most L/32 + K, in practice L/32 + 1.8 sqrt K.
"""

from __future__ import annotations

from functools import partial

from alcli.arrays import Float64, Floats, Int64
from alcli.engine.forecast import foretell
from alcli.numerics.block_array import BlockArray
from alcli.numerics.diversity.columns import WIDTH
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.two_rounds import chosen_from
from alcli.numerics.rows import feature_rows
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch, pointwise
from alcli.selection.view import View


@pointwise(needs=["labelled_distance"])
def farthest(labelled_distance_B: Float64) -> Float64:
    """The distance to the nearest labelled row, float64 [B] (the norm without labels). The farthest row is first."""
    return labelled_distance_B


@batch(needs=["features", "labelled"], single=farthest)
def coreset(view: View, k: int) -> Selection:
    """Pick k rows by greedy k-centre.

    Scores: the distance to the nearest labelled or earlier row when picked (the first without labels: its
    norm).
    """
    # Picks take far fewer columns than there are picks: 32 at a time, about 1.8 sqrt(K) times.
    foretell(view.tell_cost, "coreset", (view.n, view.dim), view.n_labelled + 1.8 * WIDTH * k**0.5, WIDTH)
    X_ND, X_LD = view.stored("features"), view.labelled()
    picks_K, distances_K, notes = chosen_from(X_ND, partial(_farthest_first, X_LD=X_LD, k=k))
    return Selection(view.rows[picks_K], finite32(distances_K), notes=notes)


def _farthest_first(X_ND: BlockArray, X_LD: Floats, k: int) -> tuple[Int64, Float64]:
    """At most k rows by greedy k-centre, and their distances."""
    rows, centres = feature_rows(X_ND, X_LD)
    return k_center(rows, min(k, len(X_ND)), centres)
