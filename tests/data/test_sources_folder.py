"""Folders of files and .npy arrays as sources."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import check_ids, open_source
from alcli.errors import DataError, InputError, UsageError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_ids_are_sorted_relative_paths_and_hidden_files_are_left_out(tmp_path):
    touch(tmp_path, "b.png", "cat/a.JPG", "dog/c.jpeg", ".hidden.png", "_tmp/x.png", "cat/.x/y.png", "readme.rst")
    (window,) = open_source(tmp_path, Asked()).windows(10)
    assert window.columns.to_pydict() == {"id": ["b.png", "cat/a.JPG", "dog/c.jpeg"]}
    assert window.items == [tmp_path / i for i in window.columns["id"].to_pylist()]


def test_the_folder_is_the_label_when_asked(tmp_path):
    touch(tmp_path, "x.txt", "train/cat/a.txt", "dog/c.txt")
    source = open_source(tmp_path, Asked(label="folder"))
    (window,) = source.windows(10)
    assert source.kind == "text"
    assert window.columns.to_pydict() == {
        "id": ["dog/c.txt", "train/cat/a.txt", "x.txt"],
        "label": ["dog", "cat", None],
    }


def test_mixed_empty_and_wrong_questions_are_said(tmp_path):
    with pytest.raises(InputError, match="no images"):
        open_source(tmp_path, Asked())
    touch(tmp_path, "a.png")
    for asked in (Asked(id="id"), Asked(label="label"), Asked(input="x")):
        with pytest.raises(UsageError, match="--label-col folder"):
            open_source(tmp_path, asked)
    touch(tmp_path, "a.txt")
    with pytest.raises(DataError, match="1 images and 1 text files"):
        open_source(tmp_path, Asked())


def test_a_link_in_a_circle_does_not_hang(tmp_path):
    touch(tmp_path, "a/b.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert open_source(tmp_path, Asked()).n == 1


def test_contents_follow_names_and_files(tmp_path):
    touch(tmp_path, "a.png")
    before = open_source(tmp_path, Asked()).contents()
    assert open_source(tmp_path, Asked()).contents() == before
    touch(tmp_path, "b.png")
    assert open_source(tmp_path, Asked()).contents() != before


def test_npy_rows(tmp_path):
    X = np.random.default_rng(0).random((5, 2, 3), np.float32)
    np.save(tmp_path / "x.npy", X)
    source = open_source(tmp_path / "x.npy", Asked())
    check_ids(source)
    windows = list(source.windows(2))
    assert source.kind == "array"
    assert [w.columns["id"].to_pylist() for w in windows] == [[0, 1], [2, 3], [4]]
    np.testing.assert_array_equal(np.concatenate([np.stack(w.items) for w in windows]), X)


@pytest.mark.parametrize("array", [np.arange(3), np.array([[1j]]), np.array([["a"]]), np.array(1.0)])
def test_npy_of_another_shape_or_kind_is_a_data_error(array, tmp_path):
    np.save(tmp_path / "x.npy", array)
    with pytest.raises(DataError, match="shape"):
        open_source(tmp_path / "x.npy", Asked())


def test_npy_with_objects_or_damage_is_a_data_error(tmp_path):
    np.save(tmp_path / "x.npy", np.array([[{}]], object), allow_pickle=True)
    with pytest.raises(DataError, match="cannot be read"):
        open_source(tmp_path / "x.npy", Asked())
    for content in (b"", b"\x93NUMPY", b"hello"):
        (tmp_path / "x.npy").write_bytes(content)
        with pytest.raises(DataError, match="cannot be read"):
            open_source(tmp_path / "x.npy", Asked())
    np.save(tmp_path / "x.npy", np.ones((2, 2)))
    with pytest.raises(UsageError, match="no columns"):
        open_source(tmp_path / "x.npy", Asked(id="id"))
