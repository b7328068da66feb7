"""Between the shell and the commands: streams, signals, and every failure as one line and an exit code."""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType

from alcli.cli.console import tell
from alcli.errors import AlcliError, printable

_SIGNALS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
_NO_MORE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


class Stopped(BaseException):
    """A signal asked us to end; raised so that temporary files are removed on the way out."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. No exception leaves this function."""
    _repair_streams()
    # One thread per BLAS call: alcli spreads work over blocks itself, and results must not depend on the number of cores.
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    # BLAS kernels read past the end of short rows and raise flags about what they find there. Features are checked when they are read.
    warnings.filterwarnings("ignore", message=".* encountered in (matmul|dot|vecdot)", category=RuntimeWarning)
    try:
        with _listening():
            code = _invoke(arguments)
            sys.stdout.flush()
            return code
    except BaseException as error:  # every end of the program is translated here, and nowhere else
        return _translate(error)


def _invoke(arguments: Sequence[str]) -> int:
    import typer.main

    from alcli.cli.app import app

    command = typer.main.get_command(app)
    code = command.main(list(arguments), prog_name="alcli", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _repair_streams() -> None:
    """A stream that the caller closed becomes the null device, so that no data file can be opened in its place."""
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            null = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)  # to write data there stays an error
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(encoding="utf-8", errors="backslashreplace" if stream is sys.stderr else "surrogateescape")


@contextmanager
def _listening() -> Iterator[None]:
    """Turn termination signals into exceptions, but leave ignored ones ignored (nohup, background jobs)."""
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)  # a second one ends at once
    raise Stopped(_SIGNALS[signal.Signals(number)])


def _translate(error: BaseException) -> int:
    if isinstance(error, AlcliError):
        return _say(str(error), error.exit_code, error)
    if isinstance(error, Stopped):
        return _say("stopped by a signal; nothing half-written is left", error.code, error, kind="note")
    if isinstance(error, KeyboardInterrupt):
        return 130
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):  # Typer exits with 1 over it
        # The reader has what it wanted. What Python still holds for it goes to the null device, else exit would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    if isinstance(error, MemoryError):
        hint = "query can do with --candidates or --max-memory, fit-head with --posterior none"
        return _say(f"not enough memory: {printable(error)}".rstrip(": "), 71, error, hint=hint)
    if isinstance(error, OSError) and error.errno in _NO_MORE:
        return _say(f"the system refuses: {os.strerror(error.errno or 0)}", 71, error)
    if isinstance(error, OSError) and error.errno is not None:
        return _say(f"input or output failed: {printable(error)}", 74, error)
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    code = _translate_usage(error)
    if code is not None:
        return code
    return _say(f"internal error: {type(error).__name__}: {printable(error)}", 70, error, hint="this is a bug of alcli, please report it; ALCLI_DEBUG=1 shows the traceback")


def _translate_usage(error: BaseException) -> int | None:
    """Exit code of what the parser of the command line raises; None for any other exception."""
    import typer

    usage_error = typer.BadParameter.__mro__[1]  # of click, or of the copy of it that newer Typers bring along
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.Abort):
        return 130
    if not isinstance(error, usage_error):
        return None
    message = error.format_message()  # type: ignore[attr-defined]
    if type(error).__name__ == "NoArgsIsHelpError":
        tell(message)
        return 2
    context = error.ctx  # type: ignore[attr-defined]
    where = f" (see 'alcli {context.info_name} --help')" if context and context.parent else ""
    return _say(" ".join(message.split()) + where, 2, error)


def _say(message: str, code: int, error: BaseException, *, hint: str = "", kind: str = "error") -> int:
    if os.environ.get("ALCLI_DEBUG"):
        with suppress(OSError):
            traceback.print_exception(error, file=sys.stderr)
    tell(f"alcli: {kind}: {printable(message)}" + (f"; {hint}" if hint else ""))
    return code
