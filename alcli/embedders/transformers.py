"""The last (or another) hidden state of a Hugging Face text model, pooled over its tokens.

Weights are read from safetensors only, and no remote code runs.

Source: mean pooling over the attention mask as in Reimers & Gurevych, EMNLP 2019, section 3; or the first token (cls).
Cost: the cost of the model. Each batch runs on one thread; batches of texts of similar length run in parallel.
"""

from __future__ import annotations

from typing import Any, Literal

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, require
from alcli.embedders._hub import cannot_load, check_name, revision_of, silence
from alcli.embedders._items import read_text
from alcli.embedders._torch import one_thread, torch_on
from alcli.errors import UsageError

_LONGEST = 1 << 20


@embedder(takes={"text"})
def transformers(
    argument: str,
    request: Request,
    *,
    pooling: Literal["mean", "cls"] = "mean",
    max_length: int | None = None,
    revision: str | None = None,
) -> Encoder:
    """`transformers:NAME_OR_PATH` loads a model from the hub or from a folder.

    `--layer K` takes the hidden state after block K, 0 the embeddings, a negative K counts from the end; the default is
    the last hidden state. pooling: over the tokens of a text. max_length: the number of tokens kept of a text.
    revision: the commit of the hub.
    """
    owner = "transformers"
    check_name(argument, owner)
    library = require("transformers")
    torch, device = torch_on(request.device)
    one_thread(torch)
    silence(library)
    try:
        tokenizer = library.AutoTokenizer.from_pretrained(argument, revision=revision, trust_remote_code=False)
        model = library.AutoModel.from_pretrained(
            argument, revision=revision, trust_remote_code=False, use_safetensors=True
        )
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise cannot_load(argument, owner, error) from error
    model = model.to(device).eval()
    layer = _layer(request.layer, model.config, owner)
    tokenizer.pad_token = tokenizer.pad_token or tokenizer.eos_token
    limit = _token_limit(max_length, tokenizer, model.config, owner)

    def prepare(item: Any) -> Any:
        return tokenizer(read_text(item), truncation=True, max_length=limit)

    def encode(items: list[Any]) -> Array:
        one_thread(torch)
        batch = tokenizer.pad(items, padding=True, return_tensors="pt").to(device)
        with torch.inference_mode():
            output = model(**batch, output_hidden_states=layer is not None)
            hidden = output.last_hidden_state if layer is None else output.hidden_states[layer]
            return _pooled(hidden.float(), batch["attention_mask"], pooling).cpu().numpy()

    def length(item: Any) -> int:
        return len(item["input_ids"])

    return Encoder(encode, prepare, length, revision_of(argument, model.config), concurrent=device.type == "cpu")


def _pooled(hidden: Any, mask: Any, pooling: str) -> Any:
    if pooling == "cls":
        return hidden[:, 0]
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weights).sum(1) / weights.sum(1).clamp(min=1)


def _layer(text: str | None, config: Any, owner: str) -> int | None:
    if text is None:
        return None
    count = int(getattr(config, "num_hidden_layers", 0))
    try:
        layer = int(text)
    except ValueError:
        layer = count + 1
    if not -count - 1 <= layer <= count:
        raise UsageError(
            f"{owner}: --layer must be a number from 0 (embeddings) to {count} (last block), "
            f"or negative from the end, got '{text}'"
        )
    return layer


def _token_limit(asked: int | None, tokenizer: Any, config: Any, owner: str) -> int:
    known = [
        n for n in (tokenizer.model_max_length, getattr(config, "max_position_embeddings", None)) if n and n < _LONGEST
    ]
    limit = min(known, default=512)
    if asked is not None and not 1 <= asked <= limit:
        raise UsageError(f"{owner}: parameter 'max-length' must be from 1 to {limit} for this model, got {asked}")
    return asked or limit
