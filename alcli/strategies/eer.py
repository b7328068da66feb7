"""Rows whose label should make the other predictions surest.

Expected error reduction: the score of a candidate is the expected fall of the mean loss at E evaluation rows
once its label is known. The label is expected under the head's probabilities. The label's effect on the head
follows from the posterior of the last layer in closed form (numerics/last_layer/one_label.py), not from a
refit. The precision of the posterior is that of the labelled rows.

Source: Roy & McCallum 2001, "Toward optimal active learning through sampling estimation of error reduction",
eq. 2-4: log loss, or 0/1 loss.
Deviations: only the `labels` likeliest labels of a candidate are looked at, and the `evaluation` rows are
random rows. A batch is the best rows, so near-copies come together.
Cost: M candidates, E evaluation rows, T labels: M E T C exponentials and 2 M E D1 + (M + E + L)
D1^2 + D1^3 / 3 flops (50,000 candidates, 1,000 rows, 3 labels, 10 classes: 1.5 billion exponentials); memory
that of a block, and E (C + D1) numbers.
Passes: 1.

Options:
    loss: the loss that should fall.
        entropy: the mean entropy of the predictions in nats.
        error: the mean of 1 - the largest probability.
    candidates: number of random candidates that are looked at, at least the batch size; all looks at every
        candidate.
    evaluation: the most evaluation rows, drawn from the rows of -p targets=FILE if given, else from the
        candidates.
    labels: number of likeliest labels of a candidate that are looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.gradients.fisher import information, with_prior
from alcli.numerics.last_layer.one_label import LabelAhead
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.selection.options import AllOrCount, Count, at_least, count_or
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import Best, Part
from alcli.selection.view import View


@batch(
    needs=["features", "hidden", "log_probs", "labelled", "network", "row_key", "targets"], random=True, of_means=True
)
def eer(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    loss: Literal["entropy", "error"] = "entropy",
    candidates: AllOrCount = "all",
    evaluation: Count = 1000,
    labels: Count = 3,
) -> Selection:
    """Pick the k best candidates. Scores: the expected fall of the mean loss at the evaluation rows."""
    fall = LabelAhead.entropy_fall if loss == "entropy" else LabelAhead.error_fall
    return best_ahead(view, k, fall, rng=rng, candidates=candidates, evaluation=evaluation, labels=labels)


def best_ahead(
    view: View,
    k: int,
    score: Callable[[LabelAhead, Floats, Floats], Float64],
    *,
    rng: np.random.Generator,
    candidates: str,
    evaluation: int,
    labels: int,
) -> Selection:
    """Pick the k candidates of highest score(look, hidden_BM, log_probs_BC); only they are kept in the one pass.

    candidates, evaluation, labels: as the options of `eer`.
    """
    at_least(1, evaluation=evaluation, labels=labels)
    count_or("all", candidates=candidates)
    most = view.n if candidates == "all" else max(int(candidates), k)
    part, best, look = Part(view, most, rng), Best(k, view), _look(view, view.targets(evaluation, rng), labels)
    for rows_B, H_BM, log_probs_BC in view.blocks("hidden", "log_probs"):
        places = part(rows_B)
        best.take(rows_B[places], score(look, H_BM[places], log_probs_BC[places]))
    return best.selection(*part.notes)


def _look(view: View, X_ED: Floats, labels: int) -> LabelAhead:
    """Return the look-ahead at the predictions of the E rows X_ED.

    The precision is that of the head's prior plus curvature sum phi phi^T over the labelled rows, phi = [h; 1]. The
    curvature is the mean p (1 - p) at the rows X_ED, which the head has not
    seen.
    """
    H_ED, log_probs_EC, X_LD = view.evaluate("hidden", X_ED), view.evaluate("log_probs", X_ED), view.labelled()
    curvature = float((np.exp(log_probs_EC) * -np.expm1(log_probs_EC)).mean())
    of_rows_DD = curvature * _gram(H_ED) / len(H_ED)
    of_labelled_DD = curvature * _gram(view.evaluate("hidden", X_LD)) if len(X_LD) else np.zeros_like(of_rows_DD)
    head = view.network()
    prior_D1 = prior_diagonal(head.prior_precision, len(of_rows_DD), head.link)
    return LabelAhead(with_prior(of_labelled_DD, prior_D1, of_rows_DD), H_ED, log_probs_EC, labels)


def _gram(H_BD: Any) -> Float64:
    """The sum of phi phi^T over the rows, [D1, D1]."""
    return information(H_BD, np.ones((len(H_BD), 1, 1)))
