"""Values in a pool (table 3.1): what is refused names file, column, row, id; what is odd but right gives right
answers.
"""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from tests.pools import fixed, names, tiny_features, write_labels, write_pool
from tests.shell import process, untouched

COLD = ("coreset", "kmeans", "typiclust", "random")
WITH_HEAD = ("margin", "entropy", "least-confident", "badge")


def broken(value: float, row: int = 7, at: int = 2) -> np.ndarray:
    X_ND = tiny_features()[0]
    X_ND[row, at] = value
    return X_ND


def ragged(X_ND: np.ndarray, kind: pa.DataType) -> pa.Array:
    return pa.array(list(X_ND.tolist()), kind)


@pytest.mark.parametrize("kind", [None, pa.list_(pa.float32()), pa.large_list(pa.float64()), pa.list_(pa.float16(), 5)])
@pytest.mark.parametrize(("value", "said"), [(np.nan, "nan"), (np.inf, "inf"), (-np.inf, "-inf")])
def test_values_that_are_not_finite(tiny, alcli, value, said, kind):
    X_ND = broken(value)
    write_pool(
        "pool.parquet",
        X_ND if kind is None else ragged(X_ND.astype(np.float16) if kind.value_type == pa.float16() else X_ND, kind),
    )
    with untouched(tiny):
        alcli("query", "pool.parquet", "-s", "coreset", "-n", 3, "-o", "out.csv").refused(
            65, "pool.parquet", "column 'features'", "row 7", "'r007'", "dimension 2", said
        )
        alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").refused(
            65, "pool.parquet", "row 7", "--bad-rows skip"
        )


def test_one_refusal_in_a_child_process(tiny):
    write_pool("pool.parquet", broken(np.nan))
    process("query", "pool.parquet", "-s", "coreset", "-n", 3).refused(
        65, "pool.parquet", "column 'features'", "row 7", "'r007'", "dimension 2", "nan"
    )


@pytest.mark.parametrize("strategy", ["coreset", "margin"])
def test_bad_rows_are_left_out_and_counted(tiny, alcli, strategy):
    X_ND = broken(np.nan, row=40)
    column = pa.array(
        [None if i == 41 else [1.0, 2.0] if i == 42 else row for i, row in enumerate(X_ND.tolist())],
        pa.list_(pa.float32()),
    )
    write_pool("pool.parquet", column)
    skipped = alcli("query", "pool.parquet", "-s", strategy, "-l", "labels.csv", "-n", 100, "--bad-rows", "skip").done()
    assert "3 rows without a usable vector were left out" in skipped.err
    good = [i for i in range(60) if i not in (40, 41, 42)]
    write_pool("pool.parquet", X_ND[good], [names(60)[i] for i in good])
    clean = alcli("query", "pool.parquet", "-s", strategy, "-l", "labels.csv", "-n", 100).done()
    assert skipped.out == clean.out
    assert len(clean.lines) == 37


@pytest.mark.parametrize("size", [1e20, 1e30])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("strategy", ["coreset", "kmeans", "typiclust", "margin", "badge"])
def test_large_norms(tiny, alcli, strategy, kind, size):
    """Features times a power of two give the same geometry; float32 squares of them are infinite."""
    X_ND = tiny_features()[0].astype(kind)
    scale = kind(2.0 ** np.round(np.log2(size)))
    picks = []
    for factor in (kind(1), scale):
        write_pool("pool.parquet", X_ND * factor)
        labels = () if strategy in COLD else ("-l", "labels.csv")
        done = alcli("query", "pool.parquet", "-s", strategy, *labels, "-n", 8).done()
        assert done.err.count("is their scale right?") == (factor != 1), "one warning that names a row"
        assert factor == 1 or "pool.parquet: row 0 (id 'r000')" in done.err
        picks.append(done.lines)
    assert len(set(picks[1])) == 8
    if strategy in ("coreset", "typiclust"):
        assert picks[0] == picks[1]


