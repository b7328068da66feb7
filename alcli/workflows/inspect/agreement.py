"""Krippendorff's alpha of the labels of several annotators, by the library krippendorff.

Source: Krippendorff, Content Analysis, 4th edition, chapter 12. 1 is agreement on every item, 0 is the agreement of
labels that are dealt out at random, and less than 0 is disagreement. An item may have any number of labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np


def alpha(labels_of_item: Sequence[Sequence[str]], *, numbers: bool) -> float | None:
    """Return alpha; None where nobody labelled what another did, and where all labels are one.

    labels_of_item: the labels of each item, of as many annotators. numbers: distances of the labels count, squared;
    else two labels are the same or not. Memory: items times classes.
    """
    labels_of_item = [labels for labels in labels_of_item if len(labels) > 1]
    domain = sorted({label for labels in labels_of_item for label in labels}, key=float if numbers else str)
    if len(domain) < 2:
        return None
    import krippendorff  # imported here, since few files have several annotators

    place = {label: i for i, label in enumerate(domain)}
    counts_NV = np.zeros((len(labels_of_item), len(domain)), np.int64)
    for row_V, labels in zip(counts_NV, labels_of_item):
        np.add.at(row_V, [place[label] for label in labels], 1)
    values = np.array(domain, np.float64) if numbers else np.array(domain)
    level: Literal["interval", "nominal"] = "interval" if numbers else "nominal"
    return float(krippendorff.alpha(value_counts=counts_NV, value_domain=values, level_of_measurement=level))
