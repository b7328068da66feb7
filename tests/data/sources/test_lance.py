"""Lance datasets as sources; what needs the library skips where it is not installed."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import open_source
from alcli.embedders import _contract
from alcli.errors import DataError, UnavailableError

N, D = 57, 4
X_ND = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)


def read(folder, start=0):
    source = open_source(folder, Asked(input="vector"))
    windows = list(source.windows(start))
    return source, windows


@pytest.fixture
def dataset(tmp_path):
    lance = pytest.importorskip("lance", reason="the library lance (package pylance) is not installed")
    table = pa.table(
        {
            "id": [f"q{i}" for i in range(N)],
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(X_ND.ravel()), D),
            "label": pa.array(["a", "b", None] * 19),
        }
    )
    lance.write_dataset(table.slice(0, 40), tmp_path / "v.lance")
    return lance.write_dataset(table.slice(40), tmp_path / "v.lance", mode="append"), tmp_path / "v.lance"


def test_rows_come_in_order_from_any_window_and_without_deleted_ones(dataset):
    stored, folder = dataset
    stored.delete("id = 'q7'")
    from alcli.data.sources.lance import LanceReader

    reader = LanceReader(folder)
    assert reader.n == N - 1
    kept = [i for i in range(N) if i != 7]
    for start in (0, 2):
        tables = list(reader.windows(["vector", "id"], 10, start))
        found = pa.concat_tables(tables)
        assert found["id"].to_pylist() == [f"q{i}" for i in kept[10 * start :]]
        flat = np.concatenate([chunk.flatten().to_numpy() for chunk in found["vector"].chunks])
        assert np.array_equal(flat.reshape(-1, D), X_ND[kept[10 * start :]])
        assert [len(one) for one in tables[:-1]] == [10] * (len(tables) - 1)
    assert "v.lance: row 3" in reader.place(3)


def test_embed_makes_a_pool_of_it(dataset, alcli):
    _, folder = dataset
    alcli("embed", folder, "-m", "identity", "--input-col", "vector", "-o", folder.parent / "pool.parquet").done()
    import pyarrow.parquet as pq

    pool = pq.read_table(folder.parent / "pool.parquet")
    assert pool["id"].to_pylist() == [f"q{i}" for i in range(N)]
    assert np.array_equal(np.array(pool["features"].to_pylist(), np.float32), X_ND)
    assert pool["label"].to_pylist() == ["a", "b", None] * 19


def test_a_damaged_dataset_is_refused_in_a_sentence(dataset):
    _, folder = dataset
    for file in (folder / "_versions").iterdir():
        file.write_bytes(b"nonsense")
    with pytest.raises(DataError, match=r"v\.lance: not readable as Lance"):
        open_source(folder, Asked(input="vector"))


def test_without_the_library_the_extra_is_named(tmp_path, monkeypatch):
    folder = tmp_path / "x.lance"
    (folder / "_versions").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data/x.lance").write_bytes(b"")

    def missing(name):
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(_contract, "_LIBRARIES", {})
    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UnavailableError, match="needs the extra lance") as refusal:
        open_source(folder, Asked(input="vector"))
    assert "pip install 'pylance>=14.0'" in refusal.value.hint


class PanicException(BaseException):
    """What the library raises where its Rust code panics."""


@pytest.mark.parametrize(("error", "expected"), [(PanicException, DataError), (KeyboardInterrupt, KeyboardInterrupt)])
def test_a_panic_of_the_library_is_a_sentence(tmp_path, monkeypatch, error, expected):
    folder = tmp_path / "x.lance"
    (folder / "_versions").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data/x.lance").write_bytes(b"")

    def dataset(path):
        raise error("called `Result::unwrap()` on an `Err` value")

    monkeypatch.setattr(_contract, "_LIBRARIES", {})
    monkeypatch.setattr(importlib, "import_module", lambda name: SimpleNamespace(dataset=dataset))
    with pytest.raises(expected, match="unwrap"):
        open_source(folder, Asked(input="vector"))
