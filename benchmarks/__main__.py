"""Run every benchmark of this folder, one table each, as `make bench` does.

Usage: python -m benchmarks [--only NAME] [--data FOLDER]
"""

from __future__ import annotations

import argparse
import importlib
from pathlib import Path

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
    for name in arguments.only or names:
        print(f"\n== {name} ==", flush=True)
        importlib.import_module(f"benchmarks.bench_{name}").main(arguments.data)


if __name__ == "__main__":
    main()
