"""Points in the frame of the map, and the cells that hold them."""

from __future__ import annotations

import re

import numpy as np

from alcli.report.page.density import HEIGHT, WIDTH, framed, levels


def cells(path: str) -> set[tuple[int, int]]:
    """The cells that a path encloses."""
    found = set()
    for x, y, width in re.findall(r"M(\d+) (\d+)h(\d+)v8h-\d+z", path):
        found |= {(int(x) // 8 + k, int(y) // 8) for k in range(int(width) // 8)}
    return found


def test_both_axes_have_one_scale_and_up_is_up():
    xy_N2, beyond = framed(np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 1.0]]))
    assert beyond == 0
    across, up = xy_N2[1] - xy_N2[0], xy_N2[2] - xy_N2[0]
    np.testing.assert_allclose(across, [4 * -up[1], 0.0])
    assert up[1] < 0
    assert ((xy_N2 >= 0) & (xy_N2 <= [WIDTH, HEIGHT])).all()
    assert across[0] > WIDTH * 0.9


def test_a_far_point_stands_at_the_edge_and_does_not_shrink_the_rest(rng):
    xy_N2 = rng.standard_normal((5000, 2))
    xy_N2[0] = 1e6, 0.0
    out_N2, beyond = framed(xy_N2)
    assert 1 <= beyond <= 20
    assert out_N2[0, 0] == out_N2[:, 0].max() <= WIDTH
    assert np.ptp(np.delete(out_N2, 0, 0)[:, 1]) > HEIGHT / 2


def test_points_in_one_place_and_no_points():
    xy_N2, beyond = framed(np.full((3, 2), 7.0))
    assert beyond == 0
    np.testing.assert_array_equal(xy_N2, np.tile([WIDTH / 2, HEIGHT / 2], (3, 1)))
    assert framed(np.zeros((0, 2)))[0].shape == (0, 2)
    assert levels(np.zeros((0, 2))) == []


def test_each_cell_is_in_the_level_of_its_count(rng):
    xy_N2 = np.abs(rng.standard_normal((20_000, 2))) * [WIDTH / 6, HEIGHT / 6]
    xy_N2 = np.clip(xy_N2, 0, [WIDTH, HEIGHT])
    at = np.minimum((xy_N2 // 8).astype(int), [WIDTH // 8 - 1, HEIGHT // 8 - 1])
    keys, counts = np.unique(at, axis=0, return_counts=True)
    count_of = {tuple(key): int(n) for key, n in zip(keys.tolist(), counts)}
    found = levels(xy_N2)
    assert 3 <= len(found) <= 6
    seen: set[tuple[int, int]] = set()
    for level in found:
        numbers = [int(n.replace(",", "")) for n in re.findall(r"[\d,]+", level.words)]
        here = cells(level.path)
        assert here
        assert not here & seen
        seen |= here
        assert all(numbers[0] <= count_of[cell] <= numbers[-1] for cell in here)
    assert seen == set(count_of)


def test_few_items_are_named_in_words():
    assert [level.words for level in levels(np.array([[1.0, 1.0], [100.0, 1.0], [101.0, 1.0]]))] == [
        "1 item",
        "2 items",
    ]
