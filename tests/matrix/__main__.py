"""`make matrix`: print which commands leave other bytes behind in which variants of their surroundings.

Usage: python -m tests.matrix [--pool digits|numbers|wide]... [--variant NAME]... [--command PART]... [--native]
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from tests.matrix.commands import commands
from tests.matrix.compare import differences
from tests.matrix.pools import write_pools
from tests.matrix.variants import KERNELS, PLAIN, SURROUNDINGS, TOGETHER, clear, run

VARIANTS = {"again": PLAIN, **SURROUNDINGS, **KERNELS, **TOGETHER}
POOLS = ("digits", "numbers", "wide")


def main() -> int:
    parser = argparse.ArgumentParser(prog="make matrix", description=__doc__)
    parser.add_argument("--pool", choices=POOLS, action="append", help="default: all")
    parser.add_argument("--variant", choices=VARIANTS, action="append", help="default: all")
    parser.add_argument("--command", action="append", help="only commands whose name holds this")
    parser.add_argument("--native", action="store_true", help="with the kernels of this machine, not the pinned ones")
    parser.add_argument("--seconds", action="store_true", help="print how long each command took")
    asked = parser.parse_args()
    pools = asked.pool or POOLS
    more = {"ALCLI_KERNELS": "native"} if asked.native else {}
    chosen = [command for pool in pools for command in commands(pool)]
    if asked.command:
        chosen = [command for command in chosen if any(part in command.name for part in asked.command)]
    failed = 0
    with tempfile.TemporaryDirectory(dir=os.environ.get("TMPDIR")) as name:
        folder = Path(name)
        (folder / "pools").mkdir()
        write_pools(folder / "pools", "wide" in pools)
        run(folder / "expected", folder / "pools", chosen, PLAIN, more)
        refused = [c.name for c in chosen if (folder / "expected" / f"{c.name}.code").read_text() != "0"]
        for one in refused:
            print(f"refused {one}: {(folder / 'expected' / f'{one}.err').read_text().strip()}")
        if asked.seconds:
            for c in chosen:
                print(f"{float((folder / 'expected' / f'{c.name}.seconds').read_text()):8.2f} {c.name}")
        for variant in asked.variant or VARIANTS:
            begun = time.monotonic()
            run(folder / "found", folder / "pools", chosen, VARIANTS[variant], more)
            found = differences(folder / "expected", folder / "found", chosen)
            print(f"{variant}: {len(found)} of {len(chosen)} differ ({time.monotonic() - begun:.0f} s)", flush=True)
            for one, text in found.items():
                print(f"    {one}: {text}")
            failed += len(found)
            clear(folder / "found")
        failed += len(refused)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
