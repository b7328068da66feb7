"""The contract with the shell: exit codes, one line of error, data alone on stdout, signals, closed or full streams."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.pools import tiny_features, write_pool
from tests.shell import SCRIPT, process, skip_if_ignored, untouched

QUERY = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5)
FIT = ("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "new.safetensors")


def shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["bash", "-c", command.replace("alcli", SCRIPT)], capture_output=True, timeout=60, env=os.environ | environment
    )


USAGE = [
    (["quary"], ["query"]),
    (["query"], ["POOL"]),
    (["query", "pool.parquet", "-s", "margin"], ["-n"]),
    ([*QUERY, "--bogus"], ["--bogus"]),
    ([*QUERY[:-1], 0], ["-n", "at least 1"]),
    ([*QUERY[:-1], "many"], ["-n"]),
    ([*QUERY, "--seed", "-1"], ["--seed"]),
    ([*QUERY, "--candidates", 0], ["--candidates", "at least 1"]),
    ([*QUERY, "--format", "xml"], ["xml", "jsonl"]),
    ([*QUERY, "--bad-rows", "drop"], ["--bad-rows", "skip"]),
    ([*QUERY, "--max-memory", "much"], ["--max-memory", "500M"]),
    ([*QUERY, "--selections", "ledger.csv"], ["ledger.csv", ".parquet"]),
    ([*QUERY, "-p", "beta=1"], ["margin", "'beta'"]),
    ([*QUERY, "-p", "beta"], ["KEY=VALUE"]),
    ([*QUERY, "-p", "a=1", "-p", "a=2"], ["twice"]),
    (["query", "nothing-is-read", "-s", "margn", "-n", 1], ["margn", "did you mean 'margin'"]),
    ([*FIT, "--head", "sofmax"], ["sofmax", "softmax"]),
    ([*FIT, "--covariance", "sharde"], ["sharde", "shared"]),
    ([*FIT, "--posterior", "laplacian"], ["laplacian", "laplace"]),
    ([*FIT, "--calibrate", "temp"], ["temp", "temperature"]),
    ([*FIT, "--prior-precision", "-1"], ["prior precision", "-1"]),
    ([*FIT, "--prior-precision", "x"], ["--prior-precision", "auto"]),
    ([*FIT, "--task", "regress"], ["--task", "regression"]),
    (["fit-head", "pool.parquet"], ["-o"]),
    (["update"], ["HEAD"]),
    (
        ["update", "h", "-P", "pool.parquet", "-l", "more.csv", "--method", "third-order"],
        ["third-order", "first-order"],
    ),
    (["update", "h", "-P", "pool.parquet", "-l", "more.csv", "--mode", "batches"], ["batches", "batch"]),
    (["update", "h", "-P", "pool.parquet", "-l", "more.csv", "--gamma", "nan"], ["--gamma", "nan"]),
]


@pytest.mark.parametrize(
    ("arguments", "words"), USAGE, ids=lambda v: " ".join(map(str, v))[-40:] if isinstance(v, list) else ""
)
def test_usage(tiny, alcli, arguments, words):
    with untouched(tiny):
        alcli(*arguments).refused(2, *words)


def test_usage_in_a_child_process(tiny):
    process(*QUERY, "--bogus").refused(2, "--bogus")
    bare = process()
    assert (bare.code, bare.out) == (2, b"")
    assert "Usage: alcli" in bare.err


@pytest.mark.parametrize("command", ["embed", "fit-head", "query", "update", "predict", "simulate", "inspect"])
def test_help_shows_an_example(alcli, command):
    found = alcli(command, "--help").done().out.decode()
    assert f"alcli {command} " in found.partition("Example:")[2]


def test_a_bug_is_one_line_unless_debugging(tiny, alcli, monkeypatch):
    import alcli.workflows.query.situation as workflow

    monkeypatch.setattr(workflow, "gather", lambda *a, **k: {}["key"])
    alcli(*QUERY).refused(70, "KeyError", "ALCLI_DEBUG")
    monkeypatch.setenv("ALCLI_DEBUG", "1")
    debugged = alcli(*QUERY)
    assert debugged.code == 70
    assert "Traceback" in debugged.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), 71),
        (OSError(24, "Too many open files"), 71),
        (OSError(5, "Input/output error"), 74),
        (BrokenPipeError(), 0),
        (KeyboardInterrupt(), 130),
        (SystemExit(3), 3),
    ],
)
def test_exit_codes_of_what_the_system_raises(tiny, alcli, monkeypatch, error, code):
    import alcli.workflows.query.situation as workflow

    def fail(*a: object, **k: object) -> None:
        raise error

    monkeypatch.setattr(workflow, "gather", fail)
    found = alcli(*QUERY)
    assert found.code == code
    assert "Traceback" not in found.err


NOISY = """
import os, subprocess, sys
import alcli.workflows.query.batch as workflow
select = workflow.select
def noisy(*a, **k):
    print("python chatter")
    os.write(1, b"C chatter\\n")
    subprocess.run(["echo", "child chatter"], check=True)
    return select(*a, **k)
