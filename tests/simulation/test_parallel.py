from __future__ import annotations

import dataclasses
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from alcli.engine import processes
from alcli.errors import DataError, InputError, MemoryLimitError
from alcli.simulation.parallel import run_cells
from alcli.simulation.plan import Cell, Plan
from alcli.simulation.shared import Matrix, Shared
from alcli.workflows.recipe import Recipe


def shared(folder: Path, n=60, **changes) -> Shared:
    rng = np.random.default_rng(0)
    y = np.arange(n) % 3
    X = (rng.standard_normal((n, 4)) + 3 * np.eye(3, 4)[y]).astype(np.float32)
    path = folder / "features"
    path.write_bytes(X.tobytes())
    plan = Plan(("random", "margin"), 2, 5, 2, 5, Recipe(prior_precision=1.0).spec(regression=False))
    ids = np.arange(n)
    return dataclasses.replace(Shared(Matrix(path, "<f4", (n, 4)), ids, y, ids, None, 3, plan), **changes)


def timeless(result):
    points = [dataclasses.replace(p, seconds_fit=0, seconds_select=0, seconds_evaluate=0) for p in result.points]
    return result.cell, points, result.picks


def test_two_processes_find_what_one_finds(tmp_path):
    task = shared(tmp_path)
    cells = list(task.plan.cells())
    alone = {r.cell: timeless(r) for r in run_cells(task, cells, 1)}
    together = {r.cell: timeless(r) for r in run_cells(task, cells, 2)}
    assert together == alone
    assert set(alone) == set(cells)


def test_an_error_in_a_process_is_raised_here_as_it_was(tmp_path):
    # 1 usable class only: the head refuses to learn.
    task = shared(tmp_path, y_N=np.zeros(60, np.int64))
    with pytest.raises(DataError, match="2 classes"):
        list(run_cells(task, list(task.plan.cells()), 2))


def test_an_unforeseen_error_names_the_cell_and_keeps_the_traceback(tmp_path):
    task = shared(tmp_path)
    broken = dataclasses.replace(task, y_N=np.arange(3))  # too short
    with pytest.raises(RuntimeError, match=r"(?s)strategy (random|margin), seed \d:.*Traceback.*IndexError"):
        list(run_cells(broken, [Cell("random", 0), Cell("margin", 0)], 2))


def test_a_file_of_features_that_is_not_there(tmp_path):
    task = shared(tmp_path)
    task.features.path.unlink()
    with pytest.raises(InputError, match=r"features: cannot open the features kept there: No such file.*--cache-dir"):
        list(run_cells(task, list(task.plan.cells()), 2))


def killing(monkeypatch, most):
    """Kill the first `most` processes as they start; return the list of all that start."""
    started = []
    original = processes._Process.__init__

    def remember(self, part, threads):
        original(self, part, threads)
        started.append(self.process)
        if len(started) <= most:
            os.kill(self.process.pid, signal.SIGKILL)

    monkeypatch.setattr(processes._Process, "__init__", remember)
    return started


def test_the_cells_of_killed_processes_run_again(tmp_path, monkeypatch):
    task = shared(tmp_path)
    cells = list(task.plan.cells())
    alone = {r.cell: timeless(r) for r in run_cells(task, cells, 1)}
    started = killing(monkeypatch, 2)
    assert {r.cell: timeless(r) for r in run_cells(task, cells, 2)} == alone
    assert len(started) == 4
    assert not any(process.is_alive() for process in started)


def test_a_cell_that_loses_every_process_is_given_up(tmp_path, monkeypatch):
    started = killing(monkeypatch, 99)
    task = shared(tmp_path)
    with pytest.raises(MemoryLimitError, match=r"a worker was killed by signal 9, 4 times at the same task.*--jobs"):
        list(run_cells(task, list(task.plan.cells()), 2))
    assert not any(process.is_alive() for process in started)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    """kill -9 of the parent leaves no process behind."""
    code = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
from pathlib import Path
from test_parallel import shared
from alcli.engine.processes import Processes
from alcli.numerics.teams import Blueprint
from alcli.simulation.parallel import CellRunner
if __name__ == "__main__":
    part = Blueprint(CellRunner, (shared(Path({str(tmp_path)!r})),))
    workers = [Processes(2).begin(part) for _ in range(2)]
    print(*(w.process.pid for w in workers), flush=True)
    sys.stdin.read()
"""
    script = tmp_path / "parent.py"
    script.write_text(code)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(
        [sys.executable, str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as parent:
        pids = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(pids) == 2
        parent.kill()
        parent.wait()
    deadline = time.monotonic() + 30
    while any(is_running(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(is_running(pid) for pid in pids)


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
