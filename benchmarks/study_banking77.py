"""The study of banking77: five strategies, 5 seeds, 77 labels to start with, 100 more in each of 10 rounds.

Usage: python -m benchmarks.study_banking77 [--data FOLDER] [--out DIR] [--jobs J]. Prints the table of `alcli
simulate`, what it took, and where the picture is. Some minutes on two cores; skipped where the data is not at hand.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.studies import BANKING77, begin, is_there

STRATEGIES = ["margin", "badge", "typiclust", "coreset"]  # random takes part in every simulation


def main(data: Path, out: Path, jobs: int) -> None:
    """Run the study through the command's own function, into `out`; it goes on where it was stopped."""
    from alcli.cli.simulate import simulate

    if not is_there(pool := data / BANKING77):
        return
    started = time.perf_counter()
    simulate(str(pool), out, strategy=STRATEGIES, n=100, rounds=10, initial=77, seeds=5, metric="accuracy", jobs=jobs)
    print(f"{(time.perf_counter() - started) / 60:.1f} minutes with {jobs} jobs; {out}")


if __name__ == "__main__":
    begin(main, __doc__, jobs={"type": int, "default": 2})
