"""Entropy gradients in closed form against the matrix products they are made of, and against one backward pass a row.

N=1,000,000 rows, D=384, one hidden layer of 256 units, C=77: blocks of 8,192 rows stream by (the same one again and again, so that neither
reading nor memory is measured). Floor: the products of the forward and the backward pass alone, float64, in the same blocks and threads;
the goal is 1.5 times that. Peak memory is that of the whole process.
Usage: python -m tests.benchmarks --only lplgrad.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from alcli import plugins
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.numerics.blocks import n_threads, thread_limit, workers
from alcli.numerics.hashing import hash_integers
from alcli.strategies._contract import select, strategy_of
from alcli.strategies._view import View
from tests.benchmarks.timing import peak_mebibytes, table

N, D, M, C, B = 1_000_000, 384, 256, 77, 1_000
FEW = 2_000
BLOCK, CACHED = 8192, 1024


class Repeating:
    """A source of n rows that are one block of float32 features over and over."""

    def __init__(self, n: int) -> None:
        self.n, self.dim = n, D
        self._block = np.random.default_rng(0).standard_normal((BLOCK, D), np.float32)

    def blocks(self) -> Iterator[tuple[int, np.ndarray]]:
        for first in range(0, self.n, BLOCK):
            yield first, self._block[: min(BLOCK, self.n - first)]

    def take(self, rows: np.ndarray) -> np.ndarray:
        return self._block[rows % BLOCK]

    def sort_keys(self, rows: np.ndarray) -> np.ndarray:
        return rows

    def sorted_by_id(self, rows: np.ndarray) -> np.ndarray:
        return np.sort(rows)

    def row_keys(self, rows: np.ndarray) -> np.ndarray:
        return hash_integers(rows)

    def describe(self, row: int) -> str:
        return f"row {row}"


def main(data: Path) -> None:
    model = random_model()
    for threads in (1, n_threads()):
        with thread_limit(threads):
            against_products(model, threads)
    against_backward_passes({"one hidden layer": model, "linear": Model(LinearHead("softmax", np.random.default_rng(2).standard_normal((C, D + 1)), 1.0))})


def random_model() -> Model:
    rng = np.random.default_rng(1)
    layer = rng.standard_normal((M, D)) / np.sqrt(D), np.zeros(M)
    return Model(NetworkHead((layer,), "relu", LinearHead("mlp", rng.standard_normal((C, M + 1)) / np.sqrt(M), 1.0)))


def scores(model: Model, n: int) -> None:
    view = View(Repeating(n), np.arange(n), np.empty(0, np.int64), model)
    select(strategy_of(plugins.load("strategies", "ent-gradnorm")), view, B, seed=0, options={"candidates": n})


def products(model: Model, n: int) -> None:
    """The three products of a forward and a backward pass, and nothing else."""
    X_BD = Repeating(n).take(np.arange(BLOCK)).astype(np.float64)
    (W_MD, _), W_CM = model.head.layers[0], model.head.W_CD1[:, :-1]

    def work(first: int, last: int) -> None:
        for a in range(first, last, CACHED):
            h_BM = X_BD[a : a + CACHED] @ W_MD.T
            (h_BM @ W_CM.T) @ W_CM

    with workers() as spread:
        for first in range(0, n, BLOCK):
            spread(min(BLOCK, n - first), work)


def against_products(model: Model, threads: int) -> None:
    part = N // 10
    found: dict[str, list[float]] = {"products": [], "scores": []}
    for _ in range(3):  # in turns, so that both see the same machine
        found["products"].append(seconds(lambda: products(model, part)))
        found["scores"].append(seconds(lambda: scores(model, part)))
    floor, ours = (10 * statistics.median(found[name]) for name in ("products", "scores"))
    whole = seconds(lambda: scores(model, N))
    print(f"\nN={N:,} D={D} hidden {M} C={C} b={B}, {threads} threads; medians of 3 runs over a tenth of the rows, times 10, and one run over all")
    table(("products s", "scores s", "ratio", "all rows s", "peak MiB"), [(floor, ours, ours / floor, whole, peak_mebibytes())])


def against_backward_passes(models: dict[str, Model]) -> None:
    """The same norms by torch, one row at a time, float64, one thread."""
    rows = []
    for name, model in models.items():
        theirs, ours = [], []
        for _ in range(5):  # in turns
            theirs.append(seconds(lambda model=model: one_by_one(model)))
            with thread_limit(1):
                ours.append(seconds(lambda model=model: scores(model, 10 * FEW)) / 10)
        rows.append((name, min(theirs), min(ours), min(theirs) / min(ours)))
    print(f"\n{FEW:,} rows, one thread, the fastest of 5 runs")
    table(("head", "backward pass a row s", "closed form s", "times faster"), rows)


def one_by_one(model: Model) -> None:
    import torch

    torch.set_num_threads(1)
    W_CD1 = model.head.W_CD1
    parameters = [torch.tensor(a, requires_grad=True) for layer in (*model.head.layers, (W_CD1[:, :-1], W_CD1[:, -1])) for a in layer]
    for h in torch.from_numpy(Repeating(FEW).take(np.arange(FEW)).astype(np.float64)):
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2]):
            h = torch.relu(W @ h + b)
        logs = torch.log_softmax(parameters[-2] @ h + parameters[-1], 0)
        gradients = torch.autograd.grad(-(logs.exp() * logs).sum(), parameters)
        torch.sqrt(sum((g**2).sum() for g in gradients)).item()


def seconds(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
