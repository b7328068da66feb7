"""Arrow, Feather and folders of save_to_disk as sources, and the names of classes that Hugging Face keeps."""

from __future__ import annotations

import json
import os

import numpy as np
import pyarrow as pa
import pyarrow.feather as feather
import pyarrow.parquet as pq
import pytest

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import check_ids, open_source
from alcli.errors import DataError
from alcli.remarks import silence

NAMES = ["cat", "dog", "eel"]
FEATURES = {"label": {"names": NAMES, "_type": "ClassLabel"}, "id": {"dtype": "string", "_type": "Value"}}


def table(first=0, last=10):
    """Rows whose vector is twice their number, as datasets stores them; -1 is no label."""
    rows = range(first, last)
    columns = {
        "id": pa.array([f"r{i}" for i in rows]),
        "features": pa.array([[2.0 * i, 1.0] for i in rows], pa.list_(pa.float32(), 2)),
        "label": pa.array([i % 4 - 1 for i in rows], pa.int64()),
    }
    return pa.table(columns).replace_schema_metadata({"huggingface": json.dumps({"info": {"features": FEATURES}})})


def stream(path, rows, batch=3):
    path.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, rows.schema) as writer:
        writer.write_table(rows, batch)


def saved(folder, first=0, last=10):
    """A folder as save_to_disk writes it, in two files."""
    middle = (first + last) // 2
    for number, rows in enumerate([table(first, middle), table(middle, last)]):
        stream(folder / f"data-{number:05d}-of-00002.arrow", rows)
    stream(folder / "cache-1.arrow", table(0, 1))
    files = [{"filename": f"data-{number:05d}-of-00002.arrow"} for number in range(2)]
    (folder / "state.json").write_text(json.dumps({"_data_files": files, "_split": None}))
    (folder / "dataset_info.json").write_text(json.dumps({"features": FEATURES}))
    return folder


def read(path, *, note=silence, rows=4, start=0, **asked):
    source = open_source(path, Asked(vectors=True, **asked), note)
    check_ids(source)
    windows = list(source.windows(rows, start))
    return pa.concat_tables([w.columns for w in windows]).to_pydict(), [i for w in windows for i in w.items]


def is_whole(found, first=0, last=10):
    columns, items = found
    assert columns["id"] == [f"r{i}" for i in range(first, last)]
    assert columns["label"] == [[None, *NAMES][i % 4] for i in range(first, last)]
    assert np.array_equal(items, [[2 * i, 1] for i in range(first, last)])


@pytest.mark.parametrize("kind", ["feather", "plain", "stream", "parquet"])
def test_arrow_files_are_read_with_the_names_of_classes(kind, tmp_path):
    path = tmp_path / ("a.parquet" if kind == "parquet" else "a.arrow")
    match kind:
        case "feather":
            feather.write_feather(table(), path, chunksize=3, compression="lz4")
        case "plain":
            feather.write_feather(table(), path, chunksize=4, compression="uncompressed")
        case "stream":
            stream(path, table())
        case "parquet":
            pq.write_table(table(), path)
    is_whole(read(path))
    is_whole(read(path, start=2), 8)


def test_dictionaries_that_change_and_tensors(tmp_path):
    kind = pa.dictionary(pa.int8(), pa.string())
    vectors = pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [1, 2]), table(0, 2)["features"].chunk(0)
    )
    batches = [
        pa.record_batch({"label": pa.array(pair).cast(kind), "emb": vectors}) for pair in (["a", "b"], ["c", None])
    ]
    with pa.OSFile(str(tmp_path / "a.arrows"), "wb") as file, pa.ipc.new_stream(file, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
    columns, items = read(tmp_path / "a.arrows", rows=3)
    assert columns == {"id": [0, 1, 2, 3], "label": ["a", "b", "c", None]}
    assert np.array_equal(items, [[[0, 1]], [[2, 1]]] * 2)


def test_a_path_that_is_not_utf8(tmp_path):
    path = tmp_path / os.fsdecode(b"caf\xe9.arrow")
    stream(tmp_path / "a.arrow", table())
    os.rename(tmp_path / "a.arrow", path)
    is_whole(read(path))


def test_names_of_classes_in_a_file_of_ids(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[2.0 * i, 1.0] for i in range(10)]))
    pq.write_table(table().drop_columns(["features"]), tmp_path / "meta.parquet")
    is_whole(read(tmp_path / "x.npy", ids=str(tmp_path / "meta.parquet")))


def test_save_to_disk(tmp_path):
    is_whole(read(saved(tmp_path / "data")))
    is_whole(read(tmp_path / "data", start=1), 4)


def test_save_to_disk_of_several_splits(tmp_path):
    saved(tmp_path / "all/train")
    saved(tmp_path / "all/test", 10, 16)
    (tmp_path / "all/dataset_dict.json").write_text('{"splits": ["train", "test"]}')
    notes = []
    found = read(tmp_path / "all", note=notes.append)
    is_whole(found, 0, 16)
    assert found[0]["split"] == ["train"] * 10 + ["test"] * 6
    assert "the column split holds train, test" in notes[0]


def test_folders_that_cannot_be_read_are_refused_in_a_sentence(tmp_path):
    folder = saved(tmp_path / "data")
    for state, word in [
        ("{", "is not JSON"),
        ('{"_data_files": [{"filename": "../x.arrow"}]}', "does not name the files"),
        ('{"_data_files": [{"filename": "data-00000-of-00002.arrow"}], "_indices_data_files": [1]}', "flatten_indices"),
    ]:
        (folder / "state.json").write_text(state)
        with pytest.raises(DataError, match=word):
            read(folder)


def test_damaged_arrow_files_are_refused_in_a_sentence(tmp_path):
    path = tmp_path / "a.arrow"
    for content, word in [(b"", "is empty"), (b"FEA1....", "version 1"), (b"ARROW1\0\0" * 9, "not readable as Arrow")]:
        path.write_bytes(content)
        with pytest.raises(DataError, match=word):
            read(path)
    feather.write_feather(table(), path, compression="uncompressed")
    whole = path.read_bytes()
    said = []
    for at in range(8, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x40]) + whole[at + 1 :])
        try:
            read(path)
        except DataError as error:
            said.append(str(error))
    assert len(said) > 20
    assert all("a.arrow" in message for message in said)


def test_a_label_that_no_class_has(tmp_path):
    feather.write_feather(table().set_column(2, "label", pa.array([7] * 10)), tmp_path / "a.feather")
    with pytest.raises(DataError, match="the label 7 is none of the 3 classes"):
        read(tmp_path / "a.feather")
