"""Schemas and ids of a pool (table 3.2): odd but valid files are read, the rest is refused with the name of what is
wrong.
"""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.pools import fixed, names, tiny_features, write_labels, write_pool, written
from tests.shell import process, untouched

X_ND = tiny_features()[0]
ASK = ("query", "pool.parquet", "-s", "coreset", "-n", 5)


@pytest.fixture
def expected(tiny, alcli) -> list[str]:
    """What the plain pool answers."""
    return alcli(*ASK).done().lines


def put(table: dict[str, object] | pa.Table, **options: object) -> None:
    written(table if isinstance(table, pa.Table) else pa.table(table), "pool.parquet", **options)


# -- accepted
# -------------------------------------------------------------------------------------------------------------------

VECTORS = {
    "list": lambda: pa.array(X_ND.tolist(), pa.list_(pa.float32())),
    "large list": lambda: pa.array(X_ND.tolist(), pa.large_list(pa.float32())),
    "list view": lambda: pa.array(X_ND.tolist(), pa.list_view(pa.float32())),
    "large list view": lambda: pa.array(X_ND.tolist(), pa.large_list_view(pa.float32())),
    "fixed shape tensor": lambda: pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), (5,)), fixed(X_ND)
    ),
    "sliced": lambda: pa.concat_arrays([fixed(X_ND[:3]), fixed(X_ND)]).slice(3),
}


@pytest.mark.parametrize("kind", VECTORS)
def test_every_form_of_vectors(expected, alcli, kind):
    put({"id": names(60), "features": VECTORS[kind]()})
    assert alcli(*ASK).done().lines == expected


