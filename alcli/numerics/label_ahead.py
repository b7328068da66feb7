"""What one more label of a row would do to the predictions at other rows, by the posterior of a last layer, without a refit.

Row x with label y moves the logits at x' by c(x', x) a_y(x): c = phi'^T P^-1 phi is the covariance of all classes alike, P the precision,
and a_y(x) = e_y - softmax(z + s a_y(x)), s = c(x, x), the implicit step that `alcli update` takes: z moves to the exact mode of the
label's likelihood under the posterior. (The published linear step, (e_y - p) / (1 + curvature s), overshoots where s is large.)
Source: Huseljic et al. 2025, section 4 (one covariance for all classes); Roy & McCallum 2001 and Kaeding et al. 2016 for what is expected.
Cost: M candidates, E rows, T labels: (M + E) D1^2 + 2 M E D1 flops; entropies and probabilities M E T C exponentials. Memory M E + E C numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from alcli.arrays import Float64, Floats, with_bias
from alcli.numerics import cholesky
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.implicit_shared import implicit_shared
from alcli.numerics.look_ahead import whitened

Output = Literal["logits", "probs"]

_FAR = 300.0  # moves of the logits, at most |c|, whose exponentials are still numbers


@dataclass(frozen=True)
class LabelAhead:
    """cross_ME: c between candidates and the rows that are looked at. steps_MTC: a of the T likeliest labels of each candidate.

    share_MT: probabilities of these labels, which sum to 1. log_probs_EC: of the rows that are looked at.
    """

    cross_ME: Float64
    steps_MTC: Float64
    share_MT: Float64
    log_probs_EC: Float64

    def entropy_fall(self) -> Float64:
        """By how much the mean entropy at the rows is expected to fall, in nats, [M]."""
        return _entropy(self.log_probs_EC.T) - self._expected(_entropy)

    def error_fall(self) -> Float64:
        """By how much the mean of 1 - the largest probability at the rows is expected to fall, [M]."""
        return _error(self.log_probs_EC.T) - self._expected(_error)

    def change(self, output: Output) -> Float64:
        """The mean length by which outputs at the rows are expected to move, [M]; that of the logits costs no exponentials."""
        if output == "logits":
            lengths_M = (self.share_MT * np.sqrt(np.einsum("mtc,mtc->mt", self.steps_MTC, self.steps_MTC))).sum(axis=1)
            return lengths_M * np.abs(self.cross_ME).mean(axis=1)  # type: ignore[no-any-return]
        return self._expected(partial(_distance, probs_CE=np.exp(np.ascontiguousarray(self.log_probs_EC.T))))

    def _expected(self, score: Callable[[Float64], float]) -> Float64:
        """The mean over labels of score(logits [C, E] at the rows once a label is seen), for every candidate. Classes come first: sums over
        them then add rows that lie together, and one label at a time stays in a cache."""
        out_M, log_probs_CE = np.zeros(len(self.cross_ME)), np.ascontiguousarray(self.log_probs_EC.T)
        is_far_M = np.abs(self.cross_ME).max(axis=1) > _FAR

        def some(first: int, last: int) -> None:
            logits_CE = np.empty_like(log_probs_CE)
            for m in range(first // BLOCK_ROWS, last // BLOCK_ROWS):
                for share, step_C in zip(self.share_MT[m], self.steps_MTC[m]):
                    np.multiply(step_C[:, None], self.cross_ME[m], out=logits_CE)
                    np.add(logits_CE, log_probs_CE, out=logits_CE)
                    if is_far_M[m]:
                        np.subtract(logits_CE, logits_CE.max(axis=0), out=logits_CE)
                    out_M[m] += share * score(logits_CE)

        with workers() as spread:
            spread(len(out_M) * BLOCK_ROWS, some)
        return out_M


def label_ahead(
    precision_DD: Float64, H_MD: Floats, log_probs_MC: Floats, H_ED: Floats, log_probs_EC: Floats, labels: int
) -> LabelAhead:
    """Look ahead on M candidates, at E rows. precision_DD: P over [h; 1]. labels: how many of the likeliest labels are looked at."""
    with workers():
        factor_DD = cholesky.factor(np.asfortranarray(precision_DD), "the precision of the posterior")
        G_MD, G_ED = whitened(factor_DD, with_bias(H_MD), np.float64), whitened(factor_DD, with_bias(H_ED), np.float64)
        cross_ME = G_MD @ G_ED.T
    logits_MC: Float64 = log_probs_MC.astype(np.float64)
    likely_MT = np.argsort(-logits_MC, axis=1, kind="stable")[:, :labels]
    share_MT = np.exp(np.take_along_axis(logits_MC, likely_MT, axis=1))
    share_MT /= share_MT.sum(axis=1, keepdims=True)
    variance_M = np.einsum("md,md->m", G_MD, G_MD)
    steps = [implicit_shared(logits_MC, np.eye(logits_MC.shape[1])[y_M], variance_M) for y_M in likely_MT.T]
    return LabelAhead(cross_ME, np.stack(steps, axis=1), share_MT, log_probs_EC.astype(np.float64))


def _entropy(logits_CE: Float64) -> float:
    """The mean over rows of the entropy of their classes, at least 0."""
    p_CE = np.exp(logits_CE)
    total_E = p_CE.sum(axis=0)
    return float((np.log(total_E) - np.einsum("ce,ce->e", p_CE, logits_CE) / total_E).mean())


def _error(logits_CE: Float64) -> float:
    """The mean over rows of 1 - the largest probability."""
    p_CE = np.exp(logits_CE)
    return float((1.0 - p_CE.max(axis=0) / p_CE.sum(axis=0)).mean())


def _distance(logits_CE: Float64, probs_CE: Float64) -> float:
    """The mean over rows of the length of the difference between their probabilities and others."""
    p_CE = np.exp(logits_CE)
    p_CE *= 1.0 / p_CE.sum(axis=0)
    p_CE -= probs_CE
    return float(np.sqrt(np.einsum("ce,ce->e", p_CE, p_CE)).mean())
