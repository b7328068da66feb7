"""Names that labels contradict."""

import numpy as np

from alcli.numerics.mixture.names import contradicted

EYE = np.eye(5)


def test_a_wrong_name_is_found_and_the_right_ones_stand():
    names = EYE[[0, 1, 3, 2, 4]]
    y = np.array([0, 0, 1, 1, 4, 2, 2, 3, 3])
    is_wrong, refused = contradicted(EYE[y], y, names, 10.0)
    np.testing.assert_array_equal(is_wrong, [False, False, True, True, False])
    assert not refused  # five rows against four


def test_one_wrong_name_of_many_does_not_refuse_the_others():
    y = np.array([0, 1, 2, 3, 4, 4])
    is_wrong, refused = contradicted(EYE[[0, 1, 2, 3, 0, 0]], y, EYE, 10.0)
    np.testing.assert_array_equal(is_wrong, [False, False, False, False, True])
    assert not refused


def test_one_odd_row_does_not_refuse_a_right_name():
    y = np.array([0, 1, 1])
    is_wrong, refused = contradicted(EYE[[2, 1, 3]], y, EYE, 10.0)
    assert not is_wrong.any()
    assert not refused
    is_wrong, refused = contradicted(EYE[[2, 2, 3, 3]], np.array([0, 0, 1, 1]), EYE, 10.0)
    np.testing.assert_array_equal(is_wrong, [True, True, False, False, False])
    assert refused  # four rows of two classes, and nothing else is known


def test_classes_without_names_are_not_tested():
    names = EYE.copy()
    names[3:] = 0.0
    is_wrong, refused = contradicted(EYE[[0, 0]], np.array([3, 4]), names, 10.0)
    assert not is_wrong.any()
    assert not refused
    is_wrong, refused = contradicted(EYE[[1, 1, 0]], np.array([0, 0, 4]), names, 10.0)
    np.testing.assert_array_equal(is_wrong, [True, False, False, False, False])
    assert not refused  # one class alone says nothing of the other names


def test_a_single_name_or_no_labels_cannot_be_tested():
    one = np.zeros((2, 5))
    one[0] = EYE[0]
    for U, y, names in ((EYE[:2], np.array([0, 0]), one), (EYE[:0], np.empty(0, np.int64), EYE)):
        is_wrong, refused = contradicted(U, y, names, 10.0)
        assert not is_wrong.any()
        assert not refused
