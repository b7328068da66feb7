"""Rows that look unlabelled and uncertain to a discriminator.

As in `vaal`, an autoencoder learns to deceive a discriminator that looks at its codes. Two things differ. The
codes predict the labels of the labelled rows, too. And the discriminator does not learn that an unlabelled
row has the state 0: it learns the state 1 - u, u the uncertainty of the row. So it is surest of rows that are
both unlike the labelled rows and uncertain. Needs torch. The published method encodes images; on frozen
features it is here to compare with.

The uncertainty is u = 1 - r max p for the head's probabilities p of C classes, and r = v / var p. Here v is
the least variance that probabilities with that maximum can have, (max p - 1/C)^2 / (C - 1): they share the
rest evenly. So r is 1 for two classes, where u = 1 - max p, and less where few classes compete.

Source: Zhang, Li, Yang, Wang, Zha & Huang 2020, "State-relabeling adversarial active learning", with layers
for vectors. Ours: one code rebuilds features and predicts labels; the head is the target learner that says
how uncertain a row is, so u stays as it is in training; the state is the target of a cross-entropy. The
first labels are chosen by other strategies (maxherding).
Cost: that of `vaal`, and 6 B Z C flops a step for C classes; then 2 (D H + H Z) flops a row. Memory: the rows,
and the weights four times.
Passes: 2.

Options:
    steps: number of training steps.
    units: number of units of every hidden layer.
    code: length of a code.
    batch-size: number of rows of each mini-batch.
    learning-rate: step size of Adam.
    divergence: weight of the divergence of codes in the generator's loss, where the squared error has weight 1.
    adversary: weight of deceiving the discriminator in the generator's loss, where the squared error has
        weight 1.
    label-weight: weight of the labels' cross-entropy in the generator's loss, where the squared error has
        weight 1.
"""

from __future__ import annotations

from types import ModuleType
from typing import Annotated, Any

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.embedders._contract import require
from alcli.engine.kernels import pin_torch
from alcli.selection.options import Count
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.vaal import NOTHING, Adversary, Sides, VaalSettings, Weight, positive_rate


@batch(needs=["features", "labelled", "labelled_targets", "log_probs"], random=True, of_means=True)
def sraal(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    steps: Count = 100,
    units: Count = 64,
    code: Count = 16,
    batch_size: Count = 64,
    learning_rate: Annotated[float, positive_rate] = 0.001,
    divergence: Weight = 1.0,
    adversary: Weight = 1.0,
    label_weight: Weight = 1.0,
) -> Selection:
    """Pick the k rows of largest score.

    Scores: the log odds of not being labelled. Raises UnavailableError without torch, DataError where labels of
    labelled rows are not known.
    """
    pin_torch()
    torch = require("torch")
    how = VaalSettings(steps, units, code, batch_size, learning_rate, divergence, adversary)
    X_ND, targets_LC, threads = view.matrix("features"), view.labelled_targets(), torch.get_num_threads()
    state_N = (1.0 - view.reduced(uncertainty, "log_probs")).astype(np.float32)
    torch.set_num_threads(1)
    try:
        sides = Sides(X_ND, view.labelled(), state_N)
        trained = Relabelled(torch, view.dim, how, rng, targets_LC, label_weight)
        trained.train(sides)
        scores_N = finite32(-trained.labelled_logits(X_ND, sides.standard))
    finally:
        torch.set_num_threads(threads)
    picks_K = np.argsort(-scores_N, kind="stable")[:k]
    return Selection(view.rows[picks_K], scores_K=scores_N[picks_K], notes=() if view.n_labelled else (NOTHING,))


def uncertainty(log_probs_BC: Array) -> Float64:
    """The uncertainty u of each row, float64 [B]: 0 where one class is certain, 1 - 1/C where all are alike."""
    C = log_probs_BC.shape[1]
    from_mean_BC = np.exp(log_probs_BC, dtype=np.float64) - 1.0 / C
    most_B, variance_B = from_mean_BC.max(axis=1), np.square(from_mean_BC).mean(axis=1)
    least_B = np.square(most_B) / (C - 1)
    ratio_B = np.divide(least_B, variance_B, out=np.ones_like(most_B), where=variance_B > 0.0)
    return 1.0 - np.minimum(ratio_B, 1.0) * (most_B + 1.0 / C)


class Relabelled(Adversary):
    """The generator and the discriminator in training. targets_LC: one-hot labels of the labelled rows."""

    def __init__(
        self,
        torch: ModuleType,
        D: int,
        how: VaalSettings,
        rng: np.random.Generator,
        targets_LC: Float64,
        label_weight: float,
    ) -> None:
        super().__init__(torch, D, how, rng)
        self._y_L, self._label_weight = torch.from_numpy(targets_LC.argmax(axis=1)), label_weight
        self._predictor = self._layers(how.code, targets_LC.shape[1])
        self._by_autoencoder.add_param_group({"params": [p for layer in self._predictor for p in layer]})

    def _generator_loss(self, x: Any, places: Int64) -> Any:
        loss, code = self._autoencoder_loss(x)
        if not len(self._y_L):
            return loss
        size = len(places) // 2
        outputs, y = self._through(self._predictor, code[size:]), self._y_L[self._torch.from_numpy(places[size:])]
        return loss + self._label_weight * self._torch.nn.functional.cross_entropy(outputs, y)
