"""Varied rows whose labels would change predictions most.

The score of a row is the expected change of the predictions by its label, from S joint draws of the
posterior:
- score=mse (CoreMSE): the mean squared distance by which the predictions of all candidates move;
- score=log (CoreLog): the mean mutual information of the row's label with the labels of `evaluation` random
  candidates.
For the batch, the best `keep` of the candidates (at most `candidates`) become vectors of the change that each
makes at the `evaluation` rows. The vectors are scaled to length 1 and clustered into K clusters, and the row
nearest to each centre is picked. For K = 1 the row of the best score is picked.

CoreMSE in time linear in the rows: let D_sc = P_sc - p_c be the deviations of the S draws from their mean p,
and K_x = sum_c D_c D_c^T, an S x S matrix, for a row x. The label of x moves the prediction of x' by the
squared distance <G_x, K_x'> / S^2 on average, where G_x = sum_c D_c D_c^T / p_c. Over all rows x' only the
sum of K_x' counts.

Source: Tan, Du & Buntine 2021, "Diversity enhanced active learning with strictly proper scoring rules"
(BEMPS), section 3 and Alg. 1 and 3. The linear form of CoreMSE is ours, equal to the last digits.
Deviations: the published code sums |P_m - q|^2 over members, which is S times the number above plus a
constant. It takes N N' S C^2 floats for N' evaluation rows, where the linear form needs N S^2 C steps. Its
CoreLog has p (p / q) where p log(p / q) is meant, and it fills the batch up at random where a row is nearest
to two centres.
Cost: mse 4 N S^2 C flops beside twice the draws. log at most N E (2 S C^2 flops and C^2 logarithms) for E
evaluation rows: rows are looked at in descending order of BALD, which bounds CoreLog, until no other row can
be among the best. Then k-means over at most `candidates` vectors. Memory S^2 E + M E floats for M vectors.
Passes: 3, and the rows that are kept.

Options:
    score: measure of the change.
        mse: the squared distance by which predictions move.
        log: the mutual information of labels.
    evaluation: number of random candidates at which the changes are looked at.
    keep: share of the candidates, by score, that is clustered.
    candidates: the most rows that are clustered, at least the batch size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import ceil
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64
from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.diversity.kmeans import k_means, nearest_rows
from alcli.numerics.information.committee import TINY, information
from alcli.numerics.information.pairs import Targets
from alcli.numerics.lazy_best import ROUND, best_rows
from alcli.selection.conditions import SEVERAL
from alcli.selection.options import Count, at_least
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

Vectors = Callable[[Floats], Float64]


@batch(needs=["features", "sample_log_probs"], random=True, samples=25, of_means=True)
def bemps(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    score: Literal["mse", "log"] = "mse",
    evaluation: Count = 500,
    keep: Annotated[float, _share, SEVERAL] = 0.5,
    candidates: Annotated[Count, SEVERAL] = 10_000,
) -> Selection:
    """Pick k rows of large score from k clusters, in descending order of the score. Scores: CoreMSE or CoreLog."""
    at_least(1, evaluation=evaluation, candidates=candidates)
    _share(keep=keep)
    wanted = max(k, ceil(keep * view.n)) if k > 1 else 1
    m = min(wanted, max(candidates, k))
    log_probs_ESC = view.at("sample_log_probs", np.sort(rng.permutation(view.n)[:evaluation]))
    with workers() as spread:
        if score == "mse":
            places_M, scores_M = _best_by_mse(view, m)
            vectors: Vectors = Judges(log_probs_ESC).moved
        else:
            vectors = partial(Targets(log_probs_ESC).information, spread=spread)
            places_M, scores_M = _best_by_log(view, m, vectors)
        picks_K = _spread_out(view, places_M, k, vectors, rng) if k < m else np.arange(m)
    note = (
        f"bemps clustered the {m:,} best candidates, not {wanted:,} (keep={keep:g}): "
        f"-p candidates={wanted} clusters all of them"
    )
    return Selection(view.rows[places_M[picks_K]], scores_M[picks_K], notes=(note,) if m < wanted else ())


def _share(*, keep: float) -> None:
    """Raise UsageError for a share of the candidates that is not above 0 and at most 1."""
    if not 0 < keep <= 1:
        raise UsageError(f"parameter 'keep' must be above 0 and at most 1, got {keep}")


def _best_by_mse(view: View, m: int) -> tuple[Int64, Float32]:
    """The m candidates of largest CoreMSE over all candidates, best first, and their scores, [m] each."""
    kernel_SS = np.sum([kernel_sum(block) for _, block in view.blocks("sample_log_probs")], axis=0)
    scores_N = view.reduced(lambda block: core_mse(block, kernel_SS), "sample_log_probs") / view.n
    return best_rows(scores_N, m, lambda rows_B: scores_N[rows_B])[:2]


def _best_by_log(view: View, m: int, vectors: Vectors) -> tuple[Int64, Float32]:
    """The m candidates of largest CoreLog, best first, and their scores, [m] each."""
    bald_N = view.reduced(information, "sample_log_probs")
    return best_rows(bald_N, m, lambda rows_B: vectors(view.at("sample_log_probs", rows_B)).mean(axis=1))[:2]


def _spread_out(view: View, places_M: Int64, k: int, vectors: Vectors, rng: np.random.Generator) -> Int64:
    """The rows nearest to the centres of k clusters of the vectors at length 1, in ascending order."""
    parts = []
    for i in range(0, len(places_M), ROUND):
        part_BE = vectors(view.at("sample_log_probs", places_M[i : i + ROUND]))
        parts.append((part_BE / np.maximum(np.linalg.norm(part_BE, axis=1, keepdims=True), TINY)).astype(np.float32))
    V_ME = np.concatenate(parts)
    clusters = k_means(V_ME, k, rng)
    largest_first = np.argsort(-np.bincount(clusters.labels_N, minlength=k), kind="stable")
    return np.sort(nearest_rows(V_ME, clusters.centres_KD, largest_first)[0])


def deviations(log_probs_BSC: Floats) -> tuple[Float64, Float64]:
    """Return (D [B, C, S], mean probabilities p [B, C]) of S draws."""
    probs_BCS = np.exp(log_probs_BSC.transpose(0, 2, 1))
    mean_BC = probs_BCS.mean(axis=2)
    probs_BCS -= mean_BC[:, :, None]
    return np.ascontiguousarray(probs_BCS), mean_BC


def kernel_sum(log_probs_BSC: Floats) -> Float64:
    """The sum of K_x over the rows, [S, S]. Cost: 2 S^2 C flops a row."""
    D_XS = deviations(log_probs_BSC)[0].reshape(-1, log_probs_BSC.shape[1])
    return D_XS.T @ D_XS


def core_mse(log_probs_BSC: Floats, kernel_SS: Float64) -> Float64:
    """The sum of the squared distances by which the label of each row moves other rows' predictions, [B].

    kernel_SS: the `kernel_sum` of the other rows. Cost: 2 S^2 C flops a row.
    """
    D_BCS, mean_BC = deviations(log_probs_BSC)
    B, C, S = D_BCS.shape
    forms_BC = np.vecdot(D_BCS.reshape(-1, S) @ kernel_SS, D_BCS.reshape(-1, S)).reshape(B, C)
    return (forms_BC / np.maximum(mean_BC, TINY)).sum(axis=1) / S**2


class Judges:
    """E evaluation rows, at each of which the change by a label is looked at. Memory: E S^2 floats."""

    def __init__(self, log_probs_ESC: Floats) -> None:
        D_ECS, _ = deviations(log_probs_ESC)
        self._kernels_EY = (D_ECS.transpose(0, 2, 1) @ D_ECS).reshape(len(D_ECS), -1)

    def moved(self, log_probs_BSC: Floats) -> Float64:
        """The mean squared distance by which the label of each row moves each evaluation row, [B, E].

        Cost: 2 S^2 flops for each pair of rows.
        """
        D_BCS, mean_BC = deviations(log_probs_BSC)
        scaled_BSC = (D_BCS / np.maximum(mean_BC, TINY)[:, :, None]).transpose(0, 2, 1)
        out_BE: Float64 = (scaled_BSC @ D_BCS).reshape(len(D_BCS), -1) @ self._kernels_EY.T
        out_BE /= D_BCS.shape[2] ** 2
        return out_BE
