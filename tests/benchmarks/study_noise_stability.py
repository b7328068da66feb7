"""The study of noise stability in docs/look-ahead-and-noise.md: selectors, samples, sizes of the noise, and ablations.

Usage: python -m tests.benchmarks.study_noise_stability [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli simulate` on the
digits, with a linear and an MLP head, and on banking77 (skipped where it is not at hand). Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

POOL = Path("banking77") / "features.parquet"
DIGITS = Path(__file__).parents[2] / "sample_data" / "digits-features.parquet"
NS = "noise-stability"
OTHERS = ["entropy", "bald", "coreset", "badge", NS]
SELECTORS = {f"{name}={NS}": [f"{name}.selector={name}"] for name in ("kmeanspp", "direction", "topnorm")}
SAMPLES = {f"K{k}={NS}": [f"K{k}.estimator=sampled", f"K{k}.samples={k}"] for k in (1, 3, 10, 30)}
SIZES = {f"zeta{z}={NS}": [f"zeta{z}.estimator=sampled", f"zeta{z}.samples=30", f"zeta{z}.zeta={size}"] for z, size in (("-6", "1e-6"), ("-2", "1e-2"), ("0", "1"), ("1", "10"))}
KDPP = {f"dpp={NS}": ["dpp.selector=kdpp"]}


def run(pool: Path, out: Path, variants: dict[str, list[str]], jobs: int, **sizes: object) -> None:
    from alcli.cli.simulate import simulate

    simulate(str(pool), out, [*OTHERS, *variants], jobs=jobs, param=[p for params in variants.values() for p in params], **sizes)


def main(data: Path, out: Path, jobs: int) -> None:
    out.mkdir(parents=True, exist_ok=True)
    run(DIGITS, out / "digits", SELECTORS | KDPP | SAMPLES | SIZES, jobs, n=20, rounds=10, initial=20, seeds=10)
    run(DIGITS, out / "digits-mlp", SELECTORS, jobs, n=20, rounds=6, initial=20, seeds=5, head="mlp")
    if not (data / POOL).exists():
        print(f"skipped: {data / POOL} is not here")
        return
    run(data / POOL, out / "banking77", SELECTORS, jobs, n=77, rounds=6, initial=77, seeds=5)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[3] / "shared" / "data")
    parser.add_argument("--out", type=Path, default=None, help="keep results here instead of in a temporary folder")
    parser.add_argument("--jobs", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="alcli-study-") as scratch:
        main(arguments.data, arguments.out or Path(scratch), arguments.jobs)
