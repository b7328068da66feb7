"""Choices over a pool that is larger than memory: seconds over the floor and peak memory, in one process and in two.

The pool is made on the spot: ALCLI_SCALE_ROWS rows (1,000,000 by default; 10,000,000 take 46 GB of disk) of 384 float32
features around 200 centres; 400 rows have one of 20 labels. ALCLI_SCALE_FOLDER is where (the temporary folder by
default). Each choice is a run of `alcli query`. The first one writes the file of features in the order of the ids, and
the others find it in --cache-dir. ALCLI_SCALE_ONLY names some of the choices, ALCLI_SCALE_ENGINES some of the engines.

The floor is what a choice reads and multiplies, at the speed of this machine as measured in the same run with the same
threads: a plain read of the pool, blocks of the file of features, and float32 products with as many columns at a time
as the choice takes. Bytes and products are counted in a run of one process. Scores of margin, the log probabilities of
badge and bait, and the products of bait are float64, by formula.
Usage: python -m benchmarks --only scale.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from alcli.data.cached.file_array import new_file
from alcli.data.pool import open_pool
from alcli.numerics.blocks import BLOCK_ROWS, workers
from benchmarks.timing import seconds_of, table

D, CENTRES, CLASSES, LABELLED, STEP = 384, 200, 20, 400, 8192
CHOICES = {
    "margin": 100,
    "coreset": 1000,
    "badge": 100,
    "maxherding": 100,
    "uherding": 500,
    "probcover": 100,
    "bait": 20,
}
ENGINES = {"one process": [], "2 workers": ["--workers", "2"], "Ray": ["--engine", "ray", "--ray-address", "local"]}
# Rows of the array on which speeds are measured.
MEASURED = 64 * BLOCK_ROWS
WIDTHS = (16, 32, 512)
# Runs a command, and prints the bytes that it reads from files of features and the products by their number of columns.
COUNTED = """
import json, sys, threading
from alcli.data.cached.file_array import FileArray
from alcli.numerics.diversity.near_pairs import Nearness
from alcli.numerics.factors import Factor
found, lock = {}, threading.Lock()
def count(cls, name, what):
    method = getattr(cls, name)
    def counted(self, *args):
        key, n = what(self, *args)
        with lock:
            found[key] = found.get(key, 0) + n
        return method(self, *args)
    setattr(cls, name, counted)
