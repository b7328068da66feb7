"""Rows that a classifier finds least like the labelled ones.

A logistic regression on the features tells labelled from unlabelled rows. The batch is picked in parts, each
after a new fit in which the earlier picks count as labelled, so that the rows do not all lie on the same
side. The labelled rows weigh 1 each, the unlabelled rows as much together; the prior is that of a softmax
head on these rows. While nothing is labelled the first pick is the row of largest norm.

Source: Gissin & Shalev-Shwartz 2019, "Discriminative active learning", Algorithm 1, with a linear model on
features; parts as in its section 4. The weights, the prior and the first pick are ours.
Cost: one eigenvalue problem of D x D, then per part a fit of 4 (M + L) D flops a step, tens of steps.
Memory: (M + L) D float64 for M candidates.
Passes: one over the ids, and the rows.

Options:
    parts: number of parts that a batch is picked in, each after a new fit of the classifier.
    candidates: number of random rows that take part, at least the batch size.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.arrays import Array, Float64, Floats, with_bias
from alcli.heads._prior import default_prior
from alcli.numerics.blocks import workers
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import fit_map
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import some_places
from alcli.selection.view import View

LABELLED, UNLABELLED = 0, 1
TOLERANCE = 1e-6


@batch(needs=["features", "labelled", "row_key"], random=True)
def discriminative(
    view: View, k: int, *, rng: np.random.Generator, parts: Count = 10, candidates: Count = 10_000
) -> Selection:
    """Pick k rows that are surest to be unlabelled, in parts.

    Scores: the log odds of being unlabelled when picked (the first without labels: its norm).
    """
    at_least(1, parts=parts, candidates=candidates)
    places_M, notes = some_places(view, max(candidates, k), rng)
    X_MD = view.features_at(places_M)
    # One thread computes the products that are not divided into blocks.
    with workers():
        sides = _Sides(X_MD, view.labelled())
        picks, scores = ([], []) if view.n_labelled else sides.first()
        for part in np.array_split(np.arange(len(picks), k), parts):
            if len(part):
                odds_M = sides.log_odds()
                best = np.argsort(-finite32(odds_M), kind="stable")[: len(part)]
                sides.label(best)
                picks += best.tolist()
                scores += odds_M[best].tolist()
    return Selection(view.rows[places_M[np.array(picks, np.int64)]], finite32(np.array(scores)), notes=notes)


class _Sides:
    """A rows: the M candidates, then the labelled rows, and the side of each row.

    Features are divided by their root mean square, so that their unit does not matter.
    """

    def __init__(self, X_MD: Floats, X_LD: Floats) -> None:
        self._M = len(X_MD)
        X_AD = np.concatenate([X_MD, X_LD]).astype(np.float64)
        self._norms_M = np.linalg.norm(X_AD[: self._M], axis=1)
        X_AD /= np.abs(X_AD).max() or 1.0
        X_AD /= np.sqrt(np.square(X_AD).sum(axis=1).mean()) or 1.0
        self._side_A: Array = np.repeat([UNLABELLED, LABELLED], [self._M, len(X_LD)])
        ones_A = np.ones(len(X_AD))
        self._prior = default_prior(X_AD, ones_A)
        self._rows: Rotated = rotate(with_bias(X_AD), self._side_A, ones_A, 2, column=bias_column(self._prior))
        self._W_CR: Float64 | None = None

    def first(self) -> tuple[list[int], list[float]]:
        """Label the candidate of largest norm; return (its place, its norm), a list each."""
        best = int(self._norms_M.argmax())
        self.label(np.array([best]))
        return [best], [float(self._norms_M[best])]

    def label(self, places: Array) -> None:
        """Count the candidates at the places as labelled."""
        self._side_A[places] = LABELLED

    def log_odds(self) -> Float64:
        """Fit the classifier; return the log odds of being unlabelled of every candidate, [M].

        The log odds are log P(unlabelled) - log P(labelled); -inf for candidates that count as labelled.
        """
        counts = np.bincount(self._side_A, minlength=2)
        weights_A = counts[LABELLED] / counts[self._side_A]
        # The diagonal that preconditions the directions: an approximation is good enough.
        gram_R = self._rows.gram_R * weights_A.mean()
        rows = replace(self._rows, gram_R=gram_R, y_L=self._side_A, weights_L=weights_A)
        fitted = fit_map(rows, self._prior, start_CR=self._W_CR, tolerance=TOLERANCE)
        self._W_CR = fitted.W_CR
        odds_M: Float64 = self._rows.Z_LR[: self._M] @ (fitted.W_CR[UNLABELLED] - fitted.W_CR[LABELLED])
        odds_M[self._side_A[: self._M] == LABELLED] = -np.inf
        return odds_M
