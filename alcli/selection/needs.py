"""What a strategy can need of the rows that it looks at, by name, and how that follows from the features and the head.

One array per block of B rows:

- `features` X_BD; `row_key`, a 64-bit hash of the id; `sq_norm` of the features, float64 B; `labelled_distance`, to the nearest
  labelled row (the norm while none is labelled), float64 B.
- of the head: `hidden` BM, the inputs of its last layer without the bias column, in the dtype of the features (which they are, not copied,
  in a linear head); `hidden_sq_norm`, their squared norm, float64 B. What gradients of the last layer are made of.
- of its loss-prediction branch: `predicted_loss`, float64 B, which only a head that was trained with one can say.
- of the head, BC: `logits` and `log_probs`, both divided by its temperature; `trained_log_probs`, those that training saw.
- of a regression head: `label_variance`, of a row's label, its noise and what is not known of its mean together, float64 B.
- of the head's posterior: `predictive`, log class probabilities averaged over it, BC (without one the `log_probs`);
  `logit_variance`, BC or B1; `sample_log_probs`, float64 BSC, under S draws that are the same for every row. The user sets S by
  `-p samples=S`, the strategy declares its default.

Batch strategies may also need `labelled` (the features of the labelled rows), `labelled_targets` (what these are labelled with, one-hot
or a number, float64 LC), `targets` (rows whose predictions matter) and `network` (the head itself, with its hidden layers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from alcli.arrays import Float64, Floats, Int64, Keys
from alcli.numerics.diversity.kcenter import centre_distances
from alcli.numerics.rows import sq_norms
from alcli.selection.source import Predictor, Source

OF_IDS = frozenset({"row_key"})
OF_FEATURES = frozenset({"features", "sq_norm", "labelled_distance"})
POSTERIOR_NEEDS = frozenset({"sample_log_probs", "logit_variance"})
CLASSIFICATION_NEEDS = frozenset(
    {"log_probs", "trained_log_probs", "predictive", "sample_log_probs"}
)  # all logs of probabilities
NUMBER_NEEDS = frozenset({"label_variance"})
HEAD_NEEDS = (
    NUMBER_NEEDS
    | POSTERIOR_NEEDS
    | CLASSIFICATION_NEEDS
    | {"logits", "hidden", "hidden_sq_norm", "predicted_loss", "labelled_targets", "network"}
)
FEATURE_NEEDS = HEAD_NEEDS | OF_FEATURES

MOST_SAMPLED = (
    1 << 20
)  # numbers of a block of sample_log_probs: 8 MiB, few enough for a cache, and rows enough for the product


@dataclass(frozen=True)
class Answers:
    """What rows of a source have by the name of a need.

    labelled: row numbers. sampling: how many draws of the posterior `sample_log_probs` are under, and their seed. row_keys: a hash of
    each row's id, where it is not the source's. kept: what was read or drawn once for all rows.
    """

    source: Source
    labelled: Int64
    head: Predictor | None = None
    sampling: tuple[int, int] = (0, 0)
    row_keys: Callable[[Int64], Keys] | None = None
    kept: dict[Any, Any] = field(default_factory=dict)

    def of(self, need: str, rows_B: Int64, X_BD: Floats | None) -> Any:
        """One array for rows of the source. X_BD: their features, which `row_key` does without; all others do without the numbers."""
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

    def model(self) -> Predictor:
        """The head. Raises LookupError without one."""
        if self.head is None:
            raise LookupError("the head was asked of a view without one")
        return self.head

    def labelled_features(self) -> Floats:
        """The features of the labelled rows in ascending order of their ids."""
        return self.source.take(self.source.sorted_by_id(self.labelled))

    def parts(self, n: int, needs: tuple[str, ...]) -> Iterator[slice]:
        """Slices that cover n rows, short ones where every row has numbers for each draw."""
        step = self.at_once(n, needs)
        return (slice(i, min(i + step, n)) for i in range(0, n, step))

    def at_once(self, n: int, needs: tuple[str, ...]) -> int:
        """How many of n rows to look at together, at least 1: few where every row has numbers for each draw."""
        if "sample_log_probs" in needs:
            n = min(n, MOST_SAMPLED // (len(draws := self._draws()) * draws.shape[1]))
        return max(1, n)

    def _draws(self) -> Float64:
        """The last layers of `sampling`, [S, C, D1], drawn once."""
        if self.sampling not in self.kept:
            n_samples, seed = self.sampling
            self.kept[self.sampling] = self.model().draw(n_samples, seed=seed)
        return self.kept[self.sampling]

    def _centres(self) -> Floats:
        """The features of the labelled rows, read once for all blocks."""
        if "centres" not in self.kept:
            self.kept["centres"] = self.labelled_features()
        return self.kept["centres"]
