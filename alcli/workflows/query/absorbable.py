"""A label that would leave the head without numbers is refused before the head absorbs it.

A huge weight, or a label of a row with a huge vector, adds so much to one direction of the posterior precision that
the others are lost in rounding. The head would then answer on, and be refused when it is saved.
Cost: a dot product; for a heavy label one more update and one factorisation of the posterior.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from alcli.arrays import Floats
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads._model import Model

# A label is looked at closely from this many times the information of a usual label on.
_HEAVY = 1e6


def check_absorbable(label: Training, models: Iterable[Model | None], usual_KD: Floats | None, where: str) -> None:
    """Raise DataError where a model could not be stored after absorbing the label.

    label: one row, whose class may be one more than a model has. usual_KD: rows that the head absorbed before.
    where: the place of the label, for messages.
    """
    length, weight = _squared_length(label.X_LD), float(label.weights_L[0])
    usual = 1.0 if usual_KD is None or not len(usual_KD) else _squared_length(usual_KD)
    if weight * (1 + length) <= _HEAVY * (1 + usual):
        return
    for model in (model for model in models if model is not None):
        if not _can_absorb(model, label):
            size = f"its weight is {weight:.3g}, the length of its vector {length**0.5:.3g}"
            hint = "check the weight, and the vector of the row"
            raise DataError(f"{where}: the label is too heavy to absorb: {size}", hint=hint)


def _squared_length(X_KD: Floats) -> float:
    """The mean squared length of the rows."""
    return float(np.square(X_KD.astype(np.float64)).sum(axis=1).mean())


def _can_absorb(model: Model, label: Training) -> bool:
    """True where the model has finite numbers after absorbing the label."""
    new = (label.n_classes or 0) - (model.n_classes or 0)
    try:
        with np.errstate(all="ignore"):
            after = (model.with_new_classes(new) if new > 0 else model).update(label)
            return all(bool(np.isfinite(array).all()) for array in after.arrays().values() if array.dtype.kind == "f")
    except (DataError, ArithmeticError, np.linalg.LinAlgError):
        return False