count(FileArray, "_read", lambda self, a, b: ("bytes", (b - a) * self._row_bytes))
count(Factor, "product", lambda self, V, a, b, out: (V.shape[1], 2 * (b - a) * V.shape[0] * V.shape[1]))
count(Nearness, "tile", lambda self, X, own, t: (512, 2 * len(X) * X.shape[1] * (t.stop - t.start)))
from alcli.__main__ import main
code = main()
print(json.dumps(found), file=sys.stderr)
sys.exit(code)
"""


def main(data: Path) -> None:
    n = int(os.environ.get("ALCLI_SCALE_ROWS", "1000000"))
    chosen = os.environ.get("ALCLI_SCALE_ONLY", ",".join(CHOICES)).split(",")
    engines = os.environ.get("ALCLI_SCALE_ENGINES", ",".join(ENGINES)).split(",")
    with tempfile.TemporaryDirectory(prefix="alcli-scale-", dir=os.environ.get("ALCLI_SCALE_FOLDER")) as scratch:
        folder = Path(scratch)
        if shutil.disk_usage(folder).free < 3.1 * n * D * 4:
            return print(f"skipped: {n:,} rows need {3.1 * n * D * 4 / 1e9:.0f} GB of disk in {folder}")
        make_pool(folder / "pool.parquet", n)
        plain = seconds_of(lambda: plain_read(folder / "pool.parquet"))
        began = time.perf_counter()
        ids = open_pool(str(folder / "pool.parquet")).ids
        checked = time.perf_counter()
        ids.order(np.arange(n))
        print(f"ids: read and checked in {checked - began:.1f} s, ordered in {time.perf_counter() - checked:.1f} s")
        speeds = measured(folder)
        rate = speeds["bytes"] / 1e9
        print(f"{n:,} x {D}: a plain read takes {plain:.1f} s; blocks of a file are read at {rate:.0f} GB/s")
        print(", ".join(f"{w} columns {speeds[w] / 1e9:.0f} Gflop/s" for w in (*WIDTHS, "float64")))
        for name in chosen:
            rows = list(choice(folder, name, CHOICES[name], n, engines, plain, speeds))
            table(("choice", "items", "engine", "read", "products", "floor s", "seconds", "ratio", "peak MiB"), rows)


def choice(
    folder: Path, name: str, k: int, n: int, engines: list[str], plain: float, speeds: dict[object, float]
) -> Iterator[tuple[object, ...]]:
    """A row of the table for each engine."""
    cache, seen = folder / "cache", {}
    query = ["query", str(folder / "pool.parquet"), "-s", name, "-n", str(k), "-q", "--format", "csv"]
    query += ["-l", str(folder / "none.csv")] if name == "maxherding" else []
    for engine in engines:
        is_kept = cache.exists() and any(cache.iterdir())
        counted = [sys.executable, "-c", COUNTED] if engine == "one process" else [sys.executable, "-m", "alcli"]
        seconds, peak, errors, picks = run([*counted, *query, "--cache-dir", str(cache), *ENGINES[engine]])
        if engine == "one process":
            seen = {key: int(value) for key, value in json.loads(errors.splitlines()[-1]).items()}
        assert seen.setdefault("picks", picks) == picks, f"{engine} found other picks"
        read = int(seen.get("bytes", 0))
        products = {w: float(seen.get(str(w), 0)) for w in WIDTHS} | {"float64": of_float64(name, k, n)}
        in_file = name != "margin" and (read > 0 or engine != "one process")
        # Ids, and features unless they are kept.
        floor = 0.0 if in_file and is_kept else plain
        floor += read / speeds["bytes"] + sum(flops / speeds[w] for w, flops in products.items())
        kept = " + writes the file" if in_file and not is_kept else ""
        flops = sum(products.values())
        yield name, k, engine + kept, f"{read / 2**30:.0f} GiB", f"{flops:.1e}", floor, seconds, seconds / floor, peak


def of_float64(name: str, k: int, n: int) -> float:
    """Float64 operations of a choice that are not counted as it runs."""
    of_head = 2.0 * n * D * CLASSES if name in ("margin", "badge", "bait") else 0.0
    # Two quadratic forms and the information of the pool; then two vectors for each of 2 k picks.
    return of_head + (2.0 * n * D * (3 * D + 2 * 2 * k) if name == "bait" else 0.0)


def make_pool(path: Path, n: int) -> None:
    """Write n rows, in row groups as embed writes them, and a file of no labels beside."""
    rng = np.random.default_rng(0)
    centres = 0.8 * rng.standard_normal((CENTRES, D), dtype=np.float32)
    kind = pa.list_(pa.float32(), D)
    schema = pa.schema([("id", pa.string()), ("features", kind), ("label", pa.string())])
    with pq.ParquetWriter(path, schema, compression="none", use_dictionary=False, write_page_checksum=True) as writer:
        for a in range(0, n, STEP):
            m = min(STEP, n - a)
            of = rng.integers(CENTRES, size=m)
            X = centres[of] + rng.standard_normal((m, D), dtype=np.float32)
            X /= np.linalg.norm(X, axis=1, keepdims=True)
            labels = [f"c{c % CLASSES}" if a + i < LABELLED else None for i, c in enumerate(of)]
            columns = [f"item-{a + i}" for i in range(m)], pa.FixedSizeListArray.from_arrays(X.reshape(-1), D), labels
            writer.write_table(
                pa.table([pa.array(columns[0]), columns[1], pa.array(labels, pa.string())], schema=schema)
            )
    path.with_name("none.csv").write_text("id,label\n")


def plain_read(path: Path) -> None:
    """Read ids and features block by block, and do nothing with them."""
    with pq.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True) as file:
        for _ in file.iter_batches(STEP, columns=["id", "features"]):
            pass


def measured(folder: Path) -> dict[object, float]:
    """Bytes a second of blocks of a file, and operations a second of products, with the threads of a choice."""
    X_ND = np.random.default_rng(0).standard_normal((MEASURED, D), dtype=np.float32)
    file = new_file(str(folder / "measured"), X_ND.shape, np.float32)
    file.write(0, X_ND)
    speeds: dict[object, float] = {"bytes": X_ND.nbytes / by_blocks(lambda rows: file[rows])}
    for width, dtype in ((16, np.float32), (32, np.float32), (512, np.float32), ("float64", np.float64)):
        X, V = X_ND.astype(dtype), np.ones((D, CLASSES if width == "float64" else int(width)), dtype)
        out = np.empty((MEASURED, V.shape[1]), dtype)
        seconds = by_blocks(lambda rows, X=X, V=V, out=out: np.dot(X[rows], V, out=out[rows]))
        speeds[width] = 2.0 * MEASURED * D * V.shape[1] / seconds
    return speeds


def by_blocks(work: Callable[[slice], object]) -> float:
    """The least seconds of five times of work(rows) for all blocks, with all threads."""
    with workers() as spread:

        def some(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                work(slice(a, a + BLOCK_ROWS))

        return min(seconds_of(lambda: spread(MEASURED, some)) for _ in range(5))


def run(command: list[str]) -> tuple[float, int, str, bytes]:
    """(seconds, peak MiB of the process and its children together, stderr, stdout) of a command."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as errors:
        began, peak = time.perf_counter(), 0
        child = subprocess.Popen(command, stdout=out, stderr=errors)
        while child.poll() is None:
            peak = max(peak, resident(child.pid))
            time.sleep(0.1)
        seconds = time.perf_counter() - began
        out.seek(0), errors.seek(0)
        text = errors.read().decode()
        if child.returncode:
            raise RuntimeError(f"{' '.join(command[3:])}: exit status {child.returncode}\n{text}")
        return seconds, peak >> 10, text, out.read()


def resident(process: int) -> int:
    """The resident memory of a process and of all that it has started, in KiB."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return 0
    own = next((int(line.split()[1]) for line in lines if line.startswith("VmRSS")), 0)
    return own + sum(resident(int(child)) for child in children)
