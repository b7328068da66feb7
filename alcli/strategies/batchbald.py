"""The batch whose labels together say most about the model.

The batch is built greedily, each row by its marginal gain I(y; weights | labels of the picks): how much the
row's label still says about the weights once the labels of the picked rows are known. Copies of a row thus
count once.

A configuration j is one way of labelling the picked rows. It has the probability q_j = mean_s P_s(j), and
under it draw s of the posterior has the weight w_js = P_s(j) / sum_s P_s(j). The marginal gain of a row is
    sum_j q_j [H(sum_s w_js P_s) - sum_s w_js H(P_s)].
No bracket is negative, whichever configurations are looked at. The estimate of the batch's information thus
never falls, and the sampling error of H(labels of the picks) cancels. All configurations are enumerated while
they fit into `configurations`; a total probability below 1e-16 is dropped. From then on configurations are
sampled anew for every pick, equally many under each draw, and w_js carries the importance weight 1 / q_j.

Mutual information is submodular: the gain of a row only falls as the batch grows, and starts at the row's
BALD. So (a) a row is looked at again only when its last gain reaches the best gain found, which changes no
pick. For a sampled gain the bound is five standard errors higher, and a later estimate is cut there. And (b)
of a large pool the `candidates` rows of highest BALD are looked at. A pick that gains more than the highest
BALD left out is the pick of the whole pool; a note counts such picks.

Where labels are numbers, the gain is that of normal labels, in closed form: half the log of the determinant of
the joint covariance of the labels. All candidates are looked at.

Source: Kirsch, van Amersfoort & Gal 2019, "BatchBALD: efficient and diverse batch acquisition for deep
Bayesian active learning", section 3.3 and Alg. 1, from S joint draws. The brackets are ours, equal in the
exact case.
Cost: bald once; then per pick at most 2 M J S C flops and M J C logarithms for M candidates and J
configurations, of which (a) often saves nine tenths. The most is 0.7 s on one core of 50 GFLOP/s for 2,000
candidates, 10,000 configurations, 50 draws and 10 classes. Memory M S C + J S floats.
Numbers: 2 N (D + K) flops a pick, and N K numbers.
Passes: 1, and the rows of highest BALD.

Options:
    configurations: the most labellings of the picked rows that are kept; where there are more, as many are
        sampled for every pick.
    candidates: number of rows of highest BALD that are looked at, at least the batch size.
"""

from __future__ import annotations

import math

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64
from alcli.numerics.blocks import Spread, share, workers
from alcli.numerics.information.normal_labels import greedy_labels
from alcli.numerics.lazy_best import best_rows
from alcli.remarks import steps
from alcli.selection.options import Count, at_least
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import Shortlist
from alcli.selection.view import View

# Sizes of the pieces that are computed together: columns, and numbers in total.
_WIDTH, _CELLS = 512, 1 << 17
_ERRORS = 5.0  # standard errors from a sampled gain to its bound
# The probability that a complete table may leave out: below what float64 resolves of a sum of 1.
_LOST = 1e-16
# Log-probabilities are clamped here.
_LEAST = -690.0


@batch(needs=["network", "output_root"])
def of_numbers(view: View, k: int) -> Selection:
    """Pick k items by their gains, of numbers. The gains of the labels of a group's rows are joint."""
    parts, noise = Parts.of(view), float(view.network().noise_variance)
    root_RQ = parts.view.reduced(lambda root_BQ: root_BQ, "output_root")
    picks_K, gains_K = greedy_labels(root_RQ, parts.starts_N, noise, k)
    return Selection(view.rows[picks_K], gains_K, record={"exact-picks": k})


@batch(needs=["features", "sample_log_probs"], random=True, samples=50, numbers=of_numbers, of_means=True)
def batchbald(
    view: View, k: int, *, rng: np.random.Generator, configurations: Count = 10_000, candidates: Count = 2_000
) -> Selection:
    """Pick k rows by their marginal gains.

    Scores: the gain in joint mutual information by each pick, in nats; the sum of the gains is the
    information of the batch.
    """
    at_least(1, configurations=configurations, candidates=candidates)
    shortlist = Shortlist.of(view, max(candidates, k))
    log_probs_MSC = view.at("sample_log_probs", shortlist.places_M)
    picks_K, gains_K, exact = greedy(log_probs_MSC, shortlist.bald_M, k, configurations, rng)
    return Selection(
        shortlist.rows_M[picks_K], gains_K, notes=shortlist.notes("batchbald", gains_K), record={"exact-picks": exact}
    )


