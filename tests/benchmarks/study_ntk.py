"""The study of look-ahead with tangent kernels in docs/look-ahead-and-noise.md: acquisitions, sequential against batch, comparators, regression.

Usage: python -m tests.benchmarks.study_ntk [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli simulate` on the digits
(linear and MLP head), and on banking77 and the house prices of ames (skipped where they are not at hand). Stopped, it goes on when --out
is the same.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

POOL = Path("banking77") / "features.parquet"
HOUSES = Path("ames") / "features.parquet"
DIGITS = Path(__file__).parents[2] / "sample_data" / "digits-features.parquet"
OTHERS = ["entropy", "margin", "badge", "ntk", "ntk+update"]
ACQUISITIONS = {"sq=ntk": ["sq.acquisition=mlmoc-sq"], "emoc=ntk": ["emoc.acquisition=emoc"], "flip=ntk": ["flip.acquisition=flip"]}
COMPARATORS = {"one-step=ntk": ["one-step.look-ahead=one-step"], "gauss=ntk": ["gauss.kernel=gp"], "wide=ntk": ["wide.kernel=infinite"]}
DIVERSE = {"diverse=ntk": ["diverse.diversify=kmeanspp"], "imputed=ntk": ["imputed.batch=impute"]}
SMALL = ["candidates=1000"]


def run(pool: Path, out: Path, who: list[str], variants: dict[str, list[str]], jobs: int, *, more: list[str], **sizes: object) -> None:
    from alcli.cli.simulate import simulate

    simulate(str(pool), out, [*who, *variants], jobs=jobs, param=[*more, *(p for params in variants.values() for p in params)], **sizes)


def main(data: Path, out: Path, jobs: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    run(DIGITS, out / "digits", OTHERS, ACQUISITIONS | COMPARATORS | DIVERSE, jobs, more=SMALL, n=20, rounds=8, initial=40, seeds=10, head="ridge")
    run(DIGITS, out / "digits-mlp", ["margin", "badge", "ntk"], COMPARATORS, jobs, more=SMALL, n=20, rounds=4, initial=40, seeds=4, head="mlp")
    for name, pool in (("ames", data / HOUSES), ("banking77", data / POOL)):
        if not pool.exists():
            print(f"skipped: {pool} is not here")
        elif name == "ames":
            houses = ["coreset", "lcmd", "badge", "egl", "predictive-variance", "noise-stability", "ntk", "ntk+update"]
            run(pool, out / name, houses, {}, jobs, more=[*SMALL, "update-every=5"], n=20, rounds=8, initial=40, seeds=20)
        else:
            run(pool, out / name, OTHERS[:-1], ACQUISITIONS | DIVERSE, jobs, more=SMALL, n=20, rounds=5, initial=100, seeds=4, head="ridge")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=None, help="keep results here instead of in a temporary folder")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alcli-study-") as scratch:
        main(arguments.data, arguments.out or Path(scratch), arguments.jobs)
