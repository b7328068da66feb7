"""`alcli simulate` as the shell sees it."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
POOL = ROOT / "sample_data" / "digits-features.parquet"
SMALL = ["simulate", str(POOL), "-s", "margin", "-n", "5", "--rounds", "2", "--seeds", "2"]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}


def start(*arguments: str, **options) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "alcli", *arguments]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, **options
    )


def alcli(*arguments: str, **options) -> tuple[int, str, str]:
    with start(*arguments, **options) as process:
        out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_the_example_of_the_help_runs(tmp_path):
    _, text, _ = alcli("simulate", "--help")
    example, *others = (
        [str(ROOT / a) if a.startswith("sample_data") else a for a in shlex.split(line.replace("\\\n", ""))]
        for line in re.findall(r"^ +alcli (simulate (?:.*\\\n)*.*)$", text, re.MULTILINE)
    )
    code, out, err = alcli(*example, cwd=tmp_path)
    assert (code, out) == (0, ""), err
    table = err.splitlines()
    assert table.pop(0).startswith("strategies are compared by accuracy, since the 10 classes are fairly even")
    assert table[0].split()[:2] == ["strategy", "mean"]
    assert [line.split()[0] for line in table[1:5]] == ["random", "margin", "badge", "typiclust"]
    assert all(
        re.match(rf"{name}: (better than|worse than|no clear difference from) random", line)
        for name, line in zip(("margin", "badge", "typiclust"), table[5:8])
    )
    assert (tmp_path / "simulation" / "curves.png").exists()
    assert others
    for other in others:
        assert alcli(*other, cwd=tmp_path)[0] == 0
    assert (tmp_path / "simulation" / "curves.pdf").exists()


def test_json_is_one_object_on_stdout(tmp_path):
    code, out, err = alcli(*SMALL, "-o", str(tmp_path / "out"), "--json")
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [line["strategy"] for line in found["summary"]] == ["random", "margin"]
    assert (found["runs"], found["resumed"], found["test_rows"]) == (4, 0, 500)
    assert [line.split(":")[0][:12] for line in found["verdicts"]] == ["margin", "with 2 seeds"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-s", "margn", "-n", "5", "--rounds", "2"], "did you mean 'margin'?"),
        (["-s", "margin", "-n", "0", "--rounds", "2"], "-n must be at least 1, got 0"),
        (["-s", "margin", "-n", "5", "--rounds", "2", "-p", "metrc=1"], "has a parameter 'metrc'"),
        (["-s", "margin", "-n", "5", "--rounds", "2", "--head", "sofmax"], "did you mean 'softmax'?"),
        (
            ["-s", "margin", "-n", "5", "--rounds", "2", "--test-fraction", "2"],
            "--test-fraction must be between 0 and 1",
        ),
        (["-n", "5", "--rounds", "2"], "simulate needs -s"),
        (["-s", "margin", "-n", "5"], "simulate needs --rounds"),
        (
            ["-s", "random+update", "-n", "5", "--rounds", "2"],
            "'random' looks at neither the head nor the labelled rows, so '+update' would change nothing",
        ),
        (
            ["-s", "margin+update", "-n", "5", "--rounds", "2", "--posterior", "none"],
            "'margin+update' absorbs labels in closed form",
        ),
        (["-s", "margin", "-n", "5", "--rounds", "2", "-p", "update-every=3"], "has a parameter 'update-every'"),
        (
            ["-s", "margin+update", "-n", "5", "--rounds", "2", "-p", "update-every=0"],
            "parameter 'update-every' must be at least 1, got 0",
        ),
        (
            ["-s", "optimal-look-ahead", "-n", "5", "--rounds", "2", "-p", "batches=0"],
            "parameter 'batches' must be at least 1, got 0",
        ),
        (
            ["-s", "typiclust", "-n", "5", "--rounds", "2", "-p", "neighbours=-1"],
            "parameter 'neighbours' must be at least 1, got -1",
        ),
        (
            ["-s", "margin:0.5,random:0.5", "-n", "5", "--rounds", "2"],
            "'margin:0.5' is of a mix; give the mix by --mix",
        ),
        (["--mix", "m=margin", "-n", "5", "--rounds", "2"], "--mix takes NAME:SHARE,..., got 'm=margin'"),
        (["--study", "update"], "did you mean 'updates'?"),
        (["--study", "updates", "-s", "margin"], "-s does not go with --study updates"),
        (
            ["-s", "margin", "-n", "5", "--rounds", "2", "--metric", "macrof1"],
            "no metric is named 'macrof1'; did you mean 'macro_f1'?",
        ),
        (["--study", "updates", "--metric", "nll"], "--metric does not go with --study updates"),
        (
            ["-s", "margin", "-n", "5", "--rounds", "2", "--metric", "average-precision"],
            "the metric 'average-precision' is about one class; name the class: average_precision:CLASS",
        ),
        (["-s", "margin", "-n", "5", "--rounds", "2", "--format", "gif"], "a picture can be png, svg, pdf, got 'gif'"),
        (["-s", "margin", "-n", "5", "--rounds", "2", "--width", "1"], "must be 2.5 to 60 inches, got 1"),
        (["--redraw", "simulation"], "it takes no pool, and no options of a simulation; leave all but --metric"),
        (["--head", "mlp", "--redraw", "simulation"], "it takes no pool, and no options of a simulation"),
        (["--study", "updates", "--train-weights"], "--train-weights does not go with --study updates"),
        (["--study", "updates", "--full-data"], "--full-data does not go with --study updates"),
        (
            ["-s", "optimal-look-ahead", "-n", "5", "--rounds", "2", "--initial", "9", "-p", "cost-col=x"],
            "'optimal-look-ahead' judges batches of a fixed number of rows",
        ),
        (["--study", "updates", "-p", "nw=3"], "has no parameter 'nw'; did you mean 'new'?"),
    ],
)
def test_a_wrong_command_line_is_refused_before_any_data_is_read(tmp_path, alcli, arguments, words):
    done = alcli("simulate", tmp_path / "no-such-pool.parquet", *arguments, "-o", tmp_path / "out")
    assert (done.code, done.out) == (2, b"")
    assert words in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "out").exists()


def test_another_metric_heads_the_table_and_is_named_in_json(tmp_path):
    code, _, err = alcli(*SMALL, "-o", str(tmp_path / "out"), "--metric", "nll", "--full-data")
    assert code == 0, err
    assert re.match(r"strategy +mean negative log-likelihood +vs random .* final negative log-likelihood ", err)
    assert "gives negative log-likelihood" in err
    assert "labels to shares of the way to it from random's first" in err
    code, out, _ = alcli(*SMALL, "-o", str(tmp_path / "out"), "--metric", "macro_f1", "--json")
    found = json.loads(out)
    assert (code, found["metric"], found["resumed"], {row["metric"] for row in found["summary"]}) == (
        0,
        "macro_f1",
        4,
        {"macro_f1"},
    )


def test_pictures_are_made_anew_and_named(tmp_path):
    out = tmp_path / "out"
    code, _, err = alcli(*SMALL, "--format", "svg", "-o", str(out))
    assert code == 0, err
    assert not list(out.glob("*.png"))
    code, printed, err = alcli("simulate", "--redraw", str(out), "--format", "pdf, png", "--width", "3.4")
    assert (code, printed) == (0, ""), err
    assert err.endswith(": curves.pdf, curves.png, wins.pdf, wins.png, confidence.pdf, confidence.png\n")
    assert {file.name for file in out.glob("*.pdf")} == {"curves.pdf", "wins.pdf", "confidence.pdf"}
    code, printed, _ = alcli("simulate", "--redraw", str(out), "--metric", "ece", "--json")
    assert json.loads(printed)["pictures"][:2] == ["curves.png", "curves.svg"]
    code, printed, err = alcli("simulate", "--redraw", str(tmp_path / "none"))
    assert (code, printed) == (66, "")
    assert "holds no simulation" in err


MINE = """from alcli.selection import pointwise
from alcli.simulation.metrics import metric


