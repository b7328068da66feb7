"""Names of classes: which pools of names are taken, and what is said of the others."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.class_names import read_class_names
from alcli.data.pool import open_pool
from alcli.data.schema import Columns
from alcli.errors import DataError, InputError
from tests.pools import GATHERED, gathered, write_pool

X_ND, _, NAMES_CD = gathered()


def read(bad_rows="error", columns=Columns(), notes=None):
    pool = open_pool("pool.parquet", columns, bad_rows=bad_rows)
    return read_class_names("names.parquet", pool, (notes if notes is not None else []).append)


def test_they_come_in_the_order_of_the_classes_and_a_class_without_one_gets_zeros(named):
    write_pool("names.parquet", NAMES_CD[::-1], GATHERED[::-1])
    names = read()
    assert (names.names, names.class_type) == (GATHERED, "string")
    assert np.array_equal(names.features_KD, NAMES_CD)
    rows_CD = names.rows(["fox", "yak", "ant"])
    assert np.array_equal(rows_CD, [NAMES_CD[5], np.zeros(16), NAMES_CD[0]])


def test_integers_come_by_value(named):
    write_pool("names.parquet", NAMES_CD, pa.array([10, 9, 8, 7, 6, 5]))
    names = read()
    assert (names.names, names.class_type) == (("5", "6", "7", "8", "9", "10"), "integer")
    assert np.array_equal(names.features_KD, NAMES_CD[::-1])


def test_their_columns_are_those_that_embed_writes_whatever_the_pool_calls_its_own(named):
    table = pa.table({"key": pa.array(range(240)), "vector": pq.read_table("pool.parquet")["features"]})
    pq.write_table(table, "pool.parquet")
    write_pool("names.parquet", NAMES_CD, GATHERED, group=["a", "b", None, None, "c", "d"])
    assert read(columns=Columns(features="vector", id="key", label="intent", group="key")).names == GATHERED


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda: write_pool("names.parquet", NAMES_CD[:, :5], GATHERED), ["D=5", "pool.parquet has D=16"]),
        (
            lambda: write_pool("names.parquet", NAMES_CD[:0], pa.array([], pa.string())),
            ["0 rows", "its id is the class"],
        ),
        (lambda: write_pool("names.parquet", NAMES_CD, ["", *GATHERED[1:]]), ["row 0", "empty"]),
        (lambda: write_pool("names.parquet", NAMES_CD, ["ant", *GATHERED[:5]]), ["'ant'"]),
        (lambda: write_pool("names.parquet", NAMES_CD, [None, *GATHERED[1:]]), ["row 0", "null"]),
        (lambda: write_pool("names.parquet", np.full((6, 16), np.nan, np.float32), GATHERED), ["'ant'", "nan"]),
        (lambda: write_pool("names.parquet", pa.array([None, *NAMES_CD[1:].tolist()]), GATHERED), ["'ant'", "null"]),
        (lambda: pq.write_table(pa.table({"id": GATHERED}), "names.parquet"), ["no column 'features'"]),
    ],
    ids=["D", "no rows", "empty", "twice", "null id", "NaN", "null", "no vectors"],
)
def test_refusals_name_the_file(named, spoil, words):
    spoil()
    with pytest.raises(DataError) as refusal:
        read()
    for word in ("names.parquet", *words):
        assert word in str(refusal.value)


def test_a_file_that_is_not_there(named):
    (named / "names.parquet").unlink()
    with pytest.raises(InputError, match=r"names\.parquet: no such file"):
        read()


def test_names_of_another_model(named):
    def write(path, **about):
        about = {b"alcli": json.dumps({"format": 1, **about}).encode()}
        pq.write_table(pq.read_table(path).replace_schema_metadata(about), path)

    write("pool.parquet", model="hashing:16", normalized=True)
    assert read().names == GATHERED, "names of unknown origin are taken"
    write("names.parquet", model="hashing:16", normalized=True)
    assert read().names == GATHERED
    for about, word in (
        ({"model": "hashing:17", "normalized": True}, "'hashing:17', not 'hashing:16'"),
        ({"model": "hashing:16", "normalized": False}, "normalized"),
    ):
        write("names.parquet", **about)
        with pytest.raises(DataError, match="embed the names as the pool was embedded") as refusal:
            read()
        assert word in str(refusal.value)


def test_where_bad_rows_are_left_out_such_names_are_too(named):
    spoilt = NAMES_CD.copy()
    spoilt[[1, 4], 2] = np.nan
    write_pool("names.parquet", spoilt, GATHERED)
    notes: list[str] = []
    assert read("skip", notes=notes).names == ("ant", "cow", "dog", "fox")
    assert notes == ["names.parquet: 2 names without a usable vector were left out"]
    write_pool("names.parquet", np.full((6, 16), np.nan, np.float32), GATHERED)
    with pytest.raises(DataError, match=r"names\.parquet: no name of a class has a usable vector"):
        read("skip")