@pytest.mark.parametrize("strategy", COLD + WITH_HEAD)
@pytest.mark.parametrize("rows", ["zero", "equal", "constant feature", "subnormal", "float16"])
def test_degenerate_values_are_accepted(tiny, alcli, strategy, rows):
    X_ND = tiny_features()[0]
    if rows == "zero":
        X_ND[[5, 50]] = 0
    elif rows == "equal":
        X_ND[:] = X_ND[0]
    elif rows == "constant feature":
        X_ND[:, 1] = 3
    elif rows == "subnormal":
        X_ND[:, 2] = np.float32(1e-42)
    else:
        X_ND = X_ND.astype(np.float16)
    write_pool("pool.parquet", X_ND)
    labels = ("-l", "labels.csv") if strategy in WITH_HEAD else ()
    found = alcli("query", "pool.parquet", "-s", strategy, *labels, "-n", 10).done().lines
    assert len(set(found)) == 10
    assert not set(found) & (set(names(20)) if labels else set())
    if rows == "equal" and strategy in ("margin", "entropy", "least-confident"):
        assert found == names(30)[20:]


def test_float64_is_computed_as_it_is(tiny, alcli):
    """Positions on a line that float32 cannot tell apart: the farthest from the first is found only in float64."""
    X_ND = 1 + np.array([[0.0], [3e-12], [1e-12], [2e-12]])
    write_pool("pool.parquet", X_ND)
    write_labels("one.csv", {"r000": "a"})
    assert alcli("query", "pool.parquet", "-l", "one.csv", "-s", "coreset", "-n", 1).done().lines == ["r001"]


@pytest.mark.parametrize("kind", [pa.int32(), pa.uint8(), pa.bool_()])
def test_vectors_of_integers_are_refused(tiny, alcli, kind):
    write_pool("pool.parquet", pa.array([[1, 0, 1]] * 4).cast(pa.list_(kind, 3)))
    alcli("query", "pool.parquet", "-s", "coreset", "-n", 1).refused(
        65, "pool.parquet", "'features'", str(kind), "float32"
    )


def test_no_rows(tiny, alcli):
    (tiny / "shards").mkdir()
    X_ND = tiny_features()[0]
    write_pool("shards/a.parquet", X_ND[:0])
    write_pool("shards/b.parquet", X_ND[:4])
    assert len(alcli("query", "shards", "-s", "coreset", "-n", 9).done().lines) == 4
    for empty in (fixed(X_ND[:0]), pa.array([], pa.list_(pa.float32()))):
        write_pool("pool.parquet", empty)
        asked = alcli("query", "pool.parquet", "-s", "random", "-n", 1)
        asked.refused(65, "pool.parquet", "0 rows", "--allow-empty accepts a pool without rows")
        asked = alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors")
        asked.refused(65, "pool.parquet", "0 rows")
        done = alcli("query", "pool.parquet", "-s", "coreset", "-n", 1, "--allow-empty").done()
        assert done.out == b""
        assert "nothing is left to select" in done.err


@pytest.mark.parametrize(("n", "dim"), [(1, 5), (30, 1), (4, 65_536)])
@pytest.mark.parametrize("strategy", ["coreset", "margin"])
def test_extreme_shapes(folder, alcli, n, dim, strategy):
    X_ND = np.random.default_rng(0).standard_normal((n + 2, dim)).astype(np.float32)
    write_pool("pool.parquet", X_ND)
    write_labels("labels.csv", {f"r{n:03d}": "a", f"r{n + 1:03d}": "b"})
    found = alcli("query", "pool.parquet", "-l", "labels.csv", "-s", strategy, "-n", n).done().lines
    assert sorted(found) == names(n)


def test_memory_does_not_grow_with_the_row_group(folder):
    """A single row group of 144 MB adds less than half of that to what a pool of one block takes: three blocks of 16
    MiB are under way at a time.
    """
    peak = {}
    for n in (2_000, 300_000):
        X_ND = np.random.default_rng(0).standard_normal((n, 120), np.float32)
        write_pool("pool.parquet", X_ND, pa.array(np.arange(n)))
        write_labels("labels.csv", {0: "a", 1: "b"})
        program = (
            "import re, sys\nfrom alcli.cli.shell import run\n"
            "code = run(['query', 'pool.parquet', '-l', 'labels.csv', '-s', 'margin', '-n', '5', '-q'])\n"
            "print(code, re.search('VmHWM:\\\\s+(\\\\d+)', open('/proc/self/status').read())[1], file=sys.stderr)"
        )
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        code, kilobytes = done.stderr.split()[-2:]
        assert code == "0", done.stderr
        peak[n] = int(kilobytes) / 1024
    assert peak[300_000] - peak[2_000] < 70, peak
