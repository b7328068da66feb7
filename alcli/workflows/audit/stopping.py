"""Tell whether an accuracy is reached, what would decide it, and how many labels are still to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from alcli.data.absorbed import AuditRound
from alcli.numerics.audit.looks import deviation_of_look, labels_to_decide
from alcli.numerics.audit.projection import FEWEST_ROUNDS, Projection, projected
from alcli.numerics.audit.share import Share


def told_of_target(share: Share, rounds: Sequence[AuditRound], target: float, most: int) -> dict[str, Any]:
    """Return the figures on a target. rounds: every look up to this one. most: the rows that are left to audit.

    The k-th look asks for more standard errors than the one before (numerics/audit/looks.py).
    """
    deviation, look, now = share.deviation(target), len(rounds), rounds[-1]
    needed = deviation_of_look(look)
    found: dict[str, Any] = {"audit_target": target, "audit_looks": look, "audit_reached": bool(deviation >= needed)}
    shown = f"{now.accuracy:.3g} ({now.low:.3g} to {now.high:.3g})"
    if found["audit_reached"]:
        return found | {"audit_verdict": f"reached with 95% confidence: {shown}"}
    if deviation <= -needed:
        return found | {"audit_verdict": f"not reached, with 95% confidence: {shown}"} | _projected(rounds, target)
    more = labels_to_decide(now.audit, deviation, look)
    if more is None or more >= most:
        more, decides = None, "it is too near to the target for any audit of this pool to decide"
    else:
        decides = f"about {more} more audit labels would decide"
    found |= {"audit_verdict": f"not shown: {shown}; {decides}", "audit_labels_to_decide": more}
    return found | _projected(rounds, target)


def _projected(rounds: Sequence[AuditRound], target: float) -> dict[str, Any]:
    """The labels at which the learning curve of the audited rounds meets the target, in words and numbers."""
    labels_R, accuracy_R, error_R = np.array([[one.labels, one.accuracy, one.error] for one in rounds]).T
    found: Projection | None = projected(labels_R, accuracy_R, error_R, target)
    if found is None:
        n = len({one.labels for one in rounds})
        return {"audit_projection": f"none: it needs {FEWEST_ROUNDS} audited numbers of labels, this is number {n}"}
    ends = [None if np.isinf(end) else round(end) for end in (found.labels, found.low, found.high)]
    middle = "never" if ends[0] is None else f"after about {ends[0]} labels"
    low, high = ("never" if end is None else str(end) for end in ends[1:])
    return {
        "audit_projected_labels": ends[0],
        "audit_projected_labels_interval": ends[1:],
        "audit_projection": f"{target:g} {middle}; 95% of the curves: {low} to {high}",
    }
