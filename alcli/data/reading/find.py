"""Find the Parquet files of a pool: a file, a directory, a glob, or a filesystem URI."""

from __future__ import annotations

from alcli.data.reading.data_file import DataFile
from alcli.data.reading.local import find_local
from alcli.data.reading.remote import find_remote
from alcli.remarks import Note, silence


def find_files(spec: str, note: Note = silence) -> list[DataFile]:
    """Find the Parquet files that `spec` names, in a fixed order. note: told of a file that has two names.

    A directory is searched to any depth; names that begin with `.` or `_` are left out, links to folders are not
    followed. A glob matches names that begin with `.` or `_` only if a part of the pattern begins with the same
    character; `**` stands for folders of any depth, and folders that match are searched. Raises InputError when there
    is nothing to read or a folder cannot be searched, UnavailableError for a URI out of reach.
    """
    return find_remote(spec, note) if "://" in spec else find_local(spec, note)
