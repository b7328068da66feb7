"""Coverage, diversity and rare-class strategies against the work that they count, and beside scikit-activeml.

N=50,000, D=384, C=77, b=500, 500 labelled rows. Floor: the products, predictions of the head, exponentials, passes
and sorts that a method counts, each at the rate that one thread reaches in the same run. Ratios are of CPU seconds
(medians of 3) on one thread too, which a busy machine changes least; the seconds are those of a selection with all
threads. Peak memory is that of a process which makes the rows and selects once.
Usage: python -m benchmarks --only strategies.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.special import wrightomega
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.composition.modifiers import modified
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.numerics.blocks import thread_limit
from alcli.selection.select import select
from alcli.selection.strategy import Selection
from alcli.selection.view import View
from benchmarks.timing import median_seconds, seconds_of, table
from tests.helpers import view_of

N, D, C, B, LABELLED = 50_000, 384, 77, 500, 500
EVALUATION, PURITY, CLUSTERED, AHEAD = 5_000, 2_000, 10_000, 1_000
LINKED = 4_000  # rows of the sample: more pairs than a cache holds
K_MEANS = 12  # products of k-means: start, iterations, rows nearest to the centres


class Rates:
    """Seconds of what floors are made of, from timed samples."""

    def __init__(self, model: Model) -> None:
        rng = np.random.default_rng(0)
        A, W = rng.standard_normal((4096, D), np.float32), rng.standard_normal((D, 2048), np.float32)
        A64, W64, P, x = (
            A.astype(np.float64),
            W.astype(np.float64),
            rng.random((N, C), np.float32),
            rng.random(N, np.float32),
        )
        pairs, y, E64 = (
            rng.random(LINKED * (LINKED - 1) // 2),
            rng.random(N),
            A64[:256].copy(),
        )  # E64 stays in a cache, as blocks do
        self.flop32 = cpu_seconds(lambda: A @ W) / (2 * 4096 * D * 2048)
        self.flop64 = cpu_seconds(lambda: A64 @ W64) / (2 * 4096 * D * 2048)
        two = np.ascontiguousarray(W64[:, :2])
        self.thin64 = cpu_seconds(lambda: A64 @ two) / (2 * 4096 * D * 2)
        few = np.ascontiguousarray(W[:, :32])
        self.thin = cpu_seconds(lambda: A @ few) / (2 * 4096 * D * 32)
        self.exponential64 = cpu_seconds(lambda: np.exp(E64), 50) / E64.size
        self.exponential = cpu_seconds(lambda: np.exp(A[:512]), 50) / (512 * D)
        self.adding64 = cpu_seconds(lambda: np.add(E64, 0.0, out=E64), 50) / E64.size
        self.omega = cpu_seconds(lambda: wrightomega(E64)) / E64.size
        self.drawing = cpu_seconds(lambda: np.cumsum(y**10.0)) / N
        self.reading = cpu_seconds(lambda: P @ P[0]) / P.size
        self.sort = cpu_seconds(lambda: np.argsort(x, kind="stable"))
        self.link = cpu_seconds(lambda: linkage(pairs, "average"), 1) / LINKED**2
        self.predictions = cpu_seconds(lambda: model.log_probs(A)) / len(A)

    def product(self, n: float, m: float) -> float:
        """n rows with m others, float32."""
        return 2 * n * m * D * self.flop32

    def head(self, times: float = 1) -> float:
        """Log probabilities of all rows, float64."""
        return N * self.predictions * times


def cpu_seconds(work: Callable[[], Any], runs: int = 5) -> float:
    """The median over some calls after one warm-up."""
    work()
    return statistics.median(cpu_once(work) for _ in range(runs))


def cpu_once(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


@dataclass(frozen=True)
class Case:
    name: str
    floor: Callable[[Rates, Selection], float] | None = None
    options: tuple[tuple[str, Any], ...] = ()

    @property
    def title(self) -> str:
        return " ".join([self.name, *(f"{key}={value}" for key, value in self.options)])


def herding(rates: Rates, n: float) -> float:
    """Which of n rows are near which others; with 500 labelled rows so few pairs gain that nothing else counts."""
    return rates.product(n, n) / 2


def ahead(rates: Rates) -> float:
    """All candidates and 1,000 other rows: predictions, covariances, and 7 steps of the equation for each of 3 labels
    of a candidate.
    """
    covariances = ((N + AHEAD + LABELLED) * D**2 + 2 * N * AHEAD * D) * rates.flop64
    return rates.head() + covariances + 3 * 7 * N * C * rates.omega


def probabilities_ahead(rates: Rates, operations: int) -> float:
    """So many operations beside an exponential for every class of every other row after each label."""
    return ahead(rates) + 3 * N * AHEAD * C * (rates.exponential64 + operations * rates.adding64)


def refined(rates: Rates, chosen: Selection) -> float:
    """Three batches by badge, typiclust and dropquery (margin's are for nothing) from a part of each round's
    candidates, then uherding.
    """
    left = [chosen.record[f"candidates-{i}"] for i in range(1, 6)]
    floor = rates.head() + herding(rates, left[-1])
    for n in (5000, *(max(B, 0.4 * candidates) for candidates in left[:-1])):
        badge, typiclust = 2 * n * B * (C + D) * rates.thin, rates.product(n + LABELLED, B) * K_MEANS
        floor += 3 * (badge + typiclust + 3 * n * rates.predictions + rates.product(n, B) * K_MEANS)
    return floor


def central(rates: Rates, chosen: Selection) -> float:
    """k-means on the candidates that were left."""
    return rates.product(chosen.record["candidates"], B) * K_MEANS


CASES = (
    Case("maxherding", lambda r, s: herding(r, N)),
    Case("uherding", lambda r, s: r.head() + herding(r, N)),
    Case("probcover", lambda r, s: r.product(N, EVALUATION + PURITY) + r.product(N, B) * K_MEANS),
    Case("dropquery", lambda r, s: r.head(4) + central(r, s)),
    Case("tcm", lambda r, s: r.product(N, B) * K_MEANS),
    Case("tcm", lambda r, s: r.head(), (("rounds", 1),)),
    Case("falcun", lambda r, s: r.head() + N * B * (3 * C * r.reading + r.drawing)),  # difference, size, sum
    Case("alfa-mix", lambda r, s: r.head(5) + central(r, s)),
    # 1.3 to 2.4: the linkage of 10,000 rows fills 400 MB with distances, and pages that are touched first cost as
    # much as what is put there.
    Case("cluster-margin", lambda r, s: r.head() + CLUSTERED**2 * (D * r.flop64 + r.link)),
    Case("direct", lambda r, s: r.head() + (C + min(C, B // 2 // 5)) * r.sort),
    Case("refine", refined),
    Case("bait", lambda r, s: 2 * B * 4 * N * D * r.thin64 + N * D * D * r.flop64),
    # A logit is a product and a sum, its share of the entropy two sums and a product, of a distance five operations.
    # What goes beyond twice the floor: numpy makes each operation by itself, over arrays that just fit into a cache.
    Case("eer", lambda r, s: probabilities_ahead(r, 5)),
    Case("emoc", lambda r, s: probabilities_ahead(r, 7)),
    Case("emoc", lambda r, s: ahead(r), (("output", "logits"),)),
    # Columns of the Gram matrix and of its factor. Beyond: columns are made 32 at a time, and two of three become
    # picks.
    Case("grad/maxdet", lambda r, s: r.head() + 2 * N * B * (C + D + B / 2) * r.thin),
    Case("margin", lambda r, s: r.head(2), (("prefilter", 0.2),)),
)


def main(data: Path) -> None:
    del data  # the rows are made here
    large()
    beside_scikit_activeml()


def rows_and_model(n: int) -> tuple[np.ndarray, Model, np.ndarray]:
    """Unit-norm float32 rows about C centres that overlap, a linear head that knows the centres, and the classes."""
    rng = np.random.default_rng(0)
    centres, y_N = rng.standard_normal((C, D), np.float32), rng.integers(C, size=n)
    X_ND = np.empty((n, D), np.float32)
    for i in range(0, n, 4096):
        block = 0.35 * centres[y_N[i : i + 4096]] + rng.standard_normal((len(y_N[i : i + 4096]), D), np.float32)
        X_ND[i : i + 4096] = block / np.linalg.norm(block, axis=1, keepdims=True)
    W_CD1 = np.column_stack([12.0 * centres / np.linalg.norm(centres, axis=1, keepdims=True), np.zeros(C)]).astype(
        np.float64
    )
    return X_ND, Model(LinearHead("softmax", W_CD1, 1.0)), y_N


def pick(case: Case, X_ND: np.ndarray, model: Model, y_N: np.ndarray, n_labelled: int, k: int) -> Selection:
    """Select with nothing computed yet."""
    view: View = view_of(X_ND, labelled=np.arange(n_labelled), head=model, labels=y_N[:n_labelled])
    strategy, own = modified(plugins.strategy(case.name), dict(case.options))
    return select(strategy, view, k, seed=0, options=own)


def large() -> None:
    problem = rows_and_model(N)
    with threadpool_limits(1):  # threads that wait for each other spend CPU seconds too
        rates = Rates(problem[1])
    rows = []
    for case in CASES:
        chosen: list[Selection] = []
        work = lambda case=case, chosen=chosen: chosen.append(pick(case, *problem, LABELLED, B))  # noqa: E731
        seconds = seconds_of(work)
        with thread_limit(1), threadpool_limits(1):
            cpu = statistics.median(cpu_once(work) for _ in range(3))
        floor = case.floor(rates, chosen[0]) if case.floor else None
        rows.append((case.title, seconds, cpu, floor or "-", cpu / floor if floor else "-", peak_mebibytes(case)))
    print(f"N={N:,} D={D} C={C} b={B}, {LABELLED} labelled; features {problem[0].nbytes / 2**20:.0f} MiB")
    table(("strategy", "seconds", "CPU s", "floor CPU s", "ratio", "peak MiB"), rows)


def peak_mebibytes(case: Case) -> float:
    """Peak memory of a fresh process that selects once."""
    code = f"from benchmarks import bench_strategies as b; b.select_once({CASES.index(case)})"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


def select_once(case: int) -> None:
    """Make the rows, select, and print the peak memory of this process in MiB."""
    pick(CASES[case], *rows_and_model(N), LABELLED, B)
    marks = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(int(marks.split()[0]) / 1024)


def beside_scikit_activeml() -> None:
    """The same 10,000 rows with the same probabilities, batch 100, one label a class."""
    from skactiveml.pool import DropQuery, Falcun, ProbCover, TypiClust

    from benchmarks.skactiveml_peers import Given

    X_ND, model, y_N = rows_and_model(10_000)
    first_C = np.unique(y_N, return_index=True)[1]
    X_ND = np.concatenate([X_ND[first_C], np.delete(X_ND, first_C, axis=0)])
    y_N = np.append(np.arange(C, dtype=np.float64), np.full(len(X_ND) - C, np.nan))
    given = Given(view_of(X_ND, head=model), range(C))
    peers: dict[str, Callable[[], Any]] = {
        "typiclust": lambda: TypiClust(random_state=0).query(X_ND, y_N, batch_size=100),
        "probcover": lambda: ProbCover(n_classes=C, random_state=0).query(X_ND, y_N, batch_size=100),
        "falcun": lambda: Falcun(random_state=0).query(X_ND, y_N, given, fit_clf=False, batch_size=100),
        "dropquery": lambda: DropQuery(random_state=0).query(X_ND, y_N, given, fit_clf=False, batch_size=100),
    }
    rows = []
    for name, peer in peers.items():
        ours = median_seconds(lambda name=name: pick(Case(name), X_ND, model, np.arange(C), C, 100), 3)
        theirs = seconds_of(peer)
        rows.append((name, ours, theirs, theirs / ours))
    print("\nN=10,000 b=100 beside scikit-activeml")
    table(("strategy", "seconds", "scikit-activeml s", "times faster"), rows)
