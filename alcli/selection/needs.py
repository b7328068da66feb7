"""The needs of strategies: the arrays that a strategy can ask for, by name, and how each array is computed.

A strategy declares its needs by name. A pointwise strategy is called with blocks of rows and gets one array for each
need. A batch strategy reads the same arrays from a `View` (view.py). Nobody may write to the arrays.

B is the number of rows of a block. M is the width of the last hidden layer of the head; M = D in a linear head. S is
the number of draws of the posterior; the user sets it by `-p samples=S`, and the strategy declares the default.

Needs that no head is asked for:

- `features` [B, D]: the features, float32 or float64 as they are stored.
- `row_key` [B]: a 64-bit hash of the row's id, uint64.
- `sq_norm` [B]: the squared norm of the features, float64.
- `labelled_distance` [B]: the distance of the features to the nearest labelled row, float64. While no row is labelled
  it is the norm of the features.

Needs that the head computes:

- `hidden` [B, M]: the inputs of the last layer without the bias column, in the dtype of the features. In a linear head
  they are the features themselves, not a copy. Gradients of the last layer are made of them and of the probabilities.
- `hidden_sq_norm` [B]: the squared norm of `hidden`, float64.
- `logits` [B, C]: the outputs of the last layer divided by the temperature, float64. Of a regression: the predicted
  number, C = 1.
- `log_probs` [B, C]: log class probabilities, the log-softmax of `logits`, float64.
- `trained_log_probs` [B, C]: log class probabilities at the temperature of the training loss, float64.
- `label_variance` [B]: the variance of the label in a regression, float64. It is the variance of the noise plus the
  posterior variance of the predicted mean.
- `predicted_loss` [B]: the loss that the head's loss-prediction branch predicts, float64; only the order of the values
  has a meaning. The head must be fitted with the branch.

Needs that the posterior of the head computes:

- `predictive` [B, C]: log class probabilities averaged over the posterior, float64; without a posterior, `log_probs`.
- `logit_variance` [B, C], or [B, 1] where all classes share it: the posterior variance of `logits`, float64.
- `posterior`: the posterior itself, of which nothing is read by this name. A strategy that makes no sense without a
  posterior needs it, where its other needs have a value without one.
- `output_root` [B, R]: rows whose inner products are the posterior covariances of the predicted numbers in a
  regression, float64. R follows from the posterior, and is at most M + 1 for a posterior of one output.
- `sample_log_probs` [B, S, C]: log class probabilities under S draws of the last layer, float64. The draws are the same
  for every row. A posterior with fewer than S distinct draws gives each of them once.

Needs of a batch strategy alone, each read by the method of the view that has its name:

- `labelled`: the features of the labelled rows.
- `labelled_targets`: the labels of the labelled rows, one-hot or numbers.
- `targets`: the features of rows whose predictions matter.
- `network`: the head itself, with its hidden layers.

The dtypes above hold for the blocks of a pointwise strategy, and for `blocks`, `reduced`, `evaluate` and `at` of a
view. There are three exceptions:

- `View.matrix` holds all candidates at once. It gives float32 for arrays of several numbers a row; `features` and
  `hidden` keep the dtype of the features, and arrays of one number a row keep theirs.
- Where labels come one at a time, the logits follow the moves of the head, in the dtype of the features. Then
  `log_probs` can have that dtype in any block, and so can `logits` in `blocks`, `reduced` and `matrix` of a view.
- Where rows make groups, a batch strategy sees one row for each group (group_view.py).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.errors import DataError
from alcli.numerics.block_array import BlockArray
from alcli.numerics.diversity.kcenter import centre_distances
from alcli.numerics.logistic import one_hot
from alcli.numerics.rows import sq_norms
from alcli.remarks import steps
from alcli.selection.source import Predictor, Source

OF_IDS = frozenset({"row_key"})
OF_FEATURES = frozenset({"features", "sq_norm", "labelled_distance"})
POSTERIOR_NEEDS = frozenset({"posterior", "sample_log_probs", "logit_variance", "output_root"})
# Every need of classification is a log of class probabilities; groups of rows average them as probabilities.
CLASSIFICATION_NEEDS = frozenset({"log_probs", "trained_log_probs", "predictive", "sample_log_probs"})
NUMBER_NEEDS = frozenset({"label_variance", "output_root"})
HEAD_NEEDS = (
    NUMBER_NEEDS
    | POSTERIOR_NEEDS
    | CLASSIFICATION_NEEDS
    | {"logits", "hidden", "hidden_sq_norm", "predicted_loss", "labelled_targets", "network"}
)
FEATURE_NEEDS = HEAD_NEEDS | OF_FEATURES

# Numbers of a block of sample_log_probs: 8 MiB fit into a cache, and leave enough rows for a fast matrix product.
MOST_SAMPLED = 1 << 20


@dataclass(frozen=True)
class Answers:
    """Computes the array of a need for rows of a source.

    labelled: int64 row numbers. sampling: the number of posterior draws for `sample_log_probs`, and their seed.
    row_keys: a function that takes the place of the source's `row_keys`. kept: the labelled features and the draws,
    read or drawn once for all blocks.
    """

    source: Source
    labelled: Int64
    head: Predictor | None = None
    sampling: tuple[int, int] = (0, 0)
    row_keys: Callable[[Int64], Keys] | None = None
    kept: dict[Any, Any] = field(default_factory=dict)

    def of(self, need: str, rows_B: Int64, X_BD: Floats | None) -> Any:
        """The array of one need for B rows.

        rows_B: row numbers of the source; only `row_key` reads them. X_BD: the features of the rows; `row_key` needs
        none. Raises LookupError for a need of the head where there is no head.
        """
        if need == "row_key":
            return (self.row_keys or self.source.row_keys)(rows_B)
        if need == "features":
            return X_BD
        if need == "sq_norm" and X_BD is not None:
            return sq_norms(X_BD)
        if need == "labelled_distance" and X_BD is not None:
            return centre_distances(X_BD, self._centres())
        if self.head is None or X_BD is None:
            raise LookupError(f"'{need}' was asked of a view without a head")
        if need == "sample_log_probs":
            return self.head.sample_log_probs(X_BD, self._draws())
        if need == "hidden_sq_norm":
            return sq_norms(self.head.hidden(X_BD))
        return getattr(self.head, need)(X_BD)

    def stored(self, need: str, rows_N: Int64, kept: dict[str, BlockArray]) -> BlockArray:
        """The array of one need for all N rows, which are in the order of their ids; it is computed once.

        kept: the arrays that are there already, by need; the new ones are added.
        """
        if "features" not in kept:
            kept["features"] = self.source.stored(rows_N)
        if need == "hidden" and not self.model().head.layers:
            return kept["features"]
        if need not in kept:
            kept[need] = self.whole(need, rows_N, kept["features"])
        return kept[need]

    def whole(self, need: str, rows_N: Int64, X_ND: BlockArray) -> Any:
        """The array of one need for all N rows, 8192 rows at a time; float32 for several numbers a row.

        It lies in a file where X_ND does and the source has room for it there.
        """
        first = np.asarray(self.of(need, rows_N[:1], X_ND[:1]))
        dtype = np.float32 if first.ndim > 1 and need != "hidden" else first.dtype
        shape = len(rows_N), *first.shape[1:]
        file = None if isinstance(X_ND, np.ndarray) else self.source.room(shape, dtype)
        out: Array = np.empty(0 if file is not None else shape, dtype)
        starts = range(0, len(rows_N), 8192)
        for i in starts if file is None else steps(starts, "predicting", len(starts)):
            values = self.of(need, rows_N[i : i + 8192], X_ND[i : i + 8192])
            if file is None:
                out[i : i + 8192] = values
            else:
                file.write(i, values)
        return out if file is None else file

    def model(self) -> Predictor:
        """The head. Raises LookupError without one."""
        if self.head is None:
            raise LookupError("the head was asked of a view without one")
        return self.head

    def labelled_features(self) -> Floats:
        """The features of the labelled rows in ascending order of their ids."""
        return self.source.take(self.source.sorted_by_id(self.labelled))

    def labelled_targets(self, labels: Array | None) -> Float64:
        """The labels of the labelled rows, one-hot or as numbers, float64 [L, C], in the order of `labelled_features`.

        labels: in the order of `labelled`. Raises DataError where they are not known.
        """
        C = len(self.model().head.W_CD1)
        if labels is None and len(self.labelled):
            raise DataError(
                "the strategy reads the labels of the labelled rows, which are not known", hint="give them with -l"
            )
        if labels is None:
            return np.empty((0, C))
        by_row = np.argsort(self.labelled)
        in_order = self.source.sorted_by_id(self.labelled)
        y_L = labels[by_row[np.searchsorted(self.labelled, in_order, sorter=by_row)]]
        return one_hot(y_L, C) if y_L.dtype.kind == "i" else y_L[:, None].astype(np.float64)

    def for_needs(self, needs: tuple[str, ...]) -> Answers:
        """The same answers without labelled rows, for some needs of a pointwise strategy: what they read is kept."""
        if "labelled_distance" in needs:
            self._centres()
        if "sample_log_probs" in needs:
            self._draws()
        return replace(self, labelled=self.labelled[:0], kept=dict(self.kept))

    def parts(self, n: int, needs: tuple[str, ...]) -> Iterator[slice]:
        """Slices that cover n rows and are as long as `at_once` says."""
        step = self.at_once(n, needs)
        return (slice(i, min(i + step, n)) for i in range(0, n, step))

    def at_once(self, n: int, needs: tuple[str, ...]) -> int:
        """The number of rows to compute together, from 1 to n: few for `sample_log_probs`, to keep blocks small."""
        if "sample_log_probs" in needs:
            n = min(n, MOST_SAMPLED // (len(draws := self._draws()) * draws.shape[1]))
        return max(1, n)

    def _draws(self) -> Float64:
        """The last layers that `sampling` names, float64 [S, C, M + 1], drawn once."""
        if self.sampling not in self.kept:
            n_samples, seed = self.sampling
            self.kept[self.sampling] = self.model().draw(n_samples, seed=seed)
        return self.kept[self.sampling]

    def _centres(self) -> Floats:
        """The features of the labelled rows, read once for all blocks."""
        if "centres" not in self.kept:
            self.kept["centres"] = self.labelled_features()
        return self.kept["centres"]
