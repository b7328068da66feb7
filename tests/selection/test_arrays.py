import numpy as np
import pytest

from alcli.numerics.hashing import hash_integers, hash_text
from alcli.selection.source import ArraySource

X = np.arange(12, dtype=np.float32).reshape(6, 2)


def test_blocks_cover_all_rows_in_order():
    found = list(ArraySource(X, np.arange(6), block_rows=4).blocks())
    assert [first for first, _ in found] == [0, 4]
    assert np.array_equal(np.concatenate([block for _, block in found]), X)


@pytest.mark.parametrize("rows", [[0, 1, 2], [2, 3, 4, 5], [5, 0], [1, 3], []])
def test_take_gives_rows_in_the_order_asked(rows):
    rows = np.array(rows, np.int64)
    assert np.array_equal(ArraySource(X, np.arange(6)).take(rows), X[rows])


def test_string_ids_sort_by_code_point_as_files_do():
    source = ArraySource(X, np.array(["b", "a10", "a2", "Z", "é", "😀"]))
    assert source.sorted_by_id(np.arange(6)).tolist() == [3, 1, 2, 0, 4, 5]


def test_integer_ids_sort_as_numbers():
    assert ArraySource(X, np.array([3, -1, 20, 7, 0, 2])).sorted_by_id(np.arange(6)).tolist() == [1, 4, 5, 0, 3, 2]


def test_row_keys_are_the_hashes_of_the_ids():
    assert ArraySource(X, np.array([5, 6, 7, 8, 9, 10])).row_keys(np.array([1])) == hash_integers(np.array([6]))
    words = np.array(["x", "yy", "", "zé", "w", "v"], object)
    assert ArraySource(X, words).row_keys(np.arange(6)).tolist() == [hash_text(w) for w in words]


def test_describe_names_the_id():
    assert "'six'" in ArraySource(X, np.array(["one", "two", "three", "four", "five", "six"])).describe(5)


def test_ids_must_match_the_rows():
    with pytest.raises(ValueError, match="ids"):
        ArraySource(X, np.arange(5))
