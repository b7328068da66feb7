"""Arrays as sources: .npy with a file of ids, .npz, HDF5, and folders of .npy with metadata."""

from __future__ import annotations

import sys
import tracemalloc
import zipfile

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import check_ids, open_source, split_name
from alcli.errors import DataError, UnavailableError, UsageError
from alcli.remarks import silence

X = np.arange(22, dtype=np.float32).reshape(11, 2)
IDS = [f"i{k}" for k in range(11)]


def read(path, *, note=silence, rows=4, start=0, **asked):
    path, named = split_name(path, Asked(**asked))
    source = open_source(path, named, note)
    check_ids(source)
    windows = list(source.windows(rows, start))
    return pa.concat_tables([w.columns for w in windows]).to_pydict(), [i for w in windows for i in w.items]


def refused(path, *words, error=DataError, **asked):
    with pytest.raises(error) as caught:
        read(path, **asked)
    for word in words:
        assert word in str(caught.value), (word, str(caught.value))


@pytest.fixture
def vectors(tmp_path):
    np.save(tmp_path / "x.npy", X)
    return tmp_path / "x.npy"


def of_ids(folder, kind):
    """A file of the ids of the kind, and its name for --ids."""
    path = folder / f"ids.{kind}"
    match kind:
        case "txt":
            path.write_text("\n".join(IDS) + "\n\n")
        case "csv":
            path.write_text("name,label\n" + "".join(f"{i},{i[-1]}\n" for i in IDS))
        case "jsonl":
            path.write_text("".join(f'{{"name": "{i}", "label": "{i[-1]}"}}\n' for i in IDS))
        case "parquet":
            pq.write_table(pa.table({"name": IDS, "label": [i[-1] for i in IDS]}), path)
        case "npy":
            np.save(path, np.array(IDS))
        case "npz":
            np.savez(path, name=np.array(IDS), label=np.array([i[-1] for i in IDS]), other=X)
    return f"{path}:name" if kind in ("csv", "jsonl", "parquet", "npz") else str(path)


@pytest.mark.parametrize("kind", ["txt", "csv", "jsonl", "parquet", "npy", "npz"])
def test_ids_come_from_a_file_with_its_labels(kind, vectors, tmp_path):
    notes = []
    columns, items = read(vectors, ids=of_ids(tmp_path, kind), note=notes.append)
    assert columns["id"] == IDS
    assert np.array_equal(items, X)
    assert columns.get("label", [i[-1] for i in IDS]) == [i[-1] for i in IDS]
    assert ("label" in columns) == (kind not in ("txt", "npy"))
    assert notes == []
    assert read(vectors, ids=of_ids(tmp_path, kind), start=1)[0]["id"] == IDS[4:]


def test_a_label_column_of_the_file_of_ids_is_named_as_any_other(vectors, tmp_path):
    (tmp_path / "meta.csv").write_text("id,kind,more\n" + "".join(f"{i},{i[-1]},m\n" for i in IDS))
    columns, _ = read(vectors, ids=str(tmp_path / "meta.csv"), label="kind", keep=("more",))
    assert columns["label"] == [i[-1] for i in IDS]
    assert columns["more"] == ["m"] * 11


def test_a_wrong_file_of_ids_is_refused_in_a_sentence(vectors, tmp_path):
    short, headless, two = tmp_path / "short.txt", tmp_path / "ids.csv", tmp_path / "two.csv"
    short.write_text("a\nb\n")
    headless.write_text("\n".join(IDS))
    two.write_text("a,b\n" + "1,2\n" * 11)
    refused(vectors, "short.txt: holds 2 ids", "has 11 rows", ids=str(short))
    refused(vectors, "holds 10 ids", "put names above it", ids=str(headless))
    refused(vectors, "no column 'id' among 'a', 'b'", "two.csv:COLUMN", ids=str(two))
    refused(vectors, "no column 'c'", ids=f"{two}:c")
    refused(vectors, "have the same id '1'", ids=f"{two}:a")
    refused(vectors, "exclude each other", error=UsageError, ids=str(short), id="x")
    refused(vectors, "no columns", error=UsageError, ids=f"{short}:x")
    refused(vectors, "a .npy file has no columns", "--ids FILE:COLUMN", error=UsageError, id="x")
    blank = tmp_path / "blank.txt"
    blank.write_text("a\n\n" + "\n".join(IDS[2:]))
    refused(vectors, "the id is empty", ids=str(blank))


