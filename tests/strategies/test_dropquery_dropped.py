import numpy as np
import pytest

from alcli.numerics.hashing import hash_integers
from alcli.strategies.dropquery import kept

KEYS = hash_integers(np.arange(4000))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.75, 0.97])
def test_the_share_kept_is_one_minus_the_rate_in_every_row_and_place(rate):
    mask = kept(KEYS, 101, rate, 5, 0)
    assert mask.shape == (4000, 101)
    error = np.sqrt(rate * (1 - rate))
    assert abs(mask.mean() - (1 - rate)) <= 5 * error / np.sqrt(mask.size)
    assert (np.abs(mask.mean(axis=0) - (1 - rate)) <= 5 * error / np.sqrt(4000)).all()


def test_entries_are_independent_of_each_other():
    mask = kept(KEYS, 16, 0.5, 1, 2) - 0.5
    correlation = 4 * (mask.T @ mask) / len(KEYS)
    assert np.abs(correlation - np.eye(16)).max() < 5 / np.sqrt(len(KEYS))


def test_a_mask_follows_the_key_the_seed_and_the_stream_alone():
    whole = kept(KEYS, 30, 0.75, 7, 1)
    order = np.random.default_rng(0).permutation(4000)
    assert (kept(KEYS[order], 30, 0.75, 7, 1) == whole[order]).all()
    assert (kept(KEYS[:9], 30, 0.75, 7, 1) == whole[:9]).all()
    for other in (kept(KEYS, 30, 0.75, 8, 1), kept(KEYS, 30, 0.75, 7, 2), kept(KEYS[::-1].copy(), 30, 0.75, 7, 1)):
        assert (other == whole).mean() < 0.7


def test_a_mask_of_fewer_places_begins_as_one_of_more():
    assert (kept(KEYS, 7, 0.5, 0, 0) == kept(KEYS, 30, 0.5, 0, 0)[:, :7]).all()
