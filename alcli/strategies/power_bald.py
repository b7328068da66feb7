"""BALD with noise, so that a batch is not copies of one row.

Rows are drawn without replacement with chances proportional to BALD^beta: the score is beta log BALD + Gumbel
noise, and the k largest scores are k such draws. The noise is a function of seed and id, as in `random`.

Source: Kirsch et al. 2023, "Stochastic batch acquisition: a simple baseline for deep active learning",
section 3 (power acquisition).
Cost: that of bald.
Passes: 1.

Options:
    beta: exponent of BALD; 0 is random choice, a large number is bald.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.arrays import Float64, Floats, Keys
from alcli.errors import UsageError
from alcli.numerics.hashing import uniforms
from alcli.numerics.information.committee import TINY, information
from alcli.selection.strategy import pointwise

# Number of the random stream of the noise; `random` has another.
_STREAM = 1


@pointwise(needs=["sample_log_probs", "row_key"], random=True, samples=100)
def power_bald(log_probs_BSC: Floats, row_key_B: Keys, *, seed: int, beta: Annotated[float, _power] = 1.0) -> Float64:
    """The score beta log BALD + Gumbel noise, float64 [B]."""
    _power(beta=beta)
    log_score_B = np.log(np.maximum(information(log_probs_BSC), TINY))
    return beta * log_score_B - np.log(-np.log(uniforms(row_key_B, seed, _STREAM)))


def _power(*, beta: float) -> None:
    """Raise UsageError for an exponent that is not finite and at least 0."""
    if not 0 <= beta < np.inf:
        raise UsageError(f"parameter 'beta' must be a finite number of at least 0, got {beta}")