def greedy(
    log_probs_MSC: Floats, bald_M: Float32, k: int, configurations: int, rng: np.random.Generator
) -> tuple[Int64, Float32, int]:
    """Pick k rows one by one, each of the largest marginal gain as float32 (the lowest of equals).

    Returns the picks, their gains, and the number of first picks whose gains are exact.
    """
    known = Configurations(log_probs_MSC.shape[1], configurations)
    bounds_M = bald_M.astype(np.float64)

    def gain(rows_B: Int64) -> Float64:
        gains_B, upper_B = known.gains(log_probs_MSC[rows_B], spread)
        gains_B = np.minimum(gains_B, bounds_M[rows_B])
        bounds_M[rows_B] = np.minimum(upper_B, bounds_M[rows_B])
        return gains_B

    picks, gains, exact = [int(bald_M.argmax())], [bald_M.max()], 1
    with workers() as spread:
        for _ in steps(range(k - 1), "picking", k - 1):
            known.add(log_probs_MSC[picks[-1]], rng)
            bounds_M[picks[-1]] = -np.inf
            row, value, _ = best_rows(bounds_M, 1, gain)
            picks.append(int(row[0]))
            gains.append(value[0])
            exact += known.exact
    return np.array(picks, np.int64), np.array(gains, np.float32), exact


