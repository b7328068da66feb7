"""`alcli predict` on 400,000 x 384 float32, 77 classes, against one plain read of the file, and against that read plus
the products that predictions are made of.

The first floor reads every batch with pyarrow. The second one also multiplies each batch by the D x C weights, and
where the head has a posterior by the D x D factor of its covariance, in float64, on one thread. Also at 50,000 rows,
and memory at both sizes, which must not grow with N.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.bench_query import C, D, write_pool
from benchmarks.timing import process, python, table

FLOOR = """
import numpy as np, pyarrow.parquet as pq, sys
rng = np.random.default_rng(0)
products = [rng.standard_normal(({d}, k)) for k in {widths}]
file = pq.ParquetFile(sys.argv[1], pre_buffer=False, buffer_size=1 << 20)
for batch in file.iter_batches(8192, columns=["features"], use_threads=False):
    X = batch.column(0).values.to_numpy(zero_copy_only=True).reshape(-1, {d})
    for W in products:
        X.astype(np.float64) @ W
"""
KINDS = {"none": [C], "laplace": [C, D]}
FORMS = (("csv",), ("parquet",), ("csv", "--probs"), ("csv", "--variance"))


def main(data: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for n in (50_000, 400_000):
            pool, head, out = (Path(folder) / name for name in (f"{n}.parquet", "head.safetensors", "out"))
            write_pool(pool, n)
            read, _ = process([*python(FLOOR.format(d=D, widths=[])), str(pool)], runs=1)
            for kind, widths in KINDS.items():
                alcli = [sys.executable, "-m", "alcli"]
                fit = ("--posterior", kind, "--prior-precision", "1")
                process([*alcli, "fit-head", str(pool), "-o", str(head), "--force", "-q", *fit], runs=1)
                floor, _ = process([*python(FLOOR.format(d=D, widths=widths)), str(pool)], runs=1)
                for form, *more in FORMS if kind == "laplace" else FORMS[:1]:
                    ask = [*alcli, "predict", str(pool), "-H", str(head), "--format", form, "-o", str(out), *more]
                    seconds, peak = process(ask, runs=1)
                    what = " ".join((form, *more))
                    rows.append((f"{n:,}", kind, what, seconds, read, seconds / read, floor, seconds / floor, peak))
        names = ("predict s", "read s", "ratio", "read + products s", "ratio", "peak MiB")
        table(("rows", "posterior", "output", *names), rows)
