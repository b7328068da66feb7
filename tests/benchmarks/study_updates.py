"""The study of updates and the ablation of docs/updates.md: banking77 as it is and scaled by 30, and the digits.

Usage: python -m tests.benchmarks.study_updates [--data FOLDER] [--out DIR]. Prints the tables of `alcli simulate`; about half an hour on two
cores; what needs banking77 is skipped where it is not at hand. Stopped, it goes on where it was when --out is the same.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

POOL = Path("banking77") / "features.parquet"
DIGITS = Path(__file__).parents[2] / "sample_data" / "digits-features.parquet"
PAIRS = ["margin", "margin+update", "badge", "badge+update", "typiclust", "typiclust+update", "optimal-look-ahead", "optimal-look-ahead+update"]
STEPS = ["batches=300", "typiclust+update.update-every=10", "optimal-look-ahead+update.update-every=10"]


def main(data: Path, out: Path) -> None:
    from alcli.cli.simulate import simulate

    out.mkdir(parents=True, exist_ok=True)
    simulate(str(DIGITS), out / "ablation-digits", PAIRS, n=20, rounds=5, initial=20, seeds=10, param=["optimal-look-ahead+update.update-every=5"])
    simulate(str(DIGITS), out / "updates-digits", study="updates", param=["radam-rate=0.01"])
    if not (data / POOL).exists():
        print(f"skipped: {data / POOL} is not here")
        return
    scaled(data / POOL, out / "banking77-x30.parquet", 30.0)
    for name, pool in (("updates-banking77", data / POOL), ("updates-banking77-x30", out / "banking77-x30.parquet")):
        simulate(str(pool), out / name, study="updates", param=["mc-samples=100"])
    simulate(str(data / POOL), out / "ablation-banking77", PAIRS, n=50, rounds=5, initial=77, seeds=3, param=STEPS)


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
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with banking77/features.parquet")
    parser.add_argument("--out", type=Path, help="keep the results here  [default: a temporary folder]")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alcli-study-") as folder:
        main(arguments.data, arguments.out or Path(folder))