@pytest.mark.parametrize("kind", [pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_every_form_of_text_ids(expected, alcli, kind):
    ids = pa.array(names(60)).dictionary_encode() if pa.types.is_dictionary(kind) else pa.array(names(60)).cast(kind)
    labels = pa.array(["a", "b", None] * 20).dictionary_encode()
    put({"id": ids, "features": fixed(X_ND), "label": labels})
    cold = alcli(*ASK, "-l", "-", stdin=b"id,label\n")
    assert cold.done().lines == expected
    assert len(alcli("query", "pool.parquet", "-s", "margin", "-n", 60).done().lines) == 20


@pytest.mark.parametrize(
    "kind", [pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64(), pa.dictionary(pa.int8(), pa.int64())], ids=str
)
def test_every_form_of_integer_ids(expected, alcli, kind):
    ids = pa.array(np.arange(60))
    put({"id": ids.dictionary_encode() if pa.types.is_dictionary(kind) else ids.cast(kind), "features": fixed(X_ND)})
    assert alcli(*ASK).done().lines == [str(int(line[1:])) for line in expected]
    write_labels("labels.csv", {"007": "a", "+8": "b"})
    left = alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "random", "-n", 60).done().lines
    assert not {"7", "8"} & set(left)


def test_columns_with_dots_are_told_from_fields(expected, alcli):
    wrong = pa.array([{"b": [0.0] * 5}] * 60, pa.struct({"b": pa.list_(pa.float32(), 5)}))
    put({"a": wrong, "a.b": fixed(X_ND), "id.1": pa.array([0.5] * 60), "id": names(60)})
    assert alcli(*ASK, "--features-col", "a.b").done().lines == expected
    put({"features.old": fixed(X_ND * 0), "features": fixed(X_ND), "id": names(60)})
    assert alcli(*ASK).done().lines == expected


@pytest.mark.parametrize("column", ["embedding", "embeddings", "my vectors"])
def test_names_of_the_vector_column(expected, alcli, column):
    put({"id": names(60), column: fixed(X_ND)})
    named = () if column.startswith("emb") else ("--features-col", column)
    assert alcli(*ASK, *named).done().lines == expected


def test_an_unknown_extension_type_is_read_as_its_storage_and_noted(expected, alcli):
    field = pa.field(
        "features",
        fixed(X_ND).type,
        metadata={"ARROW:extension:name": "evil.module.Class", "ARROW:extension:metadata": ""},
    )
    put(pa.table([names(60), fixed(X_ND)], schema=pa.schema([pa.field("id", pa.string()), field])))
    found = alcli(*ASK).done()
    assert found.lines == expected
    assert "evil.module.Class" in found.err


def test_hive_folders_hold_split_and_label(folder, alcli):
    for split, label, rows in (
        ("test", "a", slice(0, 9)),
        ("train", "b", slice(9, 12)),
        ("train", "__HIVE_DEFAULT_PARTITION__", slice(12, 60)),
        ("train", "x%20y", slice(0, 0)),
    ):
        place = folder / "pool" / f"split={split}" / f"label={label}"
        place.mkdir(parents=True)
        write_pool(place / "part.parquet", X_ND[rows], names(60)[rows])
    for spec in ("pool", "pool/*/*/*.parquet", "pool/**/*.parquet", "pool/split=*"):
        assert len(alcli("query", spec, "-s", "random", "-n", 60, "--hive").done().lines) == 48, spec
        assert len(alcli("query", spec, "-s", "random", "-n", 60).done().lines) == 60, spec
    write_pool(place / "part.parquet", X_ND[:1], ["new"], split=["train"])
    alcli("query", "pool", "-s", "random", "-n", 1, "--hive").refused(
        65, "x%20y/part.parquet", "'split'", "partition folder"
    )


# -- refused
# --------------------------------------------------------------------------------------------------------------------


def text_of(raw: list[bytes]) -> pa.Array:
    offsets = np.cumsum([0, *map(len, raw)]).astype(np.int32)
    return pa.Array.from_buffers(
        pa.string(), len(raw), [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(b"".join(raw))]
    )


def nulled(kind: pa.DataType) -> pa.Array:
    return pa.array([None if i == 4 else row for i, row in enumerate(X_ND.tolist())], kind)


def with_null_inside() -> pa.Array:
    rows = X_ND.tolist()
    rows[6][3] = None
    return pa.array(rows, pa.list_(pa.float32(), 5))


IDS = names(60)
REFUSED = {
    "no features": (
        lambda: {"id": IDS, **{f"column{i}": [0] * 60 for i in range(12)}},
        ["pool.parquet", "no column 'features'", "'column8'", "3 more"],
    ),
    "no id": (lambda: {"key": IDS, "features": fixed(X_ND)}, ["pool.parquet", "no column 'id'", "'key'"]),
    "id twice": (
        lambda: pa.table([IDS, IDS, fixed(X_ND)], ["id", "id", "features"]),
        ["pool.parquet", "2 columns are named 'id'"],
    ),
    "features twice": (
        lambda: pa.table([IDS, fixed(X_ND), fixed(X_ND)], ["id", "features", "features"]),
        ["2 columns are named 'features'"],
    ),
    "not vectors": (lambda: {"id": IDS, "features": IDS}, ["pool.parquet", "'features'", "string", "list of floats"]),
    "struct": (
        lambda: {"id": IDS, "features": pa.array([{"v": [1.0]}] * 60)},
        ["'features'", "struct", "alcli embed pool.parquet -m identity -o embedded.parquet"],
    ),
    "ragged": (
        lambda: {"id": IDS, "features": pa.array([r[: 4 if i == 9 else 5] for i, r in enumerate(X_ND.tolist())])},
        ["row 9", "'r009'", "4 values", "expected 5"],
    ),
    "null vector": (lambda: {"id": IDS, "features": nulled(pa.list_(pa.float32(), 5))}, ["row 4", "'r004'", "null"]),
    "null list": (lambda: {"id": IDS, "features": nulled(pa.list_(pa.float32()))}, ["row 4", "'r004'", "null"]),
    "null inside": (lambda: {"id": IDS, "features": with_null_inside()}, ["row 6", "'r006'", "dimension 3", "null"]),
    "length 0": (
        lambda: {"id": IDS, "features": pa.array([[]] * 60, pa.list_(pa.float32()))},
        ["'features'", "length 0"],
    ),
    "id null": (
        lambda: {"id": [None if i == 3 else d for i, d in enumerate(IDS)], "features": fixed(X_ND)},
        ["'id'", "row 3", "null"],
    ),
    "id empty": (
        lambda: {"id": ["" if i == 3 else d for i, d in enumerate(IDS)], "features": fixed(X_ND)},
        ["'id'", "row 3", "empty"],
    ),
    "id float": (lambda: {"id": np.arange(60.0), "features": fixed(X_ND)}, ["'id'", "double", "strings or integers"]),
    "id bool": (lambda: {"id": [True] * 60, "features": fixed(X_ND)}, ["'id'", "bool"]),
    "id timestamp": (
        lambda: {"id": pa.array(np.arange(60), pa.timestamp("s")), "features": fixed(X_ND)},
        ["'id'", "timestamp"],
    ),
    "id beyond int64": (
        lambda: {"id": pa.array([2**63 + i for i in range(60)], pa.uint64()), "features": fixed(X_ND)},
        ["'id'", "pool.parquet"],
    ),
    "same id": (
        lambda: {"id": ["r001" if i == 30 else d for i, d in enumerate(IDS)], "features": fixed(X_ND)},
        ["row 1 ", "row 30", "'r001'", "twice"],
    ),
    "id not UTF-8": (
        lambda: {"id": text_of([b"\xff" if i == 3 else b"%d" % i for i in range(60)]), "features": fixed(X_ND)},
        ["pool.parquet", "UTF"],
    ),
    "label not UTF-8": (
        lambda: {"id": IDS, "features": fixed(X_ND), "label": text_of([b"\xff"] * 60)},
        ["pool.parquet", "UTF"],
    ),
    "label struct": (
        lambda: {"id": IDS, "features": fixed(X_ND), "label": pa.array([{"a": 1}] * 60)},
        ["'label'", "struct"],
    ),
    "metadata not JSON": (
        lambda: pa.table({"id": IDS, "features": fixed(X_ND)}).replace_schema_metadata({"alcli": "{"}),
        ["pool.parquet", "metadata"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(tiny, alcli, case):
    build, words = REFUSED[case]
    put(build())
    with untouched(tiny):
        alcli(*ASK, "-o", "out.csv").refused(65, *words)


def test_one_refusal_in_a_child_process(tiny):
    put(REFUSED["same id"][0]())
    process(*ASK).refused(65, "row 1 ", "row 30", "'r001'", "twice")


def test_a_newer_pool_format(tiny, alcli):
    put(pa.table({"id": IDS, "features": fixed(X_ND)}).replace_schema_metadata({"alcli": json.dumps({"format": 99})}))
    alcli(*ASK).refused(78, "pool.parquet", "99")


def test_files_that_do_not_fit_together(folder, alcli):
    (folder / "pool").mkdir()
    write_pool("pool/a.parquet", X_ND[:30], IDS[:30])
    for other, words in (
        ((X_ND[30:, :4], IDS[30:]), ["length", "5 in pool/a.parquet", "4 in pool/b.parquet"]),
        ((X_ND[30:], np.arange(30)), ["'id'", "integer in pool/b.parquet", "string in pool/a.parquet"]),
        ((X_ND[30:], IDS[:30]), ["pool/a.parquet", "pool/b.parquet", "twice"]),
    ):
        write_pool("pool/b.parquet", *other)
        alcli("query", "pool", "-s", "coreset", "-n", 5).refused(65, *words)


def test_the_dimension_must_be_that_of_the_head(head, alcli):
    write_pool("pool.parquet", np.hstack([X_ND, X_ND]))
    for command in (
        ("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 1),
        ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv"),
    ):
        alcli(*command).refused(65, "pool.parquet", "D=10", "head.safetensors", "expects 5")


def test_ids_of_another_type(tiny, alcli):
    (tiny / "labels.jsonl").write_text('{"id": 7, "label": "a"}\n')
    alcli("query", "pool.parquet", "-l", "labels.jsonl", "-s", "coreset", "-n", 1).refused(
        65, "labels.jsonl", "line 1", "integer", "strings"
    )
    put({"id": np.arange(60), "features": fixed(X_ND)})
    (tiny / "labels.jsonl").write_text('{"id": "7", "label": "a"}\n')
    alcli("query", "pool.parquet", "-l", "labels.jsonl", "-s", "coreset", "-n", 1).refused(
        65, "labels.jsonl", "line 1", "string", "integers"
    )
    for bad in ("x7", "+-7", "7.0", "٣"):
        write_labels("labels.csv", {bad: "a"})
        alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 1).refused(
            65, "labels.csv", "line 2", "integers"
        )
    for bad in ("12345678901234567890", "9" * 5000):
        write_labels("labels.csv", {bad: "a"})
        alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 1).refused(
            65, "labels.csv", "line 2", "64 bits"
        )


@pytest.mark.parametrize("bad", ["a\nb", "a\tb", "a\0b", "a\rb"])
def test_ids_that_do_not_fit_on_a_line(tiny, alcli, bad):
    put({"id": [bad, *IDS[1:]], "features": fixed(X_ND)})
    alcli("query", "pool.parquet", "-s", "coreset", "-n", 60).refused(65, "--format jsonl")
    found = alcli("query", "pool.parquet", "-s", "coreset", "-n", 60, "--format", "jsonl").done().lines
    assert bad in {json.loads(line)["id"] for line in found}


def test_too_many_columns(folder, alcli):
    pq.write_table(pa.table({f"c{i}": pa.array([], pa.int8()) for i in range(60_000)}), "pool.parquet")
    alcli(*ASK).refused(65, "pool.parquet", "too many columns")


def test_too_much_metadata(folder, alcli):
    put(pa.table({"id": IDS, "features": fixed(X_ND)}).replace_schema_metadata({"x": "y" * (33 << 20)}))
    alcli(*ASK).refused(65, "pool.parquet", "too much metadata")
