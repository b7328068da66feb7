"""`make fuzz`: damages files with a free seed for a while, and keeps what nothing should do in tests/fuzz/crashers,
which tests read again.

Usage: python -m tests.fuzz [--minutes M] [--seed S] [--only TARGET]
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.hunt import SLOW, TARGETS, hunt, mutants, target

CRASHERS = Path(__file__).parent / "crashers"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time; it is printed")
    parser.add_argument("--only", choices=TARGETS, action="append", help="only this kind of file; repeatable")
    arguments = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if arguments.seed is None else arguments.seed
    print(f"seed {seed}", flush=True)
    draw, end, found = random.Random(seed), time.monotonic() + 60 * arguments.minutes, 0
    with tempfile.TemporaryDirectory() as folder:
        targets = [target(name, Path(folder)) for name in arguments.only or TARGETS]
        while time.monotonic() < end:
            for one in targets:
                counts, findings = hunt(one, mutants(one, draw, 12 if one.name in SLOW else 300))
                print(one.name, counts, flush=True)
                for finding in findings:
                    found += 1
                    kept = CRASHERS / f"{finding.target}.{finding.kind}.{hashlib.sha256(finding.data).hexdigest()[:12]}"
                    kept.write_bytes(finding.data)
                    print(f"{kept}: {finding.what}", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
