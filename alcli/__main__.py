"""`python -m alcli` and the console script."""

from __future__ import annotations

import os
import sys
import threading


def main() -> int:
    """Run the command line; returns the exit code. Imports happen inside, so that Ctrl-C during them ends cleanly too."""
    try:
        from alcli.cli.shell import run

        code = run(sys.argv[1:])
        if any(thread.name == "alcli-remote" for thread in threading.enumerate()):
            os._exit(code)  # a library that still waits for a server would keep us until it gives up, minutes later
        return code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
