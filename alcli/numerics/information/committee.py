"""What the members of a committee, or draws of a posterior, say of a row together.

log_probs_BSC: log class probabilities of B rows by S members. Everything is worked out in pieces that stay in a cache, and rows do not
see each other: no answer depends on which rows share a block.
Source: Houlsby et al. 2011, "Bayesian active learning for classification and preference learning", eq. 2 (information); Dagan & Engelson
1995, "Committee-based sampling for training probabilistic classifiers" (votes).
Cost: one exponential a number (information: and a logarithm), and a handful of passes over a piece.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64

TINY = np.finfo(np.float64).tiny
_LEAST = 1e-150  # ratio: a product of two still has a logarithm
_PIECE = 1 << 16  # numbers: 512 KiB


def information(log_probs_BSC: Floats) -> Float64:
    """BALD: what the label of a row says of which member is right, float64 [B], between 0 and log C.

    H(mean of P_s) - mean of H(P_s), as sum over classes of p mean_s (r log r - r + 1) with r = P_s / p: no term is negative, so that
    information of 1e-14 nats keeps eight digits, where the difference of the two entropies keeps two.
    """
    return _by_pieces(_information, log_probs_BSC)


def deviation(log_probs_BSC: Floats) -> Float64:
    """Standard deviation of the class probabilities over members, mean over classes, float64 [B]."""
    return _by_pieces(_deviation, log_probs_BSC)


def votes(log_probs_BSC: Floats) -> Int64:
    """How many members hold each class for the most probable (the lowest of equals), int64 [B, C]."""
    return _by_pieces(_votes, log_probs_BSC)


def entropy(probs_BC: Floats) -> Float64:
    """-sum p log p over the last axis, in nats; 0 log 0 is 0."""
    out: Float64 = -(probs_BC * np.log(np.maximum(probs_BC, TINY))).sum(axis=-1)
    return out


def ratios(log_probs_BSC: Floats) -> tuple[Float64, Float64]:
    """(P_s / p [B, S, C], p [B, C]) for the mean p of the probabilities P_s over the draws."""
    probs_BSC = np.exp(log_probs_BSC)
    mean_BC = probs_BSC.mean(axis=1)
    probs_BSC /= np.maximum(mean_BC, TINY)[:, None]
    return np.maximum(probs_BSC, _LEAST, out=probs_BSC), mean_BC


def excess(R: Float64) -> Float64:
    """R log R - R + 1, at least 0 up to rounding, and 0 at 1 alone. R is overwritten."""
    out: Float64 = np.log(R)
    out *= R
    R -= 1.0  # not R (log R - 1) + 1, which near 1 would keep only what is left of eight digits
    out -= R
    return out


def _information(log_probs_BSC: Floats) -> Float64:
    ratios_BSC, mean_BC = ratios(log_probs_BSC)
    out: Float64 = (excess(ratios_BSC).mean(axis=1) * mean_BC).sum(axis=1)
    return np.maximum(out, 0.0)


def _deviation(log_probs_BSC: Floats) -> Float64:
    probs_BSC = np.exp(log_probs_BSC)
    probs_BSC -= probs_BSC.mean(axis=1, keepdims=True)
    np.square(probs_BSC, out=probs_BSC)
    out: Float64 = np.sqrt(probs_BSC.mean(axis=1)).mean(axis=1)
    return out


def _votes(log_probs_BSC: Floats) -> Int64:
    B, _, C = log_probs_BSC.shape
    votes_BS = log_probs_BSC.argmax(axis=2) + C * np.arange(B)[:, None]
    return np.bincount(votes_BS.ravel(), minlength=B * C).reshape(B, C)


def _by_pieces(work: Callable[[Floats], Array], log_probs_BSC: Floats) -> Array:
    step = max(1, _PIECE // max(1, log_probs_BSC[0].size if len(log_probs_BSC) else 1))
    return np.concatenate([work(log_probs_BSC[i : i + step]) for i in range(0, max(1, len(log_probs_BSC)), step)])
