"""Dropout masks that follow a key and a counter: the same for a row at any block size and in any order.

Source: counter-based generators, Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; the mixer is `numerics/hashing.splitmix64`.
Cost: one 64-bit hash for every four entries. Memory: that of the mask.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Keys
from alcli.numerics.hashing import splitmix64

_LEVELS = 1 << 16


def kept(keys_B: Keys, width: int, rate: float, seed: int, stream: int) -> Array:
    """Which entries dropout keeps, bool [B, width]: each with probability 1 - rate, rounded to a multiple of 2^-16, on its own.

    A pure function of (key, seed, stream, place).
    """
    salt = splitmix64(np.array([seed, stream], np.int64).view(np.uint64))
    counters = splitmix64(np.arange(-(-width // 4), dtype=np.uint64) ^ salt[1])
    mixed_BQ = splitmix64(splitmix64(keys_B ^ salt[0])[:, None] ^ counters)
    levels_BW = mixed_BQ.astype("<u8", copy=False).view("<u2")
    out_BW: Array = levels_BW[:, :width] < round(_LEVELS * (1.0 - rate)) if rate > 0.0 else np.ones((len(keys_B), width), bool)
    return out_BW
