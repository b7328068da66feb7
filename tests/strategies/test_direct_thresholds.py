import numpy as np
import pytest

from alcli.strategies.direct import around, best_threshold, open_stretch


@pytest.mark.parametrize("seed", range(20))
def test_the_threshold_is_the_first_that_most_labels_agree_with(seed):
    signs = np.random.default_rng(seed).choice([-1, 0, 0, 1], 30)
    agree = [(signs[:t] == 1).sum() + (signs[t:] == -1).sum() for t in range(31)]
    assert best_threshold(signs) == int(np.argmax(agree))


@pytest.mark.parametrize(
    ("signs", "threshold", "stretch"),
    [
        ([0, 1, 0, 1, 0, 0, -1, 0], 4, (3, 6)),  # separable: between the last of the class and the first other
        ([0, 1, -1, 0, 1, 0, -1, 0], 2, (1, 6)),  # noisy: from before the first other to behind the last of the class
        ([0, 0, -1, 0], 0, (0, 2)),  # none of the class: its most confident rows
        ([0, 1, 0, 0], 2, (1, 3)),
        ([0, 0, 0, 0], 0, (0, 3)),
        ([-1, 0, 1, 0], 0, (0, 3)),
    ],
)
def test_by_hand(signs, threshold, stretch):
    assert best_threshold(np.array(signs)) == threshold
    assert open_stretch(np.array(signs)) == stretch


def test_nearest_places_come_in_turns_and_one_side_goes_on_alone():
    is_open = np.array([1, 0, 1, 1, 1, 0, 1, 1], bool)
    assert around(4, is_open, 4).tolist() == [3, 4, 2, 6]
    assert around(4, is_open, 99).tolist() == [3, 4, 2, 6, 0, 7]
    assert around(0, is_open, 3).tolist() == [0, 2, 3]
    assert around(8, is_open, 2).tolist() == [7, 6]
    assert around(4, is_open, 0).tolist() == []
