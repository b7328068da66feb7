"""The study of LPLgrad in docs/strategies.md: with and without the branch that predicts losses, at a low and a high budget.

Usage: python -m tests.benchmarks.study_lplgrad [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli simulate` on the digits
and on banking77 (skipped where it is not at hand): with an MLP head and the branch, the same without it, and with a linear head, where
lplgrad and ent-gradnorm must coincide. Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

POOL = Path("banking77") / "features.parquet"
DIGITS = Path(__file__).parents[2] / "sample_data" / "digits-features.parquet"
OTHERS = ["entropy", "coreset", "ent-gradnorm", "lplgrad"]


def run(pool: Path, out: Path, jobs: int, **sizes: int) -> None:
    from alcli.cli.simulate import simulate

    simulate(str(pool), out / "branch", [*OTHERS, "learning-loss"], head="mlp", aux_loss=True, jobs=jobs, **sizes)
    simulate(str(pool), out / "no-branch", OTHERS, head="mlp", jobs=jobs, **sizes)
    simulate(str(pool), out / "linear", OTHERS, jobs=jobs, **sizes)


def main(data: Path, out: Path, jobs: int) -> None:
    for name, sizes in (("low", {"n": 20, "rounds": 6, "initial": 20, "seeds": 5}), ("high", {"n": 100, "rounds": 5, "initial": 100, "seeds": 5})):
        run(DIGITS, out / f"digits-{name}", jobs, **sizes)
    if not (data / POOL).exists():
        print(f"skipped: {data / POOL} is not here")
        return
    for name, sizes in (("low", {"n": 100, "rounds": 4, "initial": 100, "seeds": 3}), ("high", {"n": 500, "rounds": 3, "initial": 500, "seeds": 3})):
        run(data / POOL, out / f"banking77-{name}", jobs, **sizes)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=None, help="keep results here instead of in a temporary folder")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alcli-study-") as scratch:
        main(arguments.data, arguments.out or Path(scratch), arguments.jobs)
