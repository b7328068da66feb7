"""The entry point of `python -m alcli` and of the console script."""

from __future__ import annotations

import os
import sys
import threading


def main() -> int:
    """Run the command line and return the exit code.

    Imports stand inside, so that Ctrl-C during an import also exits with 130 and without a traceback.
    """
    try:
        from alcli.cli.shell import run

        code = run(sys.argv[1:])
        # A client library that still waits for a server would keep the process alive until it times out, minutes later.
        if any(thread.name == "alcli-remote" for thread in threading.enumerate()):
            os._exit(code)
        return code
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
