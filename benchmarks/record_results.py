"""Print one line for each of some hundred small results: a digest, and the ids and scores of what was chosen.

usage: python -m benchmarks.record_results > before.txt    (from the root; then the same after a change, and `diff`
the two)

A change that only moves or rewords code changes no line. Everything goes through the command line, so the script does
not know how the code is laid out. The pools are drawn from `sample_data` and from fixed seeds: classes, numbers, and
rows that make groups. What a line stands for is said by the command at its beginning. Times and versions are left out
of what is compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

# Products on several threads round differently; the command line asks for one thread before NumPy is loaded.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

import numpy as np  # noqa: E402
import pyarrow as pa  # noqa: E402
import pyarrow.compute as pc  # noqa: E402
import pyarrow.parquet as pq  # noqa: E402

from alcli.cli.shell import run  # noqa: E402

SAMPLE = Path(__file__).parents[1] / "sample_data"
PAIRS = (
    "feature/kcenter",
    "prob/lcmd",
    "grad/kmeanspp",
    "grad/fw",
    "noise/kdpp",
    "delta/kmeanspp",
    "samples/fw",
    "feature/maxdet",
    "grad/topnorm",
    "prob/kmeans",
)
MODIFIED = (
    ("margin", "prefilter=0.3"),
    ("badge", "prefilter=0.3"),
    ("margin", "balance=predicted"),
    ("coreset", "balance=predicted"),
    ("margin", "impute=argmax"),
    ("bald", "impute=sample"),
    ("margin", "cost-col=cost"),
    ("badge", "cost-col=cost"),
    ("random", "cost-col=cost"),
    ("ntk", "batch=top"),
    ("ntk", "look-ahead=softmax"),
    ("ntk", "acquisition=mlmoc-sq"),
    ("ntk", "acquisition=flip"),
    ("ntk", "acquisition=eer"),
    ("ntk", "look-ahead=refit"),
    ("noise-stability", "selector=kmeanspp"),
    ("noise-stability", "estimator=sampled"),
    ("kdpp", "selection=map"),
    ("eer", "candidates=50"),
    ("sparse-greedy", "form=bayesian"),
    ("sparse-iht", "form=bayesian"),
)
GROUPED = (
    ("margin", "aggregate=max"),
    ("badge", "embed=mean"),
    ("coreset", "embed=concat"),
    ("random", ""),
    ("entropy", "aggregate=sum"),
    ("typiclust", ""),
    ("qbc", ""),
)


def main() -> None:
    root = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            _write_pools()
            names = json.loads(_output(["query", "--list", "--json"])[1])
            for line in _all([entry["name"] for entry in names if "/" not in entry["name"]]):
                print(line, flush=True)
        finally:
            os.chdir(root)


def _all(strategies: list[str]) -> Iterator[str]:
    yield from _heads()
    for head in ("linear", "ensemble", "mlp"):
        for name in strategies:
            yield _query("pool.parquet", f"{head}.safetensors", name)
    for name in strategies:
        yield _query("numbers.parquet", "ridge.safetensors", name)
        yield _query("pool.parquet", None, name)
        yield _stream("pool.parquet", "linear.safetensors", name)
    for name in PAIRS:
        yield _query("pool.parquet", "linear.safetensors", name)
    for name, option in MODIFIED:
        yield _query("pool.parquet", "linear.safetensors", name, "-p", option)
    for name, option in GROUPED:
        yield _query("groups.parquet", None, name, *(["-p", option] if option else []))
    yield _query("pool.parquet", "linear.safetensors", None, "--mix", "margin:0.5,coreset:0.3,random:0.2")
    yield from _ledger()
    yield from _updates()
    yield from _simulations()


def _write_pools() -> None:
    table = pq.read_table(SAMPLE / "digits-features.parquet").slice(0, 500)
    rng = np.random.default_rng(0)
    cost = pa.array(rng.uniform(0.5, 2.0, len(table)).round(2))
    pq.write_table(table.append_column("cost", cost), "pool.parquet")
    labels = table.filter(pc.equal(table["split"], "train")).select(["id", "label"])
    pq.write_table(labels.slice(0, 40), "labels.parquet")
    pq.write_table(labels.slice(40, 15), "new.parquet")
    X = np.stack(table["features"].to_numpy(zero_copy_only=False))
    target = pa.array(X[:, 0] * 2.0 + rng.standard_normal(len(X)) * 0.1)
    numbers = table.set_column(table.schema.get_field_index("label"), "label", target)
    pq.write_table(numbers, "numbers.parquet")
    pq.write_table(
        numbers.filter(pc.equal(numbers["split"], "train")).select(["id", "label"]).slice(0, 40),
        "number-labels.parquet",
    )
    pq.write_table(
        table.append_column("group", pa.array([f"g{i // 4:03d}" for i in range(len(table))])).drop_columns(["split"]),
        "groups.parquet",
    )


def _heads() -> Iterator[str]:
    fits = {
        "linear": (),
        "block": ("--covariance", "block"),
        "kron": ("--covariance", "kron"),
        "diag": ("--covariance", "diag"),
        "full": ("--covariance", "full"),
        "shared-cat": ("--covariance", "shared-cat"),
        "calibrated": ("--calibrate", "temperature"),
        "ensemble": ("--posterior", "ensemble"),
        "variational": ("--posterior", "variational"),
        "plain": ("--posterior", "none"),
        "mlp": ("--head", "mlp", "--aux-loss"),
        "dropout": ("--head", "mlp", "--posterior", "dropout"),
    }
    for name, options in fits.items():
        yield _command(
            "fit-head",
            "pool.parquet",
            "-l",
            "labels.parquet",
            "-o",
            f"{name}.safetensors",
            *options,
            files=[f"{name}.safetensors"],
        )
    for name, options in {"ridge": (), "number-mlp": ("--head", "mlp")}.items():
        yield _command(
            "fit-head",
            "numbers.parquet",
            "-l",
            "number-labels.parquet",
            "-o",
            f"{name}.safetensors",
            *options,
            files=[f"{name}.safetensors"],
        )


def _query(pool: str, head: str | None, name: str | None, *more: str) -> str:
    labels = "number-labels.parquet" if pool.startswith("numbers") else "labels.parquet"
    given = ["-H", head] if head is not None else ["-l", labels]
    return _command(
        "query",
        pool,
        *given,
        *(["-s", name] if name else []),
        "-n",
        "12",
        *more,
        "-o",
        "out.jsonl",
        files=["out.jsonl"],
        show="out.jsonl",
    )


def _stream(pool: str, head: str, name: str) -> str:
    """A stream whose first answers are by a first run, so that the items asked for are labelled."""
    arguments = ["query", pool, "-H", head, "-s", name, "-n", "4", "--stream", "-o", "taught.safetensors"]
    answers = b""
    for _ in range(3):
        _, out, _ = _output(arguments, answers)
        asked = [json.loads(line) for line in out.splitlines()]
        if not asked or "id" not in asked[-1]:
            break
        answers += json.dumps({"id": asked[-1]["id"], "label": int(asked[-1]["id"][-1]) % 10}).encode() + b"\n"
    return _command(*arguments, files=["taught.safetensors"], stdin=answers, show_out=True)


def _ledger() -> Iterator[str]:
    for seed in ("1", "2"):
        arguments = (
            "query",
            "pool.parquet",
            "-H",
            "linear.safetensors",
            "-s",
            "badge",
            "-n",
            "5",
            "--seed",
            seed,
            "--selections",
            "ledger.parquet",
        )
        yield _command(*arguments, "-o", f"batch-{seed}.csv", files=["ledger.parquet", f"batch-{seed}.csv"])


def _updates() -> Iterator[str]:
    for head in ("linear", "block", "kron", "diag", "full", "ensemble", "variational", "mlp"):
        for method in ("second-order", "first-order", "mc", "refit"):
            out = f"{head}-{method}.safetensors"
            yield _command(
                "update",
                f"{head}.safetensors",
                "-P",
                "pool.parquet",
                "-l",
                "new.parquet",
                "--method",
                method,
                "-o",
                out,
                files=[out],
            )
    yield _command(
        "update",
        "linear.safetensors",
        "-P",
        "pool.parquet",
        "--remove",
        "labels.parquet",
        "-o",
        "given-back.safetensors",
        files=["given-back.safetensors"],
    )


def _simulations() -> Iterator[str]:
    sims = {
        "core": (
            "pool.parquet",
            "-s",
            "margin,badge,coreset,typiclust+update,bald",
            "--mix",
            "margin:0.5,random:0.5",
            "-n",
            "6",
            "--rounds",
            "2",
            "--seeds",
            "2",
            "--full-data",
        ),
        "jobs": ("pool.parquet", "-s", "margin,badge", "-n", "6", "--rounds", "2", "--seeds", "2", "--jobs", "2"),
        "cost": (
            "pool.parquet",
            "-s",
            "margin",
            "-n",
            "6",
            "--rounds",
            "2",
            "--seeds",
            "2",
            "--initial",
            "10",
            "-p",
            "cost-col=cost",
        ),
        "groups": (
            "groups.parquet",
            "-s",
            "margin,badge",
            "-n",
            "6",
            "--rounds",
            "2",
            "--seeds",
            "2",
            "--initial",
            "20",
        ),
        "numbers": (
            "numbers.parquet",
            "-s",
            "lcmd,badge",
            "-n",
            "6",
            "--rounds",
            "2",
            "--seeds",
            "2",
            "--initial",
            "20",
        ),
        "oracle": ("pool.parquet", "-s", "optimal-look-ahead", "-n", "5", "--rounds", "1", "--seeds", "1"),
    }
    for name, arguments in sims.items():
        code, _, err = _output(["simulate", *arguments, "-o", name])
        tables = {
            file: _table_digest(Path(name) / file)
            for file in ("curves.parquet", "selections.parquet")
            if (Path(name) / file).exists()
        }
        said = hashlib.sha256(_untimed(err).encode()).hexdigest()[:16]
        yield f"simulate {' '.join(arguments)} -> {code} {tables} {said}"


def _table_digest(path: Path) -> str:
    table = pq.read_table(path)
    kept = [name for name in table.column_names if not name.startswith("seconds")]
    return hashlib.sha256(json.dumps(table.select(kept).to_pydict(), default=str).encode()).hexdigest()[:16]


def _untimed(err: str) -> str:
    """Only the verdicts: the table has seconds in it."""
    return "\n".join(line for line in err.splitlines() if ": better" in line or ": worse" in line or "Friedman" in line)


def _command(*arguments: str, files: list[str], stdin: bytes = b"", show: str = "", show_out: bool = False) -> str:
    for file in files:
        if file != "ledger.parquet":
            Path(file).unlink(missing_ok=True)
    code, out, err = _output(list(arguments), stdin)
    digests = [hashlib.sha256(Path(f).read_bytes()).hexdigest()[:16] if Path(f).exists() else "absent" for f in files]
    shown = ""
    if show and Path(show).exists():
        rows = [json.loads(line) for line in Path(show).read_text().splitlines()]
        shown = " ".join(f"{row['id']}:{row['score']}" for row in rows)
    if show_out:
        shown = hashlib.sha256(out).hexdigest()[:16]
    why = err.splitlines()[-1] if code else ""
    return f"{' '.join(arguments)} -> {code} {' '.join(digests)} {shown}{why}"


def _output(arguments: list[str], stdin: bytes = b"") -> tuple[int, bytes, str]:
    """Exit code, stdout and stderr of a command in this process. alcli writes to the descriptors themselves."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err, tempfile.TemporaryFile() as given:
        given.write(stdin)
        given.seek(0)
        kept = [os.dup(number) for number in (0, 1, 2)]
        old = sys.stdin, sys.stdout, sys.stderr
        sys.stdout.flush()
        try:
            for number, file in enumerate((given, out, err)):
                os.dup2(file.fileno(), number)
            sys.stdin = io.TextIOWrapper(io.FileIO(0, closefd=False))
            sys.stdout, sys.stderr = (
                io.TextIOWrapper(io.FileIO(number, "w", closefd=False), write_through=True) for number in (1, 2)
            )
            code = run(arguments)
            for stream in (sys.stdout, sys.stderr):
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
        finally:
            sys.stdin, sys.stdout, sys.stderr = old
            for number, descriptor in enumerate(kept):
                os.dup2(descriptor, number)
                os.close(descriptor)
        out.seek(0)
        err.seek(0)
        return code, out.read(), err.read().decode(errors="replace")


if __name__ == "__main__":
    main()
