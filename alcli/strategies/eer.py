"""Expected error reduction: rows whose label is expected to make the predictions of other rows surest.

The label that a row will get is expected under the head's probabilities; what it would do to the head follows from the posterior of the
last layer in closed form (numerics/label_ahead.py), not from a refit. The precision is that of the labelled rows.
Source: Roy & McCallum 2001, "Toward optimal active learning through sampling estimation of error reduction", eq. 2-4: log loss, or 0/1 loss.
Deviations: `labels` likeliest labels; `evaluation` random rows; a batch is the best rows, and near-copies come together.
Cost: M candidates, E evaluation rows, T labels: M E T C exponentials and 2 M E D1 + (M + E + L) D1^2 + D1^3 / 3 flops (50,000 candidates, 1,000
rows, 3 labels, 10 classes: 1.5 billion exponentials); memory that of a block, and E (C + D1) numbers.
Passes: 1.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.numerics.label_ahead import LabelAhead
from alcli.strategies._ahead import best_ahead
from alcli.strategies._checks import AllOrCount, Count
from alcli.strategies._contract import Selection, batch
from alcli.strategies._view import View


@batch(needs=["features", "hidden", "log_probs", "labelled", "network", "row_key", "targets"], random=True)
def eer(
    view: View, k: int, *, rng: np.random.Generator, loss: Literal["entropy", "error"] = "entropy",
    candidates: AllOrCount = "all", evaluation: Count = 1000, labels: Count = 3,
) -> Selection:
    """Scores: by how much the mean loss at the evaluation rows is expected to fall: entropy in nats, or error, 1 - the largest probability.

    candidates: all, or so many at random. evaluation: random rows, or those of -p targets=FILE. labels: the likeliest of a candidate.
    """
    fall = LabelAhead.entropy_fall if loss == "entropy" else LabelAhead.error_fall
    return best_ahead(view, k, fall, rng=rng, candidates=candidates, evaluation=evaluation, labels=labels)
