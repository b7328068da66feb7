"""The study of noise stability in docs/look-ahead-and-noise.md: selectors, samples, sizes of the noise, and ablations.

Usage: python -m benchmarks.study_noise_stability [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli
simulate` on the digits, with a linear and an MLP head, and on banking77 (skipped where it is not at hand). Stopped,
it goes on when --out is the same.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, compare, is_there

NS = "noise-stability"
OTHERS = ["entropy", "bald", "coreset", "badge", NS]
SELECTORS = {f"{name}={NS}": [f"{name}.selector={name}"] for name in ("kmeanspp", "direction", "topnorm")}
SAMPLES = {f"K{k}={NS}": [f"K{k}.estimator=sampled", f"K{k}.samples={k}"] for k in (1, 3, 10, 30)}
SIZES = {
    f"zeta{z}={NS}": [f"zeta{z}.estimator=sampled", f"zeta{z}.samples=30", f"zeta{z}.zeta={size}"]
    for z, size in (("-6", "1e-6"), ("-2", "1e-2"), ("0", "1"), ("1", "10"))
}
KDPP = {f"dpp={NS}": ["dpp.selector=kdpp"]}


def main(data: Path, out: Path, jobs: int) -> None:
    compare(
        DIGITS,
        out / "digits",
        OTHERS,
        SELECTORS | KDPP | SAMPLES | SIZES,
        jobs=jobs,
        n=20,
        rounds=10,
        initial=20,
        seeds=10,
    )
    compare(DIGITS, out / "digits-mlp", OTHERS, SELECTORS, jobs=jobs, n=20, rounds=6, initial=20, seeds=5, head="mlp")
    if is_there(data / BANKING77):
        compare(data / BANKING77, out / "banking77", OTHERS, SELECTORS, jobs=jobs, n=77, rounds=6, initial=77, seeds=5)


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS)
