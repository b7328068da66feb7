"""Finding columns and reading what embed wrote about them; the refusals are in reliability/test_schema_and_ids."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.schema import (
    features_column,
    pool_metadata,
    require,
    same_features,
    standardization_in,
    standardization_metadata,
)
from alcli.errors import DataError, NewerFormatError
from alcli.numerics.standardization import Standardization

VECTOR = pa.list_(pa.float32(), 3)


def schema(**columns: pa.DataType) -> pa.Schema:
    return pa.schema(list(columns.items()))


def test_the_vector_column_is_found_by_its_usual_names():
    assert features_column(schema(embeddings=VECTOR, embedding=VECTOR, features=VECTOR), "f", None) == "features"
    assert features_column(schema(embeddings=VECTOR, embedding=VECTOR), "f", None) == "embedding"
    assert features_column(schema(features=VECTOR, other=VECTOR), "f", "other") == "other"
    with pytest.raises(DataError, match="--features-col vec"):
        features_column(schema(vec=VECTOR), "f", None)
    with pytest.raises(DataError, match="alcli embed"):
        features_column(schema(id=pa.string()), "f", None)


def test_columns_are_top_level():
    assert require(schema(a=pa.struct([("b", pa.int8())])), "f", "a").type == pa.struct([("b", pa.int8())])
    with pytest.raises(DataError, match=r"no column 'a\.b'"):
        require(schema(a=pa.struct([("b", pa.int8())])), "f", "a.b")


def test_metadata():
    assert pool_metadata(schema(a=VECTOR), "f") == {}
    assert pool_metadata(schema(a=VECTOR).with_metadata({"alcli": '{"format": 1, "model": "m"}'}), "f") == {
        "format": 1,
        "model": "m",
    }
    with pytest.raises(NewerFormatError, match="format 2"):
        pool_metadata(schema(a=VECTOR).with_metadata({"alcli": '{"format": 2}'}), "f")
    for bad in ("[]", "{", '{"format": "x"}', "[" * 100_000):
        with pytest.raises(DataError, match="metadata"):
            pool_metadata(schema(a=VECTOR).with_metadata({"alcli": bad}), "f")


def test_what_differs():
    assert same_features({"model": "a", "dim": 3}, {"model": "a", "layer": "x", "dim": 3}) is None
    assert (
        same_features({"model": "a", "normalized": True}, {"model": "a", "normalized": False})
        == "normalized True, not False"
    )
    assert same_features({}, {"model": "a"}) is None


def test_pools_with_standardised_columns_and_without_differ():
    raw = {"model": "identity", "dim": 2}
    one, other = (
        raw | standardization_metadata(Standardization(np.array([0.5, 0.1]), np.array([s, 0.0]))) for s in (1.0, 2.0)
    )
    assert same_features(one, dict(one)) is None
    assert (
        same_features(raw, one) == f"columns on their own scales, not columns standardized by '{one['standardized']}'"
    )
    assert same_features(one, other).startswith(f"columns standardized by '{one['standardized']}', not columns")
    assert same_features({}, one) is None
    assert same_features({"fingerprint": "x"}, one) is None


def test_means_and_deviations_come_back_to_the_last_bit_or_are_refused():
    by = Standardization(np.array([1 / 3, -1e300]), np.array([np.pi, 0.0]))
    written = {"dim": 2} | standardization_metadata(by)
    found = standardization_in(json.loads(json.dumps(written)), "f")
    assert (found.mean_D == by.mean_D).all()
    assert (found.scale_D == by.scale_D).all()
    assert standardization_in({"dim": 2}, "f") is None
    numbers = written["standardization"]
    for bad in (
        None,
        [],
        numbers | {"mean": [1.0]},
        numbers | {"mean": ["x", "y"]},
        numbers | {"scale": [np.pi, -1.0]},
        numbers | {"scale": [np.pi, float("inf")]},
        numbers | {"scale": [3.14, 0.0]},
        {"mean": numbers["mean"]},
    ):
        with pytest.raises(DataError, match=r"^f: the means and deviations"):
            standardization_in(written | {"standardization": bad}, "f")
    with pytest.raises(DataError, match="damaged"):
        standardization_in(written | {"dim": 3}, "f")
