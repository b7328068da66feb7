"""timm itself needs torchvision and is not installed for tests: a module with the three functions the adapter calls
stands in.
"""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from alcli.embedders import _contract
from alcli.embedders._contract import Request
from alcli.embedders.timm import timm as open_timm
from alcli.errors import InputError, UsageError


@pytest.fixture
def fake(monkeypatch):
    import torch

    class Model(torch.nn.Module):
        pretrained_cfg = {"input_size": (1, 8, 8), "hf_hub_id": "timm/tiny"}  # noqa: RUF012

        def __init__(self, classes):
            super().__init__()
            self.body = torch.nn.Conv2d(1, 4, 3)
            self.classes = classes

        def forward(self, x):
            return self.body(x).mean((2, 3))

    def create_model(name, pretrained, num_classes):
        if name != "tiny":
            raise RuntimeError(f"Unknown model ({name})")
        assert num_classes == 0
        return Model(num_classes)

    def create_transform(input_size, is_training):
        assert not is_training
        assert input_size == (1, 8, 8)
        return lambda picture: torch.from_numpy(np.asarray(picture, np.float32) / 255)[None]

    data = types.ModuleType("timm.data")
    data.create_transform = create_transform
    data.resolve_model_data_config = lambda model: {"input_size": model.pretrained_cfg["input_size"]}
    package = types.ModuleType("timm")
    package.create_model, package.data = create_model, data
    monkeypatch.setitem(sys.modules, "timm", package)
    monkeypatch.setitem(sys.modules, "timm.data", data)
    monkeypatch.setattr(_contract, "_LIBRARIES", {})


def test_images_go_through_the_models_own_transform(fake, images):
    encoded, _x = images
    encoder = open_timm("tiny", Request("image"), pretrained=False)
    X = encoder.encode([encoder.prepare(i) for i in encoded])
    assert X.shape == (5, 4)
    assert encoder.revision == "timm/tiny"
    again = open_timm("tiny", Request("image"), pretrained=False)
    np.testing.assert_array_equal(again.encode([again.prepare(i) for i in encoded]), X)


def test_a_layer_is_tapped_and_pooled(fake, images):
    encoded, _ = images
    output = open_timm("tiny", Request("image"), pretrained=False)
    tapped = open_timm("tiny", Request("image", "body"), pretrained=False, pool="mean")
    items = [output.prepare(i) for i in encoded]
    np.testing.assert_allclose(tapped.encode(items), output.encode(items), atol=1e-6)


def test_an_unknown_model_is_said(fake):
    with pytest.raises(InputError, match="Unknown model"):
        open_timm("resnet", Request("image"))
    with pytest.raises(UsageError, match="name of a model"):
        open_timm("", Request("image"))
