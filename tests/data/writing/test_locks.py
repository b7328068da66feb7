"""The lock of a path: one holder at a time, by whatever name, and free again at the end."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from alcli.data.writing.locks import lock, lock_now
from alcli.errors import BusyError, CannotCreateError, UnavailableError


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


def test_an_open_file_has_one_holder(folder):
    Path("x").touch()
    first, second = (os.open("x", os.O_RDWR) for _ in range(2))
    assert lock_now(first) is True
    assert lock_now(second) is False
    os.close(first)
    assert lock_now(second) is True
    os.close(second)


def test_a_file_system_without_locks(folder, monkeypatch):
    def none(*a: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(fcntl, "flock", none)
    with open("x", "w") as file:
        assert lock_now(file.fileno()) is None
    with pytest.raises(UnavailableError, match="no locks that work"), lock(Path("x")):
        pass


@pytest.mark.parametrize(
    ("umask", "there", "expected"), [(0o002, None, 0o664), (0o077, None, 0o600), (0o077, 0o660, 0o660)]
)
def test_whoever_may_write_the_file_may_lock_it(umask, there, expected, folder):
    before = os.umask(umask)
    try:
        if there is not None:
            Path("x").touch()
            Path("x").chmod(there)
        with lock(Path("x")):
            assert Path(".x.alcli.lock").stat().st_mode & 0o777 == expected
    finally:
        os.umask(before)
