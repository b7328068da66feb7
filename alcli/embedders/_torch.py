"""Shared by the PyTorch embedders: the choice of a device, one thread for each batch, and forward hooks."""

from __future__ import annotations

import difflib
import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any

from alcli.embedders._contract import require
from alcli.errors import DataError, UnavailableError, UsageError

_LISTED = 10  # layers that an error message names


def torch_on(device: str) -> tuple[ModuleType, Any]:
    """Import torch and choose a device; return both. "auto" is the GPU where there is one, else the CPU.

    Raises UsageError for a name that is no device, and UnavailableError for a device that this machine lacks.
    """
    torch = require("torch")
    if device == "auto":
        return torch, torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
    except RuntimeError as error:
        raise UsageError(f"--device {device}: no such device", hint="cpu, cuda, cuda:1 or mps") from error
    try:
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise UnavailableError(
            f"--device {device} cannot be used ({str(error).splitlines()[0]})", hint="use --device cpu"
        ) from error
    return torch, chosen


def one_thread(torch: ModuleType) -> None:
    """Let the operators of this thread use one core.

    Batches run in parallel instead, so the results do not depend on the number of cores.
    """
    if torch.get_num_threads() != 1:
        torch.set_num_threads(1)


def tapped(module: Any, layer: str | None, owner: str) -> Callable[[Any], Any]:
    """Return a function that runs `module` on one input and returns the output of the submodule `layer`.

    None returns `module` itself. The function can be called from several threads. Raises UsageError for an unknown
    layer; the function raises DataError where the model does not run the layer.
    """
    if layer is None:
        return module
    named = dict(module.named_modules())
    if layer not in named or not layer:
        raise no_such_layer(owner, layer, [n for n in named if n])
    seen = threading.local()

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.output = output

    named[layer].register_forward_hook(keep)

    def run(batch: Any) -> Any:
        seen.output = None
        module(batch)
        if seen.output is None:
            raise DataError(f"{owner} does not run its layer '{layer}'", hint="choose another --layer")
        return seen.output

    return run


def no_such_layer(owner: str, layer: str, known: list[str]) -> UsageError:
    """The error for an unknown layer. It suggests the nearest name, else the last names.

    The last names usually include the penultimate layer, which holds the features most users want.
    """
    near = difflib.get_close_matches(layer, known, n=1, cutoff=0.6)
    more = f" (the last of {len(known)})" if len(known) > _LISTED else ""
    hint = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known[-_LISTED:]) or 'none'}{more}"
    return UsageError(f"{owner} has no layer '{layer}'", hint=hint)


def as_array(output: Any, owner: str) -> Any:
    """The single output tensor of a model as a NumPy array in CPU memory; numbers of at most 16 bits become float32.

    Raises DataError for any other output.
    """
    if isinstance(output, (tuple, list)) and len(output) == 1:
        output = output[0]
    if not hasattr(output, "detach"):
        found = (
            f"a {type(output).__name__} of {len(output)}"
            if isinstance(output, (tuple, list, dict))
            else f"a {type(output).__name__}"
        )
        raise DataError(f"{owner} returned {found}, expected one tensor", hint="choose the tensor by --layer MODULE")
    output = output.detach().cpu()
    return (output if output.dtype.itemsize > 2 else output.float()).numpy()
