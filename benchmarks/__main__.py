"""Run every benchmark of this folder, one table each, as `make bench` does.

Usage: python -m benchmarks [--only NAME] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import importlib
import os
from pathlib import Path

from alcli.engine import kernels
from benchmarks.studies import DATA


def main() -> None:
    here = Path(__file__).parent
    names = sorted(p.stem.removeprefix("bench_") for p in here.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--only", choices=names, action="append", help="run only this one; repeatable")
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder with the larger data sets; what needs them is skipped without"
    )
    arguments = parser.parse_args()
    same_kernels()
    for name in arguments.only or names:
        print(f"\n== {name} ==", flush=True)
        importlib.import_module(f"benchmarks.bench_{name}").main(arguments.data)


def same_kernels() -> None:
    """Measure floors with the kernels that commands take, before NumPy is loaded; threads stay as the user set them."""
    threads = {name: os.environ.get(name) for name in kernels.ONE_THREAD}
    kernels.pin()
    for name, value in threads.items():
        os.environ.pop(name) if value is None else os.environ.update({name: value})


if __name__ == "__main__":
    main()
