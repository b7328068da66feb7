"""For rare classes: rows near the threshold of each class.

For each class c, all rows are put in the order of p_c - max p. Labelled rows tell the threshold at which the
class ends, and leave a stretch of the order open in which the threshold may lie. Half of the batch is drawn
from the open stretches of the rarest classes. The other half lies nearest to the threshold that most labels
agree with, equally many rows for each class.

Source: Nuggehalli, Zhang, Jain & Nowak 2025, "Improved algorithm for deep active learning under imbalance via
optimal separation" (DIRECT), for annotators who label the whole batch at once: no label is known before the
batch is complete, so the open stretch is reduced once a query.
Deviation: the first half goes to as many of the rarest classes as get `per-class` rows each; the condition in
the published code is the reverse.
Cost: a sort of N rows for each class that is asked about, the head's predictions; memory 4 N C numbers.
Passes: 1.

Options:
    per-class: number of rows of the first half for each of the rarest classes; more rows a class means fewer
        classes.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View


@batch(needs=["features", "log_probs", "labelled", "labelled_targets"], random=True, of_means=True)
def direct(view: View, k: int, *, rng: np.random.Generator, per_class: Count = 5) -> Selection:
    """Pick k rows: half from the open stretches of the rarest classes, half nearest to the thresholds of all classes.

    Scores: 1 - (max p - p_c) for the class c that a row was picked for. Raises DataError where the labels are
    not known.
    """
    at_least(1, per_class=per_class)
    targets_LC = view.labelled_targets()
    y_L, n_classes = targets_LC.argmax(axis=1), targets_LC.shape[1]
    probs_LC = np.exp(view.evaluate("log_probs", view.labelled())) if len(y_L) else np.empty((0, n_classes))
    orders = _Orders(np.concatenate([np.exp(view.matrix("log_probs")), probs_LC]), y_L, view.n)
    rarest_C = np.argsort(np.bincount(y_L, minlength=n_classes), kind="stable")
    for c, share in zip(rarest_C, _shares(k // 2, min(n_classes, max(k // 2 // per_class, 1)))):
        orders.take_open(int(c), share, rng)
    for c, share in zip(rng.permutation(n_classes), _shares(k - len(orders.picks), n_classes)):
        orders.take_nearest(int(c), share)
    return Selection(view.rows[orders.picks], finite32(np.array(orders.scores)))


def _shares(k: int, n: int) -> list[int]:
    """Split k into n whole numbers that differ by one at most, the larger numbers first."""
    share, rest = divmod(k, n)
    return [share + 1] * rest + [share] * (n - rest)


class _Orders:
    """The order of candidates and labelled rows for each class, and the picks.

    The n candidates come first among the M rows. picks: places of the picked candidates. scores: their
    scores.
    """

    def __init__(self, probs_MC: Floats, y_L: Int64, n: int) -> None:
        self._probs_MC, self._most_M = probs_MC, probs_MC.max(axis=1)
        self._y_M = np.append(np.full(n, -1), y_L)
        self._is_open_M = self._y_M < 0
        self._known: dict[int, tuple[Int64, Int64]] = {}
        self.picks: list[int] = []
        self.scores: list[float] = []

    def take_open(self, c: int, most: int, rng: np.random.Generator) -> None:
        """Pick at most `most` random candidates in the stretch in which class c may end."""
        order_M, signs_M = self._order(c)
        first, last = open_stretch(signs_M)
        free = order_M[first : last + 1][self._is_open_M[order_M[first : last + 1]]]
        self._take(c, rng.permutation(free)[:most])

    def take_nearest(self, c: int, most: int) -> None:
        """Pick at most `most` candidates nearest to the threshold of class c."""
        order_M, signs_M = self._order(c)
        self._take(c, order_M[around(best_threshold(signs_M), self._is_open_M[order_M], most)])

    def _order(self, c: int) -> tuple[Int64, Int64]:
        """Return (rows in the order of class c, signs of the rows as in `best_threshold`), [M] each."""
        if c not in self._known:
            behind_M = self._most_M - self._probs_MC[:, c]
            # Rows whose largest probability is p_c come first, ordered by p_c.
            order_M = np.argsort(np.where(behind_M > 0.0, behind_M, -self._most_M), kind="stable")
            y_M = self._y_M[order_M]
            self._known[c] = order_M, np.where(y_M < 0, 0, np.where(y_M == c, 1, -1))
        return self._known[c]

    def _take(self, c: int, rows: Array) -> None:
        self._is_open_M[rows] = False
        self.picks += rows.tolist()
        self.scores += (1.0 - (self._most_M[rows] - self._probs_MC[rows, c])).tolist()


def best_threshold(signs_N: Int64) -> int:
    """The first threshold, from 0 to N, that most labels agree with: only rows before it belong to the class.

    signs_N: 1 for a row labelled with the class, -1 for a row labelled otherwise, 0 for a row without a
    label; in the order of the confidence. Cost: O(N).
    """
    before = np.append(0, np.cumsum(signs_N))
    return int((2 * before - before[-1]).argmax())


def open_stretch(signs_N: Int64) -> tuple[int, int]:
    """The (first, last) places between which the threshold may lie, however noisy the labels are.

    The first is the last row labelled with the class before any row labelled otherwise. The last is the first
    row labelled otherwise behind all rows labelled with the class. Without such a row it is the respective
    end of the order. Cost: O(N).
    """
    of_class, others = np.flatnonzero(signs_N > 0), np.flatnonzero(signs_N < 0)
    sure_in = of_class[of_class < others[0]] if len(others) else of_class
    sure_out = others[others > of_class[-1]] if len(of_class) else others
    return int(sure_in[-1]) if len(sure_in) else 0, int(sure_out[0]) if len(sure_out) else len(signs_N) - 1


def around(threshold: int, is_open_N: Array, k: int) -> Int64:
    """At most k open places nearest to a threshold, in turns before and behind it, beginning with one before it."""
    before = np.flatnonzero(is_open_N[:threshold])[::-1][:k]
    behind = threshold + np.flatnonzero(is_open_N[threshold:])[:k]
    turns = np.concatenate([2 * np.arange(len(before)), 2 * np.arange(len(behind)) + 1])
    return np.concatenate([before, behind])[np.argsort(turns)][:k]