@pointwise(needs=["log_probs"])
def mine(log_probs_BC, *, power: float = 1.0):
    return -(log_probs_BC.max(axis=1) ** 2) ** power


@metric(larger_is_better=False, task="classification")
def misses(y_N, log_probs_NC):
    return (log_probs_NC.argmax(axis=1) != y_N).sum()
"""


def test_strategies_and_a_metric_of_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    files = [
        "-s",
        "./mine.py,m=mine.py:mine+update",
        "--mix",
        "mine.py:mine:0.5,random:0.5",
        "--metric",
        "mine.py:misses",
    ]
    options = ["-p", "m.power=2", "-p", "./mine.py.power=3", "-p", "m.update-every=2", "--jobs", "2"]
    code, out, err = alcli(*SMALL, *files, *options, "-o", "out", "--json", cwd=tmp_path)
    assert code == 0, err
    found = json.loads(out)
    assert found["metric"] == "misses"
    names = ["random", "margin", "./mine.py", "m=mine.py:mine+update", "mine.py:mine:0.5,random:0.5"]
    assert [line["strategy"] for line in found["summary"]] == names
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["parameters"] == {
        "./mine.py": {"power": "3"},
        "m=mine.py:mine+update": {"power": "2", "update-every": "2"},
    }
    (tmp_path / "mine.py").write_text(MINE + "\n")
    code, _, err = alcli(*SMALL, *files, *options, "-o", "out", cwd=tmp_path)
    assert (code, "the code of ./mine.py has changed" in err) == (73, True)


def test_strategies_come_repeated_or_with_commas(tmp_path):
    code, out, _ = alcli(*SMALL, "-s", "entropy, coreset", "-o", str(tmp_path / "out"), "--json")
    assert code == 0
    assert [line["strategy"] for line in json.loads(out)["summary"]] == ["random", "margin", "entropy", "coreset"]


def test_updates_within_a_round_and_the_oracle(tmp_path):
    code, out, err = alcli(
        *SMALL,
        "-s",
        "margin+update,optimal-look-ahead",
        "-p",
        "margin+update.update-every=2",
        "-p",
        "batches=50",
        "-o",
        str(tmp_path / "out"),
        "--json",
    )
    assert (code, err) == (0, "")
    found = json.loads(out)
    assert [line["strategy"] for line in found["summary"]] == [
        "random",
        "margin",
        "margin+update",
        "optimal-look-ahead",
    ]
    assert sum("an oracle: it is told true labels" in text for text in found["verdicts"]) == 1
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert config["parameters"] == {"margin+update": {"update-every": "2"}, "optimal-look-ahead": {"batches": "50"}}


def test_the_study_of_updates_prints_its_tables(tmp_path):
    small = ["-p", "initial=30", "-p", "new=10", "-p", "stages=20", "-p", "mc-samples=10", "--seeds", "1"]
    code, out, err = alcli("simulate", str(POOL), "--study", "updates", *small, "-o", str(tmp_path / "out"))
    assert (code, out) == (0, ""), err
    assert "accuracy % after 30 labels and so many new ones" in err
    assert re.search(r"^second-order auto recovers -?\d+ % of what exact retraining gains, and ", err, re.MULTILINE)
    assert (tmp_path / "out" / "updates.svg").exists()
    again = alcli("simulate", str(POOL), "--study", "updates", *small, "-o", str(tmp_path / "out"), "--json")
    assert json.loads(again[1])["resumed"] == 1


def test_another_configuration_exits_73_with_what_differs(tmp_path):
    assert alcli(*SMALL, "-o", str(tmp_path / "out"))[0] == 0
    code, out, err = alcli(*SMALL, "-o", str(tmp_path / "out"), "--initial", "6")
    assert (code, out) == (73, "")
    assert "initial 5, now 6" in err


@pytest.mark.parametrize(
    ("number", "expected"),
    [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGKILL, -9)],
    ids=["TERM", "INT", "KILL"],
)
def test_a_stopped_simulation_leaves_no_process_and_goes_on(tmp_path, number, expected):
    """Stopped after its first run is kept, no child survives, and the same command ends as an undisturbed one."""
    long = ["simulate", str(POOL), "-s", "margin,badge", "-n", "5", "--rounds", "4", "--seeds", "3", "--jobs", "2"]
    out = tmp_path / "out"
    with start(*long, "-o", str(out), start_new_session=True) as process:
        deadline = time.monotonic() + 120
        while not list(out.glob("runs/*.json")) and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout) == (expected, ""), stderr
    assert "Traceback" not in stderr
    if number != signal.SIGKILL:
        assert re.search(r"stopped by a signal; \d of 9 runs are kept, the same command goes on with the rest", stderr)
    assert 1 <= len(list(out.glob("runs/*.json"))) < 9
    assert not (out / "curves.parquet").exists()
    while members_of(process.pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not members_of(process.pid)
    assert alcli(*long, "-o", str(out))[0] == 0
    assert not (out / ".features").exists()
    if number == signal.SIGTERM:
        assert alcli(*long, "-o", str(tmp_path / "undisturbed"))[0] == 0
        for name in ("selections.parquet", "curves.svg"):
            assert (out / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()
        curves = [pq.read_table(folder / "curves.parquet") for folder in (out, tmp_path / "undisturbed")]
        names = [name for name in curves[0].column_names if not name.startswith("seconds")]
        assert curves[0].select(names).equals(curves[1].select(names))


def members_of(session: int) -> list[int]:
    """Processes of a session that still run."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
            except OSError:
                continue
            if int(fields[3]) == session and fields[0] != "Z":
                found.append(int(folder.name))
    return found


