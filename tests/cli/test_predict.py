"""`alcli predict` on the command line: what is checked first, and what is said."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.shell import process, untouched

PREDICT = ("predict", "pool.parquet", "-H", "head.safetensors")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (("--labelled", "no"), ("--labelled", "keep, drop", "'no'")),
        (("--format", "ids"), ("--format", "csv, jsonl, parquet")),
        (("--format", "parquett"), ("did you mean 'parquet'?",)),
        (("-o", "out.txt"), ("out.txt", "'.txt'", ".csv", "--format csv|jsonl|parquet")),
        (("--json",), ("--json", "stdout", "-o")),
    ],
)
def test_options_are_checked_before_data_is_read(folder, alcli, more, words):
    alcli("predict", "missing.parquet", "-H", "missing.safetensors", *more).refused(2, *words)


def test_a_head_is_needed(tiny, alcli):
    alcli("predict", "pool.parquet").refused(2, "predict needs -H HEAD")
    alcli(*PREDICT).refused(66, "head.safetensors")
    alcli("predict", "pool.parquet", "-H", "pool.parquet").refused(65, "not an alcli head")


def test_a_head_with_another_digest_is_refused(head, alcli):
    alcli(*PREDICT, "--expect-sha256", "0" * 64).refused(65, "head.safetensors", "SHA-256")


def test_json_is_a_summary_beside_the_file(head, alcli):
    done = alcli(*PREDICT, "-o", "p.csv", "--labelled", "drop", "--json").done()
    assert json.loads(done.out) == {
        "pool": {"name": "pool.parquet", "rows": 60, "dim": 5},
        "labelled": 20,
        "predicted": 40,
        "columns": ["id", "predicted", "confidence"],
    }
    assert len(Path("p.csv").read_text().splitlines()) == 41


def test_quiet_and_verbose(head, alcli):
    assert alcli(*PREDICT, "-o", "p.csv").done().err == ""
    assert alcli(*PREDICT, "-o", "p.csv", "--variance", "--bad-rows", "skip", "-q").done().err == ""
    assert "60 items predicted in " in alcli(*PREDICT, "-o", "p.csv", "-v").done().err


def test_columns_may_have_other_names(head, alcli):
    import pyarrow.parquet as pq

    pq.write_table(pq.read_table("pool.parquet").rename_columns(["key", "vector"]), "other.parquet")
    found = alcli("predict", "other.parquet", "-H", head, "--id-col", "key", "--features-col", "vector").done()
    assert found.out == alcli(*PREDICT).done().out


def test_a_reader_that_leaves_early_is_no_error(head):
    import subprocess

    from tests.shell import SCRIPT

    line = f"{SCRIPT} {' '.join(PREDICT)} --probs | head -n 1"
    done = subprocess.run(["bash", "-o", "pipefail", "-c", line], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "id,predicted,confidence,p:cat,p:dog,p:eel\n", "")


def test_a_full_disk_on_stdout_is_said(head):
    with untouched(head.parent), open("/dev/full", "wb") as full:
        import subprocess

        from tests.shell import SCRIPT

        done = subprocess.run([SCRIPT, *PREDICT], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 74
    assert "standard output" in done.stderr


def test_a_batch_can_be_excluded_by_its_predictions(head, alcli):
    """Predictions are a file with a column `id`, which other commands read."""
    for form in ("csv", "parquet", "jsonl"):
        alcli(*PREDICT, "--labelled", "drop", "-o", f"p.{form}").done()
        asked = alcli("query", "pool.parquet", "-H", head, "-s", "margin", "-n", 3, "--exclude", f"p.{form}").done()
        assert (asked.out, "nothing is left" in asked.err) == (b"", True)


def test_help_names_the_columns(alcli):
    text = process("predict", "--help").done().out.decode()
    for word in ("confidence", "--probs", "p:NAME", "sd", "--labelled keep|drop", "--group-col none"):
        assert word in text
