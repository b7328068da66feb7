"""noise-stability and the selectors it shares, against the memory passes that greedy k-centre on the factored
embedding must make.

Floor at N=50,000, D=384, C=77, b=500: b products of the features and of three matrices of C columns with one vector
each, float32, timed in the same run; the goal is twice that. Peak memory is that of a process which makes the rows
and selects once.
Usage: python -m benchmarks --only noise_stability.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np

from alcli import plugins
from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead
from alcli.selection.select import select
from alcli.selection.strategy import Selection, strategy_of
from alcli.selection.view import View
from benchmarks.bench_selection import fastest_tick, rows_and_head, seconds_of
from benchmarks.timing import table
from tests.helpers import fresh, view_of

N, D, C, B = 50_000, 384, 77, 500
FEW = 4_000
VARIANTS = (
    ("noise-stability", {}),
    ("noise-stability", {"selector": "kmeanspp"}),
    ("noise-stability", {"selector": "direction"}),
    ("noise-stability", {"selector": "topnorm"}),
    ("noise-stability", {"estimator": "sampled"}),
    ("lcmd", {}),
    ("kdpp", {"selection": "map"}),
    ("kdpp", {}),
)


def main(data: Path) -> None:
    large()
    hidden_layers()


def large() -> None:
    X_ND, model = rows_and_model(N)
    P_N3C, x_D, a_3C = (
        np.exp(np.tile(model.log_probs(X_ND), 3)).astype(np.float32),
        X_ND[0].copy(),
        np.ones(3 * C, np.float32),
    )
    view, rows = view_of(X_ND, head=model), []
    for name, options in VARIANTS:
        seconds, ticks = [], []
        for _ in range(3):  # floor and strategy in turns, so that both see the same machine
            ticks.append(fastest_tick(lambda: (X_ND @ x_D, P_N3C @ a_3C)))
            seconds.append(seconds_of(lambda name=name, options=options: pick(name, view, B, options)))
        floor, median = B * statistics.median(ticks), statistics.median(seconds)
        rows.append((described(name, options), median, floor, median / floor, peak_mebibytes(name, options)))
    print(f"N={N:,} D={D} C={C} b={B}; features {X_ND.nbytes / 2**20:.0f} MiB")
    table(("strategy", "seconds", "floor s", "ratio", "peak MiB"), rows)


def hidden_layers() -> None:
    """Both forms for a head with one hidden layer of 32 units, and draws by determinants, on fewer rows."""
    X_ND, model = rows_and_model(FEW)
    rng = np.random.default_rng(0)
    last = LinearHead("mlp", rng.standard_normal((C, 33)), 1.0)
    deep = Model(NetworkHead(((rng.standard_normal((32, D)), np.zeros(32)),), "relu", last))
    cases = (
        ("kernel", deep, {"estimator": "kernel"}),
        ("sampled", deep, {}),
        ("linear, k-DPP", model, {"selector": "kdpp"}),
    )
    rows = [
        (
            what,
            seconds_of(
                lambda head=head, options=options: pick("noise-stability", view_of(X_ND, head=head), 100, options)
            ),
        )
        for what, head, options in cases
    ]
    print(f"\nnoise-stability, N={FEW:,} D={D} C={C} b=100, one hidden layer of 32 units")
    table(("form", "seconds"), rows)


def rows_and_model(n: int) -> tuple[np.ndarray, Model]:
    X_ND, head = rows_and_head(n)
    return X_ND, Model(LinearHead("softmax", head.W_CD1, 1.0))


def pick(name: str, view: View, k: int, options: dict[str, str]) -> Selection:
    """Select with nothing computed yet."""
    return select(strategy_of(plugins.load("strategies", name)), fresh(view), k, seed=0, options=options)


def described(name: str, options: dict[str, str]) -> str:
    return " ".join([name, *(f"{key}={value}" for key, value in options.items())])


def peak_mebibytes(name: str, options: dict[str, str]) -> float:
    """Peak memory of a fresh process that selects once."""
    code = f"from benchmarks import bench_noise_stability as b; b.select_once({name!r}, {options!r})"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


def select_once(name: str, options: dict[str, str]) -> None:
    """Make the rows, select, and print the peak memory of this process in MiB."""
    X_ND, model = rows_and_model(N)
    pick(name, view_of(X_ND, head=model), B, options)
    marks = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(int(marks.split()[0]) / 1024)