def test_aux_loss_trains_the_branch_of_every_round(tmp_path):
    few = ("--head", "mlp", "-p", "widths=8", "-p", "epochs=3", "--aux-loss")
    code, out, err = alcli(
        *SMALL, "-s", "learning-loss,lplgrad,ent-gradnorm", *few, "-o", str(tmp_path / "out"), "--json"
    )
    assert (code, "aux: inactive" in err) == (0, False)
    assert len(json.loads(out)["summary"]) == 5
    code, _, err = alcli(*SMALL, "-s", "learning-loss", *few[:-1], "-o", str(tmp_path / "without"))
    assert (code, "learning-loss" in err, "use --head mlp --aux-loss" in err) == (2, True, True)
    assert not (tmp_path / "without").exists()
    for more in ((), few[:-1], ("--aux-loss",)):
        code, _, err = alcli(
            "simulate",
            "missing.parquet",
            "-s",
            "learning-loss",
            "-n",
            "3",
            "--rounds",
            "1",
            *more,
            "-o",
            str(tmp_path / "without"),
        )
        assert (code, "loss-prediction branch" in err) == (2, True)
    code, _, err = alcli(*SMALL, "--aux-loss", "-o", str(tmp_path / "other"))
    assert code == 0
    assert "aux: inactive; a linear head" in err


