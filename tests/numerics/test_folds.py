import numpy as np

from alcli.numerics.folds import stratified_folds


def test_every_class_and_the_whole_are_spread_evenly():
    y = np.repeat(np.arange(7), [1, 2, 3, 10, 20, 33, 50])
    folds = stratified_folds(y, 5, seed=0)
    sizes = np.bincount(folds)
    assert sizes.max() - sizes.min() <= 1
    for c in range(7):
        counts = np.bincount(folds[y == c], minlength=5)
        assert counts.max() - counts.min() <= 1


def test_a_seed_decides_the_folds():
    y = np.arange(40) % 4
    np.testing.assert_array_equal(stratified_folds(y, 5, seed=1), stratified_folds(y, 5, seed=1))
    assert (stratified_folds(y, 5, seed=1) != stratified_folds(y, 5, seed=2)).any()


def test_numbers_are_dealt_out_without_strata():
    assert np.bincount(stratified_folds(np.linspace(0, 1, 23), 5, seed=0)).tolist() == [5, 5, 5, 4, 4]
