"""Subsets of the candidates, for batch strategies that cannot afford to look at all of them.

- `by_hash` and `some_places`: candidates drawn at random by a hash of their ids. The drawn ids do not depend on the
  places of the rows in the pool. `Part` and `Best` are for strategies that score every row by itself but need more than
  a score: a random part of the pool as its blocks pass, and the best rows of the part.
- `some_items`: the candidates of `--candidates M`, before there is a view.
- `Shortlist`: the candidates of highest BALD, for methods whose score of a row is at most its BALD.
- `evaluation_places`, `kernels_in_reach` and `at_places`: the rows on which strategies measure how well picks cover the
  pool.

A subset that leaves candidates out comes with notes that tell the user so. The place of a candidate is its index in
`view.rows`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float32, Float64, Int64, Keys
from alcli.numerics.block_array import BlockArray
from alcli.numerics.diversity.coverage import KEPT
from alcli.numerics.hashing import uniforms
from alcli.numerics.information.committee import information
from alcli.selection.order import TopK, finite32
from alcli.selection.strategy import Selection
from alcli.selection.view import View

_CANDIDATE_STREAM = 1  # number of the random stream that draws the candidates of --candidates
# By default, coverage is measured on at least this many rows, where there are as many.
FEWEST = 5000
# By default, coverage is measured on all candidates up to this number of pairs of candidates: 20,000 rows.
BUDGET = 400_000_000
# The same number where each pair is computed only once: 50,000 rows.
MOST = 2_500_000_000


def by_hash(view: View, rng: np.random.Generator) -> Int64:
    """The places of all candidates in a random order, int64 [n]. The order depends on the ids and one draw of rng."""
    draws_N = uniforms(view.reduced(lambda key_B: key_B, "row_key"), int(rng.integers(1 << 62)))
    return np.argsort(draws_N, kind="stable")


def some_items(items: Int64, keys: Keys, most: int, seed: int) -> Int64:
    """Draw at most `most` of the items, by a hash of the seed and the keys of their ids; ascending."""
    if most >= len(items):
        return items
    return np.sort(items[np.argsort(uniforms(keys, seed, _CANDIDATE_STREAM), kind="stable")[:most]])


def some_places(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, tuple[str, ...]]:
    """Draw at most `most` random candidates; return their places, ascending, and notes for the user.

    Where there are no more than `most` candidates, all are returned, without notes and without a draw of rng.
    """
    if view.n <= most:
        return np.arange(view.n), ()
    return np.sort(by_hash(view, rng)[:most]), left_out(view, most)


def left_out(view: View, most: int) -> tuple[str, ...]:
    """The note for the user where only `most` of the candidates were looked at; no note where all were."""
    return () if view.n <= most else (f"looked at {most} random candidates, not at all of them (-p candidates)",)


class Part:
    """At most `most` random candidates of a view, to be found in its blocks as they pass.

    n: the number of candidates drawn. notes: for the user, where not all candidates were drawn.
    """

    def __init__(self, view: View, most: int, rng: np.random.Generator) -> None:
        places, self.notes = some_places(view, most, rng)
        self.n = len(places)
        self._rows = None if self.n == view.n else np.sort(view.rows[places])

    def __call__(self, rows_B: Int64) -> Int64:
        """The indices in rows_B of the rows that were drawn."""
        return (
            np.arange(len(rows_B))
            if self._rows is None
            else np.flatnonzero(np.isin(rows_B, self._rows, assume_unique=True))
        )


class Best(TopK):
    """The k best rows of a view by score; rows whose scores are equal as float32 follow their ids."""

    def __init__(self, k: int, view: View) -> None:
        super().__init__(k, view.sort_keys)

    def take(self, rows_B: Int64, scores_B: Float64) -> None:
        """Add a block of rows with their scores."""
        self.offer(rows_B, finite32(scores_B))

    def selection(self, *notes: str) -> Selection:
        """The best rows as a batch, with notes for the user."""
        return Selection(*self.result(), notes=notes)


@dataclass(frozen=True)
class Shortlist:
    """The M candidates of highest BALD, in the order of their ids.

    BALD is the mutual information between the label of a row and the weights of the head.
    rows_M: row numbers. bald_M: the BALD of each. places_M: places among the candidates.
    left_out: the highest BALD of the other candidates, -inf where there is no other. n: the number of all candidates.
    """

    rows_M: Int64
    bald_M: Float32
    places_M: Int64
    left_out: float
    n: int

    @classmethod
    def of(cls, view: View, most: int) -> Shortlist:
        """Find the `most` candidates of highest BALD; of equal BALD as float32, the lowest ids come first. One pass."""
        bald_N = view.reduced(information, "sample_log_probs").astype(np.float32)
        order_N = np.argsort(-bald_N, kind="stable")
        places_M = np.sort(order_N[:most])
        left_out = float(bald_N[order_N[most]]) if most < view.n else -np.inf
        return cls(view.rows[places_M], bald_N[places_M], places_M, left_out, view.n)

    def notes(self, method: str, scores_K: Float32) -> tuple[str, ...]:
        """The notes for the user on a batch that was chosen from the shortlist; none where it holds all candidates.

        scores_K: the score of each pick. The picks before the first score that is not above `left_out` are certain: a
        choice among all candidates would begin with them.
        """
        M, K = len(self.rows_M), len(scores_K)
        if self.n == M:
            return ()
        sure = int(np.argmin(np.append(scores_K > self.left_out, False)))
        picks = "all picks are" if sure == K else f"the first {sure} of {K} picks are" if sure else "no pick is"
        return (
            f"{method} looked at the {M:,} of {self.n:,} candidates of highest BALD; {picks} certain to be the same "
            f"with all candidates (-p candidates={self.n} looks at all)",
        )


def evaluation_places(
    view: View, evaluation: str, rng: np.random.Generator, budget: int | None = None
) -> tuple[Int64, tuple[str, ...]]:
    """Choose the candidates on which coverage is measured; return their places, ascending, and notes for the user.

    All candidates are still judged: the mean over random rows is an unbiased estimate of the mean over all rows.
    evaluation: the number of rows, or auto. auto takes all candidates while their pairs are within the budget, else as
    many random candidates as cost the same, and at least FEWEST. budget: a number of pairs; None is BUDGET.
    """
    most = _affordable(view.n, budget or BUDGET) if evaluation == "auto" else int(evaluation)
    if view.n <= most:
        return np.arange(view.n), ()
    note = (
        f"every candidate was judged by how it covers {most:,} random rows of {view.n:,} "
        f"(-p evaluation={view.n} measures on all rows, which takes longer)"
    )
    return np.sort(rng.permutation(view.n)[:most]), (note,)


def _affordable(n: int, budget: int) -> int:
    """The number of rows that coverage of n candidates is measured on: n, or as many as the budget of pairs allows.

    A measure on all n rows computes each pair once for both orders, n^2 / 2 kernels. A measure on m random rows
    computes n m kernels, so m is budget / (2 n).
    """
    return n if n**2 <= budget else max(FEWEST, budget // (2 * n))


def kernels_in_reach(n_labelled: int) -> int:
    """The budget of pairs for herding, which grows with the number of labelled rows.

    Of all pairs, about one in n_labelled + 1 can still gain. Herding keeps the pairs that can still gain, up to KEPT of
    them, and then computes each kernel only once.
    """
    return min(MOST, max(BUDGET, KEPT * (n_labelled + 1)))


def at_places(X_ND: BlockArray, places_M: Int64) -> BlockArray:
    """The rows at `places_M`, in memory; X_ND itself where they are all rows.

    A function that gets X_ND twice can tell that it compares rows with themselves, and halves its work.
    """
    return X_ND if len(places_M) == len(X_ND) else X_ND[places_M]
