"""The pool of a command, opened as its options say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from alcli.cli.console import Console
from alcli.cli.options import check_choice, size_in_bytes

if TYPE_CHECKING:
    from alcli.workflows.items import Items

_NAMED = 3


def opened(
    talk: Console, pool: str, *, features: str | None, id: str, label: str | None = None, group: str | None, bad_rows: str = "error",
    max_memory: str | None = None, hive: bool = False, isolate: bool = False,
) -> Items:  # fmt: skip
    """The items of the pool at `pool`; the other parameters are the options of the same name. With -v, a word about what its files do not protect."""
    check_choice(bad_rows, ("error", "skip"), "--bad-rows")
    limit = size_in_bytes(max_memory)
    from alcli.data.pool import open_pool
    from alcli.data.schema import Columns
    from alcli.workflows.items import Items

    found = open_pool(pool, Columns(features, id, label, group=group), bad_rows=bad_rows, max_memory=limit, hive=hive, isolate=isolate, note=talk.remark)
    if talk.verbose and (bare := found.without_checksums()):
        more = f" and {len(bare) - _NAMED} more files" if len(bare) > _NAMED else ""
        talk.detail(f"no page checksums in {', '.join(bare[:_NAMED])}{more}: damage inside pages cannot be seen")
    return Items(found)
