"""The study of updates and the ablation of docs/updates.md: banking77 as it is and scaled by 30, and the digits.

Usage: python -m benchmarks.study_updates [--data FOLDER] [--out DIR]. Prints the tables of `alcli simulate`; about
half an hour on two cores; what needs banking77 is skipped where it is not at hand. Stopped, it goes on where it was
when --out is the same.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.studies import BANKING77, DIGITS, begin, is_there

PAIRS = [
    "margin",
    "margin+update",
    "badge",
    "badge+update",
    "typiclust",
    "typiclust+update",
    "optimal-look-ahead",
    "optimal-look-ahead+update",
]
STEPS = ["batches=300", "typiclust+update.update-every=10", "optimal-look-ahead+update.update-every=10"]


def main(data: Path, out: Path) -> None:
    from alcli.cli.simulate import simulate

    simulate(
        str(DIGITS),
        out / "ablation-digits",
        PAIRS,
        n=20,
        rounds=5,
        initial=20,
        seeds=10,
        param=["optimal-look-ahead+update.update-every=5"],
    )
    simulate(str(DIGITS), out / "updates-digits", study="updates", param=["radam-rate=0.01"])
    if not is_there(banking77 := data / BANKING77):
        return
    scaled(banking77, out / "banking77-x30.parquet", 30.0)
    for name, pool in (("updates-banking77", banking77), ("updates-banking77-x30", out / "banking77-x30.parquet")):
        simulate(str(pool), out / name, study="updates", param=["mc-samples=100"])
    simulate(str(banking77), out / "ablation-banking77", PAIRS, n=50, rounds=5, initial=77, seeds=3, param=STEPS)


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
    begin(main, __doc__)
