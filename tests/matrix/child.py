"""Run commands one after another in this process, through the entry of the console script; argument: a plan.

The process starts bare: nothing loads NumPy before the first command does.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path


def play(plan: list[dict[str, object]]) -> None:
    """Run each command with its stdin, and write what it said to NAME.out and NAME.err, its exit code to NAME.code."""
    from alcli.__main__ import main

    kept = [os.dup(number) for number in range(3)]
    for command in plan:
        name = str(command["name"])
        with open(f"{name}.in", "w+") as given, open(f"{name}.out", "wb") as out, open(f"{name}.err", "wb") as err:
            given.write(str(command["stdin"]))
            given.flush()
            given.seek(0)
            for number, file in enumerate((given, out, err)):
                os.dup2(file.fileno(), number)
            sys.stdin = open(0, closefd=False)  # noqa: SIM115
            sys.argv = ["alcli", *command["arguments"]]  # type: ignore[misc]
            begun = time.perf_counter()
            code = main()
            sys.stdout.flush()
            sys.stderr.flush()
            for number in range(3):
                os.dup2(kept[number], number)
        Path(f"{name}.code").write_text(f"{code}")
        Path(f"{name}.seconds").write_text(f"{time.perf_counter() - begun}")


if __name__ == "__main__":
    play(json.loads(Path(sys.argv[1]).read_text()))
