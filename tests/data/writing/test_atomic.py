"""Files that are replaced whole, modes, devices. What happens under kill -9 is in reliability/test_write_path."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import stat
import time
from pathlib import Path

import pytest

from alcli.data.writing import atomic as module
from alcli.data.writing.atomic import exchange, replacing, sweep
from alcli.data.writing.creatable import check_creatable
from alcli.errors import CannotCreateError, OutputError, UsageError


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
    """What is left of the target alone, and no file that only looks like it, or a link to one."""
    Path("precious").touch()
    kept = {
        ".a1.alcli-aaaaaaaa.tmp",
        ".a[1].alcli-word.tmp",
        ".a[1].alcli-12345678.tmp.csv",
        "b.alcli-aaaaaaaa.tmp",
        ".a[1].alcli-embed",
    }
    for name in (*kept, ".a[1].alcli-aaaaaaaa.tmp", ".a[1].alcli-0b_9zzzz.tmp"):
        Path(name).touch()
    os.symlink("precious", ".a[1].alcli-llllllll.tmp")
    os.mkfifo(".a[1].alcli-ffffffff.tmp")
    sweep(Path("a[1]").absolute())
    assert set(os.listdir()) - {".a[1].alcli-ffffffff.tmp"} == kept | {"precious", ".a[1].alcli-llllllll.tmp"}


def writer(folder: Path, said: int, *, container: bool) -> None:
    """A child that stands still while it writes, perhaps with process numbers of its own. Says how it went and its
    number here.
    """
    if container:
        if ctypes.CDLL(None).unshare(0x20000000):  # CLONE_NEWPID
            os.write(said, b"0")
            os._exit(0)
        if number := os.fork():
            os.waitpid(number, 0)
            os._exit(0)
    with replacing(folder / "x") as file:
        file.write(b"half")
        file.flush()
        os.write(said, Path("/proc/self").readlink().name.encode())
        time.sleep(60)


@pytest.mark.parametrize("container", [False, True], ids=["here", "in another container"])
def test_a_living_writer_is_known_by_its_lock(folder, container):
    """Not by its process number, which means nothing outside its container and is given to somebody else when it is
    dead.
    """
    listen, said = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            writer(folder, said, container=container)
        finally:
            os._exit(1)
    number = int(os.read(listen, 9))
    if number == 0:
        os.waitpid(child, 0)
        pytest.skip("no right to a namespace")
    (left,) = os.listdir()
    try:
        with replacing(Path("x")) as file:
            file.write(b"whole")
        assert sorted(os.listdir()) == sorted([left, "x"])
    finally:
        os.kill(number, signal.SIGKILL)
        os.waitpid(child, 0)
    assert Path(left).read_bytes() == b"half"
    with replacing(Path("x")) as file:
        file.write(b"again")
    assert os.listdir() == ["x"]


def test_a_writer_whose_file_is_swept_before_it_is_locked_takes_another(folder, monkeypatch):
    lock, tried = module.lock_now, []

    def swept_and_locked(handle: int) -> bool | None:
        tried.append(handle)
        if len(tried) == 1:
            monkeypatch.setattr(module, "lock_now", lock)
            sweep(Path("x").absolute())
            monkeypatch.setattr(module, "lock_now", swept_and_locked)
        if len(tried) == 2:
            (name,) = Path().glob(".x.alcli-*.tmp")
            fcntl.flock(os.open(name, os.O_RDWR), fcntl.LOCK_EX)  # about to be removed
        return lock(handle)

    monkeypatch.setattr(module, "lock_now", swept_and_locked)
    with replacing(Path("x")) as file:
        file.write(b"whole")
    assert Path("x").read_bytes() == b"whole"
    assert len(tried) == 3
    assert os.listdir() == ["x"]


def test_a_signal_at_any_moment_leaves_no_temporary(folder, monkeypatch):
    """Also between the call that makes the file and the line that learns of it."""

    class Stopped(BaseException):
        pass

    make = os.open

    def make_and_stop(path: object, flags: int, *more: object) -> int:
        handle = make(path, flags, *more)  # type: ignore[arg-type]
        if flags & os.O_EXCL:
            os.close(handle)
            raise Stopped
        return handle

    monkeypatch.setattr(os, "open", make_and_stop)
    with pytest.raises(Stopped), replacing(Path("x")):
        pass
    assert os.listdir() == []


def test_a_file_system_without_locks(folder, monkeypatch):
    """Files are written all the same, and nothing is swept: nobody can tell what is left from what is being written."""

    def none(*a: object) -> None:
        raise OSError(95, "Operation not supported")

    Path(".x.alcli-aaaaaaaa.tmp").touch()
    monkeypatch.setattr(fcntl, "flock", none)
    with replacing(Path("x")) as file:
        file.write(b"whole")
    assert sorted(os.listdir()) == [".x.alcli-aaaaaaaa.tmp", "x"]


def test_old_temporaries_of_other_names_are_swept(folder):
    """A file that gets a new name every night is never swept by its own name; what is young or locked stays."""
    names = [f".{name}.csv.alcli-aaaaaaaa.tmp" for name in ("monday", "tuesday", "wednesday")]
    for name in (*names, ".other.tmp", "friday.csv.alcli-aaaaaaaa.tmp"):
        Path(name).write_bytes(b"half")
        os.utime(name, (0, 0))
    os.utime(names[1])
    with open(names[2], "r+b") as living:
        fcntl.flock(living, fcntl.LOCK_EX)
        with replacing(Path("thursday.csv")) as file:
            file.write(b"whole")
    assert sorted(os.listdir()) == sorted([*names[1:], ".other.tmp", "friday.csv.alcli-aaaaaaaa.tmp", "thursday.csv"])


def test_two_folders_change_places(folder):
    for name in ("a", "b"):
        os.mkdir(name)
        Path(name, name).touch()
    if exchange(Path("a"), Path("b")):
        assert (os.listdir("a"), os.listdir("b")) == (["b"], ["a"])
    assert not exchange(Path("a"), Path("nowhere"))
    assert sorted(os.listdir()) == ["a", "b"]


def test_a_folder_that_cannot_be_synced(folder, monkeypatch):
    """After the rename the new file is there, and the message says so; a file system without the call is no error."""
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

    monkeypatch.setattr(os, "open", fail)
    with pytest.raises(OSError, match="Too many open files"), replacing(Path("x")):
        pass
