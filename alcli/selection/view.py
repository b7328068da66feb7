"""The view of a strategy: the candidates, the labelled rows and the head's predictions; never a file.

A `View` joins a source of rows (a Parquet pool, or plain arrays) with a head. A batch strategy reads from it:

- `n`, `dim`, `n_labelled`, `has_head`, `has_posterior`, `regression`: facts that every strategy may read.
- `rows`: the row numbers of the candidates, in the order of their ids. A strategy returns row numbers from here.
- `matrix(need)`: an array over all candidates, in the order of `rows`; `stored(need)`: the same, read in blocks.
- `blocks(*needs)` and `reduced(function, *needs)`: one pass over the candidates in constant memory.
- `features_at(places)` and `at(need, places)`: some candidates, by their places in `rows`.
- `evaluate(need, X_BD)`: the head's predictions for any features.
- `labelled()`, `labelled_targets()`, `with_labelled()`: the labelled rows. `parts()`: rows of candidates (parts.py).
- `targets(n, rng)`: features of rows whose predictions matter. `network()`: the head itself.
- `describe(row)`: a row, for messages. `sort_keys(rows)` and `row_keys(rows)`: the ids, to sort and to draw by.

needs.py lists the needs with their shapes and dtypes. A read raises LookupError where the strategy does not declare the
need, or where there is no head to compute it.

The order of `rows` is the order of the ids, not of the files. So a strategy that breaks ties by position breaks them by
id, and its random draws follow the ids however the files are laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.errors import DataError
from alcli.numerics.block_array import BlockArray
from alcli.remarks import Note, silence
from alcli.selection.needs import OF_IDS, Answers
from alcli.selection.source import Predictor, Source

Scorer = Callable[..., Float64]  # a pointwise strategy with its options: one array a need -> scores_B
Scored = tuple[Int64, Float64, Floats | None]  # row numbers, scores, and the features or None


class View:
    """The candidates of a source, and a head's predictions for them.

    candidates: int64 row numbers, any order, no duplicates. labelled: int64 row numbers of the labelled rows.
    head: None where there is no head; needs of the head can then not be read.
    targets: features of the rows whose predictions matter, [number of targets, D]; None takes candidates.
    labels: of the labelled rows, in the order of `labelled`: int64 class numbers of the head, or float64 numbers; None
    where they are not known.
    """

    def __init__(
        self,
        source: Source,
        candidates: Int64,
        labelled: Int64,
        head: Predictor | None = None,
        *,
        targets: Floats | None = None,
        labels: Array | None = None,
    ) -> None:
        self._answers = Answers(source, np.asarray(labelled, np.int64), head)
        self._candidates = np.asarray(candidates, np.int64)
        self._targets, self._labels = targets, labels
        self._allowed: frozenset[str] | None = None
        self.tell: Note = silence  # what a strategy says before its work
        self.tell_cost: Note = silence  # how long its work will take, if that is long
        self._cache: dict[str, Array] = {}  # arrays of all candidates by need, in the order of `rows`
        self._files: dict[str, BlockArray] = {}  # the same for `stored`

    @property
    def _source(self) -> Source:
        return self._answers.source

    @property
    def _labelled(self) -> Int64:
        return self._answers.labelled

    @property
    def n(self) -> int:
        """The number of candidates."""
        return len(self._candidates)

    @property
    def regression(self) -> bool:
        """True where there is a head and its labels are numbers."""
        return self.has_head and self._answers.model().n_classes is None

    @property
    def dim(self) -> int:
        """D, the number of features of a row."""
        return self._source.dim

    def restricted_to(self, needs: tuple[str, ...]) -> View:
        """The same view, which raises LookupError when a need outside `needs` is read; it shares the cache."""
        view = copy(self)
        view._allowed = frozenset(needs)
        return view

    def sampling(self, n_samples: int, seed: int) -> View:
        """The same view, whose `sample_log_probs` are under n_samples draws of the posterior by the seed."""
        view = copy(self)
        view._answers = replace(self._answers, sampling=(n_samples, seed))
        return view

    def among(self, rows: Int64) -> View:
        """The same view with fewer candidates, by row number in any order. It keeps matrices, except memory maps."""
        kept_N = np.isin(self.rows, rows)
        view = copy(self)
        view._candidates = self._candidates[np.isin(self._candidates, rows)]
        view._cache = {need: array[kept_N] for need, array in self._cache.items() if not isinstance(array, np.memmap)}
        view._files = {}
        return view

    def combining(self, **how: str) -> View:
        """Set the rules that combine the rows of a group. Raises LookupError: only a `GroupedView` has groups."""
        raise LookupError(f"{', '.join(how)} was asked of a view whose rows make no groups")

    def parts(self) -> tuple[View, Int64]:
        """(the view of the rows that candidates are made of, in the order of `rows`; where each one's begin, [n])."""
        return self, np.arange(self.n)

    def scores(self, score: Scorer, needs: tuple[str, ...], *, features: bool) -> Iterator[Scored]:
        """Score all candidates in blocks: (rows_B, scores_B, X_BD or None), X_BD where `features` is true.

        score: a pointwise strategy with its options. Raises DataError for a score that is not finite.
        """
        for rows_B, *block in self.blocks(*needs, *(["features"] if features else [])):
            X_BD = block.pop() if features else None
            scores_B = score(*block)
            if not np.isfinite(scores_B).all():
                row = int(rows_B[~np.isfinite(scores_B)][0])
                raise DataError(f"{self.describe(row)}: the score is not a finite number")
            yield rows_B, scores_B, X_BD

    def blocks(self, *needs: str) -> Iterator[tuple[Any, ...]]:
        """Yield (rows_B, one array per need) until every candidate has come once, in the order of the source.

        needs.py gives shapes and dtypes. One pass over the source, none for `row_key` alone. Memory: one block.
        """
        for need in needs:
            self._check_allowed(need)
        if OF_IDS.issuperset(needs):
            rows = self._candidates
            yield (rows, *(self._answers.of(need, rows, None) for need in needs))
            return
        is_candidate = np.zeros(self._source.n, bool)
        is_candidate[self._candidates] = True
        for first, X_BD in self._source.blocks():
            chosen = np.flatnonzero(is_candidate[first : first + len(X_BD)])
            X_BD = X_BD if len(chosen) == len(X_BD) else X_BD[chosen]
            for part in self._answers.parts(len(chosen), needs):
                rows_B = chosen[part] + first
                yield (rows_B, *(self._answers.of(need, rows_B, X_BD[part]) for need in needs))

    def reduced(self, function: Callable[..., Array], *needs: str) -> Array:
        """Apply `function` to blocks of needs; return its values for all candidates, [n, ...] in the order of `rows`.

        function: from one array per need, for B rows, to an array [B, ...]. One pass. Memory: the result and one block.
        """
        by_row = np.argsort(self.rows)
        out: Array = np.empty(0)
        for i, (rows_B, *block) in enumerate(self.blocks(*needs)):
            values = function(*block)
            out = np.empty((self.n, *values.shape[1:]), values.dtype) if i == 0 else out
            out[by_row[np.searchsorted(self.rows, rows_B, sorter=by_row)]] = values
        return out

    def evaluate(self, need: str, X_BD: Floats) -> Array:
        """Compute a need for any rows of features, [B, ...], which need not be candidates; not for `row_key`."""
        self._check_allowed(need)
        parts = self._answers.parts(len(X_BD), (need,))
        return np.concatenate([self._answers.of(need, self._candidates[:0], X_BD[part]) for part in parts])

    def at(self, need: str, places: Int64) -> Array:
        """Compute a need for the candidates at `places` in `rows`. The strategy must declare `features` too."""
        return self.evaluate(need, self.stored("features")[places])

    def targets(self, n: int, rng: np.random.Generator) -> Floats:
        """The features of at most n rows whose predictions matter: drawn from the user's targets or the candidates."""
        self._check_allowed("targets")
        if self._targets is not None:
            T = len(self._targets)
            return self._targets if n >= T else self._targets[np.sort(rng.permutation(T)[:n])]
        return self._source.take(self.rows[np.sort(rng.permutation(self.n)[:n])])

    def matrix(self, need: str) -> Array:
        """The array of a need for all candidates, [n, ...] in the order of `rows`. Do not write to it.

        Arrays of several numbers a row are float32; `features` and `hidden` have the dtype of the features, float32 or
        float64. Arrays of one number a row have the dtype of `blocks`. The view keeps the matrix, so a second call
        costs nothing. Features larger than the memory limit are a memory map.
        """
        self._check_allowed(need)
        if need not in self._cache:
            self._cache[need] = self._whole(need)
        return self._cache[need]

    def stored(self, need: str) -> BlockArray:
        """The array of `matrix`, read in blocks: beyond the memory limit, or for other processes, it is in a file."""
        self._check_allowed(need)
        return self._cache[need] if need in self._cache else self._answers.stored(need, self.rows, self._files)

    def labelled(self) -> Floats:
        """The features of the labelled rows, [n_labelled, D], in ascending order of their ids."""
        self._check_allowed("labelled")
        return self._answers.labelled_features()

    def labelled_targets(self) -> Float64:
        """The labels of the labelled rows, float64 [n_labelled, C], in the order of `labelled()`.

        Classes are one-hot; a label that is a number has C = 1. Raises DataError where the labels are not known.
        """
        self._check_allowed("labelled_targets")
        return self._answers.labelled_targets(self._labels)

    def network(self) -> Any:
        """The head itself, a `Head` of heads/_contract.py, with its W_CD1, link, layers, activation and more."""
        self._check_allowed("network")
        return self._answers.model().head

    def features_at(self, positions: Int64) -> Floats:
        """The features of some candidates, by their places in `rows`. No other rows are kept in memory."""
        self._check_allowed("features")
        return self._source.take(self.rows[positions])

    def with_labelled(self) -> tuple[Int64, Floats, Array]:
        """(rows_P, X_PD, is_labelled_P) of the P candidates and labelled rows together, by ascending id.

        is_labelled_P: a mask of the labelled rows. The strategy must declare `labelled` and `features`.
        """
        self._check_allowed("labelled")
        if not len(self._labelled):
            return self.rows, self.matrix("features"), np.zeros(self.n, bool)
        self._check_allowed("features")
        rows_P = self._source.sorted_by_id(np.concatenate([self._candidates, self._labelled]))
        return rows_P, self._source.take(rows_P), np.isin(rows_P, self._labelled)

    @property
    def n_labelled(self) -> int:
        """The number of labelled rows."""
        return len(self._labelled)

    @property
    def has_head(self) -> bool:
        """True where there is a head."""
        return self._answers.head is not None

    @property
    def has_posterior(self) -> bool:
        """True where there is a head with a posterior."""
        return self.has_head and self._answers.model().posterior is not None

    @property
    def rows(self) -> Int64:
        """The row numbers of the candidates, int64 [n], by ascending id. Entry i belongs to row i of every `matrix`."""
        if "rows" not in self._cache:
            self._cache["rows"] = self._source.sorted_by_id(self._candidates)
        return self._cache["rows"]

    def sort_keys(self, rows: Int64) -> Array:
        """The ids of `rows` in a form that numpy can sort: int64, or str objects."""
        return self._source.sort_keys(rows)

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each row, uint64."""
        return self._answers.of("row_key", rows, None)

    def describe(self, row: int) -> str:
        """The origin of a row for messages, such as its file, row number and id."""
        return self._source.describe(row)

    def _whole(self, need: str) -> Array:
        """Compute the array of a need for all candidates."""
        if need == "features":
            return self._source.take(self.rows)
        X_ND = self._cache.get("features")
        if X_ND is None:
            X_ND = self._cache["features"] = self._source.take(self.rows)
        if need == "hidden" and not self._answers.model().head.layers:
            return X_ND
        return self._answers.whole(need, self.rows, X_ND)

    def _check_allowed(self, need: str) -> None:
        if self._allowed is not None and need not in self._allowed:
            raise LookupError(f"a strategy read '{need}' but declares only {sorted(self._allowed)}")
