"""The study of look-ahead with tangent kernels in docs/strategies.md: acquisitions, sequential against
batch, comparators, regression.

Usage: python -m benchmarks.study_ntk [--data FOLDER] [--out DIR] [--jobs J]. Prints the tables of `alcli simulate` on
the digits (ridge, MLP and softmax head), and on banking77 and the house prices of ames (skipped where they are not at
hand). Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, compare, is_there

HOUSES = Path("ames") / "features.parquet"
OTHERS = ["entropy", "margin", "badge", "ntk", "ntk+update"]
FOR_NUMBERS = ["coreset", "lcmd", "badge", "egl", "predictive-variance", "noise-stability", "ntk", "ntk+update"]
ACQUISITIONS = {
    "sq=ntk": ["sq.acquisition=mlmoc-sq"],
    "emoc=ntk": ["emoc.acquisition=emoc"],
    "flip=ntk": ["flip.acquisition=flip"],
}
TOP = {"top=ntk": ["top.batch=top"]}
# Comparators take the best scores, as the one gradient step must. `top` is the closed form that they compare with.
COMPARATORS = {
    "one-step=ntk": ["one-step.look-ahead=one-step"],
    "gauss=ntk": ["gauss.kernel=gp", "gauss.batch=top"],
}
OF_HIDDEN_LAYERS = {
    "sum=ntk": ["sum.kernel=sum-of-logits", "sum.batch=top"],
    "wide=ntk": ["wide.kernel=infinite", "wide.batch=top"],
    "nngp=ntk": ["nngp.kernel=nngp", "nngp.batch=top"],
}
REFITS = {"refit=ntk": ["refit.look-ahead=softmax"]}
DIVERSE = {"diverse=ntk": ["diverse.diversify=kmeanspp"]}
SMALL = ["candidates=1000"]


def main(data: Path, out: Path, jobs: int) -> None:
    compare(
        DIGITS,
        out / "digits",
        OTHERS,
        TOP | ACQUISITIONS | COMPARATORS | DIVERSE,
        more=SMALL,
        jobs=jobs,
        n=20,
        rounds=8,
        initial=40,
        seeds=10,
        head="ridge",
    )
    compare(
        DIGITS,
        out / "digits-mlp",
        ["margin", "badge", "ntk"],
        TOP | COMPARATORS | OF_HIDDEN_LAYERS,
        more=SMALL,
        jobs=jobs,
        n=20,
        rounds=4,
        initial=40,
        seeds=4,
        head="mlp",
    )
    compare(
        DIGITS,
        out / "digits-softmax",
        ["margin", "emoc", "ntk"],
        TOP | REFITS,
        more=["candidates=300"],
        jobs=jobs,
        n=20,
        rounds=4,
        initial=40,
        seeds=5,
    )
    if is_there(data / HOUSES):
        compare(
            data / HOUSES,
            out / "ames",
            FOR_NUMBERS,
            {},
            more=[*SMALL, "update-every=5"],
            jobs=jobs,
            n=20,
            rounds=8,
            initial=40,
            seeds=20,
        )
    if is_there(data / BANKING77):
        compare(
            data / BANKING77,
            out / "banking77",
            OTHERS[:-1],
            TOP | ACQUISITIONS | DIVERSE,
            more=SMALL,
            jobs=jobs,
            n=20,
            rounds=5,
            initial=100,
            seeds=4,
            head="ridge",
        )


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS)
