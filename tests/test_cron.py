"""docs/nightly.sh as cron runs it: nights with missing and half-written files, two at once, a kill; one line of mail
each.
"""

from __future__ import annotations

import csv
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from tests.pools import CLASSES, names, tiny_features, write_pool

SCRIPT = Path(__file__).parents[1] / "docs" / "nightly.sh"
X_ND, Y_N = tiny_features(90)
TRUTH = dict(zip(names(90), (CLASSES[y] for y in Y_N)))

pytestmark = pytest.mark.skipif(shutil.which("flock") is None, reason="the script needs flock")


def start(
    day: int, *, weekday: int = 1, programs: Path = Path(sys.executable).parent, **more: str
) -> subprocess.Popen[str]:
    environment = (
        os.environ
        | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "BATCH": "6",
            "TODAY": f"2025-03-{day:02d}",
            "WEEKDAY": str(weekday),
        }
        | more
    )
    return subprocess.Popen(
        ["sh", SCRIPT, "."],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        env=environment,
        start_new_session=True,
    )


def night(day: int, code: int = 0, *, weekday: int = 1) -> str:
    """Run the script; what it mails is one line."""
    child = start(day, weekday=weekday)
    said = child.communicate(timeout=120)[0]
    assert child.returncode == code, said
    assert said.count("\n") == 1, said
    assert said.startswith("nightly: ")
    return said


def batch(day: int) -> list[str]:
    with open(f"to-label/2025-03-{day:02d}.csv", newline="") as file:
        return [row["id"] for row in csv.DictReader(file)]


def answers(*days: int) -> str:
    return "".join(f"{id},{TRUTH[id]}\n" for day in days for id in batch(day))


def absorbed() -> int:
    return int(load_head(Path("head.safetensors")).absorbed.id_L.size)


def test_a_week(folder):
    write_pool("pool.parquet", X_ND)
    write_pool("labelled.parquet", X_ND, label=list(TRUTH.values()))

    assert "no labels yet; " in night(1)
    assert len(batch(1)) == 6
    assert len(night(1)) > 0, "a second run of a day gives out nothing more"

    labels = Path("labels.csv")
    labels.write_text("id,label\n" + answers(1)[:-3])  # somebody is typing
    assert "a head was fitted" in night(2)
    assert absorbed() == 5

    labels.write_text("id,label\n" + answers(1, 2))
    assert "7 new labels absorbed" in night(3)
    assert absorbed() == 12

    both = [start(4), start(4)]
    said = [child.communicate(timeout=120)[0] for child in both]
    assert sorted(child.returncode for child in both) in ([0, 75], [0, 0]), said
    assert all(text.count("\n") == 1 for text in said)

    labels.write_text(labels.read_text() + answers(3) + '"r0')
    for wait in (0.5, 1.2, 1.9):
        child = start(5)
        time.sleep(wait)
        os.killpg(child.pid, signal.SIGKILL)
        child.communicate()
        if Path("to-label/2025-03-05.csv").exists():
            assert len(batch(5)) == 6
    night(5)
    assert absorbed() == 18

    before = Path("head.safetensors").read_bytes()
    labels.write_text(labels.read_text() + '89","cat\n')
    assert "labels.csv: line" in night(6, 65), "a quote is not closed"
    assert Path("head.safetensors").read_bytes() == before
    assert len(batch(6)) == 6, "the batch is chosen all the same"

    os.rename("pool.parquet", "away")
    assert "pool.parquet: no such file" in night(7, 66)
    os.rename("away", "pool.parquet")
    labels.write_text("id,label\n" + answers(1, 2, 3, 4, 5, 6))
    assert "simulation/2025-03-07/summary.csv is new" in night(7, weekday=7)
    assert Path("simulation/2025-03-07/curves.parquet").exists()
    write_pool("labelled.parquet", X_ND[:80], label=list(TRUTH.values())[:80])
    assert "simulation/2025-03-14/summary.csv is new" in night(14, weekday=7), "other labels, another folder"

    given = [id for day in range(1, 8) for id in batch(day)]
    ledger = pq.read_table("ledger.parquet")["id"].to_pylist()
    assert len(given) == len(set(given)) == 42
    assert len(ledger) == len(set(ledger))
    assert set(given) <= set(ledger)
    assert absorbed() == 36
    assert [p.name for p in Path().iterdir() if ".alcli-" in p.name] == []


KILLED = f"""#!{sys.executable}
import os, signal, sys
sys.path.insert(0, {str(SCRIPT.parents[1])!r})
from alcli.cli.shell import run
replace, names = os.replace, []
def dying(old, new):
    names.append(os.path.basename(new))
    if names[-1].endswith(os.environ["DIE_BEFORE"]):
        os.kill(os.getpid(), signal.SIGKILL)
    replace(old, new)
os.replace = dying
sys.exit(run(sys.argv[1:]))
"""


def test_a_night_killed_between_ledger_and_batch(folder):
    """By a run later that day, or by that of the next night, the batch is there; no other has an id of it."""
    write_pool("pool.parquet", X_ND)
    programs = folder / "bin"
    programs.mkdir()
    (programs / "alcli").write_text(KILLED)
    (programs / "alcli").chmod(0o755)

    def killed(day: int, before: str) -> None:
        child = start(day, programs=programs, DIE_BEFORE=before)
        child.communicate(timeout=120)
        assert child.returncode == 128 + signal.SIGKILL

    night(1)
    killed(2, ".csv")
    assert not Path("to-label/2025-03-02.csv").exists()
    assert pq.read_table("ledger.parquet").num_rows == 12
    assert "6 items in to-label/2025-03-02.csv" in night(2)
    assert pq.read_table("ledger.parquet").num_rows == 12
    killed(3, "ledger.parquet")
    assert not Path("to-label/2025-03-03.csv").exists()
    assert pq.read_table("ledger.parquet").num_rows == 12
    assert "6 items in to-label/2025-03-03.csv" in night(3)
    killed(4, ".csv")
    assert "6 items in to-label/2025-03-05.csv" in night(5)
    given = pq.read_table("ledger.parquet")["id"].to_pylist()
    assert [id for day in range(1, 6) for id in batch(day)] == given
    assert len(set(given)) == 30
    assert not [p for p in Path().rglob("*") if ".alcli-" in p.name]


def test_the_last_batch_is_the_end_of_the_ledger(tiny, alcli):
    """The line of docs/cron.md that recovers what went to standard output."""
    (line,) = (line for line in SCRIPT.with_name("cron.md").read_text().splitlines() if line.startswith("python -c"))
    for n in (4, 6):
        batch = (
            alcli("query", "pool.parquet", "-s", "coreset", "-n", n, "--selections", "ledger.parquet", "-q")
            .done()
            .lines
        )
        found = subprocess.run(
            ["sh", "-c", line.replace("python", sys.executable, 1)],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert found.stdout.splitlines() == batch
