"""Uniform random choice, the baseline of every comparison.

Source: none; rows are ranked by a hash of seed and id (alcli/numerics/hashing.py), which is a random
permutation.
Cost: O(N) time, O(K) memory; features are not looked at.
Passes: 1.
"""

from __future__ import annotations

from alcli.arrays import Float64, Keys
from alcli.numerics.hashing import uniforms
from alcli.selection.strategy import pointwise


@pointwise(needs=["row_key"], random=True)
def random(row_key_B: Keys, *, seed: int) -> Float64:
    """Minus a uniform draw per id, float64 [B].

    The smallest draw wins: near 0 float32 is fine enough to leave no ties.
    """
    return -uniforms(row_key_B, seed)
