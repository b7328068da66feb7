"""`python -m alcli` and the console script."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the command line; returns the exit code. Imports happen inside, so that Ctrl-C during them ends cleanly too."""
    try:
        from alcli.cli.shell import run

        return run(sys.argv[1:])
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
