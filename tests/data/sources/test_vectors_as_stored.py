"""Vectors as databases and frameworks store them, wide tables, and ids of bytes: all become one pool by -m identity."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

X = np.array([[0.5, -1.0, 0.0], [0.0, 2.0, 0.0], [1.0, 0.25, 3.0]])
SPARK = pa.struct(
    {"type": pa.int8(), "size": pa.int32(), "indices": pa.list_(pa.int32()), "values": pa.list_(pa.float64())}
)
FORMS = {
    "json": pa.array([json.dumps(x.tolist()) for x in X]),
    "printed": pa.array([" [ 0.5 -1.  0. ]", "[0. 2. 0.]\n", "[1.\n 0.25 3.]"]),
    "whole": pa.array(["[0.5,-1,0]", "[0,2,0]", "[1,0.25,3]"]),
    "spark": pa.array(
        [
            {"type": 1, "size": None, "indices": None, "values": X[0]},
            {"type": 0, "size": 3, "indices": [1], "values": [2.0]},
            {"type": 1, "size": None, "indices": None, "values": X[2]},
        ],
        SPARK,
    ),
    "struct": pa.array([{"vector": x} for x in X], pa.struct({"vector": pa.list_(pa.float32())})),
    "nested": pa.array([[x] for x in X], pa.list_(pa.list_(pa.float32()))),
    "views": pa.array(X.tolist(), pa.list_view(pa.float64())),
    "decimals": pa.array(X.tolist(), pa.list_(pa.float64())).cast(pa.list_(pa.decimal128(6, 3))),
}


@pytest.fixture
def embed(alcli, tmp_path):
    """Run embed -m identity; return the outcome, and ids and features of the pool."""

    def run(source, *more):
        out = tmp_path / "out.parquet"
        done = alcli("embed", source, "-m", "identity", "-o", out, "--force", "-q", *more)
        if done.code:
            return done, None, None
        pool = pq.read_table(out)
        return done, pool["id"].to_pylist(), np.array(pool["features"].to_pylist())

    return run


def stored(folder, vectors, ids=None, **more):
    path = folder / "a.parquet"
    pq.write_table(pa.table({"id": list("abc") if ids is None else ids, "features": vectors, **more}), path)
    return path


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_vectors(form, embed, tmp_path):
    try:
        source = stored(tmp_path, FORMS[form])
    except pa.ArrowNotImplementedError as error:
        pytest.skip(f"this version of pyarrow cannot write the file: {error}")
    done, ids, found = embed(source)
    assert done.code == 0, done.err
    assert ids == list("abc")
    assert np.array_equal(found, X)


def test_a_csv_of_vectors_beside_texts(embed, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,text,embedding\n" + "".join(f'{i},hello,"{x.tolist()}"\n' for i, x in zip("abc", X)))
    assert np.array_equal(embed(path)[2], X)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[0.1 0.2 ... 0.9]", "values are left out"),
        ("hello", "expected a vector such as [0.1, 0.2], got 'hello'"),
        ("[1, x]", "is no vector of numbers"),
        ("[1, null, 3]", "dimension 1 is null"),
        ("[1, 2]", "differ in shape"),
    ],
)
def test_a_text_that_is_no_vector_is_named_by_its_row(text, words, embed, tmp_path):
    path = stored(tmp_path, pa.array(["[1, 2, 3]", text, "[4, 5, 6]"]))
    embed(path)[0].refused(65, words, "a.parquet: row")
    if "shape" not in words:
        assert embed(path, "--skip-bad")[1] == ["a", "c"]


def test_a_damaged_spark_vector_is_refused(embed, tmp_path):
    for wrong, words in [
        ({"type": 0, "size": 3, "indices": [3], "values": [1.0]}, "numbers from 0 to 2"),
        ({"type": 0, "size": 3, "indices": [1], "values": [1.0, 2.0]}, "are not 2 numbers"),
        ({"type": 7, "size": 3, "indices": [1], "values": [1.0]}, "expected a vector of Spark"),
        ({"type": 0, "size": 1 << 30, "indices": [1], "values": [1.0]}, "expected a vector of Spark"),
    ]:
        embed(stored(tmp_path, pa.array([wrong] * 3, SPARK)))[0].refused(65, words)


def test_bits_are_unpacked(embed, tmp_path):
    bits = np.random.default_rng(0).integers(0, 2, (3, 16))
    packed = np.packbits(bits, axis=1)
    fixed = pa.array([row.tobytes() for row in packed], pa.binary(2))
    signed = (packed.astype(np.int16) - 128).astype(np.int8)
    for vectors in (
        pa.array(packed.tolist(), pa.list_(pa.uint8())),
        pa.array(signed.tolist(), pa.list_(pa.int8(), 2)),
        pa.array([row.tobytes() for row in packed]),
        fixed,
    ):
        assert np.array_equal(embed(stored(tmp_path, vectors), "-p", "unpack=true")[2], bits)
    assert np.array_equal(embed(stored(tmp_path, pa.array(signed.tolist(), pa.list_(pa.int8()))))[2], signed)
    wide = stored(tmp_path, pa.array(packed.tolist()))
    embed(wide, "-p", "unpack=true")[0].refused(65, "takes vectors of uint8 or int8, got int64")


def test_bytes_need_a_word_on_what_they_hold(embed, tmp_path):
    path = stored(tmp_path, pa.array([x.astype("<f4").tobytes() for x in X]))
    embed(path)[0].refused(65, "stored as bytes", "-p bytes-as=float32")
    assert np.array_equal(embed(path, "-p", "bytes-as=float32")[2], X)
    path = stored(tmp_path, pa.array([b"12345"] * 3))
    embed(path, "-p", "bytes-as=float32")[0].refused(65, "5 bytes are no vector of float32")


def wide(folder, kind):
    columns = {f"emb_{i}": X[:, j] for j, i in enumerate((1, 2, 10))}
    columns = {"emb_10": columns["emb_10"], "id": ["a", "b", "c"], "emb_2": columns["emb_2"], "emb_1": columns["emb_1"]}
    path = folder / f"wide.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(columns).append_column("label", pa.array(["x", "y", None])), path)
    else:
        rows = "".join(",".join(map(str, row)) + f",{label}\n" for row, label in zip(zip(*columns.values()), "xy "))
        path.write_text(",".join(columns) + ",label\n" + rows)
    return path


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_wide_columns_stand_in_the_order_of_their_numbers(kind, embed, alcli, tmp_path):
    path = wide(tmp_path, kind)
    done, ids, found = embed(path, "--features-cols", "emb_*")
    assert done.code == 0, done.err
    assert ids == ["a", "b", "c"]
    assert np.array_equal(found, X)
    assert np.array_equal(embed(path, "--features-cols", "emb_10", "--features-cols", "emb_?")[2], X[:, [2, 0, 1]])
    embed(path, "--features-cols", "emb*", "--input-col", "id")[0].refused(2, "exclude each other")
    embed(path, "--features-cols", "em_*")[0].refused(65, "no column matches --features-cols em_*", "'emb_10'")
    loud = alcli("embed", path, "-m", "identity", "--features-cols", "emb_*", "-o", tmp_path / "p.parquet").done()
    assert "the features are 3 columns, from 'emb_1' to 'emb_10'" in loud.err
    assert "some are missing, such as 3" in loud.err
    whole = alcli("embed", path, "-m", "identity", "--features-cols", "emb_?", "-o", tmp_path / "q.parquet").done()
    assert "missing" not in whole.err


def test_a_cell_that_is_no_number_is_named(embed, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text("id,x0,x1\na,1,2\nb,oops,\nc,3,4\n")
    embed(path, "--features-cols", "x*")[0].refused(65, "a.csv: row 1: 'oops' in column 'x0' is no number")
    path.write_text("id,x0,x1\na,1,2\nb, ,3\nc,3,4\n")
    embed(path, "--features-cols", "x*")[0].refused(65, "a.csv: row 1 (id 'b'): dimension 0 is null")
    assert embed(path, "--features-cols", "x*", "--skip-bad")[1] == ["a", "c"]


def test_uuids_and_digests_are_ids(embed, alcli, tmp_path):
    raw = [bytes(range(k, k + 16)) for k in range(3)]
    digests = [r.hex() for r in raw]
    for ids, expected in [
        (pa.array(raw, pa.binary(16)), digests),
        (pa.ExtensionArray.from_storage(pa.uuid(), pa.array(raw, pa.binary(16))), [str(uuid.UUID(d)) for d in digests]),
    ]:
        path = stored(tmp_path, pa.array(X.tolist()), ids)
        assert embed(path)[1] == expected
        assert sorted(alcli("query", path, "-s", "random", "-n", 3).done().lines) == expected