def test_python_objects_are_never_read(tmp_path, vectors):
    np.save(tmp_path / "o.npy", np.array(IDS, object), allow_pickle=True)
    np.savez(tmp_path / "o.npz", x=X, name=np.array(IDS, object))
    refused(vectors, "o.npy", "astype(str)", ids=str(tmp_path / "o.npy"))
    refused(tmp_path / "o.npz", "'name' holds object", id="name")


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("by_columns", [False, True])
def test_npz_gives_features_ids_and_labels(save, by_columns, tmp_path):
    path = tmp_path / "a.npz"
    stored = np.asfortranarray(X) if by_columns else X
    save(
        path,
        emb=stored,
        ids=np.arange(11)[::-1],
        label=np.array(list("abcdefghijk")),
        y=np.zeros((11, 1)),
        more=X[:3, 0],
    )
    columns, items = read(path, id="ids")
    assert np.array_equal(items, X)
    assert columns == {"id": list(range(10, -1, -1)), "label": list("abcdefghijk")}
    assert np.array_equal(read(path, id="ids", start=2)[1], X[8:])
    assert np.array_equal(read(path, label="y", input="emb")[0]["label"], [0.0] * 11)


def test_one_of_several_arrays_is_named(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, text=X, image=-X, n=np.arange(11))
    refused(path, "several arrays could be the features", "'image' (float32 [11, 2])", "a.npz:NAME")
    assert np.array_equal(read(tmp_path / "a.npz:image")[1], -X)
    assert np.array_equal(read(path, input="text")[1], X)
    refused(path, "no array 'txt'", "did you mean 'text'", input="txt")
    refused(tmp_path / "a.npz:image", "both name the array", error=UsageError, input="text")
    np.savez(path, features=X, other=X)
    assert np.array_equal(read(path)[1], X)
    np.savez(path, a=np.arange(3))
    refused(path, "no array can be the features")


def test_damaged_archives_are_refused(tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(b"PK\x03\x04 and nothing more")
    refused(path, "cannot be read as .npz")
    np.savez(path, x=np.random.default_rng(0).random((500, 40)))
    data = bytearray(path.read_bytes())
    data[2000] ^= 1
    path.write_bytes(data)
    refused(path, "the array 'x' cannot be read", rows=400)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", (b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '<f4', 'fortran_order': False, "
                                   b"'shape': (10000000000, 4), }").ljust(127) + b"\n")  # fmt: skip
    refused(path, "its header asks for")


def test_tensors_keep_their_shape_and_small_types(tmp_path):
    images = np.arange(11 * 12, dtype=np.uint8).reshape(11, 2, 2, 3)
    np.savez(tmp_path / "a.npz", x=images)
    items = read(tmp_path / "a.npz")[1]
    assert items[0].shape == (2, 2, 3)
    assert items[0].dtype == np.uint8
    assert np.array_equal(items, images)
    np.save(tmp_path / "b.npy", X.astype(">f8"))
    assert np.array_equal(read(tmp_path / "b.npy")[1], X)


@pytest.fixture
def hdf5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["emb/train"] = X
        file["emb/other"] = X[:4]
        file.create_dataset("id", data=IDS)
        file["label"] = np.array([b"a", b"b"] * 5 + [b"c"])
        file["elsewhere"] = h5py.ExternalLink("secret.h5", "/x")
        file["soft"] = h5py.SoftLink("/emb/train")
        (tmp_path / "secret.bin").write_bytes(bytes(88))
        file.create_dataset("raw", (11, 2), "f4", external=[(str(tmp_path / "secret.bin"), 0, 88)])
        layout = h5py.VirtualLayout((11, 2), "f4")
        layout[:] = h5py.VirtualSource("secret.h5", "x", (11, 2))
        file.create_virtual_dataset("virtual", layout)
    return path


