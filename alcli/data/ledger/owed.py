"""The order of writing in which a batch of a ledger is given out once, and always.

1. The batch is written beside its file, as `.NAME.alcli-KEY.owed`; the key stands for the ledger.
2. The ledger is written with the batch at its end, and names the file and its checksum.
3. The file is written.
4. The owed copy is removed, as the last act.

A run that dies before step 2 has given nothing out. A run that dies later leaves the owed copy: the next run with that
ledger writes the file, and answers with it if it is to write the same file. So the copy of a batch outlives every run
that has not ended well, whether a file of its name was written or not. Only runs with the same ledger look for it, and
it lies in the folder of its file: a ledger of a stranger cannot make alcli write into another folder.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from alcli.data.formats import Table
from alcli.data.ledger.entries import LEARNING, Entry, Ledger, last_batch, read_ledger, write_ledger
from alcli.data.reading.data_file import refusal
from alcli.data.writing.atomic import replacing, reported, sync_folder
from alcli.data.writing.creatable import check_creatable, mode_for
from alcli.errors import AlcliError, counted, printable


@dataclass(frozen=True)
class Late:
    """A batch of a run that was stopped after it had entered the batch into the ledger.

    out: the file that has the batch now. meant: the file that it was chosen for, which somebody else wrote since where
    it is not `out`. owed: the copy of the batch, to be removed once the user has the answer.
    """

    out: Path
    meant: Path
    owed: Path
    rows: list[Entry]

    @property
    def note(self) -> str:
        """The remark that tells the user of it."""
        other = "" if self.out == self.meant else f", since {printable(self.meant.name)} was written anew"
        items = counted(len(self.rows), "item")
        return f"{printable(self.out.name)} has the {items} of a run that was stopped before it could finish{other}"


def give_out(
    data: bytes, out: Path, path: Path, before: Ledger, table: Table, *, text_ids: bool, purpose: str = LEARNING
) -> Path:
    """Enter a batch into the ledger at `path`, and write it to the file `out`; return its owed copy.

    data: the content of the file. The caller holds the lock of the ledger, has called `deliver` under it, and removes
    the owed copy when nothing is left to do. Raises what `replacing` does.
    """
    check_creatable(out)
    target = Path(os.path.realpath(out))
    owed = _owed(target, path)
    _sweep(owed)
    batch = {
        "out": os.path.relpath(target, _folder(path)),
        "sha256": _digest(data),
        "rows": len(table["id"]),
        "replaces": _digest_of(target),
    }
    with _telling(path, before, f"and the next query with {printable(path)} writes {printable(out)}"):
        try:
            with reported(out):
                _keep(owed, data, mode_for(target))
            write_ledger(path, before.and_then(table, text_ids=text_ids, purpose=purpose), batch)
        except BaseException:
            # After a signal, or where the folder cannot be synced, the batch may be in the ledger all the same.
            if last_batch(path) != batch:
                acknowledge(owed)
            raise
        with replacing(out) as file:
            file.write(data)
    return owed


@contextmanager
def show_out(path: Path, before: Ledger, table: Table, *, text_ids: bool, purpose: str = LEARNING) -> Iterator[None]:
    """Enter a batch into the ledger at `path`; the block shows it on a stream or a device, which takes nothing back.

    The caller holds the lock of the ledger. A batch that the stream lost can only be looked up in the ledger. Raises
    what `replacing` does.
    """
    with _telling(path, before, f"at the end of {printable(path)}, and not given out again"):
        write_ledger(path, before.and_then(table, text_ids=text_ids, purpose=purpose))
        yield


def deliver(path: Path, ledger: Ledger, out: Path | None = None) -> Late | None:
    """Write the batch of the last run with a ledger if that run did not end well, and return it.

    out: the file that the caller is to write. The batch goes to its own file unless somebody else wrote that since; it
    goes there too if it is `out`. The caller holds the lock of the ledger, and removes the owed copy once the user has
    the answer. The path of the batch is relative to the ledger, so that another container can do it. Raises what
    `replacing` does.
    """
    batch = last_batch(path)
    try:
        meant = Path(os.path.realpath(_folder(path) / batch["out"]))
        sha256, n = str(batch["sha256"]), int(batch["rows"])
        owed = _owed(meant, path)
        data = owed.read_bytes() if owed.is_file() and not owed.is_symlink() else b""
    except (KeyError, TypeError, ValueError):
        return None
    except OSError as error:
        raise refusal(printable(owed), "cannot read", error) from error
    if n < 1 or _digest(data) != sha256:
        return None
    late = Late(_free(meant, batch, out), meant, owed, ledger.entries(-n))
    if _digest_of(late.out) != sha256:
        with replacing(late.out) as file:
            file.write(data)
    else:
        # The run may have died before it brought the folder to disk.
        with suppress(OSError):
            sync_folder(late.out.parent)
    return late


def _keep(owed: Path, data: bytes, mode: int) -> None:
    """Bring the owed copy to disk, with its folder. Its checksum in the ledger tells whether it is whole."""
    owed.unlink(missing_ok=True)
    with open(os.open(owed, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    sync_folder(owed.parent)


def acknowledge(owed: Path) -> None:
    """Remove the owed copy of a batch: its run has done everything else."""
    with suppress(OSError):
        owed.unlink()


@contextmanager
def _telling(path: Path, before: Ledger, where: str) -> Iterator[None]:
    """Say of an exception that ends the block what became of the batch, if the ledger has it."""
    try:
        yield
    except BaseException as error:
        with suppress(AlcliError):
            n = len(read_ledger(path)) - len(before)
            if n > 0:
                error.add_note(f"{counted(n, 'item of the batch is', 'items of the batch are')} in the ledger, {where}")
        raise


def _free(meant: Path, batch: dict[str, Any], out: Path | None) -> Path:
    """The file for a late batch: the one it was meant for; if somebody else has written that, one with a number."""
    ours = (None, batch.get("replaces"), batch["sha256"])
    if _digest_of(meant) in ours or (out is not None and os.path.realpath(out) == os.fspath(meant)):
        return meant
    names = (meant.with_name(f"{meant.stem}-{k}{meant.suffix}") for k in count(2))
    return next(name for name in names if _digest_of(name) in (None, batch["sha256"]))


def _owed(out: Path, ledger: Path) -> Path:
    """The owed copy of a batch. The key is that of the way from the folder of the batch to its ledger."""
    way = os.path.relpath(os.path.realpath(ledger), out.parent)
    return out.parent / f".{out.name}.alcli-{_digest(os.fsencode(way))[:8]}.owed"


def _sweep(owed: Path) -> None:
    """Remove what runs of the same ledger left in the folder of a batch, whatever they called their files.

    They are dead, since the caller holds the lock; and `deliver` has written what they owed.
    """
    key = owed.name.rpartition(".alcli-")[2]
    for left in owed.parent.glob(f".*.alcli-{key}"):
        acknowledge(left)


def _digest_of(path: Path) -> str | None:
    """The checksum of a file; None where there is none that can be read."""
    try:
        return _digest(path.read_bytes())
    except OSError:
        return None


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _folder(path: Path) -> Path:
    """The folder of a path without symbolic links."""
    return Path(os.path.realpath(path)).parent
