"""Files that are replaced whole, modes, devices, locks. What happens under kill -9 is in reliability/test_write_path."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

import pytest

from alcli.data.atomic import check_creatable, exchange, lock, replacing, sweep
from alcli.errors import BusyError, CannotCreateError, OutputError, UsageError


def test_a_new_file_and_a_replaced_one(folder):
    for content in (b"one", b"two"):
        with replacing(Path("x")) as file:
            file.write(content)
        assert Path("x").read_bytes() == content
    assert os.listdir() == ["x"]


def test_the_old_content_is_there_until_the_end(folder):
    Path("x").write_bytes(b"old")
    with replacing(Path("x")) as file:
        file.write(b"new")
        file.flush()
        assert Path("x").read_bytes() == b"old"


def test_it_exists(folder):
    Path("x").write_bytes(b"old")
    with pytest.raises(CannotCreateError, match="--force"), replacing(Path("x"), overwrite=False):
        pass
    with pytest.raises(UsageError, match="is read"):
        check_creatable(Path("x"), inputs=["./x"])
    check_creatable(Path("x"), inputs=["y"])


def test_links_are_followed(folder):
    Path("real").write_bytes(b"old")
    os.symlink("real", "link")
    os.symlink("later", "dangling")
    for name in ("link", "dangling"):
        with replacing(Path(name)) as file:
            file.write(b"new")
        assert os.path.islink(name)
        assert Path(name).read_bytes() == b"new"
    assert Path("later").read_bytes() == b"new"


def test_modes(folder):
    umask = os.umask(0o027)
    try:
        with replacing(Path("new")):
            pass
    finally:
        os.umask(umask)
    assert os.stat("new").st_mode & 0o777 == 0o640
    os.chmod("new", 0o604)
    with replacing(Path("new")):
        pass
    assert os.stat("new").st_mode & 0o777 == 0o604


def test_devices_are_written_to(folder):
    with replacing(Path("/dev/null")) as file:
        file.write(b"x")
    with pytest.raises(OutputError, match="No space left"), replacing(Path("/dev/full")) as file:
        file.write(b"x")


def test_errors_of_writing(folder, monkeypatch):
    def fail(number: int):
        def call(*a: object) -> None:
            raise OSError(number, os.strerror(number))

        return call

    for number, kind in ((28, OutputError), (5, OutputError), (27, OutputError), (13, CannotCreateError)):
        monkeypatch.setattr(os, "fsync", fail(number))
        with pytest.raises(kind, match="x: cannot write"), replacing(Path("x")):
            pass
    assert os.listdir() == []


def test_sweeping_keeps_to_its_own(folder):
    dead = 2**22 + 1  # beyond the largest process number of Linux
    for name in (f".a[1].alcli-{dead}-x.tmp", f".a1.alcli-{dead}-x.tmp", f".a[1].alcli-{os.getpid()}-x.tmp", ".a[1].alcli-word-x.tmp"):
        Path(name).touch()
    sweep(Path("a[1]").absolute())
    assert len(os.listdir()) == 3
    assert not os.path.exists(f".a[1].alcli-{dead}-x.tmp")


def test_two_folders_change_places(folder):
    for name in ("a", "b"):
        os.mkdir(name)
        Path(name, name).touch()
    if exchange(Path("a"), Path("b")):
        assert (os.listdir("a"), os.listdir("b")) == (["b"], ["a"])
    assert not exchange(Path("a"), Path("nowhere"))
    assert sorted(os.listdir()) == ["a", "b"]


def test_a_folder_that_cannot_be_synced(folder, monkeypatch):
    """After the rename the new file is there, and the message says so; a file system without such a call is no error."""
    fsync = os.fsync

    def fail(number: int):
        def call(handle: int) -> None:
            if stat.S_ISDIR(os.fstat(handle).st_mode):
                raise OSError(number, os.strerror(number))
            fsync(handle)

        return call

    monkeypatch.setattr(os, "fsync", fail(22))
    with replacing(Path("x")) as file:
        file.write(b"one")
    monkeypatch.setattr(os, "fsync", fail(5))
    with pytest.raises(OutputError, match="x: was written"), replacing(Path("x")) as file:
        file.write(b"two")
    assert Path("x").read_bytes() == b"two"


def test_limits_of_the_process_are_not_blamed_on_the_file(folder, monkeypatch):
    """Too many open files: exit 71 for the shell to say, whatever the output is called."""

    def fail(*a: object, **k: object) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(tempfile, "mkstemp", fail)
    with pytest.raises(OSError, match="Too many open files"), replacing(Path("x")):
        pass


def test_locks(folder):
    os.symlink("x", "link")
    with lock(Path("x")):
        for name in ("x", "link"):
            with pytest.raises(BusyError), lock(Path(name), timeout=0.05):
                pass
        with lock(Path("y")):
            pass
    with lock(Path("link")):
        pass
    with pytest.raises(CannotCreateError, match="no folder"), lock(Path("nowhere/x")):
        pass
