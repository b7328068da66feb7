"""64-bit hashes of ids: for random draws that depend on the id, not on the position, and to remember absorbed labels.

The hash of a string is a polynomial in its bytes modulo 2^64, finalised by splitmix64 with the length mixed in.
Prefix sums over the bytes give the hashes of a whole column at once, without a Python object per row.
The hash does not protect against an adversary who constructs collisions.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Int64, Keys

_MULTIPLIER = 0x9E3779B97F4A7C15 | 1
_INVERSE = pow(_MULTIPLIER, -1, 1 << 64)
# Each byte of a chunk takes 40 bytes of memory while it is hashed.
_CHUNK_BYTES = 1 << 18


def splitmix64(x: Keys) -> Keys:
    """Apply the finaliser of splitmix64, a bijection of 64-bit integers that mixes all bits.

    Source: Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
    """
    with np.errstate(over="ignore"):
        x = (x + np.uint64(0x9E3779B97F4A7C15)).astype(np.uint64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return x ^ (x >> np.uint64(31))


def hash_integers(values: Int64) -> Keys:
    """Hash int64 ids. Returns uint64 [N]."""
    return splitmix64(np.ascontiguousarray(values, np.int64).view(np.uint64))


def hash_strings(data: Array, offsets: Int64) -> Keys:
    """Hash strings in Arrow's layout: uint8 `data`, and N + 1 `offsets` into it. Returns uint64 [N]. Cost O(bytes)."""
    offsets = np.asarray(offsets, np.int64)
    out = np.empty(len(offsets) - 1, np.uint64)
    first = 0
    while first < len(out):
        last = int(np.searchsorted(offsets, offsets[first] + _CHUNK_BYTES, side="right")) - 1
        last = min(max(last, first + 1), len(out))
        out[first:last] = _hash_chunk(data, offsets[first : last + 1])
        first = last
    return out


def _hash_chunk(data: Array, offsets: Int64) -> Keys:
    base = offsets[0]
    text = np.asarray(data[base : offsets[-1]], np.uint8).astype(np.uint64) + np.uint64(1)
    with np.errstate(over="ignore"):
        prefix = np.zeros(len(text) + 1, np.uint64)
        np.cumsum(text * _powers(_MULTIPLIER, len(text)), out=prefix[1:])
        starts = offsets - base
        sums = prefix[starts[1:]] - prefix[starts[:-1]]
        return splitmix64(
            sums * _powers(_INVERSE, len(text) + 1)[starts[:-1]] ^ splitmix64(np.diff(starts).astype(np.uint64))
        )


def _powers(base: int, n: int) -> Keys:
    """Compute base^0 .. base^(n-1) modulo 2^64, by doubling."""
    powers = np.ones(max(n, 1), np.uint64)
    have = 1
    with np.errstate(over="ignore"):
        while have < n:
            take = min(have, n - have)
            powers[have : have + take] = powers[:take] * np.uint64(pow(base, have, 1 << 64))
            have += take
    return powers[:n]


def hash_text(text: str) -> int:
    """Hash one string, with the same result as `hash_strings`."""
    data = np.frombuffer(text.encode("utf-8", "surrogatepass"), np.uint8)
    return int(hash_strings(data, np.array([0, len(data)]))[0])


def uniforms(keys: Keys, seed: int, stream: int = 0) -> Float64:
    """Draw one uniform number in (0, 1) per key, float64 [N].

    The draw is a pure function of (seed, stream, key), so it is the same at any block size and in any order of the
    rows.
    """
    salt = splitmix64(np.array([seed, stream], np.int64).view(np.uint64))
    mixed = splitmix64(splitmix64(keys ^ salt[0]) ^ salt[1])
    return ((mixed >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
