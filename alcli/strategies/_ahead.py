"""From a view to a look ahead on single labels: candidates, the rows whose predictions matter, and the precision of the posterior."""

from __future__ import annotations

from typing import Any

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.fisher import information, with_prior
from alcli.numerics.label_ahead import LabelAhead, label_ahead
from alcli.numerics.rows import Factor, Rows
from alcli.strategies._contract import Selection, finite32
from alcli.strategies._drawn import by_hash, left_out
from alcli.strategies._view import View


def looked_ahead(view: View, rng: np.random.Generator, *, candidates: int, evaluation: int, labels: int) -> tuple[Int64, LabelAhead, tuple[str, ...]]:
    """(places of the candidates that are looked at, the look, notes).

    The precision is lambda I + curvature sum phi phi^T over the labelled rows: the prior precision of the head, and the mean p (1 - p) at
    the rows that are looked at, which the head has not seen.
    """
    places_M = np.sort(by_hash(view, rng)[:candidates])
    X_ED, X_LD = view.targets(evaluation, rng), view.labelled()
    H_ED, log_probs_EC = view.evaluate("hidden", X_ED), view.evaluate("log_probs", X_ED)
    curvature = float((np.exp(log_probs_EC) * -np.expm1(log_probs_EC)).mean())
    of_rows_DD = curvature * _gram(H_ED) / len(H_ED)
    of_labelled_DD = curvature * _gram(view.evaluate("hidden", X_LD)) if len(X_LD) else np.zeros_like(of_rows_DD)
    precision_DD = with_prior(of_labelled_DD, view.network().prior_precision, of_rows_DD)
    look = label_ahead(precision_DD, view.at("hidden", places_M), view.at("log_probs", places_M), H_ED, log_probs_EC, labels)
    return places_M, look, left_out(view, candidates)


def best(view: View, k: int, places_M: Int64, scores_M: Float64, notes: tuple[str, ...]) -> Selection:
    """The k of highest score among some candidates; equal rows have equal scores."""
    rows = Rows(Factor(view.at("hidden", places_M)), Factor(view.at("log_probs", places_M)))
    scores32_M = finite32(rows.same_for_copies(scores_M))
    picks_K = np.argsort(-scores32_M, kind="stable")[:k]
    return Selection(view.rows[places_M[picks_K]], scores32_M[picks_K], notes=notes)


def _gram(H_BD: Any) -> Float64:
    """sum of phi phi^T."""
    return information(H_BD, np.ones((len(H_BD), 1, 1)))
