"""What the user types becomes files: folders, globs, URIs, partitions, links."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.pool import open_pool
from alcli.data.reading import hive
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.find import find_files
from alcli.data.reading.local import _matching, _walk
from alcli.errors import DataError, InputError, UnavailableError
from tests.pools import names, tiny_features, write_pool

X_ND = tiny_features(6)[0]


@pytest.fixture
def tree(folder):
    """Three files at three depths, and names that are left out."""
    for place, rows in (
        ("pool/a.parquet", [0, 1]),
        ("pool/year=2024/b.parquet", [2, 3]),
        ("pool/year=2024/month=%31%20x/c.pq", [4, 5]),
    ):
        os.makedirs(os.path.dirname(place), exist_ok=True)
        write_pool(place, X_ND[rows], [names(6)[r] for r in rows])
    for name in (
        "_metadata.parquet",
        ".hidden.parquet",
        "_SUCCESS",
        "a.parquet.crc",
        "notes.txt",
        "_temporary/x.parquet",
        ".git/y.parquet",
    ):
        os.makedirs(os.path.dirname(f"pool/{name}"), exist_ok=True)
        with open(f"pool/{name}", "w") as file:
            file.write("not Parquet")
    return folder


def paths(spec: str) -> list[str]:
    return [file.path for file in find_files(spec)]


ALL = ["pool/a.parquet", "pool/year=2024/b.parquet", "pool/year=2024/month=%31%20x/c.pq"]


def test_a_folder_is_searched_to_any_depth(tree):
    assert sorted(paths("pool")) == sorted(ALL)
    assert open_pool("pool").n == 6


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("pool/*.parquet", ALL[:1]),
        ("pool/**/*.parquet", ALL[:2]),
        ("pool/year=*", ALL[1:]),
        ("pool/**/month=*/*", ALL[2:]),
        ("p??l/a.parquet", ALL[:1]),
    ],
)
def test_globs(tree, pattern, found):
    assert sorted(paths(pattern)) == sorted(found)
    assert sorted(paths(str(tree / pattern))) == sorted(str(tree / f) for f in found)


def test_partitions(tree):
    """Whatever was typed: a folder, a glob, a file, a folder that is itself a value."""
    files = {file.path: hive.values(file) for file in find_files("pool")}
    assert files == {ALL[0]: {}, ALL[1]: {"year": "2024"}, ALL[2]: {"year": "2024", "month": "1 x"}}
    for spec in ("pool/*/*.parquet", "pool/year=2024/b.parquet", "pool/year=2024/*.parquet", "pool/year=2024"):
        assert hive.values(find_files(spec)[0]) == {"year": "2024"}, spec
    assert hive.values(DataFile("a=b=c/d=__HIVE_DEFAULT_PARTITION__/=e/%C3%A9%3D=%2F/x=y.parquet")) == {
        "a": "b=c",
        "d": None,
        "é=": "/",
    }
    assert hive.values(DataFile("a=1/b/a=1/x.parquet")) == {"a": "1"}
    for path, words in (
        ("a=1/a=2/x", "two values for 'a'"),
        (os.fsdecode(b"a=\xff/x"), "not UTF-8"),
        ("a=%ff/x", "'a=%ff' is not UTF-8"),
    ):
        with pytest.raises(DataError, match=words):
            hive.values(DataFile(path))
    said: list[str] = []
    hive.remark_on_folders(find_files("pool"), ["split"], said.append)
    assert said == []
    hive.remark_on_folders(find_files("pool"), ["split", "month"], said.append)
    assert said == ["folders named month=... are not read as columns; --hive does that"]


@given(
    tree=st.lists(
        st.lists(st.sampled_from(["a", "b", "_c", ".d", "e.parquet", "f[1]"]), min_size=1, max_size=4), max_size=8
    ),
    parts=st.lists(
        st.sampled_from(["**", "*", "a", "?", "_*", ".d", "[ab]", "*.parquet", "_c"]), min_size=1, max_size=4
    ),
)
def test_globs_are_those_of_the_standard_library(tmp_path_factory, tree, parts):
    """pathlib's, for files of any folders: the names that begin with a dot or an underscore aside, which have to be
    asked for.
    """
    folder = tmp_path_factory.mktemp("globs")
    (folder / "p").mkdir()
    for path in tree:
        (folder / "p" / "/".join(path)).mkdir(parents=True, exist_ok=True)
        (folder / "p" / "/".join(path) / "file.parquet").touch()
    plain = next((i for i, part in enumerate(parts) if set(part) & set("*?[")), None)
    if plain is None:
        return
    root = (folder / "p").joinpath(*parts[:plain])
    parts = parts[plain:]
    left_out = {c for c in "._" if c not in [part[0] for part in parts]}
    expected: set[str] = set()
    for found in root.glob("/".join(parts)):
        if not any(name[0] in left_out for name in found.relative_to(root).parts):
            expected |= set(_walk(str(found))) if found.is_dir() else {str(found)}
    assert [file.path for file in _matching(f"{root}/{'/'.join(parts)}")] == sorted(expected)


def test_a_name_with_magic_characters(folder):
    write_pool("odd[1]*.parquet", X_ND)
    assert paths("odd[1]*.parquet") == ["odd[1]*.parquet"]


def test_links(tree):
    os.symlink("a.parquet", "pool/z.parquet")
    os.link("pool/a.parquet", "pool/y.parquet")
    os.symlink(".", "pool/loop")
    notes: list[str] = []
    assert len(find_files("pool", notes.append)) == 3
    assert len(notes) == 2
    assert "same file as pool/a.parquet" in notes[0]
    assert len(paths("pool/**/*.parquet")) == 2


def test_what_cannot_be_read(folder):
    os.mkdir("empty")
    os.symlink("gone", "dangling.parquet")
    os.mkfifo("pipe.parquet")
    for spec, message in (
        ("missing", "no such file"),
        ("empty", "no Parquet file"),
        ("*.nothing", "no file matches"),
        ("dangling.parquet", "a link to a file that is not there"),
        ("pipe.parquet", "not a regular file"),
        ("/dev/null", "not a regular file"),
        ("file:///nowhere", "no such file"),
    ):
        with pytest.raises(InputError, match=message):
            find_files(spec)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(folder):
    write_pool("pool.parquet", X_ND)
    os.chmod("pool.parquet", 0)
    with pytest.raises(InputError, match="Permission denied"):
        find_files("pool.parquet")


def test_a_name_that_is_not_utf8(folder):
    name = os.fsdecode(b"p\xff.parquet")
    write_pool("plain.parquet", X_ND)
    os.rename("plain.parquet", name)
    pool = open_pool(name)
    assert pool.ids[5] == "r005"
    assert pool.name == "p\\udcff.parquet"


def test_uris(tree):
    fsspec = pytest.importorskip("fsspec")
    assert sorted(paths(f"file://{tree}/pool")) == sorted(str(tree / p) for p in ALL)
    memory = fsspec.filesystem("memory")
    for path in ALL:
        with open(path, "rb") as file:
            memory.pipe_file("/" + path, file.read())
    try:
        pool = open_pool("memory://pool")
        assert sorted(pool.ids[r] for r in range(6)) == names(6)
        assert open_pool("memory://pool/a.parquet").n == 2
        with pytest.raises(InputError, match="no such file"):
            find_files("memory://pool/missing")
    finally:
        memory.rm("/pool", recursive=True)
    with pytest.raises((InputError, UnavailableError), match="nonsense"):
        find_files("nonsense://x")


def test_a_file_that_vanishes(folder):
    with pytest.raises(InputError, match=r"gone\.parquet"):
        DataFile("gone.parquet").stamp()
    with pytest.raises(InputError, match=r"gone\.parquet"):
        DataFile("gone.parquet").open()
