"""Expected model output change: rows whose label is expected to move the outputs at other rows furthest.

The label that a row will get is expected under the head's probabilities; what it would do to the head follows from the posterior of the
last layer in closed form (numerics/last_layer/one_label.py). `ntk` has the same by a regression on the labels, and for heads with hidden layers as a
whole.
Source: Kaeding, Rodner, Freytag & Denzler 2016, "Active and continuous exploration with deep neural networks and expected model output
changes", eq. 2, with the exact change in place of its gradient.
Deviations: `labels` likeliest labels; `evaluation` random rows; a batch is the best rows, and near-copies come together.
Cost: M candidates, E evaluation rows, T labels: 2 M E D1 + (M + E + L) D1^2 + D1^3 / 3 flops; output=probs M E T C exponentials more;
memory that of a block, and E (C + D1) numbers.
Passes: 1.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from alcli.numerics.last_layer.one_label import LabelAhead, Output
from alcli.selection.options import AllOrCount, Count
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.eer import best_ahead


@batch(needs=["features", "hidden", "log_probs", "labelled", "network", "row_key", "targets"], random=True)
def emoc(
    view: View, k: int, *, rng: np.random.Generator, output: Output = "probs",
    candidates: AllOrCount = "all", evaluation: Count = 1000, labels: Count = 3,
) -> Selection:
    """Scores: the expected mean length of the change at the evaluation rows, of their probabilities or of their logits.

    candidates: all, or so many at random. evaluation: random rows, or those of -p targets=FILE. labels: the likeliest of a candidate.
    """
    change = partial(LabelAhead.change, output=output)
    return best_ahead(view, k, change, rng=rng, candidates=candidates, evaluation=evaluation, labels=labels)