workflow.select = noisy
from alcli.__main__ import main
sys.exit(main())
"""


def test_stdout_holds_data_alone(tiny, alcli):
    """What a strategy, C code or a child process prints to descriptor 1 goes to stderr."""
    found = subprocess.run([sys.executable, "-c", NOISY, *map(str, QUERY)], capture_output=True, timeout=60)
    assert found.stdout == alcli(*QUERY).done().out
    assert all(f"{who} chatter" in found.stderr.decode() for who in ("python", "C", "child"))


def test_json_is_one_object(tiny, alcli):
    for command in (QUERY, FIT, ("update", "new.safetensors", "-P", "pool.parquet", "-l", "more.csv")):
        found = alcli(*command, "--json").done()
        assert len(found.lines) == 1
        assert isinstance(json.loads(found.out), dict)
    names_ = [row["name"] for row in json.loads(alcli("query", "--list", "--json").done().out)]
    assert {"margin", "coreset", "badge"} <= set(names_)


def test_quiet(tiny, alcli):
    for command in (QUERY, FIT, ("update", "new.safetensors", "-P", "pool.parquet", "-l", "more.csv")):
        assert alcli(*command, "-q").done().err == ""


def test_a_reader_that_leaves_is_no_error(folder):
    X_ND, _ = tiny_features(20_000, 2)
    write_pool("pool.parquet", X_ND, [f"a-long-identifier-{i:09d}" for i in range(20_000)])
    found = shell("alcli query pool.parquet -s random -n 20000 | head -n 1; echo ${PIPESTATUS[0]}")
    assert found.stdout.splitlines()[1:] == [b"0"]
    assert found.stderr == b""
    assert shell("(sleep 0.1; alcli --help; echo $? >&2) | true").stderr == b"0\n"


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_closed_and_full_streams(tiny, unbuffered):
    line = "alcli query pool.parquet -l labels.csv -s margin -n 5 --selections ledger.parquet"
    for redirect in (">&-", "> /dev/full", "--json > /dev/full", "> /dev/full 2>&-")[: 2 if unbuffered else 4]:
        found = shell(f"{line} {redirect}; echo $?", PYTHONUNBUFFERED=unbuffered)
        assert found.stdout == b"74\n", redirect
        assert (b"alcli: error: " in found.stderr) == ("2>&-" not in redirect)
    assert not os.path.exists("ledger.parquet")
    for redirect in ("2> /dev/full", "2>&-")[: 1 if unbuffered else 2]:
        found = shell(
            f"alcli query pool.parquet -l labels.csv -s margin -n 5 {redirect}; echo ${{PIPESTATUS[0]}}",
            PYTHONUNBUFFERED=unbuffered,
        )
        assert found.stdout.splitlines()[-1] == b"0", redirect
    if unbuffered:
        return
    assert (
        shell("alcli fit-head pool.parquet -l labels.csv -o h.safetensors >&-; echo $? >&2").stderr.splitlines()[-1]
        == b"0"
    )
    assert shell("alcli fit-head pool.parquet -l - -o i.safetensors <&-; echo $?").stdout == b"65\n"


def test_output_to_devices_and_pipes(tiny, alcli):
    expected = process(*QUERY).done().out
    for target in ("-", "/dev/stdout"):
        assert process(*QUERY, "-o", target).done().out == expected
    alcli(*QUERY, "-o", "/dev/null").done()
    found = shell("alcli query pool.parquet -l labels.csv -s margin -n 5 -q -o >(cat >&2); sleep 0.2")
    assert found.stderr == expected


def on_a_terminal(*arguments: object, **environment: str) -> bytes:
    """What a command writes to stderr when that is a terminal."""
    leader, follower = pty.openpty()
    subprocess.run(
        [SCRIPT, *map(str, arguments)],
        stderr=follower,
        stdout=subprocess.DEVNULL,
        timeout=60,
        env=os.environ | environment,
    )
    os.close(follower)
    found = b""
    try:
        while block := os.read(leader, 4096):
            found += block
    except OSError:  # the other end is closed
        pass
    os.close(leader)
    return found


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm-256color"}, {"TERM": "dumb"}], ids=str)
def test_no_colour_when_not_wanted(tiny, environment):
    assert b"\x1b" not in on_a_terminal(*QUERY, **environment)
    assert b"\x1b" not in on_a_terminal(*QUERY, "--bogus", **environment)


def test_no_colour_off_a_terminal(tiny):
    found = process(*QUERY, TERM="xterm-256color", FORCE_COLOR="")
    assert "\x1b" not in found.err
    assert "\r" not in found.err


SLOW = """
import os, sys, time
def fsync(handle):
    print("ready", file=sys.stderr, flush=True)
    time.sleep(30)
