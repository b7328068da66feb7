"""The price of the same kernels on every machine: ALCLI_KERNELS=portable against native.

CPU seconds of one thread. Products are 1,024 x 512 by 512 x 256, exp and log are over a million numbers. Commands are
whole ones, with the start of Python, over 20,000 rows of 384 normal numbers, float32, with 100 labels of 5 classes,
1,000 for the mlp head.
The two settings take turns. On a processor without AVX-512 they differ little.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timing import table

SETTINGS = ("portable", "native")
N, D, RUNS = 20_000, 384, 5
ARITHMETIC = """
import json, time
from alcli.engine import kernels
kernels.pin()
import numpy as np
rng = np.random.default_rng(0)
found = {}
for dtype in ("float32", "float64"):
    A, B = rng.random((1024, 512)).astype(dtype), rng.random((512, 256)).astype(dtype)
    x = rng.random(1_000_000).astype(dtype) + 1
    works = {"product": lambda: A @ B, "exp": lambda: np.exp(x), "log": lambda: np.log(x), "sum": lambda: x.sum()}
    for name, work in works.items():
        work()
        begun = time.process_time()
        for _ in range(50):
            work()
        found[f"{name} {dtype}"] = (time.process_time() - begun) / 50 * 1e3
print(json.dumps(found))
"""
COMMANDS = {
    "fit-head": ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "new.safetensors", "--force", "-q"),
    "fit-head --head mlp": (
        *("fit-head", "pool.parquet", "-l", "many.csv", "--head", "mlp", "-o", "new.safetensors", "--force", "-q"),
    ),
    **{
        name: ("query", "pool.parquet", "-H", "head.safetensors", "-s", name, "-n", "100", "-q")
        for name in ("margin", "badge", "bald", "coreset", "typiclust")
    },
}


def main(data: Path) -> None:
    arithmetic = {
        setting: [json.loads(_run(setting, "-c", ARITHMETIC)[1]) for _ in range(RUNS)] for setting in SETTINGS
    }
    rows = []
    for name in arithmetic["native"][0]:
        portable, native = (statistics.median(run[name] for run in arithmetic[setting]) for setting in SETTINGS)
        rows.append((name, portable, native, portable / native))
    table(("arithmetic, ms", *SETTINGS, "ratio"), rows)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        _write_pool()
        _run("native", "-m", "alcli", *COMMANDS["fit-head"][:5], "head.safetensors", "-q")
        rows = []
        for name, command in COMMANDS.items():
            seconds: dict[str, list[float]] = {setting: [] for setting in SETTINGS}
            for _ in range(RUNS):
                for setting in SETTINGS:
                    seconds[setting].append(_run(setting, "-m", "alcli", *command)[0])
            portable, native = (statistics.median(seconds[setting]) for setting in SETTINGS)
            rows.append((name, portable, native, portable / native))
        table(("command, s", *SETTINGS, "ratio"), rows)


def _run(setting: str, *arguments: str) -> tuple[float, str]:
    """(CPU seconds, stdout) of Python under a setting, on one processor."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"ALCLI_KERNELS": setting},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout


def _write_pool() -> None:
    rng = np.random.default_rng(0)
    y_N = rng.integers(5, size=N)
    X_ND = (rng.standard_normal((N, D)) + 0.3 * rng.standard_normal((5, D))[y_N]).astype(np.float32)
    features = pa.FixedSizeListArray.from_arrays(pa.array(X_ND.reshape(-1)), D)
    pq.write_table(pa.table({"id": [f"r{i}" for i in range(N)], "features": features}), "pool.parquet")
    lines = [f"r{i},class{y_N[i]}\n" for i in range(1000)]
    Path("labels.csv").write_text("".join(["id,label\n", *lines[:100]]))
    Path("many.csv").write_text("".join(["id,label\n", *lines]))
