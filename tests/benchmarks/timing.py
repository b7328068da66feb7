"""Seconds and peak memory of functions and of whole processes; tables of them."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any


def median_seconds(work: Callable[[], Any], runs: int = 5) -> float:
    """Median wall seconds of `runs` calls after one warm-up."""
    work()
    return statistics.median(_once(work) for _ in range(runs))


def _once(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(arguments: Sequence[str], runs: int = 3) -> tuple[float, float]:
    """(median wall seconds, largest peak MiB) of a command over `runs` runs after one warm-up; its output is thrown away."""
    seconds, peaks = [], []
    for _ in range(runs + 1):
        start = time.perf_counter()
        child = subprocess.Popen(list(arguments), stdout=subprocess.DEVNULL, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"})
        _, status, usage = os.wait4(child.pid, 0)
        seconds.append(time.perf_counter() - start)
        peaks.append(usage.ru_maxrss / 1024)
        if status:
            raise RuntimeError(f"{' '.join(arguments)}: exit status {os.waitstatus_to_exitcode(status)}")
    return statistics.median(seconds[1:]), max(peaks)


def python(code: str) -> list[str]:
    """A command that runs `code` in a fresh interpreter."""
    return [sys.executable, "-c", code]


def peak_mebibytes() -> float:
    """Peak memory of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print aligned columns."""
    text = [[f"{cell:.3g}" if isinstance(cell, float) else str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(row[i]) for row in text) for i in range(len(header))]
    for row in text:
        print("  ".join(f"{cell:{w}}" for cell, w in zip(row, widths)).rstrip(), flush=True)
