"""How exact audits are: error against a random sample, coverage of intervals, and wrong stops.

Usage: python -m benchmarks.study_audit [--data FOLDER] [--runs N] [--seeds N]. Fits heads to labels that uherding chose
and draws N audits of each. It prints for each case the accuracy (or the RMSE) over the rows that the head has not
learned from; the error of the estimate over that of a random sample of as many labels; the coverage of the 95%
interval, and the share of intervals that lie wholly above the truth, of which 2.5% are expected. Last, the share of
runs that say "reached" wrongly. Some 25 minutes on one core with 1,000 audits and 5 seeds; what needs banking77 or ames
is skipped where they are not at hand.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import alcli
from alcli.arrays import Array, Float64, Int64
from alcli.data.pool import Pool, open_pool
from alcli.numerics.audit.draw import arrivals, chances
from alcli.numerics.audit.looks import deviation_of_look
from alcli.numerics.audit.mean_square import MeanSquare
from alcli.numerics.audit.sample import AuditSample, sampled
from alcli.numerics.audit.share import OF_CORRECTNESS, Share
from alcli.remarks import silence
from alcli.workflows.audit.draw import calibrated
from alcli.workflows.audit.figures import predicted
from benchmarks.studies import BANKING77, DIGITS, begin, is_there
from benchmarks.timing import table

AMES = Path("ames") / "features.parquet"
SIZES = (100, 200)
LABELS = (154, 308, 616)
STEP, FIRST_LOOK, GROWTH = 77, 100, 50
WIDTHS = (23, 6, 5, 8, 14, 8, 5, 8)
COLUMNS = ["case", "labels", "audit", "truth", "error / random", "coverage", "above", "interval"]


@dataclass(frozen=True)
class Case:
    """A head and the truth about it.

    keys_N: hashes of the ids. open_N: the rows that the figures are about. right_N, x_N2: over the pool, see
    `predicted`. spread_N: what the draw follows.
    """

    keys_N: Array
    population: Int64
    open_N: Array
    right_N: Array
    x_N2: Float64
    spread_N: Float64

    @property
    def truth(self) -> float:
        """The accuracy that an audit estimates."""
        return float(self.right_N[self.open_N].mean())


def main(data: Path, out: Path, runs: int, seeds: int) -> None:
    """Print the tables, each row as soon as it is measured. out: not used."""
    began = time.perf_counter()
    line(COLUMNS)
    if is_there(pool := data / BANKING77):
        of_banking(pool, runs, seeds)
    for m in SIZES:
        line(measured("digits", 60, m, [digits_case(seed, 60) for seed in range(seeds)], runs))
    three = [digits_case(seed, 20, only=("1", "8", "9")) for seed in range(seeds)]
    line(measured("digits, 3 classes", 20, SIZES[0], three, runs))
    rare = [rare_case(seed) for seed in range(seeds)]
    for m in SIZES:
        line(measured("digits, class of 2%", 40, m, rare, runs))
    line(reused(runs // 20))
    if is_there(pool := data / AMES):
        for m in SIZES:
            line(ames_row(pool, m, seeds, runs))
    print(f"{runs} audits, {seeds} seeds; {(time.perf_counter() - began) / 60:.0f} minutes")


def of_banking(pool: Path, runs: int, seeds: int) -> None:
    """Print the rows of banking77, and how often a stop is right and wrong."""
    heads = [banking_cases(pool, seed) for seed in range(seeds)]
    for n in LABELS:
        for m in SIZES:
            line(measured("banking77", n, m, [one[n] for one in heads], runs))
    later = [(one[LABELS[0]], one[LABELS[2]]) for one in heads]
    line(measured("banking77, drawn at 154", LABELS[2], SIZES[1], later, runs))
    print(f"7 looks, at heads after 154 to 616 labels; {FIRST_LOOK} audit labels at first, {GROWTH} more a look")
    table(["target", "runs", "says reached", "wrongly"], stopped(heads, runs))
    unknown = [banking_cases(pool, seed, unknown=True)[LABELS[1]] for seed in range(min(seeds, 2))]
    for m in SIZES:
        line(measured("banking77, 10% unknown", LABELS[1], m, unknown, runs))


def line(cells: list[str]) -> None:
    """Print one row of the table of audits."""
    print("  ".join(f"{cell:{width}}" for cell, width in zip(cells, WIDTHS)).rstrip(), flush=True)


# -- audits -----------------------------------------------------------------------------------------------------------


def drawn(case: Case, m: int, seed: int) -> tuple[Int64, AuditSample]:
    """One audit of m rows: those that the figures are about, and the sample that they make."""
    q_N = chances(case.spread_N[case.population])
    times_N = arrivals(case.keys_N[case.population], q_N, seed)
    places = np.argsort(times_N, kind="stable")[:m]
    n = len(case.population)
    rows, sample = case.population[places], sampled(1.0 / (n * q_N[places]), n)
    return rows, sample


def estimate(case: Case, rows: Int64, sample: AuditSample) -> Share:
    """The accuracy that an audit estimates."""
    kept = case.open_N[rows]
    rows = rows[kept]
    return Share(case.right_N[rows], case.x_N2[rows], sample.only(kept), case.x_N2[case.open_N], OF_CORRECTNESS)


def measured(name: str, labels: int, m: int, cases: list, runs: int) -> list[str]:
    """One row of the table. cases: of each seed one, or two, by which the audit is drawn and which it measures."""
    found, random = [], []
    for case in cases:
        by, of = case if isinstance(case, tuple) else (case, case)
        for seed in range(runs // len(cases)):
            share = estimate(of, *drawn(by, m, seed))
            found.append((share.value, *share.interval(), of.truth))
        random.append(of.truth * (1 - of.truth) / m * (1 - m / of.open_N.sum()))
    return told(name, labels, m, np.array(found), float(np.mean(random)) ** 0.5)


def told(name: str, labels: int, m: int, found: Float64, random: float) -> list[str]:
    """One row of the table. found: estimate, low, high, truth of each audit. random: the error of a random sample."""
    value, low, high, truth = found.T
    error = float(((value - truth) ** 2).mean()) ** 0.5
    inside, above = float(((low <= truth) & (truth <= high)).mean()), float((low > truth).mean())
    width = f"+-{(high - low).mean() / 2:.3g}"
    return [
        name,
        str(labels),
        str(m),
        f"{truth.mean():.3g}",
        f"{error / random:.2f}",
        f"{inside:.3f}",
        f"{above:.3f}",
        width,
    ]


def stopped(heads: list[dict[int, Case]], runs: int) -> list[list[str]]:
    """Rows of (target, runs, share that says reached, share that says so of a head below the target)."""
    sizes = sorted(heads[0])
    targets = {"0.001 above the last head": 0.001, "0.01 below the last head": -0.01, "0.04 below the last head": -0.04}
    said, wrong, n = dict.fromkeys(targets, 0), dict.fromkeys(targets, 0), 0
    for cases in heads:
        last = cases[sizes[-1]].truth
        for seed in range(runs // len(heads)):
            n += 1
            looks = []
            for look, size in enumerate(sizes):
                rows, sample = drawn(cases[sizes[0]], FIRST_LOOK + GROWTH * look, seed)
                looks.append((cases[size].truth, estimate(cases[size], rows, sample)))
            for name, above in targets.items():
                reached = [
                    share.deviation(last + above) >= deviation_of_look(k) for k, (_, share) in enumerate(looks, 1)
                ]
                said[name] += any(reached)
                wrong[name] += any(r and truth < last + above for r, (truth, _) in zip(reached, looks))
    return [[name, str(n), f"{said[name] / n:.3f}", f"{wrong[name] / n:.3f}"] for name in targets]


# -- cases ------------------------------------------------------------------------------------------------------------


def case_of(pool: Pool, head: alcli.FittedHead, truth_N: Array, *, shown: bool = True) -> Case:
    """The case of a head. truth_N: the class of each row. shown: the audit is drawn by this head."""
    askable_N = ~(pool.is_test | pool.is_bad)
    open_N = askable_N.copy()
    open_N[np.isin(pool.ids.hashes(), head.file.absorbed.id_L)] = False
    best_N, x_N2 = predicted(pool, head.file.predicts, askable_N)
    assert head.file.classes is not None
    right_N = np.array(head.file.classes)[best_N] == truth_N
    spread_N = np.zeros(pool.n)
    if shown:
        model = calibrated(pool, head.file, "the head", silence)
        c_N = np.exp(np.concatenate([model.predictive(X_BD).max(axis=1) for _, X_BD in pool.blocks()]))
        spread_N = np.sqrt(c_N * np.maximum(1.0 - c_N, 0.0))
    return Case(pool.ids.hashes(), np.flatnonzero(askable_N), open_N, right_N, x_N2, spread_N)


def heads_of(
    pool: alcli.OpenPool, truth_N: Array, first: Int64, step: int, most: int, without: Array
) -> Iterator[tuple[int, alcli.FittedHead]]:
    """Yield a head after each `step` labels that uherding chooses, from `first` rows on. without: never asked for."""
    ids, chosen = pool.ids, first
    closed = pool.pool.ids.arrow(np.flatnonzero(without)).to_pylist()
    while True:
        labels = dict(zip(ids.arrow(chosen).to_pylist(), truth_N[chosen].tolist()))
        head = alcli.fit_head(pool, labels, note=silence)
        yield len(chosen), head
        if len(chosen) >= most:
            return
        more = alcli.select(
            pool, min(step, most - len(chosen)), strategy="uherding", head=head, exclude=closed, note=silence
        )
        chosen = np.concatenate([chosen, ids.rows_of(more.ids)])


def truth_of(pool: Pool) -> Array:
    """The class of each row of a pool, as text."""
    return np.array([str(label) for label in pool.labels().to_pylist()])


def banking_cases(path: Path, seed: int, *, unknown: bool = False) -> dict[int, Case]:
    """The cases of one seed by number of labels. unknown: 8 of the 77 classes are never asked for."""
    pool = alcli.pool(str(path), note=silence)
    truth_N, rng = truth_of(pool.pool), np.random.default_rng(seed)
    without = np.isin(truth_N, rng.permutation(np.unique(truth_N))[:8]) if unknown else np.zeros(pool.pool.n, bool)
    askable = np.flatnonzero(~pool.pool.is_test & ~without)
    first = askable[rng.permutation(len(askable))[:STEP]]
    most = LABELS[1] if unknown else LABELS[-1]
    heads = heads_of(pool, truth_N, first, STEP, most, without)
    return {n: case_of(pool.pool, head, truth_N, shown=n in LABELS) for n, head in heads if n >= LABELS[0]}


def digits_case(seed: int, n: int, only: tuple[str, ...] = ()) -> Case:
    """A head of the digits after n labels. only: the classes of the pool; none takes all."""
    whole = open_pool(str(DIGITS))
    truth_N = truth_of(whole)
    kept = np.flatnonzero(np.isin(truth_N, only)) if only else np.arange(whole.n)
    return _last(whole, kept, truth_N[kept], seed, n)


def rare_case(seed: int) -> Case:
    """A head of two classes, one of them the 2% of the rows that are an 8."""
    whole = open_pool(str(DIGITS))
    truth_N, rng = truth_of(whole), np.random.default_rng(seed)
    rare, others = rng.permutation(np.flatnonzero(truth_N == "8")), np.flatnonzero(truth_N != "8")
    kept = np.sort(np.concatenate([others, rare[: len(others) // 49]]))
    return _last(whole, kept, np.where(truth_N[kept] == "8", "8", "other"), seed, 40)


def _last(whole: Pool, kept: Int64, truth_N: Array, seed: int, n: int) -> Case:
    """The head after n labels on some rows of a pool, half of them chosen at random."""
    split = ["test" if is_test else "train" for is_test in whole.is_test[kept]]
    pool = alcli.pool(whole.take(kept), whole.ids.arrow(kept), split=split, note=silence)
    askable = np.flatnonzero(~pool.pool.is_test)
    first = stratified(truth_N, askable, n // 2, np.random.default_rng(seed))
    *_, (_, head) = heads_of(pool, truth_N, first, 10, n, np.zeros(len(kept), bool))
    return case_of(pool.pool, head, truth_N)


def stratified(truth_N: Array, askable: Int64, n: int, rng: np.random.Generator) -> Int64:
    """n random rows, with at least two classes among them."""
    order = askable[rng.permutation(len(askable))]
    chosen = order[:n].copy()
    if len(np.unique(truth_N[chosen])) == 1:
        chosen[-1] = order[truth_N[order] != truth_N[chosen[0]]][0]
    return chosen


def reused(runs: int) -> list[str]:
    """One row of the table: an audit that is drawn after 40 labels, and measures a head after 120.

    The other 80 labels are chosen around the audit, which a query never asks for again.
    """
    whole = open_pool(str(DIGITS))
    truth_N = truth_of(whole)
    pool = alcli.pool(str(DIGITS), note=silence)
    first = np.flatnonzero(~whole.is_test)[np.random.default_rng(0).permutation(int((~whole.is_test).sum()))[:40]]
    (_, head), *_ = heads_of(pool, truth_N, first, 40, 41, np.zeros(whole.n, bool))
    before, found, random = case_of(whole, head, truth_N), [], []
    for seed in range(runs):
        rows, sample = drawn(before, 100, seed)
        in_audit = np.isin(np.arange(whole.n), rows)
        *_, (_, later) = heads_of(pool, truth_N, first[~in_audit[first]], 40, 120, in_audit)
        case = case_of(whole, later, truth_N, shown=False)
        share = estimate(case, rows, sample)
        found.append((share.value, *share.interval(), case.truth))
        random.append(case.truth * (1 - case.truth) / 100 * (1 - 100 / case.open_N.sum()))
    return told("digits, drawn at 40", 120, 100, np.array(found), float(np.mean(random)) ** 0.5)


def ames_row(path: Path, m: int, seeds: int, runs: int) -> list[str]:
    """One row of the table: the RMSE of a regression after 200 random labels."""
    whole, found, random = open_pool(str(path)), [], []
    y_N = np.array(whole.labels().to_pylist(), np.float64)
    askable = np.flatnonzero(~whole.is_test)
    for seed in range(seeds):
        chosen = np.random.default_rng(seed).permutation(askable)[:200]
        labels = dict(zip(whole.ids.arrow(chosen).to_pylist(), y_N[chosen].tolist()))
        head = alcli.fit_head(str(path), labels, task="regression", note=silence).file.predicts
        X_ND = whole.take(np.arange(whole.n))
        errors_N, variance_N = (y_N - head.mean(X_ND)) ** 2, head.label_variance(X_ND)
        is_open_N = ~whole.is_test
        is_open_N[chosen] = False
        truth, rng = float(errors_N[is_open_N].mean()) ** 0.5, np.random.default_rng(seed)
        case = Case(whole.ids.hashes(), askable, is_open_N, errors_N, np.zeros((0, 2)), variance_N)
        for run in range(runs // seeds):
            rows, sample = drawn(case, m, run)
            kept = is_open_N[rows]
            share = MeanSquare(errors_N[rows[kept]], variance_N[rows[kept]], sample.only(kept), variance_N[is_open_N])
            found.append((share.root, *share.interval(), truth))
            simple = rng.choice(np.flatnonzero(is_open_N), m, replace=False)
            random.append((float(errors_N[simple].mean()) ** 0.5 - truth) ** 2)
    return told("ames, RMSE in dollars", 200, m, np.array(found), float(np.mean(random)) ** 0.5)


if __name__ == "__main__":
    runs = {"type": int, "default": 1000, "help": "audits of each case"}
    begin(main, __doc__, runs=runs, seeds={"type": int, "default": 5})
