"""What an embedder is: a way to open a model, and the encoder it returns.

An embedder module holds one function, named as its file and decorated with `@embedder(...)`, from the text after the colon of
`-m NAME:ARGUMENT` and a `Request` to an `Encoder`. Its keyword-only arguments are the `-p` options of the model; one that takes
`**options` receives all of them as text. Optional libraries are imported inside it, through `require`.
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

F = TypeVar("F", bound=Callable[..., Any])

Kind = Literal["text", "image", "array"]
KINDS: tuple[Kind, ...] = ("text", "image", "array")

_LIBRARIES: dict[str, ModuleType] = {}
_IMPORTING = threading.Lock()


@dataclass(frozen=True)
class Request:
    """What the user asks of a model, beside its own options.

    kind: what the source holds. layer: name of the activation to return, None for the model's output.
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

    encode: a list of B prepared items to an array [B, D] of any float type; the same list gives the same array.
    prepare: one item of the source (str; bytes or Path of an image; array) to what `encode` takes. Raises DataError or
    InputError, without saying where, when the item cannot be read.
    length: cost of a prepared item, where items of like length are best run together.
    revision: what tells these weights from others of the same name.
    concurrent: `encode` may run in several threads at once, each using one.
    """

    encode: Callable[[list[Any]], Array]
    prepare: Callable[[Any], Any] = _as_it_is
    length: Callable[[Any], int] | None = None
    revision: str = ""
    concurrent: bool = False


@dataclass(frozen=True)
class Embedder:
    """What an embedder module declares: how to open a model, and the kinds of source it can read."""

    open: Callable[..., Encoder]
    takes: frozenset[Kind]


def embedder(*, takes: set[Kind]) -> Callable[[F], F]:
    """Declare a function (argument: str, request: Request, *, options) -> Encoder."""

    def attach(function: F) -> F:
        function.embedder = Embedder(function, frozenset(takes))  # type: ignore[attr-defined]
        return function

    return attach


def embedder_of(module: ModuleType) -> Embedder:
    """The embedder that a module of this folder declares."""
    found: Embedder = getattr(module, module.__name__.rpartition(".")[2]).embedder
    return found


def require(library: str, extra: str) -> ModuleType:
    """Import an optional library. Raises UnavailableError (69) that names the extra which installs it."""
    with _IMPORTING:
        if library not in _LIBRARIES:
            try:
                _LIBRARIES[library] = importlib.import_module(library)
            except ImportError as error:
                why = "is not installed" if isinstance(error, ModuleNotFoundError) else f"cannot be imported ({error})"
                raise UnavailableError(
                    f"the library '{library}' {why}", hint=f"pip install 'alcli[{extra}]'"
                ) from error
        return _LIBRARIES[library]


def refuse_layer(request: Request, owner: str) -> None:
    """Raise UsageError when a layer is asked of a model that has none to offer."""
    if request.layer is not None:
        raise UsageError(f"{owner} has no --layer to choose", hint="leave --layer out")


def refuse_device(request: Request, owner: str) -> None:
    """Raise UsageError when a device is asked of a model that runs on the processor alone."""
    if request.device not in ("auto", "cpu"):
        raise UsageError(
            f"{owner} runs on the processor, so there is no --device {request.device}", hint="leave --device out"
        )
