"""Rows that a discriminator is surest are not labelled, from codes of an autoencoder that learns to deceive it.

Needs torch. The method encodes images; on frozen features it is a roundabout way to tell labelled rows from the others, and is here to
compare with; `discriminative` does so directly.
Source: Sinha, Ebrahimi & Darrell 2019, "Variational adversarial active learning"; training in strategies/_adversary.py.
Cost: 24 B (D H + 2 H Z) flops a step, 100 steps of B = 64 rows a side; then 2 (D H + H Z) flops a row. Memory: the rows.
Passes: 1.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np

from alcli.embedders._contract import require
from alcli.errors import UsageError
from alcli.strategies._adversary import Adversary, Settings, Standard
from alcli.strategies._checks import Count, at_least
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._view import View

NOTHING = "nothing is labelled, so the discriminator has seen one side only and the order means little"


def _positive(*, learning_rate: float) -> None:
    if not learning_rate > 0.0:
        raise UsageError(f"parameter 'learning-rate' must be above 0, got {learning_rate}")


Weight = Annotated[float, partial(at_least, 0)]


@batch(needs=["features", "labelled"], random=True)
def vaal(
    view: View, k: int, *, rng: np.random.Generator, steps: Count = 100, units: Count = 64, code: Count = 16, batch_size: Count = 64,
    learning_rate: Annotated[float, _positive] = 0.001, divergence: Weight = 1.0, adversary: Weight = 1.0,
) -> Selection:
    """Scores: the log odds of not being labelled.

    units: of every hidden layer. code: numbers of a code. divergence, adversary: weights of the autoencoder's losses beside its error.
    Raises UnavailableError without torch.
    """
    torch = require("torch")
    how = Settings(steps, units, code, batch_size, learning_rate, divergence, adversary)
    X_ND, X_LD, threads = view.matrix("features"), view.labelled(), torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        standard, trained = Standard(X_ND), Adversary(torch, view.dim, how, rng)
        trained.train(X_ND, X_LD, standard)
        scores_N = finite32(-trained.labelled_logits(X_ND, standard))
    finally:
        torch.set_num_threads(threads)
    picks_K = np.argsort(-scores_N, kind="stable")[:k]
    return Selection(view.rows[picks_K], scores_K=scores_N[picks_K], notes=() if view.n_labelled else (NOTHING,))
