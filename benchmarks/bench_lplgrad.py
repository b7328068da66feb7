"""Entropy gradients in closed form against the matrix products they are made of, and against one backward pass a row.

One hidden layer of 256 units, over features and classes as banking77 and the digits have them. Blocks of 8,192 rows
stream by (the same one again and again, so that neither reading nor memory is measured). Floor: the products of the
forward and the backward pass alone, float64, in the same blocks and threads; the goal is 1.5 times that on 1,000,000
rows. Backward passes are measured on 2,000 rows and one thread: as published (a module in eval mode, float32, rows
from a loader one at a time, `backward`, the norm of every parameter's gradient), and lean (parameters as plain
tensors, float64, `autograd.grad`). Peak memory is that of the whole process.
Usage: python -m benchmarks --only lplgrad.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from alcli import plugins
from alcli.arrays import Float32
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.numerics.blocks import n_threads, thread_limit, workers
from alcli.numerics.hashing import hash_integers
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from benchmarks.timing import peak_mebibytes, table

N, M, B = 1_000_000, 256, 1_000
FEW = 2_000
BLOCK, CACHED = 8192, 1024


@dataclass(frozen=True)
class Size:
    """D features, C classes."""

    D: int
    C: int

    def __str__(self) -> str:
        return f"D={self.D} C={self.C}"


SIZES = Size(384, 77), Size(64, 10)


@cache
def normal_block(dim: int) -> Float32:
    return np.random.default_rng(0).standard_normal((BLOCK, dim), np.float32)


class Repeating:
    """A source of n rows that are one block of float32 features over and over."""

    def __init__(self, n: int, dim: int) -> None:
        self.n, self.dim = n, dim
        self._block = normal_block(dim)

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
    threads = sorted({1, n_threads()})
    for size in SIZES:
        for limit in threads:
            with thread_limit(limit):
                against_products(random_model(size), limit)
    against_backward_passes(threads)


def random_model(size: Size, *, hidden: bool = True) -> Model:
    rng = np.random.default_rng(1)
    if not hidden:
        return Model(LinearHead("softmax", rng.standard_normal((size.C, size.D + 1)) / np.sqrt(size.D), 1.0))
    layer = rng.standard_normal((M, size.D)) / np.sqrt(size.D), np.zeros(M)
    return Model(
        NetworkHead((layer,), "relu", LinearHead("mlp", rng.standard_normal((size.C, M + 1)) / np.sqrt(M), 1.0))
    )


def scores(model: Model, n: int, k: int = B, **options: object) -> Float32:
    """What the strategy says of the k best of n rows."""
    view = View(Repeating(n, dim_of(model)), np.arange(n), np.empty(0, np.int64), model)
    return select(
        strategy_of(plugins.load("strategies", "ent-gradnorm")), view, k, seed=0, options={"candidates": n, **options}
    ).scores_K


def dim_of(model: Model) -> int:
    return int((model.head.layers[0][0] if model.head.layers else model.head.W_CD1[:, :-1]).shape[1])


def products(model: Model, n: int) -> None:
    """The three products of a forward and a backward pass, and nothing else."""
    X_BD = Repeating(n, dim_of(model)).take(np.arange(BLOCK)).astype(np.float64)
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
        found["products"].append(seconds(lambda: products(model, part), threads))
        found["scores"].append(seconds(lambda: scores(model, part), threads))
    floor, ours = (10 * statistics.median(found[name]) for name in ("products", "scores"))
    whole = seconds(lambda: scores(model, N), threads)
    print(f"\nN={N:,} D={dim_of(model)} hidden {M} C={len(model.head.W_CD1)} b={B}, {threads} threads", end="; ")
    print("medians of 3 runs over a tenth of the rows, times 10, and one run over all")
    table(
        ("products s", "scores s", "ratio", "all rows s", "peak MiB"),
        [(floor, ours, ours / floor, whole, peak_mebibytes())],
    )


def against_backward_passes(threads: list[int]) -> None:
    """The same norms by torch, one row at a time on one thread; ours on each number of threads, over ten times the
    rows.
    """
    rows = []
    for size in SIZES:
        for name, model in (("hidden layer", random_model(size)), ("linear", random_model(size, hidden=False))):
            rows += compared(f"{size} {name}", model, threads)
    print(
        f"\n{FEW:,} rows, milliseconds, the fastest of 5 runs; the largest difference of scores by torch from ours, "
        "relative to the largest score"
    )
    table(("head", "threads", "closed form", "as published", "times", "lean", "times", "differ"), rows)


def compared(name: str, model: Model, threads: list[int]) -> list[tuple[object, ...]]:
    torch_runs = {"published": lambda: as_published(model), "lean": lambda: lean(model)}
    best = dict.fromkeys([*torch_runs, *threads], np.inf)
    for _ in range(5):  # in turns
        for how, run in torch_runs.items():
            best[how] = min(best[how], seconds(run, 1))
        for limit in threads:
            with thread_limit(limit):
                best[limit] = min(best[limit], seconds(lambda: scores(model, 10 * FEW), limit) / 10)
    differ = max(
        difference(as_published(model), scores(model, FEW, FEW, norm="sum")),
        difference(lean(model), scores(model, FEW, FEW)),
    )
    published, passes = best["published"], best["lean"]
    return [
        (
            name,
            limit,
            1e3 * best[limit],
            1e3 * published,
            published / best[limit],
            1e3 * passes,
            passes / best[limit],
            f"{differ:.0e}",
        )
        for limit in threads
    ]


def difference(theirs: list[float], ours_K: Float32) -> float:
    return float(np.abs(np.sort(theirs)[::-1] - ours_K).max() / ours_K.max())


def as_published(model: Model) -> list[float]:
    """For every row a forward and a backward pass of a module, and the norms of its parameters' gradients added up."""
    import torch

    torch.set_num_threads(1)
    network = module(torch, model)
    X_ND = torch.from_numpy(Repeating(FEW, dim_of(model)).take(np.arange(FEW)))
    found = []
    for x, _ in torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X_ND, torch.arange(FEW)), batch_size=1):
        network.zero_grad()
        logs = torch.nn.functional.log_softmax(network(x), dim=1)
        (-(logs.exp() * logs).sum()).backward()
        found.append(sum(torch.norm(parameter.grad).item() for parameter in network.parameters()))
    return found


