"""Random candidates, drawn by a hash of their ids: what methods look at that cannot look at all. The same rows wherever they lie in the pool."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Int64
from alcli.numerics.hashing import uniforms
from alcli.strategies._view import View


def by_hash(view: View, rng: np.random.Generator) -> Int64:
    """The places of all candidates in a random order, which follows their ids."""
    draws_N = uniforms(view.reduced(lambda key_B: key_B, "row_key"), int(rng.integers(1 << 62)))
    return np.argsort(draws_N, kind="stable")


def some_places(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, tuple[str, ...]]:
    """(places of at most `most` random candidates in the rows of the view, ascending; notes). Draws nothing where these are all."""
    if view.n <= most:
        return np.arange(view.n), ()
    return np.sort(by_hash(view, rng)[:most]), left_out(view, most)


def left_out(view: View, most: int) -> tuple[str, ...]:
    """What to say where candidates were not looked at."""
    return () if view.n <= most else (f"looked at {most} random candidates, not at all of them (-p candidates)",)
