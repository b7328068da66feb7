"""Expected change of the predictions at other rows by one more label that is not yet known, for many candidates.

There are M candidates, and E rows whose predictions matter. A candidate's label is unknown, so changes are averaged
over its T likeliest labels, weighted by their probabilities. No true label is needed. (many_batches.py takes whole
batches with known labels, and scores them on rows with known labels.)
A label y of row x moves the logits at x' by c(x', x) a_y(x), without a refit. c = phi'^T P^-1 phi is the covariance,
the same for all classes; P is the precision. With z the logits at x and s = c(x, x), the step a_y(x) solves
a_y = e_y - softmax(z + s a_y). This is the implicit step of `alcli update`: z moves to the exact mode of the label's
likelihood under the posterior. (The published linear step, (e_y - p) / (1 + curvature s), overshoots where s is large.)
Source: Huseljic et al. 2025, section 4, for one covariance for all classes; Roy & McCallum 2001 and Kaeding et al. 2016
for the expected quantities.
Cost: (M + E) D1^2 + 2 M E D1 flops; entropies and probabilities take M E T C exponentials more.
Memory: E (C + D1) numbers, and E for each of a few candidates at a time.
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
# (logits [C, E], scratch array [C, E]) -> mean over the E rows of a quantity of their predictions.
# The logits are known up to a constant for each row. The scratch array is overwritten.
Mean: TypeAlias = Callable[[Float64, Float64], float]

# Candidates at a time.
_AT_ONCE = 64
# Logits move by at most |c|. Beyond this the largest logit is subtracted first, so that no exponential overflows.
_FAR = 300.0


class Moves(NamedTuple):
    """The moves of the logits by the labels of M candidates.

    cross_ME: c between the candidates and the E rows. steps_MTC: the step a of each candidate's T likeliest labels.
    share_MT: the probabilities of these labels, scaled to sum to 1.
    """

    cross_ME: Float64
    steps_MTC: Float64
    share_MT: Float64


class LabelAhead:
    """The E rows whose predictions matter, with the expected changes by a label of each of M candidates in a call.

    precision_DD: P over [h; 1], [D1, D1]. H_ED, log_probs_EC: last hidden features and log-probabilities of the E rows.
    labels: T, the number of a candidate's likeliest labels that are averaged over.
    Raises DataError where the precision is not positive definite.
    """

    def __init__(self, precision_DD: Float64, H_ED: Floats, log_probs_EC: Floats, labels: int) -> None:
        with workers():
            self._factor_DD = cholesky.factor(np.asfortranarray(precision_DD), "the precision of the posterior")
            self._G_ED = whitened(self._factor_DD, with_bias(H_ED), np.float64)
        self._log_probs_CE: Float64 = np.ascontiguousarray(log_probs_EC.T, np.float64)
        self._labels = labels

    def entropy_fall(self, H_MD: Floats, log_probs_MC: Floats) -> Float64:
        """The expected fall of the mean entropy at the E rows, in nats, [M]."""
        return self._fall(_entropy, H_MD, log_probs_MC)

    def error_fall(self, H_MD: Floats, log_probs_MC: Floats) -> Float64:
        """The expected fall of the mean of (1 - the largest probability) at the E rows, [M]."""
        return self._fall(_error, H_MD, log_probs_MC)

    def change(self, H_MD: Floats, log_probs_MC: Floats, output: Output) -> Float64:
        """The expected mean distance by which the outputs at the E rows move, [M]. Logits cost no exponentials."""
        if output == "logits":
            return self._each(H_MD, log_probs_MC, _length)
        distance = partial(_distance, probs_CE=np.exp(self._log_probs_CE))
        return self._each(H_MD, log_probs_MC, partial(self._expected, mean=distance))

    def _fall(self, mean: Mean, H_MD: Floats, log_probs_MC: Floats) -> Float64:
        now = mean(self._log_probs_CE.copy(), np.empty_like(self._log_probs_CE))
        return now - self._each(H_MD, log_probs_MC, partial(self._expected, mean=mean))

    def _each(self, H_MD: Floats, log_probs_MC: Floats, score: Callable[[Moves], Float64]) -> Float64:
        """Compute score(moves) of all candidates, _AT_ONCE at a time, over threads; [M]."""
        out_M = np.empty(len(H_MD))
        # `spread` shares out blocks of BLOCK_ROWS rows. Here one block stands for _AT_ONCE candidates.

        def work(first: int, last: int) -> None:
            for m in range(first // BLOCK_ROWS * _AT_ONCE, last // BLOCK_ROWS * _AT_ONCE, _AT_ONCE):
                some = slice(m, m + _AT_ONCE)
                out_M[some] = score(self._moves(H_MD[some], log_probs_MC[some]))

        with workers() as spread:
            spread(-(-len(H_MD) // _AT_ONCE) * BLOCK_ROWS, work)
        return out_M

    def _moves(self, H_MD: Floats, log_probs_MC: Floats) -> Moves:
        """Compute the moves by the labels of some candidates."""
        G_MD = whitened(self._factor_DD, with_bias(H_MD), np.float64)
        variance_M = np.einsum("md,md->m", G_MD, G_MD)
        logits_MC: Float64 = log_probs_MC.astype(np.float64)
        likely_MT = np.argsort(-logits_MC, axis=1, kind="stable")[:, : self._labels]
        share_MT = np.exp(np.take_along_axis(logits_MC, likely_MT, axis=1))
        share_MT /= share_MT.sum(axis=1, keepdims=True)
        steps = [implicit_shared(logits_MC, np.eye(logits_MC.shape[1])[y_M], variance_M) for y_M in likely_MT.T]
        return Moves(G_MD @ self._G_ED.T, np.stack(steps, axis=1), share_MT)

    def _expected(self, moves: Moves, mean: Mean) -> Float64:
        """The expectation of `mean` over each candidate's labels, [M].

        Arrays are [C, E]: a sum over classes then adds rows that are contiguous in memory, and the logits after one
        label stay in a cache.
        """
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
    """The mean over labels and rows of the length of the move of the logits, [M]."""
    lengths_MT = np.sqrt(np.einsum("mtc,mtc->mt", moves.steps_MTC, moves.steps_MTC))
    return (moves.share_MT * lengths_MT).sum(axis=1) * np.abs(moves.cross_ME).mean(axis=1)


def _entropy(logits_CE: Float64, room_CE: Float64) -> float:
    """The mean entropy of the class probabilities, in nats."""
    p_CE = np.exp(logits_CE, out=room_CE)
    total_E = p_CE.sum(axis=0)
    return float((np.log(total_E) - np.einsum("ce,ce->e", p_CE, logits_CE) / total_E).mean())


def _error(logits_CE: Float64, room_CE: Float64) -> float:
    """The mean of 1 - the largest probability."""
    p_CE = np.exp(logits_CE, out=room_CE)
    return float((1.0 - p_CE.max(axis=0) / p_CE.sum(axis=0)).mean())


def _distance(logits_CE: Float64, room_CE: Float64, probs_CE: Float64) -> float:
    """The mean Euclidean distance between the probabilities and probs_CE."""
    p_CE = np.exp(logits_CE, out=room_CE)
    p_CE *= 1.0 / p_CE.sum(axis=0)
    p_CE -= probs_CE
    return float(np.sqrt(np.einsum("ce,ce->e", p_CE, p_CE)).mean())
