"""Names of classes that the labelled rows contradict.

A name is tested by the labelled rows of its class. Each row says how probable its own name is among all names, at the
concentration of the pool: softmax_c(kappa u.t_c). A name is contradicted where its rows together make it less probable
than a name drawn at random, by a factor of exp(MARGIN). All names are refused where the labelled rows of all classes
together do so, and those of more than one class lean that way. Then the names are not those of these classes, and a
class without labels must not rely on its name.
A row counts for at most log P against its name, as it does for it. So a few odd rows decide nothing.
The rows took no part in making the names, so nothing has to be held out.
Cost: 2 n D P flops.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.logistic import log_softmax

# In nats. One row that is unlike the others of its class shall not refuse a right name.
MARGIN = 2.0


def contradicted(U_LD: Floats, y_L: Array, names_CD: Float64, concentration: float) -> tuple[Array, bool]:
    """Return (mask of the classes whose names the rows contradict [C], True where all names are refused).

    U_LD, names_CD: directions; zeros for a class without a name. A class without a labelled row is never in the mask.
    """
    named_C = np.asarray(names_CD.any(axis=1))
    tested_L = named_C[y_L]
    if not tested_L.any() or named_C.sum() < 2:
        return np.zeros(len(names_CD), bool), False
    U_LD, y_L = U_LD[tested_L].astype(np.float64), y_L[tested_L]
    place_C = np.cumsum(named_C) - 1
    log_probs_L = log_softmax(concentration * (U_LD @ names_CD[named_C].T))[np.arange(len(y_L)), place_C[y_L]]
    chance = float(np.log(named_C.sum()))
    gain_L = np.maximum(log_probs_L + chance, -chance)
    gain_C = np.bincount(y_L, gain_L, len(names_CD))
    # One odd label is not enough to doubt every name.
    refused = gain_L.sum() < -MARGIN and (gain_C < 0.0).sum() > 1
    return gain_C < -MARGIN, bool(refused)
