"""A PyTorch model in one file: torch.export (.pt2), or TorchScript where the user trusts it.

The content of the archive, not its name, decides which kind it is. A model file can hold code. So an exported program
is loaded from a copy without code (see `_programs/exported.py`), and a TorchScript model, which is a program, only with
`trust`. `--layer` names a module whose output is returned. An exported program gets its modules back by
torch.export.unflatten; a TorchScript model is cut before the call of the module.

Source: torch.export.load and torch.jit.load.
Cost: the cost of the model. Each batch runs on one thread; batches run in parallel.
"""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder
from alcli.embedders._images import Mode, array_reader, fitted_to, image_options
from alcli.embedders._items import digest_of, in_pieces, model_file, read_array, stacked
from alcli.embedders._programs.exported import TRUST, without_code
from alcli.embedders._programs.torchscript import cut_before
from alcli.embedders._torch import as_array, one_thread, tapped, torch_on
from alcli.errors import DataError, printable

_EXPORT_HINT = "save it with torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')"


@embedder(takes={"image", "array"})
def torch(
    argument: str,
    request: Request,
    *,
    image_size: str | None = None,
    mode: Mode = "auto",
    mean: str = "0",
    std: str = "1",
    pool: Literal["none", "mean", "first", "flatten"] = "none",
    trust: bool = False,
) -> Encoder:
    """`torch:FILE` runs a model of one input. Arrays are stacked.

    Images become float32 [B, channels, height, width] in [0, 1], then (x - mean) / std. mode, image_size: the default
    follows the input shape that the model was exported with, else RGB and the size of each image. pool: the pooling of
    output axes beyond [B, D]. trust: run a file that is a program and could do all that you can: TorchScript, or an
    export with pickled parts or operations of its own.
    """
    owner = f"torch:{printable(Path(argument).name)}"
    path = model_file(argument, "torch", ".pt2 .ts")
    options = image_options(image_size, mode, mean, std, owner)
    library, device = torch_on(request.device)
    one_thread(library)
    run, shape = _loaded(path, library, device, request.layer, trust, owner)
    fixed = shape[0] if shape and isinstance(shape[0], int) else None

    def encode(items: list[Any]) -> Array:
        one_thread(library)
        with library.inference_mode():
            return in_pieces(
                lambda piece: as_array(run(library.from_numpy(piece).to(device)), owner),
                stacked(items),
                fixed,
                pool,
                owner,
            )

    prepare = array_reader(fitted_to(options, shape[1:], owner)) if request.kind == "image" else read_array
    return Encoder(encode, prepare=prepare, revision=digest_of(path), concurrent=device.type == "cpu")


def _loaded(
    path: Path, torch: ModuleType, device: Any, layer: str | None, trust: bool, owner: str
) -> tuple[Callable[[Any], Any], tuple[Any, ...]]:
    """Load the model as a function of one batch; return it with the shape of the batch.

    Entries of the shape are integers where they are fixed; the shape is empty where the file does not tell it.
    """
    kind = _kind_of(path)
    if kind == "torchscript" and not trust:
        raise DataError(
            f"{printable(path)}: a TorchScript file is a program, which could open and write files", hint=TRUST
        )
    with warnings.catch_warnings():
        # PyTorch warns of its own deprecated calls while it loads a model.
        warnings.simplefilter("ignore")
        try:
            if kind == "torchscript":
                script = torch.jit.load(str(path), map_location=device).eval()
                return (script if layer is None else cut_before(script, layer, torch, owner)), ()
            program = _exported(path, torch, layer is not None, trust)
        except (RuntimeError, ValueError, OSError, KeyError, AttributeError, TypeError, AssertionError) as error:
            raise DataError(
                f"{printable(path)}: cannot be loaded ({printable(error).strip()[:300]})", hint=_EXPORT_HINT
            ) from error
        shape = _input_shape(program, owner)
        module = program.module() if layer is None else torch.export.unflatten(program)
        return tapped(module.to(device), layer, owner), shape


def _exported(path: Path, torch: ModuleType, has_layer: bool, trust: bool) -> Any:
    """Load an exported program; without trust from a copy that holds no code."""
    if trust:
        return torch.export.load(str(path))
    with without_code(path, keep_modules=has_layer) as copy:
        return torch.export.load(copy)


def _kind_of(path: Path) -> str:
    """The kind of a model file by the entries of its archive: "export" or "torchscript".

    Raises DataError for any other file, above all for a pickle.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            inner = {name.partition("/")[2] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"{printable(path)}: is neither a torch.export nor a TorchScript file", hint=_EXPORT_HINT
        ) from error
    if "archive_format" in inner or "serialized_exported_program.json" in inner:
        return "export"
    if "constants.pkl" in inner and any(name.startswith("code/") for name in inner):
        return "torchscript"
    what = (
        "holds a pickle (torch.save), which is never loaded"
        if "data.pkl" in inner
        else "is neither a torch.export nor a TorchScript file"
    )
    raise DataError(f"{printable(path)}: {what}", hint=_EXPORT_HINT)


def _input_shape(program: Any, owner: str) -> tuple[Any, ...]:
    inputs = program.graph_signature.user_inputs
    if len(inputs) != 1:
        raise DataError(f"{owner} takes {len(inputs)} inputs, expected one", hint="export a model of one tensor")
    node = next(n for n in program.graph.nodes if n.name == inputs[0])
    return tuple(node.meta["val"].shape)
