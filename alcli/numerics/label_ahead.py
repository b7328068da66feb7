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
from typing import Literal

import numpy as np

from alcli.arrays import Float64, Floats, with_bias
from alcli.numerics import cholesky
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.implicit_shared import implicit_shared
from alcli.numerics.logistic import softmax
from alcli.numerics.look_ahead import whitened

Output = Literal["logits", "probs"]


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
        now = float(_entropies(self.log_probs_EC).mean())
        return now - self._expected(lambda logits_TEC: _entropies(logits_TEC).mean(axis=1))

    def error_fall(self) -> Float64:
        """By how much the mean of 1 - the largest probability at the rows is expected to fall, [M]."""
        now = float(_errors(self.log_probs_EC).mean())
        return now - self._expected(lambda logits_TEC: _errors(logits_TEC).mean(axis=1))

    def change(self, output: Output) -> Float64:
        """The mean length by which outputs at the rows are expected to move, [M]; that of the logits costs no exponentials."""
        if output == "logits":
            lengths_M = (self.share_MT * np.sqrt(np.einsum("mtc,mtc->mt", self.steps_MTC, self.steps_MTC))).sum(axis=1)
            return lengths_M * np.abs(self.cross_ME).mean(axis=1)  # type: ignore[no-any-return]
        probs_EC = np.exp(self.log_probs_EC)
        return self._expected(lambda logits_TEC: np.linalg.norm(softmax(logits_TEC) - probs_EC, axis=2).mean(axis=1))

    def _expected(self, score: Callable[[Float64], Float64]) -> Float64:
        """The mean over labels of score(logits [T, E, C] at the rows once each label is seen) -> [T], for every candidate."""
        out_M = np.empty(len(self.cross_ME))

        def some(first: int, last: int) -> None:
            for m in range(first // BLOCK_ROWS, last // BLOCK_ROWS):
                logits_TEC = self.cross_ME[m, :, None] * self.steps_MTC[m][:, None]
                logits_TEC += self.log_probs_EC
                out_M[m] = float(self.share_MT[m] @ score(logits_TEC))

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


def _entropies(logits: Float64) -> Float64:
    """Of the classes of the last axis, at least 0."""
    logits = logits - logits.max(axis=-1, keepdims=True)
    p = np.exp(logits)
    total = p.sum(axis=-1)
    p *= logits
    return np.log(total) - p.sum(axis=-1) / total  # type: ignore[no-any-return]


def _errors(logits: Float64) -> Float64:
    """1 - the largest probability."""
    return 1.0 - 1.0 / np.exp(logits - logits.max(axis=-1, keepdims=True)).sum(axis=-1)  # type: ignore[no-any-return]
