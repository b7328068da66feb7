"""The study of sparse approximation in docs/strategies.md: batches whose weighted gradients sum to those of the pool,
beside the strategies that they are compared with.

Usage: python -m benchmarks.study_sparse [--data FOLDER] [--out DIR] [--jobs J] [--seeds N] [--only PART]. Prints

- accuracy: the tables of `alcli simulate` on the digits and on banking77, beside other strategies;
- labels: the same tables of the label distributions, of the rule as printed, and of the ablation of the paper;
- objective: how well one batch matches the pool, on banking77 (sparse_batches.py);
- seconds: the CPU seconds of a batch by its size, on made-up rows (sparse_batches.py).

An hour or more on two cores; what needs banking77 is skipped where it is not at hand. Stopped, it goes on when
--out is the same.
The strategies expect calibrated labels, as in the paper; `laplace`, `pseudo` and `mix` expect others. `bias` leaves the
variance out (alpha 0), `variance` is the largest variances alone (alpha beyond everything else), as the ablation of the
paper. `printed` is Algorithm 1 with the rule as printed (tau 1), `printed-bias` the same with alpha 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.sparse_batches import objective, seconds
from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, compare, is_there

GREEDY = "sparse-greedy"
WHO = ["entropy", "coreset", "badge", GREEDY, "sparse-iht", "bald", "batchbald", "acs-fw"]
LABELS = {f"{name}={GREEDY}": [f"{name}.label-dist={name}"] for name in ("laplace", "pseudo", "mix")}
PRINTED = {
    f"printed={GREEDY}": ["printed.tau=1"],
    f"printed-bias={GREEDY}": ["printed-bias.tau=1", "printed-bias.alpha=0"],
}
ABLATION = {f"bias={GREEDY}": ["bias.alpha=0"], f"variance={GREEDY}": ["variance.alpha=1e12"]}
OF_LABELS = ["badge", GREEDY, "sparse-iht"]
BAYESIAN = {
    f"greedy-bayes={GREEDY}": ["greedy-bayes.form=bayesian"],
    "iht-bayes=sparse-iht": ["iht-bayes.form=bayesian"],
    f"bias-bayes={GREEDY}": ["bias-bayes.form=bayesian", "bias-bayes.alpha=0"],
    f"variance-bayes={GREEDY}": ["variance-bayes.form=bayesian", "variance-bayes.alpha=1e12"],
}
SMALL = ["batchbald.candidates=300", "batchbald.configurations=1000", "batchbald.samples=50"]
TABLES: dict[str, tuple[Sequence[str], Mapping[str, Sequence[str]], Sequence[str]]] = {
    "accuracy": (WHO, ABLATION | BAYESIAN, SMALL),
    "labels": (OF_LABELS, LABELS | PRINTED | ABLATION, ()),
}


def main(data: Path, out: Path, jobs: int, seeds: int, only: str | None) -> None:
    for name, (who, variants, small) in TABLES.items():
        if only in (None, name):
            how: dict[str, Any] = {"rounds": 6, "jobs": jobs, "seeds": seeds, "metric": "accuracy"}
            compare(DIGITS, out / name / "digits", who, variants, n=20, initial=20, **how)
            if is_there(data / BANKING77):
                compare(data / BANKING77, out / name / "banking77", who, variants, more=small, n=50, initial=77, **how)
    if only in (None, "objective") and is_there(data / BANKING77):
        objective(data / BANKING77)
    if only in (None, "seconds"):
        seconds()


if __name__ == "__main__":
    begin(
        main,
        __doc__,
        jobs=JOBS,
        seeds={"type": int, "default": 5, "help": "seeds of `alcli simulate` (5)"},
        only={"choices": (*TABLES, "objective", "seconds"), "help": "one part"},
    )
