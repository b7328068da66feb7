"""Run a command for the shell: repair the streams, listen to signals, turn a failure into one line and an exit code."""

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
from alcli.engine import kernels
from alcli.errors import AlcliError, MemoryLimitError, OutputError, printable

_SIGNALS = {signal.SIGTERM: 143, signal.SIGHUP: 129, signal.SIGINT: 130}
_NO_MORE = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}
# The words by which Python and Arrow say that the system starts no more threads.
_NO_THREAD = ("can't start new thread", "failed to launch worker thread")


class Stopped(BaseException):
    """A signal asks the program to end. It is raised as an exception, so that temporary files are removed."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code. No exception leaves this function."""
    _repair_streams()
    # Arrow's copy of jemalloc, which alcli does not use, would start a thread, and write a line where it cannot.
    os.environ.setdefault("JE_ARROW_MALLOC_CONF", "background_thread:false")
    # Some BLAS kernels read past the end of a row and set floating-point flags for the garbage; NumPy warns about it.
    # Real NaNs are caught on reading, so the warning is noise.
    warnings.filterwarnings("ignore", message=".* encountered in (matmul|dot|vecdot)", category=RuntimeWarning)
    try:
        with _listening():
            # Before any command loads NumPy.
            kernels.pin()
            code = _invoke(arguments)
            sys.stdout.flush()
            return code
    # The only place where an exception becomes an exit code.
    except BaseException as error:
        return _translate(error)


def _invoke(arguments: Sequence[str]) -> int:
    import typer.main

    from alcli.cli.app import app

    command = typer.main.get_command(app)
    code = command.main(list(arguments), prog_name="alcli", standalone_mode=False)
    return code if isinstance(code, int) else 0


def _repair_streams() -> None:
    """Point each standard stream that the caller closed at the null device.

    Otherwise the next file that is opened would get the number of the stream, and messages would end up in the file.
    """
    for number, name in ((0, "stdin"), (1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            # stdout is read-only on purpose: writing to a closed stdout must still fail.
            null = os.open(os.devnull, os.O_WRONLY if number == 2 else os.O_RDONLY)
            if null != number:
                os.dup2(null, number)
                os.close(null)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r" if number == 0 else "w"))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(
                encoding="utf-8", errors="backslashreplace" if stream is sys.stderr else "surrogateescape"
            )


@contextmanager
def _listening() -> Iterator[None]:
    """Turn termination signals into exceptions. A signal that is ignored, as under nohup, stays ignored."""
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
    # A second signal ends the process at once.
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(_SIGNALS[signal.Signals(number)])


def _translate(error: BaseException) -> int:
    notes = "; ".join(getattr(error, "__notes__", []))
    # An output that would block says what a system without threads says.
    if isinstance(error, (MemoryLimitError, OutputError)):
        return _say(str(error), error.exit_code, error, hint=notes)
    if any(_wants_threads(one) for one in _causes(error)):
        hint = "raise the limit on processes (ulimit -u) or on addresses (ulimit -v), or end other programs"
        return _say("the system starts no more threads or processes", 71, error, hint=hint)
    for cause in _causes(error):
        if isinstance(cause, MemoryError) or _wants_memory(cause):
            hint = "query can do with --candidates or --max-memory, fit-head with --posterior none"
            return _say(f"not enough memory: {printable(cause)}".rstrip(": "), 71, error, hint=hint)
    if isinstance(error, AlcliError):
        return _say(str(error), error.exit_code, error, hint=notes)
    if isinstance(error, Stopped):
        kept = notes or "nothing half-written is left"
        return _say(f"stopped by a signal; {kept}", error.code, error, kind="note")
    if isinstance(error, KeyboardInterrupt):
        return 130
    # Typer turns a broken pipe into an exit with code 1, whose context it then is.
    if isinstance(error, BrokenPipeError) or isinstance(error.__context__, BrokenPipeError):
        # The reader closed the pipe early, as `head` does. That is no error. stdout goes to the null device, so that
        # flushing it at exit does not raise again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    if isinstance(error, OSError) and error.errno in _NO_MORE:
        return _say(f"the system refuses: {os.strerror(error.errno or 0)}", 71, error)
    if isinstance(error, OSError) and error.errno is not None:
        return _say(f"input or output failed: {printable(error)}", 74, error, hint=notes)
    if isinstance(error, ArithmeticError) or type(error).__name__ == "LinAlgError":
        hint = "look for huge or tiny numbers among features and weights; ALCLI_DEBUG=1 shows where it happened"
        return _say(f"numbers too large or too small to compute with ({printable(error)})", 65, error, hint=hint)
    if isinstance(error, RuntimeError) and "NPY_DISABLE_CPU_FEATURES" in str(error):
        hint = f"{kernels.CHOICE}=native takes the kernels that it was built with"
        return _say(
            "this NumPy was built for newer processors alone, and has no kernels for AVX2", 78, error, hint=hint
        )
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    code = _translate_usage(error)
    if code is not None:
        return code
    return _say(
        f"internal error: {type(error).__name__}: {printable(error)}",
        70,
        error,
        hint="this is a bug of alcli, please report it; ALCLI_DEBUG=1 shows the traceback",
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and those that it was raised from: a library's error may stand behind a sentence about a file."""
    seen: set[int] = set()
    # An error that was raised anew from one that it caused itself closes a circle.
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _wants_threads(error: BaseException) -> bool:
    """True for the exceptions by which Python, a library, or the start of a process says that there are too many."""
    if isinstance(error, OSError) and error.errno == errno.EAGAIN:
        return True
    return not isinstance(error, AlcliError) and any(words in str(error).lower() for words in _NO_THREAD)


def _wants_memory(error: BaseException) -> bool:
    """True for the exceptions by which an import says that the system gives no more memory."""
    text = str(error).lower()
    return isinstance(error, ImportError) and ("failed to map segment" in text or "cannot allocate memory" in text)


def _translate_usage(error: BaseException) -> int | None:
    """Return the exit code of an exception of the command line's parser, None for any other exception."""
    import typer

    # click.UsageError, or the copy vendored by newer Typer.
    parser_error = typer.BadParameter.__mro__[1]
    if isinstance(error, typer.Exit):
        return int(error.exit_code)
    if isinstance(error, typer.Abort):
        return 130
    if not isinstance(error, parser_error):
        return None
    if type(error).__name__ == "NoArgsIsHelpError":
        tell(error.format_message())  # type: ignore[attr-defined]
        return 2
    from alcli.cli.usage import usage_error

    return _say(str(usage_error(error)), 2, error)


def _say(message: str, code: int, error: BaseException, *, hint: str = "", kind: str = "error") -> int:
    if os.environ.get("ALCLI_DEBUG"):
        with suppress(OSError):
            traceback.print_exception(error, file=sys.stderr)
    tell(f"alcli: {kind}: {printable(message)}" + (f"; {hint}" if hint else ""))
    return code
