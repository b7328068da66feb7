"""Embeddings of the names of classes: a pool whose ids are the classes.

`alcli embed names.csv -m MODEL -o names.parquet` makes one of a table with the columns `id`, the class, and `text`, its
name or a one-line description.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Floats
from alcli.data.groups import NO_GROUPS
from alcli.data.pool import Pool
from alcli.data.schema import Columns, same_features
from alcli.errors import DataError, counted
from alcli.remarks import Note, silence


@dataclass(frozen=True)
class ClassNames:
    """names: the classes. features_KD: the embedding of each of their names, in the same order. class_type: the type of
    the classes, as `Labels.class_type`.
    """

    names: tuple[str, ...]
    features_KD: Floats
    class_type: str = "string"

    def rows(self, classes: Sequence[str]) -> Floats:
        """The embeddings of the names of `classes`, [C, D]; zeros for a class without a name."""
        place = {name: i for i, name in enumerate(self.names)}
        rows_CD = np.zeros((len(classes), self.features_KD.shape[1]), self.features_KD.dtype)
        for c, name in enumerate(classes):
            if name in place:
                rows_CD[c] = self.features_KD[place[name]]
        return rows_CD


def read_class_names(spec: str, pool: Pool, note: Note = silence) -> ClassNames:
    """Read the names at `spec`, a pool with the columns that `embed` writes, whatever those of `pool` are called.

    pool: the pool whose classes they name, and whose limits hold. A name without a usable vector is left out where
    `pool` leaves out such rows, and a note says so.
    Raises DataError where the names are not of the same embedding model as the pool, where a class is empty or no
    vector is usable, and what `open_pool` raises.
    """
    found = pool.read_alike(spec, Columns(group=NO_GROUPS))
    found.require_rows("one row a class is expected: its id is the class")
    if found.dim != pool.dim:
        hint = "embed the names with the model of the pool"
        raise DataError(
            f"{found.name}: the names of classes have D={found.dim}, {pool.name} has D={pool.dim}", hint=hint
        )
    difference = same_features(found.metadata, pool.metadata)
    if difference:
        what = f"{found.name}: the names of classes are features of {difference} as in {pool.name}"
        raise DataError(what, hint="embed the names as the pool was embedded")
    rows = found.sorted_by_id(np.flatnonzero(~found.is_bad))
    names = tuple(str(id) for id in found.ids.arrow(rows).to_pylist())
    if found.is_bad.any():
        one, several = "name without a usable vector was", "names without a usable vector were"
        note(f"{found.name}: {counted(int(found.is_bad.sum()), one, several)} left out")
    if not names:
        raise DataError(f"{found.name}: no name of a class has a usable vector", hint="embed the names again")
    if "" in names:
        raise DataError(f"{found.describe(int(rows[names.index('')]))}: the id is empty, expected a class")
    return ClassNames(names, found.take(rows), found.ids.kind)
