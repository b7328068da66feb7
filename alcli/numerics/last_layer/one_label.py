"""What one more label of a row would do to the predictions at other rows, by the posterior of a last layer, without a refit.

Row x with label y moves the logits at x' by c(x', x) a_y(x): c = phi'^T P^-1 phi is the covariance of all classes alike, P the precision,
and a_y(x) = e_y - softmax(z + s a_y(x)), s = c(x, x), the implicit step that `alcli update` takes: z moves to the exact mode of the
label's likelihood under the posterior. (The published linear step, (e_y - p) / (1 + curvature s), overshoots where s is large.)
Source: Huseljic et al. 2025, section 4 (one covariance for all classes); Roy & McCallum 2001 and Kaeding et al. 2016 for what is expected.
Cost: M candidates, E rows, T labels: (M + E) D1^2 + 2 M E D1 flops; entropies and probabilities M E T C exponentials. Memory: E (C + D1)
numbers, and a few candidates' at a time.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np

from alcli.arrays import Float64, Floats, with_bias
from alcli.numerics import cholesky
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.last_layer.implicit_shared import implicit_shared
from alcli.numerics.last_layer.many_batches import whitened

Output = Literal["logits", "probs"]
# The mean over rows of what follows from their logits [C, E] up to a constant a row, which are overwritten by the second array, as large.
Mean: TypeAlias = Callable[[Float64, Float64], float]

_AT_ONCE = 64  # candidates
_FAR = 300.0  # moves of the logits, at most |c|, whose exponentials are still numbers


class Moves(NamedTuple):
    """cross_ME: c between candidates and the rows that are looked at. steps_MTC: a of the T likeliest labels of each candidate.

    share_MT: probabilities of these labels, which sum to 1.
    """

    cross_ME: Float64
    steps_MTC: Float64
    share_MT: Float64


class LabelAhead:
    """E rows whose predictions matter, and what they are expected to become with a label of a candidate, M candidates in a call.

    precision_DD: P over [h; 1]. H_ED, log_probs_EC: of the rows. labels: how many of a candidate's likeliest labels are looked at.
    """

    def __init__(self, precision_DD: Float64, H_ED: Floats, log_probs_EC: Floats, labels: int) -> None:
        with workers():
            self._factor_DD = cholesky.factor(np.asfortranarray(precision_DD), "the precision of the posterior")
            self._G_ED = whitened(self._factor_DD, with_bias(H_ED), np.float64)
        self._log_probs_CE: Float64 = np.ascontiguousarray(log_probs_EC.T, np.float64)
        self._labels = labels

    def entropy_fall(self, H_MD: Floats, log_probs_MC: Floats) -> Float64:
        """By how much the mean entropy at the rows is expected to fall, in nats, [M]."""
        return self._fall(_entropy, H_MD, log_probs_MC)

    def error_fall(self, H_MD: Floats, log_probs_MC: Floats) -> Float64:
        """By how much the mean of 1 - the largest probability at the rows is expected to fall, [M]."""
        return self._fall(_error, H_MD, log_probs_MC)

    def change(self, H_MD: Floats, log_probs_MC: Floats, output: Output) -> Float64:
        """The mean length by which outputs at the rows are expected to move, [M]; that of the logits costs no exponentials."""
        if output == "logits":
            return self._each(H_MD, log_probs_MC, _length)
        distance = partial(_distance, probs_CE=np.exp(self._log_probs_CE))
        return self._each(H_MD, log_probs_MC, partial(self._expected, mean=distance))

    def _fall(self, mean: Mean, H_MD: Floats, log_probs_MC: Floats) -> Float64:
        now = mean(self._log_probs_CE.copy(), np.empty_like(self._log_probs_CE))
        return now - self._each(H_MD, log_probs_MC, partial(self._expected, mean=mean))

    def _each(self, H_MD: Floats, log_probs_MC: Floats, score: Callable[[Moves], Float64]) -> Float64:
        """score(moves) of all candidates, some at once."""
        out_M = np.empty(len(H_MD))

        def work(first: int, last: int) -> None:
            for m in range(first // BLOCK_ROWS * _AT_ONCE, last // BLOCK_ROWS * _AT_ONCE, _AT_ONCE):
                some = slice(m, m + _AT_ONCE)
                out_M[some] = score(self._moves(H_MD[some], log_probs_MC[some]))

        with workers() as spread:
            spread(-(-len(H_MD) // _AT_ONCE) * BLOCK_ROWS, work)
        return out_M

    def _moves(self, H_MD: Floats, log_probs_MC: Floats) -> Moves:
        G_MD = whitened(self._factor_DD, with_bias(H_MD), np.float64)
        variance_M = np.einsum("md,md->m", G_MD, G_MD)
        logits_MC: Float64 = log_probs_MC.astype(np.float64)
        likely_MT = np.argsort(-logits_MC, axis=1, kind="stable")[:, : self._labels]
        share_MT = np.exp(np.take_along_axis(logits_MC, likely_MT, axis=1))
        share_MT /= share_MT.sum(axis=1, keepdims=True)
        steps = [implicit_shared(logits_MC, np.eye(logits_MC.shape[1])[y_M], variance_M) for y_M in likely_MT.T]
        return Moves(G_MD @ self._G_ED.T, np.stack(steps, axis=1), share_MT)

    def _expected(self, moves: Moves, mean: Mean) -> Float64:
        """The mean over labels of the mean over rows. Classes come first: sums over them then add rows that lie together, and the logits
        after one label stay in a cache."""
        out_M, logits_CE, room_CE = np.zeros(len(moves.cross_ME)), *np.empty((2, *self._log_probs_CE.shape))
        is_far_M = np.abs(moves.cross_ME).max(axis=1) > _FAR
        for m, cross_E in enumerate(moves.cross_ME):
            for share, step_C in zip(moves.share_MT[m], moves.steps_MTC[m]):
                np.multiply(step_C[:, None], cross_E, out=logits_CE)
                np.add(logits_CE, self._log_probs_CE, out=logits_CE)
                if is_far_M[m]:
                    np.subtract(logits_CE, logits_CE.max(axis=0), out=logits_CE)
                out_M[m] += share * mean(logits_CE, room_CE)
        return out_M


def _length(moves: Moves) -> Float64:
    """The mean over labels and rows of the length of what is added to the logits."""
    lengths_MT = np.sqrt(np.einsum("mtc,mtc->mt", moves.steps_MTC, moves.steps_MTC))
    out: Float64 = (moves.share_MT * lengths_MT).sum(axis=1) * np.abs(moves.cross_ME).mean(axis=1)
    return out


def _entropy(logits_CE: Float64, room_CE: Float64) -> float:
    """The entropy of the classes, at least 0."""
    p_CE = np.exp(logits_CE, out=room_CE)
    total_E = p_CE.sum(axis=0)
    return float((np.log(total_E) - np.einsum("ce,ce->e", p_CE, logits_CE) / total_E).mean())


def _error(logits_CE: Float64, room_CE: Float64) -> float:
    """1 - the largest probability."""
    p_CE = np.exp(logits_CE, out=room_CE)
    return float((1.0 - p_CE.max(axis=0) / p_CE.sum(axis=0)).mean())


def _distance(logits_CE: Float64, room_CE: Float64, probs_CE: Float64) -> float:
    """The length of the difference between the probabilities and others."""
    p_CE = np.exp(logits_CE, out=room_CE)
    p_CE *= 1.0 / p_CE.sum(axis=0)
    p_CE -= probs_CE
    return float(np.sqrt(np.einsum("ce,ce->e", p_CE, p_CE)).mean())
