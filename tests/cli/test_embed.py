"""embed as a shell sees it: exit codes, one line of error, data alone on stdout, a run that is killed and continued."""

from __future__ import annotations

import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from alcli import plugins

ROOT = Path(__file__).parents[2]
MODEL = """
import os, time
import numpy as np

def lengths(slow: float = 0.0):
    seen, die_at = [0], int(os.environ.get("DIE_AT", "0"))
    def run(batch):
        seen[0] += len(batch)
        if die_at and seen[0] > die_at:
            os._exit(9)
        time.sleep(slow)
        with open("encoded.log", "a") as log:
            log.write(f"{len(batch)}\\n")
        rng = np.random.default_rng([len(x) for x in batch])
        return rng.standard_normal((len(batch), 6))
    return run
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "dying_models.py").write_text(MODEL)
    (tmp_path / "a.csv").write_text(
        "id,text,label\n" + "".join(f"i{k},{'x' * (k % 37)}.,{k % 3}\n" for k in range(5000))
    )
    return tmp_path


def command(folder, *arguments, die_at="0", largest_file=None):
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
        "DIE_AT": die_at,
    }
    line = [sys.executable, "-m", "alcli", "embed", *arguments]
    limit = (
        None
        if largest_file is None
        else lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    )
    return subprocess.Popen(
        line, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit
    )


def run(folder, *arguments, **circumstances):
    process = command(folder, *arguments, **circumstances)
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def encoded(folder):
    log = folder / "encoded.log"
    rows = sum(map(int, log.read_text().split())) if log.exists() else 0
    log.unlink(missing_ok=True)
    return rows


def files(folder):
    """Name -> bytes of everything but locks and Python's own."""
    found = [
        p
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.name.endswith((".lock", ".pyc", ".log", ".py", ".csv"))
    ]
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


@pytest.mark.parametrize("out", [["-o", "pool.parquet"], ["-o", "pool", "--rows-per-file", "1700"]])
def test_a_run_that_died_between_shards_continues_with_the_same_bytes(out, folder):
    arguments = ["a.csv", "-m", "python:dying_models:lengths", *out, "--force"]
    assert run(folder, *arguments)[0] == 0
    undisturbed = files(folder)
    assert encoded(folder) == 5000
    assert run(folder, *arguments, die_at="3000")[0] == 9
    assert files(folder).items() >= undisturbed.items()  # the old pool is as it was
    finished = encoded(folder) // 1024 * 1024
    code, _, err = run(folder, *arguments, "--resume")
    assert code == 0
    assert f"{finished} rows were taken over" in err
    assert finished == 2048
    assert encoded(folder) == 5000 - finished
    assert files(folder) == undisturbed


def test_killed_at_any_moment_the_continued_run_gives_the_same_bytes(folder):
    arguments = ["a.csv", "-m", "python:dying_models:lengths", "-p", "slow=0.004", "-o", "pool.parquet", "--json"]
    code, out, err = run(folder, *arguments)
    assert code == 0
    assert err == ""
    assert json.loads(out)["rows"] == 5000
    pool, work = folder / "pool.parquet", folder / ".pool.parquet.alcli-embed"
    expected = pool.read_bytes()
    pool.unlink()
    for shards in (1, 2, 4, 5):
        process = command(folder, *arguments, "--resume")
        while process.poll() is None and len(list(work.glob("shard-*.parquet"))) < shards:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert not pool.exists() or pool.read_bytes() == expected
    pool.unlink(missing_ok=True)
    code, out, _ = run(folder, *arguments, "--resume")
    assert code == 0
    assert pool.read_bytes() == expected
    assert sorted(files(folder)) == ["pool.parquet"]


def test_a_full_disk_ends_with_74_and_the_next_run_takes_over_what_was_finished(folder):
    arguments = ["a.csv", "-m", "hashing:64", "-o", "pool.parquet"]
    code, out, err = run(folder, *arguments, largest_file=50_000)  # not even one shard
    assert (code, out, files(folder)) == (74, "", {})
    assert "File too large" in err
    code, _, err = run(folder, *arguments, largest_file=600_000)  # the shards, but not the pool
    assert code == 74
    assert "the first 5000 rows are kept, --resume" in err
    code, _, err = run(folder, *arguments, "--resume")
    assert code == 0
    assert "5000 rows were taken over" in err
    assert sorted(files(folder)) == ["pool.parquet"]


def test_an_interrupt_ends_with_130_and_keeps_finished_rows(folder):
    process = command(folder, "a.csv", "-m", "python:dying_models:lengths", "-p", "slow=0.02", "-o", "pool.parquet")
    work = folder / ".pool.parquet.alcli-embed"
    deadline = time.monotonic() + 60
    while not (work / "shard-00000000.parquet").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1].endswith("rows are kept, --resume continues after them")
    assert "Traceback" not in err
    assert (work / "shard-00000000.parquet").exists()
    assert not (folder / "pool.parquet").exists()
    assert not list(folder.rglob("*.tmp"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["gone.csv", "-m", "hashing:8", "-o", "p.parquet"], 66, "gone.csv"),
        (["a.csv", "-m", "hashing:x", "-o", "p.parquet"], 2, "dimension"),
        (["a.csv", "-m", "hashing:8", "-o", "p.parquet", "--dtype", "float61"], 2, "float16"),
        (["a.csv", "-m", "hashing:8", "-o", "nowhere/p.parquet"], 73, "nowhere"),
        (["a.csv", "-m", "hashing:8", "-o", "p.parquet", "--input-col", "txt"], 65, "did you mean 'text'"),
        (["a.csv", "-m", "torch:gone.pt2", "-o", "p.parquet"], 2, "takes images or arrays"),
        (["a.csv", "-m", "hashing:8", "-o", "p.parquet", "-p", "words"], 2, "KEY=VALUE"),
        (["a.csv", "-m", "hashing:8", "-o", "p.parquet", "--batch-size", "0"], 2, "batch-size"),
    ],
)
def test_errors_are_one_line_with_an_exit_code_and_write_nothing(arguments, code, said, folder):
    before = files(folder)
    got, out, err = run(folder, *arguments)
    assert (got, out) == (code, "")
    assert said in err
    assert "Traceback" not in err
    assert err.startswith("alcli: error:")
    assert err.count("\n") == 1
    assert files(folder) == before


def test_help_teaches_with_an_example(folder):
    code, out, _ = run(folder, "--help")
    assert code == 0
    assert "Run an upstream model once" in out
    assert "alcli embed sample_data/" in out
    assert "[default: 32" in out


def test_help_names_every_model(folder):
    _, out, _ = run(folder, "--help")
    section = out.partition("\nModels:\n")[2]
    assert set(re.findall(r"^  ([a-z][a-z-]*)", section, flags=re.MULTILINE)) == set(plugins.names("embedders"))
