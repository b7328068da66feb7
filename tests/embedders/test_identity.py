from __future__ import annotations

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.identity import identity
from alcli.errors import DataError, UsageError


def test_rows_come_back_flattened():
    encoder = identity("", Request("array"))
    items = [encoder.prepare(x) for x in np.arange(12.0).reshape(2, 2, 3)]
    np.testing.assert_array_equal(encoder.encode(items), np.arange(12.0).reshape(2, 6))


def test_ragged_and_null_items_are_data_errors():
    encoder = identity("", Request("array"))
    with pytest.raises(DataError, match="differ in shape"):
        encoder.encode([np.zeros(2), np.zeros(3)])
    with pytest.raises(DataError, match="null"):
        encoder.prepare(None)


def test_an_argument_is_a_usage_error():
    with pytest.raises(UsageError, match="no argument"):
        identity("x", Request("array"))


@pytest.mark.parametrize(
    ("item", "text"),
    [
        ([1.0, np.nan], "dimension 1 is nan"),
        ([[1.0, 2.0], [np.inf, 3.0]], "dimension 2 is inf"),
        ([None, 2.0], "dimension 0 is null"),
    ],
)
def test_a_value_that_is_missing_is_named(item, text):
    with pytest.raises(DataError, match=text):
        identity("", Request("array")).prepare(np.array(item))


def test_numbers_of_64_bits_are_not_rounded():
    encoder = identity("", Request("array"))
    for seconds in (np.array([1_700_000_001.25, 0.1]), np.array([1_700_000_001, 2**53 - 1])):
        np.testing.assert_array_equal(encoder.encode([encoder.prepare(seconds)]), seconds[None])
