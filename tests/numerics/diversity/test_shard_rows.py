"""The largest values, of all rows and by blocks; ties go to the lowest row."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity.shard_rows import block_values, copies, largest, largest_by_block, merged


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=60), st.integers(1, 70))
def test_the_largest_come_first_and_ties_by_place(values: list[int], most: int) -> None:
    expected = sorted(range(len(values)), key=lambda i: (-values[i], i))[:most]
    assert largest(np.array(values, float), most).tolist() == expected


@given(st.integers(0, 2**32 - 1), st.integers(1, 40), st.sampled_from([3, 1000]))
def test_blocks_lead_to_the_same(seed: int, most: int, n_values: int) -> None:
    values = np.random.default_rng(seed).integers(n_values, size=3 * BLOCK_ROWS + 5).astype(float)
    of_block = np.empty(4)
    for piece in (slice(0, 2 * BLOCK_ROWS), slice(2 * BLOCK_ROWS, len(values))):
        block_values(values, piece, np.maximum, of_block)
    assert largest_by_block(values, of_block, most).tolist() == largest(values, most).tolist()


@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.integers(1, 10), st.data())
def test_the_best_of_parts_are_the_best(values: list[int], most: int, data: st.DataObject) -> None:
    cut, of_all = data.draw(st.integers(1, len(values) - 1)), np.array(values, float)
    tops = []
    for first, part in ((0, of_all[:cut]), (cut, of_all[cut:])):
        places = largest(part, most)
        tops.append((places + first, part[places]))
    rows, best = merged(tops, most)
    assert rows.tolist() == largest(of_all, most).tolist()
    assert best.tolist() == of_all[rows].tolist()


def test_copies_are_all_but_the_first() -> None:
    assert copies(np.array([5, 7, 5, 9, 7, 5], np.uint64)).tolist() == [2, 4, 5]
