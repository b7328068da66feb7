"""Whether a head that is kept up by updates stays as good as one that is fitted anew.

Usage: python -m benchmarks.study_maintenance [--data FOLDER] [--seeds N] [--only single|wrong|numbers].

single: 500 labels come one at a time, to `alcli update` and to a stream, with the polish and in closed form alone. Then
the head is compared with a fit to all labels.
wrong: an update absorbs labels of which some are wrong; `--remove` gives the wrong ones back. Then the head is compared
with a fit without them.
numbers: a ridge head of a few house prices absorbs many, and is compared with a fit to all. The share of test rows in
the 95% interval shows whether the noise variance is right.

`x30` has its features times 30. banking77 and ames are skipped where they are not at hand; the digits are sample data.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

import alcli
from alcli.arrays import Array, Floats
from alcli.data.array_pool import pool_of
from alcli.data.pool import open_pool
from alcli.numerics.metrics import accuracy, ece, nll, rmse
from alcli.workflows.items import Items
from alcli.workflows.query.request import Query
from alcli.workflows.query.stream import stream
from alcli.workflows.simulate.truth import truth_of
from benchmarks.studies import BANKING77, DIGITS, begin, is_there
from benchmarks.timing import table

AMES = Path("ames") / "features.parquet"
TEST_SHARE, MOST_TEST, SINGLE = 0.3, 3000, 500
NORMAL_95 = 1.96
PARTS = ("single", "wrong", "numbers")


def main(data: Path, out: Path, seeds: int, only: str | None) -> None:
    """Print the tables of the parts. out: a folder for heads of streams."""
    for part in PARTS if only is None else (only,):
        if part == "numbers":
            numbers(data / AMES, seeds)
        elif part == "wrong":
            wrong(data, seeds)
        else:
            single(data, out, seeds)


class Rows:
    """A data set split by a seed. The rows to label are in the order of their labels, and their numbers are their ids.

    X, y: of the rows to label. X_T, y_T: of test rows.
    """

    def __init__(self, path: Path, seed: int, scale: float = 1.0) -> None:
        pool = open_pool(str(path))
        truth, rng = truth_of(pool, None), np.random.default_rng(seed)
        used = truth.used
        is_test = pool.is_test[used] if len(truth.test) else rng.random(len(used)) < TEST_SHARE
        train, test = rng.permutation(used[~is_test]), rng.permutation(used[is_test])[:MOST_TEST]
        self.X, self.X_T = (pool.take(rows) * np.float32(scale) for rows in (train, test))
        self.y, self.y_T = truth.y_N[train], truth.y_N[test]
        self.pool = alcli.pool(self.X, ids=np.arange(len(self.X)))

    def labels(self, rows: Iterable[int], shift: int = 0) -> dict[int, Any]:
        """The labels of rows by id. shift: added to class numbers, which makes all labels wrong."""
        return {int(i): self._shifted(self.y[i], shift) for i in rows}

    def _shifted(self, label: Any, shift: int) -> Any:
        return ((label + shift) % (int(self.y.max()) + 1)).item() if shift else label.item()

    def judge(self, head: alcli.FittedHead) -> tuple[float, float, float]:
        """Accuracy %, NLL and ECE % of the predictive on test rows of the classes that the head knows."""
        column = {label: c for c, label in enumerate(head.classes or [])}
        known = np.array([int(label) in column for label in self.y_T])
        log_probs = np.log(np.maximum(head.predict_proba(self.X_T[known]), 1e-300))
        y = np.array([column[int(label)] for label in self.y_T[known]])
        right = accuracy(y, log_probs.argmax(axis=1)) * float(known.mean())
        return 100 * right, nll(y, log_probs), 100 * ece(y, log_probs)


def single(data: Path, out: Path, seeds: int) -> None:
    """Print what 500 single labels leave of a head."""
    lines = []
    for name, path, scale, n in (
        ("banking77", data / BANKING77, 1.0, 100),
        ("banking77 x30", data / BANKING77, 30.0, 100),
        ("digits", DIGITS, 1.0, 20),
    ):
        if not is_there(path):
            continue
        found: dict[str, list[Any]] = {}
        for seed in range(seeds):
            rows = Rows(path, seed, scale)
            for who, head in kept_up(rows, n, out):
                found.setdefault(who, []).append(rows.judge(head))
        lines += [[name, who, *shown(np.mean(values, axis=0))] for who, values in found.items()]
    print(f"{SINGLE} labels one at a time after 100 (banking77) or 20 (digits); mean of {seeds} seeds")
    table(["", "head", "accuracy %", "nll", "ece %"], lines)


def kept_up(rows: Rows, n: int, out: Path) -> Iterable[tuple[str, alcli.FittedHead]]:
    """The head of n labels after SINGLE more, kept up in several ways."""
    base = alcli.fit_head(rows.pool, rows.labels(range(n)))
    yield "before", base
    for polish in ("none", "auto"):
        head = base
        for i in range(n, n + SINGLE):
            head = alcli.update(head, rows.pool, rows.labels([i]), polish=polish, allow_new_classes=True)
        yield f"update, --polish {polish}", head
    for polish in ("none", "auto"):
        yield f"stream, --polish {polish}", streamed(rows, base, n, polish, out / "stream.safetensors")
    yield "fitted anew", alcli.fit_head(rows.pool, rows.labels(range(n + SINGLE)))


def streamed(rows: Rows, base: alcli.FittedHead, n: int, polish: str, out: Path) -> alcli.FittedHead:
    """The head after a stream in which each of SINGLE labels comes for the row that stands next, asked for or not."""
    asked: list[bytes] = []

    class Annotator:
        """Answers each item with the label of the next row."""

        def __init__(self) -> None:
            self.next = n

        def readline(self, limit: int) -> bytes:
            if self.next == n + SINGLE:
                return b""
            said = {"id": self.next, "label": rows.y[self.next].item()}
            self.next += 1
            return json.dumps(said).encode() + b"\n"

    source: Any = Annotator()
    ask = Query("margin", len(rows.X), head=base.file, polish=polish)
    items = Items(pool_of({"id": np.arange(len(rows.X)), "features": rows.X}))
    stream(items, ask, out=out, source=source, emit=asked.append, note=lambda text: None, allow_new_classes=True)
    return alcli.FittedHead.load(out)


def wrong(data: Path, seeds: int) -> None:
    """Print what is left of wrong labels that were given back."""
    lines = []
    for name, path, sizes in (("banking77", data / BANKING77, (200, 200, 20)), ("digits", DIGITS, (100, 100, 20))):
        if not is_there(path):
            continue
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            for who, head in given_back(Rows(path, seed), *sizes):
                found.setdefault(who, []).append(head)
        of = "{} + {}, {} wrong".format(*sizes)
        lines += [[name, of, who, f"{np.mean(v):.2f}"] for who, v in found.items()]
    print(f"\nwrong labels given back, accuracy %; mean of {seeds} seeds")
    table(["", "labels", "head", "accuracy %"], lines)


def given_back(rows: Rows, n: int, m: int, n_wrong: int) -> Iterable[tuple[str, float]]:
    """The accuracy of heads of n labels and m more, of which the first n_wrong are wrong at first."""
    bad, good = range(n, n + n_wrong), range(n + n_wrong, n + m)
    more = rows.labels(bad, shift=1) | rows.labels(good)
    base = alcli.fit_head(rows.pool, rows.labels(range(n)))
    head = alcli.update(base, rows.pool, more, allow_new_classes=True)
    yield "with the wrong labels", rows.judge(head)[0]
    for how in ("none", "auto"):
        yield f"given back, --polish {how}", rows.judge(alcli.update(head, rows.pool, remove=bad, polish=how))[0]
    yield "fitted without them", rows.judge(alcli.fit_head(rows.pool, rows.labels([*range(n), *good])))[0]


def numbers(path: Path, seeds: int) -> None:
    """Print what updates leave of a ridge head."""
    if not is_there(path):
        return
    lines = []
    for n, m in ((10, 200), (50, 500)):
        found: dict[str, list[Any]] = {}
        for seed in range(seeds):
            rows = Rows(path, seed)
            base = alcli.fit_head(rows.pool, rows.labels(range(n)), task="regression")
            heads = {
                "update, --polish none": alcli.update(base, rows.pool, rows.labels(range(n, n + m)), polish="none"),
                "update": alcli.update(base, rows.pool, rows.labels(range(n, n + m))),
                "fitted anew": alcli.fit_head(rows.pool, rows.labels(range(n + m)), task="regression"),
            }
            for who, head in heads.items():
                found.setdefault(who, []).append(_of_numbers(head, rows.X_T, rows.y_T))
        lines += [[f"{n} + {m}", who, *(f"{v:,.1f}" for v in np.mean(values, axis=0))] for who, values in found.items()]
    print(f"\nhouse prices (ames), ridge; mean of {seeds} seeds")
    table(["labels", "head", "rmse", "in the 95% interval, %"], lines)


def _of_numbers(head: alcli.FittedHead, X_T: Floats, y_T: Array) -> tuple[float, float]:
    """The RMSE, and the share of test rows in the 95% interval, in percent."""
    model = head.file.predicts
    mean_T, sd_T = model.mean(X_T), model.label_variance(X_T) ** 0.5
    return rmse(y_T, mean_T), 100 * float((np.abs(y_T - mean_T) <= NORMAL_95 * sd_T).mean())


def shown(values: Any) -> list[str]:
    """Accuracy, NLL and ECE as text."""
    return [f"{values[0]:.2f}", f"{values[1]:.3f}", f"{values[2]:.2f}"]


if __name__ == "__main__":
    begin(
        main,
        __doc__,
        seeds={"type": int, "default": 3},
        only={"choices": PARTS, "help": "one part alone"},
    )
