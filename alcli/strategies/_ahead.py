"""Looking ahead on single labels of candidates, one after another: the rows whose predictions matter, and the precision of the posterior."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.fisher import information, with_prior
from alcli.numerics.label_ahead import LabelAhead
from alcli.strategies._checks import at_least, count_or
from alcli.strategies._contract import Selection
from alcli.strategies._streamed import Best, Part
from alcli.strategies._view import View


def best_ahead(
    view: View, k: int, score: Callable[[LabelAhead, Floats, Floats], Float64], *,
    rng: np.random.Generator, candidates: str, evaluation: int, labels: int,
) -> Selection:
    """The k candidates of highest score(look, hidden_BM, log_probs_BC), all of them or so many at random; one pass, of which these are kept."""
    at_least(1, evaluation=evaluation, labels=labels)
    count_or("all", candidates=candidates)
    most = view.n if candidates == "all" else max(int(candidates), k)
    part, best, look = Part(view, most, rng), Best(k, view), _look(view, view.targets(evaluation, rng), labels)
    for rows_B, H_BM, log_probs_BC in view.blocks("hidden", "log_probs"):
        places = part(rows_B)
        best.take(rows_B[places], score(look, H_BM[places], log_probs_BC[places]))
    return best.selection(*part.notes)


def _look(view: View, X_ED: Floats, labels: int) -> LabelAhead:
    """At the predictions of these rows.

    The precision is lambda I + curvature sum phi phi^T over the labelled rows: the prior precision of the head, and the mean p (1 - p) at
    the rows that are looked at, which the head has not seen.
    """
    H_ED, log_probs_EC, X_LD = view.evaluate("hidden", X_ED), view.evaluate("log_probs", X_ED), view.labelled()
    curvature = float((np.exp(log_probs_EC) * -np.expm1(log_probs_EC)).mean())
    of_rows_DD = curvature * _gram(H_ED) / len(H_ED)
    of_labelled_DD = curvature * _gram(view.evaluate("hidden", X_LD)) if len(X_LD) else np.zeros_like(of_rows_DD)
    return LabelAhead(with_prior(of_labelled_DD, view.network().prior_precision, of_rows_DD), H_ED, log_probs_EC, labels)


def _gram(H_BD: Any) -> Float64:
    """sum of phi phi^T."""
    return information(H_BD, np.ones((len(H_BD), 1, 1)))
