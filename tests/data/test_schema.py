"""Finding columns and reading what embed wrote about them; the refusals are in reliability/test_schema_and_ids."""

from __future__ import annotations

import pyarrow as pa
import pytest

from alcli.data.schema import features_column, pool_metadata, require, same_features
from alcli.errors import DataError, NewerFormatError

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