def module(torch: Any, model: Model) -> Any:
    """The head as a module in eval mode, float32."""
    W_CD1 = model.head.W_CD1
    layers = []
    for W, b in (*model.head.layers, (W_CD1[:, :-1], W_CD1[:, -1])):
        linear = torch.nn.Linear(W.shape[1], len(W))
        linear.load_state_dict({"weight": torch.tensor(W), "bias": torch.tensor(b)})
        layers += [linear, torch.nn.ReLU()]
    return torch.nn.Sequential(*layers[:-1]).eval()


def lean(model: Model) -> list[float]:
    """For every row a forward and a backward pass with nothing around them, and the norm of the gradient by all
    parameters.
    """
    import torch

    torch.set_num_threads(1)
    W_CD1 = model.head.W_CD1
    parameters = [
        torch.tensor(a, requires_grad=True)
        for layer in (*model.head.layers, (W_CD1[:, :-1], W_CD1[:, -1]))
        for a in layer
    ]
    found = []
    for h in torch.from_numpy(Repeating(FEW, dim_of(model)).take(np.arange(FEW)).astype(np.float64)):
        for W, b in zip(parameters[:-2:2], parameters[1:-2:2]):
            h = torch.relu(W @ h + b)
        logs = torch.log_softmax(parameters[-2] @ h + parameters[-1], 0)
        gradients = torch.autograd.grad(-(logs.exp() * logs).sum(), parameters)
        found.append(torch.sqrt(sum((g**2).sum() for g in gradients)).item())
    return found


def seconds(work: Callable[[], object], threads: int) -> float:
    """Of processor time for one thread, so that other processes hardly count; of a clock on the wall for more."""
    clock = time.process_time if threads == 1 else time.perf_counter
    start = clock()
    work()
    return clock() - start
