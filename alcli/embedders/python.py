"""Any Python function from a batch to an array: `python:package.module:factory`.

`factory(**options)` is called once and returns the function. The function gets a list of B items (str, Pillow images
or arrays) and returns [B, D]: an array, a tensor, or anything that numpy can turn into an array.

Source: none.
Cost: the cost of the function; batches run one after another.
"""

from __future__ import annotations

import importlib
import inspect
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, refuse_device, refuse_layer
from alcli.embedders._images import picture_reader
from alcli.embedders._items import as_rows, digest_of, read_array, read_text
from alcli.errors import AlcliError, InputError, UsageError, printable


@embedder(takes={"text", "image", "array"})
def python(argument: str, request: Request, **options: str) -> Encoder:
    """`python:package.module:factory` calls the factory. Options go to the factory, as JSON values or else as text."""
    owner = f"python:{argument}"
    refuse_layer(request, owner)
    refuse_device(request, owner)
    factory = _factory(argument)
    values = {key.replace("-", "_"): _value(text) for key, text in options.items()}
    try:
        inspect.signature(factory).bind(**values)
    except TypeError as error:
        raise UsageError(
            f"{owner} cannot be called with these -p options: {error}",
            hint="options are keyword arguments of the factory",
        ) from error
    except ValueError:
        # A factory written in C has no signature that could be checked.
        pass
    run = _called(factory, values, owner)

    def encode(items: list[Any]) -> Array:
        output = run(items)
        output = output.detach().cpu() if hasattr(output, "detach") else output
        return as_rows(np.asarray(output), len(items), "none", owner)

    prepare = {"text": read_text, "array": read_array}.get(request.kind) or picture_reader()
    return Encoder(encode, prepare=prepare, revision=_revision(factory))


def _factory(argument: str) -> Callable[..., Any]:
    module_name, colon, name = argument.partition(":")
    if not (module_name and colon and name):
        raise UsageError(
            f"python: expected package.module:factory, got '{argument}'",
            hint="for example -m python:mymodels.encoders:small",
        )
    found: Any = _imported(module_name)
    for part in name.split("."):
        found = getattr(found, part, None)
    if not callable(found):
        what = "has no" if found is None else "has something that cannot be called as its"
        raise InputError(
            f"python: module '{module_name}' {what} '{name}'", hint="name a function that returns the encoding function"
        )
    return found


def _imported(name: str) -> Any:
    here = os.getcwd()
    if here not in sys.path:
        # The folder goes to the end of the path, so that a file in it cannot replace an installed library.
        sys.path.append(here)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise InputError(
            f"python: there is no module '{error.name}'", hint="it must be installed, or lie in the current folder"
        ) from error
    except (Exception, SystemExit) as error:
        # The import runs the user's code, which can raise anything.
        raise InputError(
            f"python: importing '{name}' failed with {type(error).__name__}: {printable(error)}"
        ) from error


def _called(factory: Callable[..., Any], values: dict[str, Any], owner: str) -> Callable[[list[Any]], Any]:
    try:
        run = factory(**values)
    except AlcliError:
        raise
    except (Exception, SystemExit) as error:
        # The factory is the user's code, which can raise anything.
        raise InputError(f"{owner} failed with {type(error).__name__}: {printable(error)}") from error
    if not callable(run):
        raise UsageError(f"{owner} returned {type(run).__name__}, expected a function from a list of items to an array")
    return run


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _revision(factory: Callable[..., Any]) -> str:
    """The digest of the source file of the factory; empty where there is none."""
    try:
        return digest_of(Path(inspect.getfile(factory)))
    except (TypeError, OSError):
        return ""
