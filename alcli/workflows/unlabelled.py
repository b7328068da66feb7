"""The sources of a head beside labels: the unlabelled rows of a pool, and the names of classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from alcli.arrays import Floats, Int64
from alcli.data.class_names import ClassNames
from alcli.data.pool import Pool
from alcli.errors import counted, printable
from alcli.heads._pair import Pair, Unlabelled
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.remarks import Note

# Features up to this many bytes are kept for all passes; more are read again in every pass.
KEPT_BYTES = 512 << 20
NO_CLASSES = "the labels are numbers, so there are no classes to find in the pool, and the prior is plain"
_NAMED = 5


def unlabelled(
    pool: Pool, labelled: Int64, names: ClassNames | None, classes: Sequence[str], *, kept_bytes: int = KEPT_BYTES
) -> Unlabelled:
    """Return the rows of the pool that are neither labelled nor test rows and have a usable vector, and the names.

    Rows that are kept come in the order of their ids, so the order of rows and files has no effect; rows that are read
    again come in the order of the files. labelled: row numbers. Memory: at most `kept_bytes`, else a few blocks.
    """
    is_open_N = ~(pool.is_test | pool.is_bad)
    is_open_N[labelled] = False
    names_CD = None if names is None else names.rows(classes)
    rows = np.flatnonzero(is_open_N)
    if len(rows) * pool.dim * np.dtype(pool.dtype).itemsize <= kept_bytes:
        X_ND = pool.take(pool.sorted_by_id(rows))
        return Unlabelled(lambda: (X_ND[a : a + BLOCK_ROWS] for a in range(0, len(X_ND), BLOCK_ROWS)), names_CD)

    def read() -> Iterable[Floats]:
        for first, X_BD in pool.blocks():
            open_B = is_open_N[first : first + len(X_BD)]
            yield X_BD if open_B.all() else X_BD[open_B]

    return Unlabelled(read, names_CD)


def remark_on_missing(names: ClassNames, labelled: Sequence[str], note: Note) -> None:
    """Tell which of the classes with a label have no name."""
    missing = [name for name in labelled if name not in names.names]
    if missing:
        what = counted(len(missing), "labelled class has no name", "labelled classes have no name")
        note(f"{what}: {_listed(missing)}")


def remark_on_names(names: ClassNames, labelled: Sequence[str], pair: Pair, classes: Sequence[str], note: Note) -> None:
    """Tell which classes have no name, and which names the labels contradict. labelled: the classes with a label."""
    remark_on_missing(names, labelled, note)
    if pair.prior is None:
        return
    if pair.prior.refused:
        note("the labels contradict the names of the classes as a whole, so no name was used")
    elif len(pair.prior.wrong_names):
        wrong = [classes[c] for c in pair.prior.wrong_names]
        one, several = "name of a class is contradicted", "names of classes are contradicted"
        note(f"{counted(len(wrong), one, several)} by its labels and not used: {_listed(wrong)}")


def remark_on_pool(pair: Pair, note: Note) -> None:
    """Tell where the features vary in so few dimensions that the pool says little about classes."""
    if pair.prior is None or pair.prior.advisable:
        return
    what = f"the features vary in {pair.prior.dimensions:.1f} effective dimensions, as tables of a few columns do"
    if pair.is_one:
        note(f"{what}; there names and pool can cost accuracy, and 'alcli simulate' tells")
    elif pair.prior.trust:
        note(f"{what}; so the pool counts less, and 'alcli simulate' tells what --prior pool gains")
    else:
        note(f"{what}; so the pool does not count, and the head predicts as with --prior plain")


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"'{printable(name)}'" for name in names[:_NAMED]) + more
