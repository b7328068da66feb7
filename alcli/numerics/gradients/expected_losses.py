"""The losses of a row under S draws of the last layer, expected over the row's labels: a vector of S numbers a row.

Source: Shen et al. 2022, "Batch active learning from the perspective of sparse approximation", eq. 13 and 19.
Cost: O(S C) a row. Memory: that of the block of log probabilities.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float32, Float64


def expected_and_spread(log_probs_BSC: Float64) -> Float32:
    """Return sigma N of each row, then its expected losses, [B, 1 + S].

    The expected loss under each draw is centred over the draws and divided by sqrt(S).
    """
    return moments(-log_probs_BSC, mean_probs(log_probs_BSC)).astype(np.float32)


def mean_probs(log_probs_BSC: Float64) -> Float64:
    """The probabilities averaged over the draws, [B, C]."""
    return np.exp(log_probs_BSC).mean(axis=1)


def moments(losses_BSC: Float64, P_BC: Float64) -> Float64:
    """Return sum_y P_y |g(y) - E[g]| and then E[g] = sum_y P_y g(y) of each row, [B, 1 + S].

    g(y)_s is the loss of label y under draw s, minus its mean over the draws, divided by sqrt(S).
    """
    g_BSC = losses_BSC - losses_BSC.mean(axis=1, keepdims=True)
    g_BSC /= np.sqrt(g_BSC.shape[1])
    expected_BS = np.einsum("bsc,bc->bs", g_BSC, P_BC)
    g_BSC -= expected_BS[:, :, None]
    spread_B = np.einsum("bc,bc->b", P_BC, np.sqrt(np.einsum("bsc,bsc->bc", g_BSC, g_BSC)))
    return np.column_stack([spread_B, expected_BS])