class Configurations:
    """J labellings of the rows picked so far.

    most: the number of labellings that are kept, and that are sampled when more would be needed. shares_J:
    float64, the probability of each labelling, or its share of the sampled labellings.
    Cost: for each row 2 J S C flops and J C logarithms, in pieces of 1 MiB; memory J S floats.
    """

    def __init__(self, n_samples: int, most: int) -> None:
        self._most = most
        self._picked_KSC: list[Float64] = []
        self._table_JS: Float64 | None = np.ones((1, n_samples))
        self.shares_J, self._weights_JS = np.ones(1), np.full((1, n_samples), 1.0 / n_samples)
        self._sampled = 0  # labellings that were drawn

    @property
    def exact(self) -> bool:
        """True where all configurations are kept."""
        return self._table_JS is not None

    def add(self, log_probs_SC: Floats, rng: np.random.Generator) -> None:
        """Add a picked row. rng is used once the table is full."""
        self._picked_KSC.append(np.maximum(log_probs_SC, _LEAST))
        self._table_JS = (
            None if self._table_JS is None else self._extended(self._table_JS, np.exp(self._picked_KSC[-1]))
        )
        if self._table_JS is not None:
            totals_J = self._table_JS.sum(axis=1)
            self.shares_J, self._weights_JS = totals_J / totals_J.sum(), self._table_JS / totals_J[:, None]
        else:
            self._sample(rng)

    def _extended(self, table_JS: Float64, probs_SC: Float64) -> Float64 | None:
        """Extend each configuration by each label of one more row; None when more than `most` have a probability."""
        probs_JC = table_JS @ probs_SC / len(probs_SC)
        configurations, labels = np.nonzero(probs_JC > _LOST / probs_JC.size)
        return table_JS[configurations] * probs_SC.T[labels] if len(configurations) <= self._most else None

    def _sample(self, rng: np.random.Generator) -> None:
        """Sample labels of the picked rows under each draw of the posterior; equal configurations are counted."""
        picked_KSC = np.stack(self._picked_KSC)
        S = picked_KSC.shape[1]
        uniforms_KSR = rng.random((len(picked_KSC), S, max(1, self._most // S)))
        cumulated_KSC = np.cumsum(np.exp(picked_KSC), axis=2)
        labels_KJ = np.stack(
            [_inverse(cumulated_SC, uniforms_SR) for cumulated_SC, uniforms_SR in zip(cumulated_KSC, uniforms_KSR)]
        )
        labels_KJ, counts_J = _distinct(labels_KJ, picked_KSC.shape[2])
        logs_JS = np.zeros((labels_KJ.shape[1], S))
        for log_probs_SC, labels_J in zip(picked_KSC, labels_KJ):
            logs_JS += log_probs_SC.T[labels_J]
        weights_JS = np.exp(logs_JS - logs_JS.max(axis=1, keepdims=True))
        self._sampled = int(counts_J.sum())
        self.shares_J, self._weights_JS = counts_J / self._sampled, weights_JS / weights_JS.sum(axis=1, keepdims=True)

    def gains(self, log_probs_BSC: Floats, spread: Spread) -> tuple[Float64, Float64]:
        """Return (marginal gains, upper bounds of the gains), float64 [B], at least 0; without picks the gain is BALD.

        The bounds hold for every larger set of picks too. An exact gain is its own bound; the bound of a
        sampled gain lies five standard errors above it.
        """
        B, _, C = log_probs_BSC.shape
        moments_2B, rows = np.empty((2, B)), max(1, _WIDTH // C)

        def task(i: int) -> None:
            part = slice(i * rows, (i + 1) * rows)
            moments_2B[:, part] = self._moments(log_probs_BSC[part])

        share(spread, -(-B // rows), task)
        gains_B, squares_B = moments_2B
        variances_B = np.maximum(squares_B - gains_B**2, 0.0) / self._sampled if self._sampled else np.zeros(B)
        return gains_B, gains_B + _ERRORS * np.sqrt(variances_B)

    def _moments(self, log_probs_PSC: Floats) -> Float64:
        """The mean and the mean square over configurations of the module's bracket, [2, P], for P rows."""
        P, S, C = log_probs_PSC.shape
        logs_SCP = np.ascontiguousarray(np.maximum(log_probs_PSC, _LEAST).transpose(1, 2, 0))
        probs_SCP = np.exp(logs_SCP)
        logs_SCP *= probs_SCP
        # Minus the entropies of the draws.
        within_SP = logs_SCP.sum(axis=1)
        moments_2P, ones_C = np.zeros((2, P)), np.ones(C)
        height = max(1, _CELLS // (C * P))
        for j in range(0, len(self.shares_J), height):
            weights_JS, shares_J = self._weights_JS[j : j + height], self.shares_J[j : j + height]
            mixed_JX = weights_JS @ probs_SCP.reshape(S, C * P)
            logs_JX = np.log(mixed_JX)
            logs_JX *= mixed_JX
            brackets_JP = weights_JS @ within_SP
            # A matrix product adds short rows up four times as fast as a sum.
            brackets_JP -= ones_C @ logs_JX.reshape(-1, C, P)
            # Rounding may make a bracket of 0 slightly negative.
            np.maximum(brackets_JP, 0.0, out=brackets_JP)
            moments_2P += shares_J @ brackets_JP, shares_J @ np.square(brackets_JP)
        return moments_2P


def _distinct(labels_KJ: Int64, C: int) -> tuple[Int64, Int64]:
    """Return the distinct columns and the number of times each occurs.

    Where more than 2^62 columns are possible, all columns are kept, equal ones too.
    """
    K, J = labels_KJ.shape
    if K * math.log2(C) > 62:
        return labels_KJ, np.ones(J, np.int64)
    codes_J = C ** np.arange(K) @ labels_KJ
    _, first, counts = np.unique(codes_J, return_index=True, return_counts=True)
    return labels_KJ[:, first], counts


def _inverse(cumulated_SC: Float64, uniforms_SR: Float64) -> Int64:
    """Turn R uniforms under each draw into labels by the draw's distribution function, int64 [S R]."""
    S, C = cumulated_SC.shape
    # The function of draw s is shifted by s, so that one search serves all draws. Rounding can then give the
    # label C, which is cut to C - 1.
    lifted = (cumulated_SC / cumulated_SC[:, -1:] + np.arange(S)[:, None]).ravel()
    places_SR = np.searchsorted(lifted, uniforms_SR + np.arange(S)[:, None], side="right")
    return np.minimum(places_SR - C * np.arange(S)[:, None], C - 1).ravel()
