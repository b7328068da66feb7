"""The polish of the models of a stream, while the annotator looks at an item.

A stream absorbs each label in closed form, before it chooses the next item. After every POLISH_EVERY labels, and once
an item has been written, the models go to the MAP of all labels (heads/_polish.py). Where the labels have doubled since
the head was fitted, a plain head without hidden layers is fitted anew. Other heads wait for `alcli update`: a fit would
read the pool again, or change the hidden features that the stream keeps. The count of labels alone decides, so the same
labels give the same items.

Cost: one polish or fit for POLISH_EVERY labels, or for a twentieth of all labels where this is more; and one pass over
the candidates. Memory: the features of the labelled rows.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.data.head_file import HeadFile
from alcli.data.head_match import rows_of_hashes
from alcli.data.pool import Pool
from alcli.errors import DataError, printable
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.heads._polish import is_renewal, polished
from alcli.remarks import Note
from alcli.workflows.labelled import id_order
from alcli.workflows.recipe import Recipe

POLISH_EVERY = 10
SHARE = 20


class Polisher:
    """Polishes the models of a stream. fitted_on: as in `HeadFile`, of the models of the moment."""

    def __init__(self, pool: Pool, head: HeadFile, note: Note) -> None:
        self._pool, self._head, self._note = pool, head, note
        self._spec = Recipe.from_json(head.recipe, "the head").spec(regression=head.classes is None)
        self._rows_L: Int64 = rows_of_hashes(head.absorbed.id_L, pool.ids.hashes())
        self.fitted_on = head.fitted_on
        self._n_polished = 0
        missing = int((self._rows_L < 0).sum())
        self.works = head.model.posterior is not None and head.model.gamma is None and missing == 0
        if missing:
            of = f"{missing} of {len(self._rows_L)} labelled items"
            note(f"{of} are not in {pool.name}, so the stream absorbs labels in closed form alone, without a polish")
        self._X_LD = pool.take(self._rows_L) if self.works else np.empty((0, pool.dim), np.float32)

    def is_due(self, n_told: int) -> bool:
        """True where enough of the n_told labels of the stream came after the last polish."""
        every = max(POLISH_EVERY, (len(self._rows_L) + n_told) // SHARE)
        return self.works and n_told - self._n_polished >= every

    def is_behind(self, n_told: int) -> bool:
        """True where a label came after the last polish."""
        return self.works and n_told > self._n_polished

    def polish(self, models: list[Model], rows_L: Int64, y_L: Float64, weights_L: Float64) -> list[Model]:
        """Return the models after a polish. rows_L, y_L, weights_L: all labels of the stream, in their order.

        Models that do not converge are returned as they are, with a remark.
        """
        self._n_polished = len(rows_L)
        data = self._all_labels(models[0], rows_L, y_L, weights_L)
        try:
            plain = len(models) == 1 and models[0].head.anchor is None and not models[0].head.layers
            if plain and is_renewal(data.n, self.fitted_on):
                renewed = [fit(data, self._spec, start=models[0])]
                self.fitted_on = data.n
                return renewed
            return [polished(model, data, self._spec) for model in models]
        except DataError as error:
            self._note(f"the polish after {len(rows_L)} labels was left out: {printable(error)}")
            return models

    def _all_labels(self, model: Model, rows_L: Int64, y_L: Float64, weights_L: Float64) -> Training:
        known = self._head.absorbed
        rows_L = np.concatenate([self._rows_L, rows_L])
        self._remember(rows_L)
        order = id_order(self._pool, rows_L)
        y_L = np.concatenate([known.label_L, y_L])[order]
        if model.n_classes is not None:
            y_L = y_L.astype(np.int64)
        weights_L = np.concatenate([known.weight_L, weights_L])[order]
        return Training(self._X_LD[order], y_L, weights_L, model.n_classes)

    def _remember(self, rows_L: Int64) -> None:
        """Read the features of the rows that were not read before."""
        new_L = rows_L[len(self._X_LD) :]
        self._X_LD = np.concatenate([self._X_LD, self._pool.take(new_L)])
