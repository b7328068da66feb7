"""The study of banking77: five strategies, 5 seeds, 77 labels to start with, 100 more in each of 10 rounds.

Usage: python -m tests.benchmarks.study_banking77 [--data FOLDER] [--out DIR] [--jobs J]. Prints the table of `alcli simulate`, what it took, and
where the picture is. Some minutes on two cores; skipped where the data is not at hand.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

STRATEGIES = ["margin", "badge", "typiclust", "coreset"]  # random takes part in every simulation
POOL = Path("banking77") / "features.parquet"


def study(data: Path, out: Path, jobs: int) -> None:
    """Run the study through the command's own function, into `out`; it goes on where it was stopped."""
    from alcli.cli.simulate import simulate

    pool = data / POOL
    if not pool.exists():
        print(f"skipped: {pool} is not here")
        return
    started = time.perf_counter()
    simulate(str(pool), out, STRATEGIES, n=100, rounds=10, initial=77, seeds=5, jobs=jobs)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes with {jobs} jobs; {out}")


def main(data: Path = Path("../shared/data")) -> None:
    """As `make bench` calls it: into a temporary folder, on two cores."""
    with tempfile.TemporaryDirectory(prefix="alcli-study-") as folder:
        study(data, Path(folder) / "banking77", jobs=2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with banking77/features.parquet")
    parser.add_argument("--out", type=Path, help="keep the results here  [default: a temporary folder]")
    parser.add_argument("--jobs", type=int, default=2)
    arguments = parser.parse_args()
    if arguments.out is None:
        main(arguments.data)
    else:
        study(arguments.data, arguments.out, arguments.jobs)
