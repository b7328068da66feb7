"""`alcli query -s margin` on 1,000,000 x 384 float32 against one plain Parquet read of the same file plus one GEMM
over it.

The floor is measured as one process that does just that: read every batch with pyarrow, multiply by a D x C matrix in
float64 (in which scores must be computed to be the same on every machine). Also at 50,000 rows, and memory at both
sizes, which must not grow with N.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.timing import process, python, table

D, C = 384, 77
FLOOR = """
import numpy as np, pyarrow.parquet as pq, sys
W = np.random.default_rng(0).standard_normal(({d}, {c}))
file = pq.ParquetFile(sys.argv[1], pre_buffer=False, buffer_size=1 << 20)
for batch in file.iter_batches(8192, columns=["features"], use_threads=False):
    X = batch.column(0).values.to_numpy(zero_copy_only=True).reshape(-1, {d})
    X.astype(np.float64) @ W
"""


def write_pool(path: Path, n: int) -> None:
    """Unit-norm rows around 77 centres, in the layout that embed writes; half a percent of the rows labelled."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((C, D)).astype(np.float32)
    schema = pa.schema(
        [
            ("id", pa.int64()),
            ("label", pa.string()),
            pa.field("features", pa.list_(pa.field("element", pa.float32(), False), D), False),
        ]
    )
    with pq.ParquetWriter(
        path,
        schema,
        compression={"id": "zstd", "label": "zstd", "features.list.element": "none"},
        use_dictionary=False,
        write_page_checksum=True,
        write_statistics=["id"],
    ) as writer:
        for first in range(0, n, 8192):
            b = min(8192, n - first)
            y = rng.integers(C, size=b)
            X = centres[y] + 1.5 * rng.standard_normal((b, D), np.float32)
            X /= np.linalg.norm(X, axis=1, keepdims=True)
            labels = [f"class-{c}" if first == 0 and i < 500 else None for i, c in enumerate(y)]
            features = pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), type=schema.field("features").type)
            writer.write_batch(
                pa.record_batch(
                    [pa.array(np.arange(first, first + b)), pa.array(labels, pa.string()), features], schema=schema
                )
            )


def main(data: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        rows = []
        for n in (50_000, 1_000_000):
            pool, head = Path(folder) / f"pool-{n}.parquet", Path(folder) / f"head-{n}.safetensors"
            write_pool(pool, n)
            alcli = [sys.executable, "-m", "alcli"]
            process([*alcli, "fit-head", str(pool), "-o", str(head), "--force", "-q", "--prior-precision", "1"], runs=1)
            seconds, peak = process([*alcli, "query", str(pool), "-H", str(head), "-s", "margin", "-n", "100"])
            floor, floor_peak = process([*python(FLOOR.format(d=D, c=C)), str(pool)])
            rows.append((f"{n:,}", seconds, floor, seconds / floor, peak, floor_peak))
        table(("rows", "query s", "read + GEMM s", "ratio", "query MiB", "read + GEMM MiB"), rows)
