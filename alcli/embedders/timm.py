"""An image model of the timm library, with its own resizing and normalisation; the classifier is removed.

Source: Wightman, PyTorch Image Models; `create_model(num_classes=0)` and the transform of the model's own data
configuration.
Cost: the cost of the model. Each batch runs on one thread; batches run in parallel.
"""

from __future__ import annotations

from typing import Any, Literal

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, require
from alcli.embedders._images import in_mode, picture_reader
from alcli.embedders._items import as_rows
from alcli.embedders._torch import as_array, one_thread, tapped, torch_on
from alcli.errors import InputError, UsageError, printable


@embedder(takes={"image"})
def timm(
    argument: str,
    request: Request,
    *,
    pretrained: bool = True,
    pool: Literal["none", "mean", "first", "flatten"] = "none",
) -> Encoder:
    """`timm:NAME` loads a model of the library.

    pretrained: false gives random weights, for trying things out. pool: the pooling of output axes beyond [B, D], for a
    `--layer`.
    """
    owner = f"timm:{argument}"
    if not argument:
        raise UsageError("timm: give the name of a model after the colon", hint="for example -m timm:resnet18.a1_in1k")
    library = require("timm")
    torch, device = torch_on(request.device)
    one_thread(torch)
    if not pretrained:
        torch.manual_seed(0)
    try:
        model = library.create_model(argument, pretrained=pretrained, num_classes=0).to(device).eval()
    except (RuntimeError, OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{owner} cannot be loaded ({printable(error)[:300]})", hint="is the name right, and is the network there?"
        ) from error
    data = require("timm.data")
    transform = data.create_transform(**data.resolve_model_data_config(model), is_training=False)
    channels = model.pretrained_cfg.get("input_size", (3, 0, 0))[0]
    run, read = tapped(model, request.layer, owner), picture_reader()

    def prepare(item: Any) -> Any:
        return transform(in_mode(read(item), "RGB" if channels == 3 else "L"))

    def encode(items: list[Any]) -> Array:
        one_thread(torch)
        with torch.inference_mode():
            output = as_array(run(torch.stack(items).to(device)), owner)
        return as_rows(output, len(items), pool, owner)

    return Encoder(encode, prepare, revision=_revision(model), concurrent=device.type == "cpu")


def _revision(model: Any) -> str:
    """The address that timm took the weights from: the name on the hub or a URL; empty where there is none."""
    found = model.pretrained_cfg
    return str(found.get("hf_hub_id") or found.get("url") or "")