def test_labels_to_shares_of_what_every_label_gives(tmp_path):
    code, _, err = alcli(*SMALL, "--rounds", "4", "-s", "badge", "--full-data", "-o", str(tmp_path / "out"))
    assert code == 0, err
    lines = err.splitlines()
    i = next(i for i, line in enumerate(lines) if line.startswith("every label (1,297) gives accuracy "))
    assert lines[i].endswith(" %; labels to shares of it, and what that saves against random:")
    assert re.fullmatch(r"strategy +labels to 80% \(\d\d\.\d\) +saved +labels to 90% \(\d\d\.\d\) +saved", lines[i + 1])
    assert [line.split()[0] for line in lines[i + 2 : i + 5]] == ["random", "margin", "badge"]
    found = json.loads(
        alcli(*SMALL, "--rounds", "4", "-s", "badge", "--full-data", "-o", str(tmp_path / "out"), "--json")[1]
    )
    assert (found["full_data"]["labels"], found["full_data"]["fits"]) == (1297, 1)
    assert [row["full_data"] for row in found["summary"]] == [found["full_data"]["accuracy"]] * 3


def test_where_random_is_never_there_a_lower_bound_is_told():
    from alcli.cli.shown.findings import _reached
    from alcli.numerics.metrics import METRICS
    from alcli.report.summary import Line, Reach

    reaches = (Reach(0.8, 0.7, 60.0, saved=-12.4), Reach(0.9, 0.8, 90.5, at_least=109.5))
    line = Line(
        "badge",
        METRICS["accuracy"],
        3,
        0.6,
        0.8,
        (None, None, None),
        None,
        None,
        None,
        {},
        1.0,
        None,
        None,
        full_data=0.9,
        reaches=reaches,
    )
    assert _reached(line) == ["badge", "60", "-12", "90", "> 109"]
    assert _reached(replace(line, axis="cost")) == ["badge", "60", "-12.4", "90.5", "> 109.5"]
    assert _reached(replace(line, reaches=(Reach(0.8, 0.7, None),))) == ["badge", "not reached", ""]


def test_a_budget_in_the_units_of_a_column(tmp_path):
    table = pq.read_table(POOL)
    pq.write_table(
        table.append_column("minutes", pa.array([1.0 + i % 4 for i in range(len(table))])), tmp_path / "priced.parquet"
    )
    arguments = [
        "simulate",
        str(tmp_path / "priced.parquet"),
        "-s",
        "margin",
        "-n",
        "12",
        "--rounds",
        "2",
        "--seeds",
        "2",
        "-p",
        "cost-col=minutes",
    ]
    code, _, err = alcli(*arguments, "--initial", "20", "-o", str(tmp_path / "out"))
    assert code == 0, err
    assert "cost to random's final" in err
    assert re.search(r"^alcli: margin: spent 12 of 12; items bought: \d+ \(round", err, re.MULTILINE)
    rows = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    assert [row["cost"] - first["cost"] for first, row in zip(rows[::3], rows[2::3])] == [24.0] * 4
    code, _, err = alcli(*arguments, "-o", str(tmp_path / "other"))
    assert (code, "say with --initial how many items to start with" in err) == (2, True)
    code, _, err = alcli(*arguments[:-1], "cost-col=hours", "--initial", "20", "-o", str(tmp_path / "other"))
    assert (code, "no column 'hours' to read costs from" in err) == (65, True)
    assert not (tmp_path / "other").exists()
