"""A sentence-transformers model, from a folder or the Hugging Face hub, with its own pooling and normalisation.

Weights are read from safetensors only, and no remote code runs.

Source: Reimers & Gurevych, Sentence-BERT, EMNLP 2019; the library's `encode`.
Cost: the cost of the model. Each batch runs on one thread; batches of texts of similar length run in parallel.
"""

from __future__ import annotations

import threading
from typing import Any

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, refuse_layer, require
from alcli.embedders._hub import cannot_load, check_name, revision_of, silence
from alcli.embedders._items import read_text
from alcli.embedders._torch import one_thread, torch_on
from alcli.errors import UsageError


@embedder(takes={"text"})
def sentence_transformers(
    argument: str,
    request: Request,
    *,
    revision: str | None = None,
    prompt: str | None = None,
    max_length: int | None = None,
) -> Encoder:
    """`sentence-transformers:NAME_OR_PATH` loads a model from the hub or from a folder.

    revision: the commit of the hub. prompt: a text put before every text. max_length: the number of tokens kept of a
    text.
    """
    owner = "sentence-transformers"
    refuse_layer(request, owner)
    check_name(argument, owner)
    if max_length is not None and max_length < 1:
        raise UsageError(f"{owner}: parameter 'max-length' must be at least 1, got {max_length}")
    library = require("sentence_transformers")
    torch, device = torch_on(request.device)
    one_thread(torch)
    silence(require("transformers"))
    try:
        options = {"use_safetensors": True}
        model = library.SentenceTransformer(
            argument, device=str(device), trust_remote_code=False, revision=revision, model_kwargs=options
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise cannot_load(argument, owner, error) from error
    if max_length is not None:
        model.max_seq_length = max_length
    _guard_tokenizer(model)

    def encode(texts: list[Any]) -> Array:
        one_thread(torch)
        return model.encode(texts, prompt=prompt, batch_size=len(texts), show_progress_bar=False)

    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    return Encoder(encode, read_text, len, revision_of(argument, config), concurrent=device.type == "cpu")


def _guard_tokenizer(model: Any) -> None:
    """Let one thread tokenise at a time.

    A fast tokenizer changes its own state while it pads, and fails when two threads use it.
    """
    name = "preprocess" if hasattr(model, "preprocess") else "tokenize"
    inner, busy = getattr(model, name), threading.Lock()

    def guarded(*arguments: Any, **options: Any) -> Any:
        with busy:
            return inner(*arguments, **options)

    setattr(model, name, guarded)