def test_hdf5_gives_datasets_by_their_path(hdf5, tmp_path):
    refused(hdf5, "several arrays could be the features", "'emb/other' (float32 [4, 2])")
    columns, items = read(tmp_path / "a.h5:emb/train")
    assert columns == {"id": IDS, "label": list("ab" * 5 + "c")}
    assert np.array_equal(items, X)
    assert np.array_equal(read(hdf5, input="/emb/train", start=2)[1], X[8:])
    refused(hdf5, "no array 'soft'", input="soft")
    refused(hdf5, "no array 'raw'", input="raw")
    refused(hdf5, "no array 'virtual'", input="virtual")
    refused(hdf5, "'id' has 11 rows, 'emb/other' has 4", input="emb/other", id="id")
    (tmp_path / "b.h5").write_bytes(hdf5.read_bytes()[:700])
    refused(tmp_path / "b.h5", "cannot be read as HDF5")


@pytest.mark.parametrize("more", [{}, {"userblock_size": 512}, {"libver": "latest"}, {"userblock_size": 2048}], ids=str)
def test_texts_of_any_hdf5_file_are_read(tmp_path, more):
    """A block of the user's may come first, as in files of MATLAB; newer files begin with another block."""
    names = [f"item {i}" + "é" * (i % 40) for i in range(500)]
    with h5py.File(tmp_path / "a.h5", "w", **more) as file:
        file["x"] = np.ones((500, 2), np.float32)
        file["id"] = names
    assert read(tmp_path / "a.h5")[0]["id"] == names


def test_hdf5_without_its_library_names_the_extra(hdf5, monkeypatch):
    monkeypatch.setattr("alcli.embedders._contract._LIBRARIES", {})
    monkeypatch.setitem(sys.modules, "h5py", None)
    refused(hdf5, "needs the extra hdf5", "pip install 'h5py", error=UnavailableError)


@pytest.fixture
def clip(tmp_path):
    """A folder as clip-retrieval writes it, with 11 files, so that img_emb_10 comes after img_emb_2."""
    folder = tmp_path / "clip"
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True)
    for k in range(11):
        np.save(folder / f"img_emb/img_emb_{k}.npy", X[k : k + 1].astype(np.float16))
        table = pa.table({"image_path": [IDS[k]], "caption": [f"caption {k}"]})
        pq.write_table(table, folder / f"metadata/metadata_{k}.parquet")
    return folder


def test_a_folder_of_clip_retrieval(clip):
    columns, items = read(clip, id="image_path", keep=("caption",), rows=3)
    assert columns == {"id": IDS, "caption": [f"caption {k}" for k in range(11)]}
    assert np.array_equal(items, X)
    (clip / "text_emb").mkdir()
    np.save(clip / "text_emb/text_emb_0.npy", X)
    refused(clip, "several folders ('img_emb', 'text_emb')", "--input-col img_emb")
    assert np.array_equal(read(clip, input="img_emb")[1], X)
    refused(clip, "1 .npy files in 'text_emb' and 11 Parquet", input="text_emb")
    np.save(clip / "img_emb/img_emb_3.npy", X[:2].astype(np.float16))
    refused(clip, "img_emb_3.npy has 2 rows", "metadata_3.parquet has 1", input="img_emb")


def test_a_folder_of_arrays_alone_takes_a_file_of_ids(tmp_path):
    folder = tmp_path / "parts"
    folder.mkdir()
    np.save(folder / "b.npy", X[5:])
    np.save(folder / "a.npy", X[:5])
    columns, items = read(folder, ids=of_ids(tmp_path, "txt"))
    assert columns["id"] == IDS
    assert np.array_equal(items, X)
    np.save(folder / "c.npy", X[:, :1])
    refused(folder, "c.npy: holds float32 of shape (11, 1)", "a.npy")


@pytest.mark.parametrize("kind", ["npy", "npz", "h5"])
def test_memory_is_that_of_a_window(kind, tmp_path):
    """20 MB of features, of which 1 MB are in a window."""
    path, features = tmp_path / f"a.{kind}", np.ones((20_000, 256), np.float32)
    match kind:
        case "npy":
            np.save(path, features)
        case "npz":
            np.savez_compressed(path, x=features)
        case "h5":
            with h5py.File(path, "w") as file:
                file.create_dataset("x", data=features, chunks=(1000, 256), compression="lzf")
    del features
    tracemalloc.start()
    try:
        rows = sum(len(window.items) for window in open_source(path, Asked()).windows(1000))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert rows == 20_000
    assert peak < 6 << 20
