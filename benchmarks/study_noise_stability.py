"""The study of noise stability in docs/strategies.md: selectors, samples, sizes of the noise, ablations, one row at a
time, comparators, and labels that are numbers.

Usage: python -m benchmarks.study_noise_stability [--data FOLDER] [--out DIR] [--jobs J] [--only PART]. Prints the
tables of `alcli simulate` on the digits (with a linear head, an MLP head, and one row at a time), and on banking77 and
the house prices of ames (skipped where they are not at hand). Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, compare, is_there

NS = "noise-stability"
HOUSES = Path("ames") / "features.parquet"
OTHERS = ["entropy", "bald", "coreset", "badge", NS]
# The comparators of the paper that frozen features allow, and what is like them.
COMPARATORS = ["core-gcn", "vaal", "sraal", "discriminative", "kdpp", "feature-margin"]
SELECTORS = {f"{name}={NS}": [f"{name}.selector={name}"] for name in ("kmeanspp", "direction", "topnorm")}
SAMPLES = {f"K{k}={NS}": [f"K{k}.estimator=sampled", f"K{k}.samples={k}"] for k in (1, 3, 10, 30)}
SIZES = {
    f"zeta{z}={NS}": [f"zeta{z}.estimator=sampled", f"zeta{z}.samples=30", f"zeta{z}.zeta={size}"]
    for z, size in (("-6", "1e-6"), ("-2", "1e-2"), ("0", "1"), ("1", "10"))
}
KDPP = {f"dpp={NS}": ["dpp.selector=kdpp"]}
ONE_BY_ONE = ["entropy", "bald", "mean-std", "badge", NS]
DRAWS = [f"{name}.samples=50" for name in ("bald", "mean-std")]
HIDDEN = {f"hidden={NS}": ["hidden.output=hidden"]}
PARTS = ("digits", "digits-mlp", "digits-one", "comparators", "ames", "banking77")


def main(data: Path, out: Path, jobs: int, only: str | None) -> None:
    for name in PARTS if only is None else (only,):
        pool = {"ames": data / HOUSES, "banking77": data / BANKING77}.get(name, DIGITS)
        if is_there(pool):
            play(name, pool, out / name, jobs)


def play(name: str, pool: Path, out: Path, jobs: int) -> None:
    """One table."""
    print(f"\n{name}", flush=True)
    if name == "digits":
        sizes: dict[str, Any] = {"n": 20, "rounds": 10, "initial": 20, "seeds": 10}
        compare(pool, out, OTHERS, SELECTORS | KDPP | SAMPLES | SIZES, jobs=jobs, metric="accuracy", **sizes)
    elif name == "comparators":
        sizes = {"n": 20, "rounds": 6, "initial": 20, "seeds": 5}
        compare(pool, out, [*COMPARATORS, "coreset", "badge", NS], {}, jobs=jobs, metric="accuracy", **sizes)
    elif name == "digits-mlp":
        sizes = {"n": 20, "rounds": 6, "initial": 20, "seeds": 5, "head": "mlp"}
        compare(pool, out, OTHERS, SELECTORS | HIDDEN, jobs=jobs, metric="accuracy", **sizes)
    elif name == "digits-one":
        sizes = {"n": 1, "rounds": 30, "initial": 20, "seeds": 5}
        compare(pool, out, ONE_BY_ONE, {}, more=DRAWS, jobs=jobs, metric="accuracy", **sizes)
    elif name == "ames":
        sizes = {"n": 50, "rounds": 3, "initial": 50, "seeds": 4, "head": "mlp"}
        compare(pool, out, ["coreset", "badge", NS], HIDDEN, jobs=jobs, metric="mae", **sizes)
    else:
        sizes = {"n": 77, "rounds": 6, "initial": 77, "seeds": 5}
        compare(pool, out, OTHERS, SELECTORS, jobs=jobs, metric="accuracy", **sizes)


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS, only={"choices": PARTS, "help": "one table"})
