"""Arrays in a file: what is written is read, in any order; damage is a sentence."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.data.cached.file_array import FileArray, new_file
from alcli.data.cached.in_order import write_in_order
from alcli.errors import InputError, OutputError
from alcli.numerics.block_array import Chosen, UnitRows, mapped, peak_of, run, scaled

N = 5000
X = np.random.default_rng(0).standard_normal((N, 7)).astype(np.float32)


@pytest.fixture
def file(tmp_path: Path) -> FileArray:
    found = new_file(str(tmp_path / "array"), X.shape, X.dtype)
    found.write(0, X[:1234])
    found.write(1234, X[1234:])
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, N - 1), max_size=200), st.integers(0, N), st.integers(0, N))
def test_rows_are_those_of_the_array(rows: list[int], a: int, b: int) -> None:
    file = FileArray(str(_SHARED), X.shape, X.dtype)
    index = np.array(rows, np.int64)
    assert file[index].tobytes() == X[index].tobytes()
    assert file[a:b].tobytes() == X[a:b].tobytes()
    part = run(file, min(a, b), max(a, b))
    assert part[0:10].tobytes() == X[min(a, b) : max(a, b)][0:10].tobytes()
    inside = index[index < len(part)]
    assert part[inside].tobytes() == X[min(a, b) : max(a, b)][inside].tobytes()
    assert Chosen(file, index)[0 : len(index)].tobytes() == X[index].tobytes()


@pytest.fixture(autouse=True, scope="module")
def _shared(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _SHARED
    _SHARED = tmp_path_factory.mktemp("array") / "x"
    new_file(str(_SHARED), X.shape, X.dtype).write(0, X)


_SHARED = Path()


def test_it_travels_by_its_path(file: FileArray) -> None:
    again = pickle.loads(pickle.dumps(Chosen(run(file, 100, 4000), np.arange(50)[::-1].copy())))
    assert again[0:50].tobytes() == X[100:150][::-1].tobytes()


def test_derived_rows_are_those_of_the_array(file: FileArray) -> None:
    lengths = np.linalg.norm(X.astype(np.float64), axis=1)
    expected = (X / lengths[:, None]).astype(np.float32)
    assert UnitRows(file, lengths)[10:20].tobytes() == expected[10:20].tobytes()
    assert run(UnitRows(file, lengths), 5, 900)[5:15].tobytes() == expected[10:20].tobytes()
    assert run(scaled(file, -3), 5, 900)[5:15].tobytes() == np.ldexp(X, -3)[10:20].tobytes()
    assert run(mapped(file, np.negative), 5, 900)[np.array([7, 5])].tobytes() == (-X)[[12, 10]].tobytes()
    assert peak_of(file) == peak_of(X) == np.abs(X).max()
    assert scaled(file, 0) is file
    assert isinstance(mapped(X, np.negative), np.ndarray)


def test_a_file_cut_short_is_a_sentence(file: FileArray) -> None:
    os.truncate(file.path, 1000)
    with pytest.raises(InputError, match="shorter than it was"):
        file[0:N]


def test_a_file_that_is_gone_is_a_sentence(file: FileArray) -> None:
    again = FileArray(file.path, file.shape, file.dtype)
    os.unlink(file.path)
    with pytest.raises(InputError, match="cannot open the features kept there"):
        again[0:1]


def test_no_room_is_a_sentence_that_names_the_options(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no room for") as raised:
        new_file(str(tmp_path / "huge"), (1 << 50, 8), np.float64)
    assert "--cache-dir" in raised.value.hint


@pytest.mark.parametrize("kind", ["ascending", "reversed blocks", "shuffled", "few of them"])
def test_any_order_of_rows_is_written_where_it_belongs(kind: str, tmp_path: Path) -> None:
    places = np.arange(N)
    if kind == "reversed blocks":
        places = places.reshape(10, -1)[::-1].ravel().copy()
    if kind == "shuffled":
        places = np.random.default_rng(1).permutation(N)
    if kind == "few of them":
        places = np.full(N, -1)
        places[np.random.default_rng(1).permutation(N)[:300]] = np.random.default_rng(2).permutation(300)
    out = new_file(str(tmp_path / "out"), ((places >= 0).sum(), X.shape[1]), X.dtype)
    write_in_order(out, places, ((a, X[a : a + 700]) for a in range(0, N, 700)), bucket_bytes=4096)
    expected = np.empty_like(X[places >= 0])
    expected[places[places >= 0]] = X[places >= 0]
    assert out[0 : len(out)].tobytes() == expected.tobytes()
    assert os.listdir(tmp_path) == ["out"]
