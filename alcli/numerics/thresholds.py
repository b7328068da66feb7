"""Where a class ends among rows in the order of its confidence: the threshold that labels speak for, and the stretch they leave open.

Source: Nuggehalli, Zhang, Jain & Nowak 2025, "Improved algorithm for deep active learning under imbalance via optimal separation" (DIRECT).
Cost: O(N).
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Int64


def best_threshold(signs_N: Int64) -> int:
    """Rows before it are called the class, the others not: the first threshold, 0 to N, that most labels agree with.

    signs_N: 1 for a row labelled with the class, -1 for one labelled otherwise, 0 for the others; in the order of the confidence.
    """
    before = np.append(0, np.cumsum(signs_N))
    return int((2 * before - before[-1]).argmax())


def open_stretch(signs_N: Int64) -> tuple[int, int]:
    """(first, last) places between which the threshold may lie, whatever the labels' noise: from the last labelled row of the class before
    any other to the first of another behind all of the class; the ends of the order where there is none."""
    of_class, others = np.flatnonzero(signs_N > 0), np.flatnonzero(signs_N < 0)
    sure_in = of_class[of_class < others[0]] if len(others) else of_class
    sure_out = others[others > of_class[-1]] if len(of_class) else others
    return int(sure_in[-1]) if len(sure_in) else 0, int(sure_out[0]) if len(sure_out) else len(signs_N) - 1


def around(threshold: int, is_open_N: Array, k: int) -> Int64:
    """At most k open places nearest to a threshold, before and behind it in turns, before it first."""
    before = np.flatnonzero(is_open_N[:threshold])[::-1][:k]
    behind = threshold + np.flatnonzero(is_open_N[threshold:])[:k]
    turns = np.concatenate([2 * np.arange(len(before)), 2 * np.arange(len(behind)) + 1])
    return np.concatenate([before, behind])[np.argsort(turns)][:k]  # type: ignore[no-any-return]
