"""What a strategy sees of the pool: candidates, the labelled rows, the head's predictions; never a file.

A `View` joins a source of rows (a Parquet pool, or plain arrays) with a head. Streaming access (`blocks`) walks the source in
its own order in constant memory. Random access (`matrix`) holds the candidates **in the order of their ids**, so a batch
strategy that breaks ties by position breaks them by id, and its draws follow the ids however the files are laid out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import replace
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.errors import DataError
from alcli.numerics.logistic import one_hot
from alcli.selection.needs import OF_IDS, Answers
from alcli.selection.source import Predictor, Source

Scorer = Callable[..., Float64]  # a pointwise strategy with its options: blocks of what it needs -> scores_B
Scored = tuple[Int64, Float64, Floats | None]


class View:
    """Candidates of a source and what a head says of them.

    candidates: int64 row numbers, any order, no duplicates. labelled: row numbers of the labelled rows.
    head: None where there is none; nothing that a head says can then be read. targets: features of the rows whose predictions
    matter, [T, D]; None takes them from the candidates. labels: of the labelled rows, in the order of `labelled`: int64 class numbers of
    the head, or float64 numbers; None where they are not known.
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
        self._targets = targets
        self._labels = labels
        self._allowed: frozenset[str] | None = None
        self._cache: dict[str, Array] = {}  # of the candidates, in the order of `rows`

    @property
    def _source(self) -> Source:
        return self._answers.source

    @property
    def _labelled(self) -> Int64:
        return self._answers.labelled

    @property
    def n(self) -> int:
        """How many candidates there are."""
        return len(self._candidates)

    @property
    def regression(self) -> bool:
        """Whether there is a head, and its labels are numbers."""
        return self.has_head and self._answers.model().n_classes is None

    @property
    def dim(self) -> int:
        """D of the features."""
        return self._source.dim

    def restricted_to(self, needs: tuple[str, ...]) -> View:
        """The same view, which raises when anything undeclared is read."""
        view = copy(self)  # the kind of view it is, with the same cache
        view._allowed = frozenset(needs)
        return view

    def sampling(self, n_samples: int, seed: int) -> View:
        """The same view, whose `sample_log_probs` are those of n_samples draws that follow from the seed."""
        view = copy(self)
        view._answers = replace(self._answers, sampling=(n_samples, seed))
        return view

    def among(self, rows: Int64) -> View:
        """The same view of fewer candidates: row numbers, in any order. What was read of them is kept, but for features on disk."""
        kept_N = np.isin(self.rows, rows)
        view = copy(self)
        view._candidates = self._candidates[np.isin(self._candidates, rows)]
        view._cache = {need: array[kept_N] for need, array in self._cache.items() if not isinstance(array, np.memmap)}
        return view

    def combining(self, **how: str) -> View:
        """The same view, with its groups' scores or features made as said. Raises LookupError: the rows of this view make no groups."""
        raise LookupError(f"{', '.join(how)} was asked of a view whose rows make no groups")

    def scores(self, score: Scorer, needs: tuple[str, ...], *, features: bool) -> Iterator[Scored]:
        """(rows_B, scores_B, X_BD where `features` are asked for) of all candidates. Raises DataError for a score that is not finite."""
        for rows_B, *block in self.blocks(*needs, *(["features"] if features else [])):
            X_BD = block.pop() if features else None
            scores_B = score(*block)
            if not np.isfinite(scores_B).all():
                raise DataError(
                    f"{self.describe(int(rows_B[~np.isfinite(scores_B)][0]))}: the score is not a finite number"
                )
            yield rows_B, scores_B, X_BD

    def blocks(self, *needs: str) -> Iterator[tuple[Any, ...]]:
        """(rows_B, one array per need) over the candidates, in the source's order. One pass over the source."""
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
        """function(*blocks) for all candidates, shape [n, ...] in the order of `rows`. One pass; only what it returns is kept."""
        by_row = np.argsort(self.rows)
        out: Array = np.empty(0)
        for i, (rows_B, *block) in enumerate(self.blocks(*needs)):
            values = function(*block)
            out = np.empty((self.n, *values.shape[1:]), values.dtype) if i == 0 else out
            out[by_row[np.searchsorted(self.rows, rows_B, sorter=by_row)]] = values
        return out

    def evaluate(self, need: str, X_BD: Floats) -> Array:
        """What the head says of any rows of features, by the name of a need."""
        self._check_allowed(need)
        parts = self._answers.parts(len(X_BD), (need,))
        return np.concatenate([self._answers.of(need, self._candidates[:0], X_BD[part]) for part in parts])

    def at(self, need: str, places: Int64) -> Array:
        """What the head says of some candidates, by their places in `rows` and the name of a need."""
        return self.evaluate(need, self.matrix("features")[places])

    def targets(self, n: int, rng: np.random.Generator) -> Floats:
        """At most n rows of features whose predictions matter, drawn from those that were named, else from the candidates."""
        self._check_allowed("targets")
        if self._targets is not None:
            T = len(self._targets)
            return self._targets if n >= T else self._targets[np.sort(rng.permutation(T)[:n])]
        return self._source.take(self.rows[np.sort(rng.permutation(self.n)[:n])])

    def matrix(self, need: str) -> Array:
        """All candidates' `need`, shape [n, ...] in the order of `rows`. Do not write to it.

        Matrices are float32 (features and hidden float64 where the source is), needs of one number a row as they are computed.
        """
        self._check_allowed(need)
        if need not in self._cache:
            self._cache[need] = self._whole(need)
        return self._cache[need]

    def labelled(self) -> Floats:
        """The features of the labelled rows in ascending order of their ids, shape [n_labelled, D]."""
        self._check_allowed("labelled")
        return self._answers.labelled_features()

    def labelled_targets(self) -> Float64:
        """What the labelled rows are labelled with, in the order of `labelled`: one-hot classes or one number, float64 [n_labelled, C].

        Raises DataError where the labels are not known.
        """
        self._check_allowed("labelled_targets")
        C = len(self._answers.model().head.W_CD1)
        if self._labels is None and len(self._labelled):
            raise DataError(
                "the strategy looks at the labels of the labelled rows, and these are not known",
                hint="give them with -l",
            )
        if self._labels is None:
            return np.empty((0, C))
        by_row = np.argsort(self._labelled)
        y_L = self._labels[
            by_row[np.searchsorted(self._labelled, self._source.sorted_by_id(self._labelled), sorter=by_row)]
        ]
        return one_hot(y_L, C) if y_L.dtype.kind == "i" else y_L[:, None].astype(np.float64)

    def network(self) -> Any:
        """The head itself: W_CD1, link and logits; `layers` (W_MD, b_M) and `activation` where it has hidden layers."""
        self._check_allowed("network")
        return self._answers.model().head

    def features_at(self, positions: Int64) -> Floats:
        """The features of some candidates, by their places in `rows`. Reads only these."""
        self._check_allowed("features")
        return self._source.take(self.rows[positions])

    def with_labelled(self) -> tuple[Int64, Floats, Array]:
        """(rows_M, X_MD, is_labelled_M) of candidates and labelled rows together, in ascending order of their ids."""
        self._check_allowed("labelled")
        if not len(self._labelled):
            return self.rows, self.matrix("features"), np.zeros(self.n, bool)
        self._check_allowed("features")
        rows_M = self._source.sorted_by_id(np.concatenate([self._candidates, self._labelled]))
        return rows_M, self._source.take(rows_M), np.isin(rows_M, self._labelled)

    @property
    def n_labelled(self) -> int:
        return len(self._labelled)

    @property
    def has_head(self) -> bool:
        """Whether there is a head to ask."""
        return self._answers.head is not None

    @property
    def rows(self) -> Int64:
        """Row numbers of the candidates in ascending order of id: entry i belongs to row i of every `matrix`."""
        if "rows" not in self._cache:
            self._cache["rows"] = self._source.sorted_by_id(self._candidates)
        return self._cache["rows"]

    def sort_keys(self, rows: Int64) -> Array:
        return self._source.sort_keys(rows)

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of each row's id."""
        return self._answers.of("row_key", rows, None)

    def describe(self, row: int) -> str:
        return self._source.describe(row)

    def _whole(self, need: str) -> Array:
        if need == "features":
            return self._source.take(self.rows)
        X_ND = self._cache.get("features")
        if X_ND is None:
            X_ND = self._cache["features"] = self._source.take(self.rows)
        if need == "hidden" and not self._answers.model().head.layers:
            return X_ND
        steps = range(0, self.n, 8192)
        first = np.asarray(self._answers.of(need, self.rows[:1], X_ND[:1]))
        out: Array = np.empty(
            (self.n, *first.shape[1:]), np.float32 if first.ndim > 1 and need != "hidden" else first.dtype
        )
        for i in steps:
            out[i : i + 8192] = self._answers.of(need, self.rows[i : i + 8192], X_ND[i : i + 8192])
        return out

    def _check_allowed(self, need: str) -> None:
        if self._allowed is not None and need not in self._allowed:
            raise LookupError(f"a strategy read '{need}' but declares only {sorted(self._allowed)}")
