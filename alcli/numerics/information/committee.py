"""Measures of disagreement between the members of a committee, or between draws of a posterior: information, votes.

log_probs_BSC: log class probabilities of B rows under S members. Rows are processed in pieces that stay in the cache.
The result for a row does not depend on the other rows of its block.

Source: Houlsby et al. 2011, "Bayesian active learning for classification and preference learning", eq. 2 (information);
Dagan & Engelson 1995, "Committee-based sampling for training probabilistic classifiers" (votes).
Cost: one exponential a number, for `information` also a logarithm, and a handful of passes over a piece.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64

TINY = np.finfo(np.float64).tiny
# The smallest ratio: the product of two ratios does not underflow, so its logarithm is finite.
_LEAST = 1e-150
# Numbers in a piece, 512 KiB.
_PIECE = 1 << 16


def information(log_probs_BSC: Floats) -> Float64:
    """Compute BALD: the mutual information between the label of a row and the member, float64 [B], 0 to log C nats.

    BALD is H(mean of P_s) - mean of H(P_s). It is computed as the sum over classes of p mean_s (r log r - r + 1),
    where p = mean of P_s and r = P_s / p. No term is negative, so information of 1e-14 nats keeps eight digits; the
    difference of the entropies would keep two.
    """
    return _by_pieces(_information, log_probs_BSC)


def deviation(log_probs_BSC: Floats) -> Float64:
    """Compute the standard deviation of the class probabilities over members, mean over classes, float64 [B]."""
    return _by_pieces(_deviation, log_probs_BSC)


def votes(log_probs_BSC: Floats) -> Int64:
    """Count the members for which each class is the most probable (the lowest of equals), int64 [B, C]."""
    return _by_pieces(_votes, log_probs_BSC)


def entropy(probs_BC: Floats) -> Float64:
    """Compute the entropy -sum p log p over the last axis, in nats; 0 log 0 is 0."""
    return -(probs_BC * np.log(np.maximum(probs_BC, TINY))).sum(axis=-1)


def ratios(log_probs_BSC: Floats) -> tuple[Float64, Float64]:
    """Compute (P_s / p [B, S, C], p [B, C]), where p is the mean of the probabilities P_s over the draws."""
    probs_BSC = np.exp(log_probs_BSC)
    mean_BC = probs_BSC.mean(axis=1)
    probs_BSC /= np.maximum(mean_BC, TINY)[:, None]
    return np.maximum(probs_BSC, _LEAST, out=probs_BSC), mean_BC


def excess(R: Float64) -> Float64:
    """Compute R log R - R + 1, which is 0 for R = 1 and positive elsewhere, up to rounding. Overwrites R."""
    out: Float64 = np.log(R)
    out *= R
    # Near R = 1 both R log R and R - 1 are small, so their difference keeps its digits. R (log R - 1) + 1 would be
    # rounded in units of 1, and would keep only some of eight digits.
    R -= 1.0
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
    return np.sqrt(probs_BSC.mean(axis=1)).mean(axis=1)


def _votes(log_probs_BSC: Floats) -> Int64:
    B, _, C = log_probs_BSC.shape
    votes_BS = log_probs_BSC.argmax(axis=2) + C * np.arange(B)[:, None]
    return np.bincount(votes_BS.ravel(), minlength=B * C).reshape(B, C)


def _by_pieces(work: Callable[[Floats], Array], log_probs_BSC: Floats) -> Array:
    step = max(1, _PIECE // max(1, log_probs_BSC[0].size if len(log_probs_BSC) else 1))
    return np.concatenate([work(log_probs_BSC[i : i + step]) for i in range(0, max(1, len(log_probs_BSC)), step)])
