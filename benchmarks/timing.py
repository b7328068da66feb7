"""Seconds and peak memory of functions and of whole processes; tables of them."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def median_seconds(work: Callable[[], Any], runs: int = 5) -> float:
    """Median wall seconds of `runs` calls after one warm-up."""
    work()
    return statistics.median(seconds_of(work) for _ in range(runs))


def seconds_of(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def process(arguments: Sequence[str], runs: int = 3) -> tuple[float, float]:
    """(median wall seconds, largest peak MiB) of a command over `runs` runs after one warm-up; its output is thrown
    away.
    """
    seconds, peaks = [], []
    for _ in range(runs + 1):
        start = time.perf_counter()
        child = subprocess.Popen(
            list(arguments), stdout=subprocess.DEVNULL, env=os.environ | {"OPENBLAS_NUM_THREADS": "1"}
        )
        peak = 0.0
        while child.poll() is None:
            peak = max(peak, _high_water(child.pid))
            time.sleep(0.02)
        seconds.append(time.perf_counter() - start)
        peaks.append(peak)
        if child.returncode:
            raise RuntimeError(f"{' '.join(arguments)}: exit status {child.returncode}")
    return statistics.median(seconds[1:]), max(peaks)


def _high_water(process: int) -> float:
    """Peak MiB of a running process so far. Unlike what wait4 reports, it does not begin with the parent's peak."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)


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
