"""Rows whose label should change the other predictions most.

Expected model output change: the score of a candidate is the expected mean length of the change, once its
label is known, of the outputs at E evaluation rows. The label is expected under the head's probabilities. The
label's effect on the head follows from the posterior of the last layer in closed form
(numerics/last_layer/one_label.py). `ntk` has the same acquisition by a regression on the labels, for all
layers of a head with hidden layers.

Source: Kaeding, Rodner, Freytag & Denzler 2016, "Active and continuous exploration with deep neural networks
and expected model output changes", eq. 2, with the exact change in place of its gradient.
Deviations: only the `labels` likeliest labels of a candidate are looked at, and the `evaluation` rows are
random rows. A batch is the best rows, so near-copies come together.
Cost: M candidates, E evaluation rows, T labels: 2 M E D1 + (M + E + L) D1^2 + D1^3 / 3 flops; output=probs M
E T C exponentials more; memory that of a block, and E (C + D1) numbers.
Passes: 1.

Options:
    output: the outputs whose change is measured.
        probs: the class probabilities.
        logits: the numbers before the softmax, which cost no exponentials.
    candidates: number of random candidates that are looked at, at least the batch size; all looks at every
        candidate.
    evaluation: the most evaluation rows, drawn from the rows of -p targets=FILE if given, else from the
        candidates.
    labels: number of likeliest labels of a candidate that are looked at.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from alcli.numerics.last_layer.one_label import LabelAhead, Output
from alcli.selection.options import AllOrCount, Count
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.eer import best_ahead


@batch(
    needs=["features", "hidden", "log_probs", "labelled", "network", "row_key", "targets"], random=True, of_means=True
)
def emoc(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    output: Output = "probs",
    candidates: AllOrCount = "all",
    evaluation: Count = 1000,
    labels: Count = 3,
) -> Selection:
    """Pick the k best candidates. Scores: the expected mean length of the change at the evaluation rows."""
    change = partial(LabelAhead.change, output=output)
    return best_ahead(view, k, change, rng=rng, candidates=candidates, evaluation=evaluation, labels=labels)