os.fsync = fsync
from alcli.__main__ import main
sys.exit(main())
"""


def slow_fit(**more: object) -> subprocess.Popen[bytes]:
    """fit-head that waits between writing its temporary file and renaming it."""
    child = subprocess.Popen([sys.executable, "-c", SLOW, *map(str, FIT), "-q"], stderr=subprocess.PIPE, **more)  # type: ignore[call-overload]
    assert child.stderr.readline() == b"ready\n"
    return child


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_signals_leave_nothing_behind(tiny, number, code):
    skip_if_ignored(number)
    with untouched(tiny):
        child = slow_fit()
        assert any(".alcli-" in p.name for p in tiny.iterdir())
        child.send_signal(number)
        assert child.wait(10) == code
        assert len(child.stderr.read().splitlines()) == 1


def test_an_ignored_interrupt_stays_ignored(tiny):
    child = slow_fit(preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN))
    child.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert child.poll() is None
    child.send_signal(signal.SIGTERM)
    assert child.wait(10) == 143


def test_a_hostile_working_directory(tiny):
    for module in ("types.py", "numpy.py", "json.py", "alcli.py"):
        (tiny / module).write_text("raise SystemExit('hostile')")
    assert len(process(*QUERY).done().lines) == 5


def test_handlers_are_given_back(tiny, alcli):
    before = [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
    alcli(*QUERY).done()
    assert [signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)] == before


def test_a_stdout_that_would_block_is_no_want_of_threads(tiny):
    """A pipe that nobody reads, whose writer is not to wait: some parents hand down such a stdout."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        with suppress(BlockingIOError):
            while os.write(writer, bytes(1 << 16)):
                pass
        ask = ("query", "pool.parquet", "-s", "coreset", "-n", "3")
        said = subprocess.run([SCRIPT, *ask], stdout=writer, stderr=subprocess.PIPE, text=True)
    finally:
        os.close(reader), os.close(writer)
    assert said.returncode == 74
    assert "cannot write to standard output: Resource temporarily unavailable" in said.stderr
