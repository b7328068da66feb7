"""The study of docs/sparse-approximation.md: batch selection as sparse approximation beside the strategies it is
compared with.

Usage: python -m benchmarks.study_sparse [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli simulate`
on the digits and on banking77 (skipped where it is not at hand); half an hour or more on two cores. Stopped, it goes
on when --out is the same. `bias` leaves the variance out (alpha 0), `variance` is the largest variances alone (alpha
beyond everything else), as the ablation of the paper.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, is_there

WHO = [
    "entropy",
    "coreset",
    "badge",
    "sparse-greedy",
    "sparse-iht",
    "greedy-bayes=sparse-greedy",
    "iht-bayes=sparse-iht",
    "bald",
    "batchbald",
    "acs-fw",
    "bias=sparse-greedy",
    "variance=sparse-greedy",
    "bias-bayes=sparse-greedy",
    "variance-bayes=sparse-greedy",
]
FORMS = [f"{alias}.form=bayesian" for alias in ("greedy-bayes", "iht-bayes", "bias-bayes", "variance-bayes")]
ABLATION = ["bias.alpha=0", "bias-bayes.alpha=0", "variance.alpha=1e12", "variance-bayes.alpha=1e12"]
SMALL = ["batchbald.candidates=300", "batchbald.configurations=1000", "batchbald.samples=50"]


def main(data: Path, out: Path, jobs: int) -> None:
    from alcli.cli.simulate import simulate

    simulate(
        str(DIGITS), out / "digits", WHO, n=20, rounds=6, initial=20, seeds=5, jobs=jobs, param=[*FORMS, *ABLATION]
    )
    if is_there(data / BANKING77):
        simulate(
            str(data / BANKING77),
            out / "banking77",
            WHO,
            n=50,
            rounds=6,
            initial=77,
            seeds=5,
            jobs=jobs,
            param=[*FORMS, *ABLATION, *SMALL],
        )


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS)
