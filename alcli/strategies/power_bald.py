"""BALD with noise, so that a batch is not many copies of one row: rows are drawn in proportion to a power of their BALD.

Source: Kirsch et al. 2023, "Stochastic batch acquisition: a simple baseline for deep active learning", section 3 (power acquisition);
beta log BALD + Gumbel noise, whose k largest are k draws without replacement with chances proportional to BALD^beta. The noise is a
function of seed and id, as in random.
Cost: that of bald.
Passes: 1.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.arrays import Float64, Floats, Keys
from alcli.errors import UsageError
from alcli.numerics.hashing import uniforms
from alcli.numerics.information.committee import TINY, information
from alcli.selection.strategy import pointwise

_STREAM = 1  # of the noise: another than that of random


def _power(*, beta: float) -> None:
    if not 0 <= beta < np.inf:
        raise UsageError(f"parameter 'beta' must be a finite number of at least 0, got {beta}")


@pointwise(needs=["sample_log_probs", "row_key"], random=True, samples=100)
def power_bald(log_probs_BSC: Floats, row_key_B: Keys, *, seed: int, beta: Annotated[float, _power] = 1.0) -> Float64:
    """beta log BALD + Gumbel noise, float64 [B]. beta: 0 is random, large is bald."""
    _power(beta=beta)
    log_score_B = np.log(np.maximum(information(log_probs_BSC), TINY))
    out_B: Float64 = beta * log_score_B - np.log(-np.log(uniforms(row_key_B, seed, _STREAM)))
    return out_B
