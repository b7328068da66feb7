"""Random candidates, drawn by a hash of their ids: what methods look at that cannot look at all. The same rows wherever they lie in the pool."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64
from alcli.numerics.diversity.herding import KEPT
from alcli.numerics.hashing import uniforms
from alcli.numerics.information.committee import information
from alcli.selection.order import TopK, finite32
from alcli.selection.strategy import Selection
from alcli.selection.view import View

FEWEST = 5000  # rows that coverage is measured on by default, where there are as many
BUDGET = 400_000_000  # pairs of candidates up to which all are measured on by default: 20,000 rows
MOST = 2_500_000_000  # the same where one look at each pair is enough: 50,000 rows


def by_hash(view: View, rng: np.random.Generator) -> Int64:
    """The places of all candidates in a random order, which follows their ids."""
    draws_N = uniforms(view.reduced(lambda key_B: key_B, "row_key"), int(rng.integers(1 << 62)))
    return np.argsort(draws_N, kind="stable")


def some_places(view: View, most: int, rng: np.random.Generator) -> tuple[Int64, tuple[str, ...]]:
    """(places of at most `most` random candidates in the rows of the view, ascending; notes). Draws nothing where these are all."""
    if view.n <= most:
        return np.arange(view.n), ()
    return np.sort(by_hash(view, rng)[:most]), left_out(view, most)


def left_out(view: View, most: int) -> tuple[str, ...]:
    """What to say where candidates were not looked at."""
    return () if view.n <= most else (f"looked at {most} random candidates, not at all of them (-p candidates)",)


# -- folded ------
# What batch strategies share that score every row by itself but look at more than a score: a random part of the pool, and the best of it.


class Part:
    """At most `most` random candidates of a view whose blocks pass by. notes: what to say where these are not all."""

    def __init__(self, view: View, most: int, rng: np.random.Generator) -> None:
        places, self.notes = some_places(view, most, rng)
        self.n = len(places)
        self._rows = None if self.n == view.n else np.sort(view.rows[places])

    def __call__(self, rows_B: Int64) -> Int64:
        """The places in rows_B of those that were drawn."""
        return (
            np.arange(len(rows_B))
            if self._rows is None
            else np.flatnonzero(np.isin(rows_B, self._rows, assume_unique=True))
        )


class Best(TopK):
    """The k best rows of a view by float64 scores, equal ones (as float32) in the order of their ids."""

    def __init__(self, k: int, view: View) -> None:
        super().__init__(k, view.sort_keys)

    def take(self, rows_B: Int64, scores_B: Float64) -> None:
        self.offer(rows_B, finite32(scores_B))

    def selection(self, *notes: str) -> Selection:
        return Selection(*self.result(), notes=notes)


# -- folded ------
# The candidates of highest BALD, for methods whose score of a row is at most its BALD.


@dataclass(frozen=True)
class Shortlist:
    """M candidates in the order of their ids: row numbers, BALD, and places in the rows of the view. n: candidates in all.

    left_out: the highest BALD of the other candidates, -inf where there is none.
    """

    rows_M: Int64
    bald_M: Float32
    places_M: Int64
    left_out: float
    n: int

    @classmethod
    def of(cls, view: View, most: int) -> Shortlist:
        """The `most` candidates of highest BALD, equal ones by id. One pass, then the rows that are kept."""
        bald_N = view.reduced(information, "sample_log_probs").astype(np.float32)
        order_N = np.argsort(-bald_N, kind="stable")
        places_M = np.sort(order_N[:most])
        left_out = float(bald_N[order_N[most]]) if most < view.n else -np.inf
        return cls(view.rows[places_M], bald_N[places_M], places_M, left_out, view.n)

    def notes(self, method: str, scores_K: Float32) -> tuple[str, ...]:
        """What to tell the user of a batch chosen from a part of the candidates."""
        M, K = len(self.rows_M), len(scores_K)
        if self.n == M:
            return ()
        sure = int(np.argmin(np.append(scores_K > self.left_out, False)))
        picks = "all picks are" if sure == K else f"the first {sure} of {K} picks are" if sure else "no pick is"
        return (
            f"{method} looked at the {M:,} of {self.n:,} candidates that have the highest BALD; {picks} certain to be what looking "
            f"at all would give (-p candidates={self.n} looks at all)",
        )


# -- folded ------
# What strategies that cover the pool share: which rows coverage is measured on, and how to say so.


def evaluation_places(
    view: View, evaluation: str, rng: np.random.Generator, budget: int | None = None
) -> tuple[Int64, tuple[str, ...]]:
    """(places of the candidates that coverage is measured on, ascending; notes): all of them, or some at random.

    A mean over random rows is an unbiased estimate of the mean over all, so every candidate is still judged.
    evaluation: how many, or auto: all while their pairs are within the budget (BUDGET without), else as many as cost the same, at least FEWEST.
    """
    most = _affordable(view.n, budget or BUDGET) if evaluation == "auto" else int(evaluation)
    if view.n <= most:
        return np.arange(view.n), ()
    note = f"every candidate was judged by how it covers {most:,} random rows of {view.n:,} (-p evaluation={view.n} measures on all, at its cost)"
    return np.sort(rng.permutation(view.n)[:most]), (note,)


def _affordable(n: int, budget: int) -> int:
    """All of n rows, or as many as make half the budget of pairs with them: where all are measured on, each pair is made once for both orders."""
    return n if n**2 <= budget else max(FEWEST, budget // (2 * n))


def kernels_in_reach(n_labelled: int) -> int:
    """A budget for herding, which looks at all kernels once where so many rows are labelled that those that still gain can be kept."""
    return min(MOST, max(BUDGET, KEPT * (n_labelled + 1)))


def at_places(X_ND: Floats, places_M: Int64) -> Floats:
    """Rows at places; X_ND itself for all of them, which halves the work of what compares each with each."""
    return X_ND if len(places_M) == len(X_ND) else X_ND[places_M]
