"""Build a batch one item at a time without an annotator: each pick is absorbed under a label that the model makes up.

The next pick then differs from the picks before, as it would with real labels. Nothing new is known: the model that
has absorbed made-up labels is thrown away.
"""

from __future__ import annotations

import numpy as np

from alcli.live.live import Live
from alcli.numerics.hashing import uniforms
from alcli.selection.strategy import Selection

HOW = ("argmax", "sample")
_STREAM = 2  # number of the random stream of draws by id; strategies draw from stream 0, --candidates from stream 1


def impute_batch(live: Live, k: int, *, how: str, seed: int) -> tuple[Selection, list[int]]:
    """Choose min(k, n) rows in turn; return them with the class that each was given before the next was chosen.

    how: "argmax" takes the predicted class, "sample" a draw from the predictive distribution that follows from seed
    and id.
    """
    picks: list[tuple[int, float]] = []
    taken: list[str] = []
    classes: list[int] = []
    remarks = live.remarks()
    while len(picks) < k and (pick := live.next()) is not None:
        probs_C = np.exp(live.predictive(pick[0]))
        draw = float(uniforms(live.row_keys(np.array([pick[0]])), seed, _STREAM)[0])
        drawn = int(np.searchsorted(np.cumsum(probs_C), draw * probs_C.sum(), side="right"))
        c = int(probs_C.argmax()) if how == "argmax" else min(drawn, len(probs_C) - 1)
        picks.append(pick)
        taken.append(live.taken)
        classes.append(c)
        if len(picks) < k:
            live.tell(pick[0], c)
    rows, scores = zip(*picks) if picks else ((), ())
    taken_K = tuple(taken) if any(taken) else ()
    chosen = Selection(np.array(rows, np.int64), np.array(scores, np.float32), notes=remarks, taken_K=taken_K)
    return chosen, classes
