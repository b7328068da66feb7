"""The candidates of highest BALD, for methods whose score of a row is at most its BALD."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float32, Int64
from alcli.numerics.committee import information
from alcli.strategies._view import View


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
        return (f"{method} looked at the {M:,} of {self.n:,} candidates that have the highest BALD; {picks} certain to be what looking "
                f"at all would give (-p candidates={self.n} looks at all)",)
