"""Log-softmax, softmax, cross-entropy and one-hot targets, in forms that neither overflow nor cancel.

Source: textbook. The largest logit is subtracted before the exponentials are taken.
Cost: a few passes over [B, C]. Memory: one copy of the logits.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats


def log_softmax(logits_BC: Floats) -> Float64:
    """Compute log p of every class, float64 [B, C]."""
    out: Float64 = logits_BC - logits_BC.max(axis=-1, keepdims=True).astype(np.float64)
    out -= np.log(np.exp(out).sum(axis=-1, keepdims=True))
    return out


def softmax(logits_BC: Floats) -> Float64:
    """Compute the class probabilities, float64 [B, C]."""
    out: Float64 = logits_BC - logits_BC.max(axis=-1, keepdims=True).astype(np.float64)
    np.exp(out, out=out)
    out /= out.sum(axis=-1, keepdims=True)
    return out


def cross_entropy(logits_BC: Floats, y_B: Array, weights_B: Floats) -> float:
    """Compute the weighted sum of -log p of the given classes, in nats."""
    return -float(weights_B @ log_softmax(logits_BC)[np.arange(len(y_B)), y_B])


def soft_cross_entropy(logits_BC: Floats, targets_BC: Floats, weights_B: Floats) -> float:
    """Compute the weighted sum of -target log p over rows and classes, in nats.

    targets_BC: one-hot classes, or any rows that sum to 1.
    """
    return -float(weights_B @ (targets_BC * log_softmax(logits_BC)).sum(axis=-1))


def one_hot(y_B: Array, n_classes: int) -> Float64:
    """Encode classes as rows of the identity matrix, float64 [B, C]."""
    out = np.zeros((len(y_B), n_classes))
    out[np.arange(len(y_B)), y_B] = 1.0
    return out
