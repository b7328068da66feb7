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
