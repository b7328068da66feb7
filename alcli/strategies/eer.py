"""Expected error reduction: rows whose label is expected to make the predictions of other rows surest.

The label that a row will get is expected under the head's probabilities; what it would do to the head follows from the posterior of the
last layer in closed form (numerics/label_ahead.py), not from a refit. The precision is that of the labelled rows.
Source: Roy & McCallum 2001, "Toward optimal active learning through sampling estimation of error reduction", eq. 2-4: log loss, or 0/1 loss.
Deviations: `labels` likeliest labels; `candidates` and `evaluation` random rows; a batch is the best rows, and near-copies come together.
Cost: M candidates, E evaluation rows, T labels: M E T C exponentials and 2 M E D1 + (M + E + L) D1^2 + D1^3 / 3 flops (1,000 x 1,000 rows,
3 labels, 10 classes: 30 million exponentials); memory M E numbers beside the features.
Passes: one over the ids, one reading of the rows.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.strategies._ahead import best, looked_ahead
from alcli.strategies._checks import Count, at_least
from alcli.strategies._contract import Selection, batch
from alcli.strategies._view import View


@batch(needs=["features", "hidden", "log_probs", "labelled", "network", "row_key", "targets"], random=True)
def eer(
    view: View, k: int, *, rng: np.random.Generator, loss: Literal["entropy", "error"] = "entropy",
    candidates: Count = 1000, evaluation: Count = 1000, labels: Count = 3,
) -> Selection:
    """Scores: by how much the mean loss at the evaluation rows is expected to fall: entropy in nats, or error, 1 - the largest probability."""
    at_least(1, candidates=candidates, evaluation=evaluation, labels=labels)
    places_M, look, notes = looked_ahead(view, rng, candidates=max(candidates, k), evaluation=evaluation, labels=labels)
    return best(view, k, places_M, look.entropy_fall() if loss == "entropy" else look.error_fall(), notes)
