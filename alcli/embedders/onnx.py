"""An ONNX model through onnxruntime.

`--layer` names an output, or an inner tensor or node, which then becomes an output.

Source: onnxruntime.InferenceSession.
Cost: the cost of the model. Each batch runs on one thread; batches run in parallel on the CPU.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, require
from alcli.embedders._images import Mode, array_reader, fitted_to, image_options
from alcli.embedders._items import digest_of, in_pieces, model_file, read_array, read_text, stacked
from alcli.errors import DataError, UnavailableError, UsageError, printable

_TYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int64)": "int64",
    "tensor(int32)": "int32",
}


@embedder(takes={"text", "image", "array"})
def onnx(
    argument: str,
    request: Request,
    *,
    image_size: str | None = None,
    mode: Mode = "auto",
    mean: str = "0",
    std: str = "1",
    pool: Literal["none", "mean", "first", "flatten"] = "none",
) -> Encoder:
    """`onnx:FILE` runs a model of one input. Images become float32 in [0, 1], then (x - mean) / std.

    Texts need a model whose input is strings. mode, image_size: the default follows the shape of the model's input,
    else RGB and the size of each image. Channels come last where the input shape says so, else first. pool: the pooling
    of output axes beyond [B, D].
    """
    owner = f"onnx:{printable(Path(argument).name)}"
    path = model_file(argument, "onnx", ".onnx")
    options = image_options(image_size, mode, mean, std, owner)
    session, output_name = _session(path, request, owner)
    inputs = session.get_inputs()
    if len(inputs) != 1:
        raise DataError(f"{owner} takes {len(inputs)} inputs ({', '.join(i.name for i in inputs)}), expected one")
    name, kind = inputs[0].name, inputs[0].type
    if (kind == "tensor(string)") != (request.kind == "text") or kind not in (*_TYPES, "tensor(string)"):
        raise UsageError(f"{owner} takes {kind}, but the source holds {request.kind}s")
    shape = list(inputs[0].shape)
    fixed = shape[0] if shape and isinstance(shape[0], int) else None
    channels_last = len(shape) == 4 and shape[3] in (1, 3) and shape[1] not in (1, 3)

    def encode(items: list[Any]) -> Array:
        batch = np.array(items, object) if request.kind == "text" else stacked(items).astype(_TYPES[kind])
        if request.kind == "image" and channels_last:
            batch = batch.transpose(0, 2, 3, 1)
        return in_pieces(
            lambda piece: np.asarray(session.run([output_name], {name: np.ascontiguousarray(piece)})[0]),
            batch,
            fixed,
            pool,
            owner,
        )

    shape_CHW = [*shape[3:], *shape[1:3]] if channels_last else shape[1:]
    prepare = {"text": read_text, "array": read_array}.get(request.kind) or array_reader(
        fitted_to(options, shape_CHW, owner)
    )
    return Encoder(encode, prepare=prepare, revision=digest_of(path), concurrent=request.device in ("auto", "cpu"))


def _session(path: Path, request: Request, owner: str) -> tuple[Any, str]:
    """Open the model; return the session and the name of the output to read."""
    runtime = require("onnxruntime")
    settings = runtime.SessionOptions()
    settings.intra_op_num_threads = settings.inter_op_num_threads = 1
    settings.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    if request.device not in ("auto", "cpu"):
        wanted = f"{request.device.partition(':')[0].upper()}ExecutionProvider"
        if wanted not in runtime.get_available_providers():
            raise UnavailableError(
                f"--device {request.device}: onnxruntime has no {wanted} here",
                hint="use --device cpu, or install onnxruntime-gpu",
            )
        providers = [wanted]
    try:
        session = runtime.InferenceSession(str(path), settings, providers=providers)
        outputs = [o.name for o in session.get_outputs()]
        if request.layer is None:
            return session, _only(outputs, owner)
        if request.layer in outputs:
            return session, request.layer
        settings.add_session_config_entry(
            "session.model_external_initializers_file_folder_path", str(path.resolve().parent)
        )
        model, tensor = _with_output(path, request.layer, owner)
        return runtime.InferenceSession(model, settings, providers=providers), tensor
    except (DataError, UsageError, UnavailableError):
        raise
    except Exception as error:
        # onnxruntime has an exception class of its own for every kind of failure.
        raise DataError(f"{printable(path)}: onnxruntime cannot load it ({printable(error)[:300]})") from error


def _only(outputs: list[str], owner: str) -> str:
    if len(outputs) != 1:
        raise UsageError(
            f"{owner} has {len(outputs)} outputs ({', '.join(outputs)})", hint="choose one by --layer NAME"
        )
    return outputs[0]


def _with_output(path: Path, layer: str, owner: str) -> tuple[bytes, str]:
    """The bytes of the model with an inner tensor as a further output, and the name of the tensor."""
    library = require("onnx")
    model = library.load(str(path), load_external_data=False)
    tensors = {name: name for node in model.graph.node for name in node.output if name}
    tensors |= {node.name: node.output[0] for node in model.graph.node if node.name and node.name not in tensors}
    if layer not in tensors:
        known = list(tensors)
        listed = ", ".join(known[-10:])
        raise UsageError(f"{owner} has no output, tensor or node '{layer}'", hint=f"the last of {len(known)}: {listed}")
    model.graph.output.append(library.ValueInfoProto(name=tensors[layer]))
    return model.SerializeToString(), tensors[layer]
