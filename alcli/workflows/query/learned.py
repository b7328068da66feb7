"""The labels that a stream has absorbed, in their order, and the models after the last of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from alcli.arrays import Array, Floats, Keys
from alcli.data.absorbed import Absorbed
from alcli.data.head_file import HeadFile
from alcli.data.head_match import choose_anchors
from alcli.heads._model import Model


@dataclass(frozen=True)
class Told:
    """A label: the number of its row, its class number or target, and its weight."""

    row: int
    y: float
    weight: float


@dataclass(frozen=True)
class Learned:
    """The models after the first n labels of the stream. One value, so that a signal never splits it."""

    n: int
    model: Model
    classes: tuple[str, ...] | None
    predictor: Model | None


def updated_head(
    head: HeadFile, learned: Learned, told: Sequence[Told], ids_L: Keys, X_LD: Floats, fitted_on: int
) -> HeadFile:
    """The head of the beginning with the models and the labels of the stream.

    ids_L, X_LD: the hashes of ids, and the features, of the rows that were told. fitted_on: labels of the last fit.
    """
    y_L: Array = np.array([t.y for t in told], np.int64 if head.classes is not None else np.float64)
    anchor_id, anchors = choose_anchors(np.concatenate([head.anchor_id, ids_L]), np.concatenate([head.anchors, X_LD]))
    return replace(
        head,
        model=learned.model,
        classes=learned.classes,
        predictor=learned.predictor,
        absorbed=head.absorbed.extended(Absorbed(ids_L, y_L, np.array([t.weight for t in told]))),
        anchor_id=anchor_id,
        anchors=anchors,
        fitted_on=fitted_on,
    )
