"""The pool of a command, opened as its options say."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from alcli.cli.console import Console
from alcli.cli.options.pools import LabelledPoolOptions, LenientPoolOptions, PoolOptions
from alcli.errors import printable
from alcli.remarks import working

if TYPE_CHECKING:
    from alcli.workflows.items import Items

# The most files that a remark names.
_NAMED = 3


def opened(
    console: Console, pool: str, options: PoolOptions, head: Path | None = None, cache_dir: Path | None = None
) -> Items:
    """Open the pool at a path or URI, and return its items.

    head: remembers names of columns, which count where no option names another. cache_dir: keeps features that lie in a
    file. With -v, say which names these are, and which files do not protect their pages.
    """
    from alcli.data.pool import open_pool
    from alcli.data.reading.head_header import remembered_columns
    from alcli.data.schema import Columns
    from alcli.workflows.items import Items

    label = options.label_col if isinstance(options, LabelledPoolOptions) else None
    bad_rows = options.bad_rows if isinstance(options, LenientPoolOptions) else "error"
    columns = Columns(options.features_col, options.id_col, label, group=options.group_col)
    with nullcontext() if options.isolate else console.working(), working("opening the pool"):
        found = open_pool(
            pool,
            columns,
            bad_rows=bad_rows,
            max_memory=options.max_memory,
            hive=options.hive,
            isolate=options.isolate,
            cache_dir=None if cache_dir is None else str(cache_dir),
            remembered=None if head is None else remembered_columns(head),
            note=console.remark,
        )
    for usual, name in found.columns.named().items():
        if usual not in columns.named():
            console.detail(f"{usual}-col '{name}': the head {printable(head)} remembers it")
    if console.verbose and (bare := found.without_checksums()):
        more = f" and {len(bare) - _NAMED} more files" if len(bare) > _NAMED else ""
        names = ", ".join(bare[:_NAMED])
        console.detail(f"no page checksums in {names}{more}: damage inside pages cannot be seen")
    return Items(found)
