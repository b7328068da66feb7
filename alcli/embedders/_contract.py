"""The contract of embedders. An embedder opens a model and returns an encoder.

An embedder module holds one function, named as its file and decorated with `@embedder(...)`. The function takes the
text after the colon of `-m NAME:ARGUMENT` and a `Request`, and returns an `Encoder`. Its keyword-only arguments are
the `-p` options of the model; a function that takes `**options` receives all options as text. Optional libraries are
imported inside the function, through `require`.
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, TypeVar

from alcli.arrays import Array
from alcli.errors import UnavailableError, UsageError
from alcli.requirements import install_hint

F = TypeVar("F", bound=Callable[..., Any])

Kind = Literal["text", "image", "array"]
KINDS: tuple[Kind, ...] = ("text", "image", "array")

_LIBRARIES: dict[str, ModuleType] = {}
_IMPORTING = threading.Lock()


@dataclass(frozen=True)
class Request:
    """The user's choices that every model has, beside the options of the model.

    kind: the kind of items in the source. layer: the name of the activation to return, None for the model's output.
    device: "auto", "cpu", "cuda", "cuda:1" ...
    """

    kind: Kind
    layer: str | None = None
    device: str = "auto"


def _as_it_is(item: Any) -> Any:
    return item


@dataclass(frozen=True)
class Encoder:
    """A model that is ready to run.

    encode: turns a list of B prepared items into an array [B, D] of any float type. The same list gives the same array.
    prepare: turns one item of the source (str; bytes or Path of an image; array) into the form that `encode` takes.
    It raises DataError or InputError when the item cannot be read; the caller adds the place of the item.
    length: the cost of a prepared item, for models that run items of similar length best together; None otherwise.
    revision: distinguishes the weights from other weights of the same name.
    concurrent: `encode` may run in several threads at once; each run uses one thread.
    """

    encode: Callable[[list[Any]], Array]
    prepare: Callable[[Any], Any] = _as_it_is
    length: Callable[[Any], int] | None = None
    revision: str = ""
    concurrent: bool = False


@dataclass(frozen=True)
class Embedder:
    """An embedder module's declaration: the function that opens a model, and the kinds of items that it can read."""

    open: Callable[..., Encoder]
    takes: frozenset[Kind]


def embedder(*, takes: set[Kind]) -> Callable[[F], F]:
    """Declare a function (argument: str, request: Request, *, options) -> Encoder. takes: the kinds that it reads."""

    def attach(function: F) -> F:
        function.embedder = Embedder(function, frozenset(takes))  # type: ignore[attr-defined]
        return function

    return attach


def embedder_of(module: ModuleType) -> Embedder:
    """The embedder that an embedder module declares."""
    return getattr(module, module.__name__.rpartition(".")[2]).embedder


def require(library: str) -> ModuleType:
    """Import an optional library. Raises UnavailableError (exit code 69) that gives the command which installs it."""
    with _IMPORTING:
        if library not in _LIBRARIES:
            try:
                _LIBRARIES[library] = importlib.import_module(library)
            except ImportError as error:
                why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
                raise UnavailableError(f"the library '{library}' {why}", hint=install_hint(library)) from error
        return _LIBRARIES[library]


def refuse_layer(request: Request, owner: str) -> None:
    """Raise UsageError when the user names a layer of a model that has no layers to choose from."""
    if request.layer is not None:
        raise UsageError(f"{owner} has no --layer to choose", hint="leave --layer out")


def refuse_device(request: Request, owner: str) -> None:
    """Raise UsageError when the user names a device for a model that runs on the CPU alone."""
    if request.device not in ("auto", "cpu"):
        raise UsageError(
            f"{owner} runs on the processor, so there is no --device {request.device}", hint="leave --device out"
        )
