"""The study of updates and the ablation of docs/updates.md: banking77 as it is and scaled by 30, and the digits.

Usage: python -m benchmarks.study_updates [--data FOLDER] [--out DIR] [--seeds N] [--ablation-seeds N]. Prints the
tables of `alcli simulate`; about an hour on two cores; what needs banking77 is skipped where it is not at hand.
Stopped, it goes on where it was when --out is the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.studies import BANKING77, DIGITS, begin, is_there

PAIRS = [
    f"{name}{more}"
    for name in ("margin", "badge", "typiclust", "uherding", "optimal-look-ahead")
    for more in ("", "+update")
]
POLISH = ["margin+update", "polished=margin+update"]
PARTS = ["typiclust+update.update-every=10", "uherding+update.update-every=5"]
STAGES = "stages=50,100,200,400,1000+50"


def main(data: Path, out: Path, seeds: int, ablation_seeds: int) -> None:
    from alcli.cli.simulate import simulate

    compare(DIGITS, out / "ablation-digits", n=10, rounds=8, initial=10, seeds=seeds)
    simulate(str(DIGITS), out / "updates-digits", study="updates", seeds=seeds, param=[STAGES])
    if not is_there(banking77 := data / BANKING77):
        return
    compare(banking77, out / "ablation-banking77", PARTS, n=50, rounds=2, initial=77, seeds=ablation_seeds)
    scaled(banking77, out / "banking77-x30.parquet", 30.0)
    for name, pool in (("updates-banking77", banking77), ("updates-banking77-x30", out / "banking77-x30.parquet")):
        simulate(str(pool), out / name, study="updates", seeds=seeds, param=[STAGES, "mc-samples=100"])


def compare(pool: Path, out: Path, more: Sequence[str] = (), **sizes: Any) -> None:
    """Strategies with and without immediate updates, by accuracy and by cross-entropy; updates with a polish."""
    from alcli.cli.simulate import simulate

    for metric in ("nll", "accuracy"):
        simulate(str(pool), out / "pairs", strategy=PAIRS, metric=metric, param=[*more], **sizes)
    simulate(str(pool), out / "polish", strategy=POLISH, metric="accuracy", param=["polished.polish=true"], **sizes)


def scaled(source: Path, target: Path, factor: float) -> None:
    """The pool with features times `factor`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if target.exists():
        return
    rows = pq.read_table(source)
    X = np.stack(rows["features"].to_numpy(zero_copy_only=False)) * np.float32(factor)
    features = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), X.shape[1])
    pq.write_table(rows.set_column(rows.schema.get_field_index("features"), "features", features), target)


if __name__ == "__main__":
    begin(
        main,
        __doc__,
        seeds={"type": int, "default": 10, "help": "seeds of all but the strategies on banking77 (10)"},
        **{"ablation-seeds": {"type": int, "default": 3, "help": "seeds of the strategies on banking77 (3)"}},
    )
