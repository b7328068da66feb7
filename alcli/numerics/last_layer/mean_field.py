"""The softmax averaged over normal logits, in closed form: softmax(z / sqrt(1 + pi/8 s)).

z are the mean logits. s is one number a row: the mean under softmax(z) of the variances of the contrasts. The contrast
of a class is its logit minus the mean of the other logits. A softmax sees differences of logits only, so noise that
moves all logits together must not count, and it is not in the contrasts. For two classes both contrasts are the
difference of the logits, and the form is the binary probit. One s for all classes of a row means that the predicted
class never changes, and that confidence only falls.

Source: MacKay, The Evidence Framework Applied to Classification Networks, 1992; mean-field softmax, Lu, Ie & Sha 2020.
Lu et al. take the variances of the logits themselves; the contrasts are ours.
Cost: a few passes over [B, C].
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.logistic import log_softmax, softmax

MEAN_FIELD = np.pi / 8


def mean_field(logits_BC: Float64, contrast_variance: Float64) -> Float64:
    """Compute the log of the averaged class probabilities, float64 [B, C].

    contrast_variance: float64 [B, C], or [B, 1] where all classes of a row share it; not negative.
    """
    variance = contrast_variance
    if variance.shape[1] > 1:
        variance = np.einsum("bc,bc->b", softmax(logits_BC), variance)[:, None]
    return log_softmax(logits_BC / np.sqrt(1.0 + MEAN_FIELD * variance))
