"""A tiny network in every form a file can hold it, and images."""

from __future__ import annotations

import io
import warnings

import numpy as np
import pytest


@pytest.fixture(scope="session")
def images():
    """Five grey PNG images of 8 x 8, and the float32 [5, 1, 8, 8] they hold."""
    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (5, 8, 8), np.uint8)
    encoded = []
    for picture in pixels:
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "PNG")
        encoded.append(buffer.getvalue())
    return encoded, (pixels[:, None] / np.float32(255)).astype(np.float32)


@pytest.fixture(scope="session")
def network():
    """images [B, 1, 8, 8] -> encoder (flatten, linear 6, relu) -> head (linear 3)."""
    import torch

    class Network(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 6), torch.nn.ReLU())
            self.head = torch.nn.Linear(6, 3)

        def forward(self, x):
            return self.head(self.encoder(x))

    torch.manual_seed(0)
    return Network().eval()


@pytest.fixture(scope="session")
def model_files(network, tmp_path_factory):
    """{"export", "fixed", "script", "trace", "pickle"} -> path. "fixed" was exported for batches of exactly 2."""
    import torch

    folder = tmp_path_factory.mktemp("models")
    x = torch.zeros(2, 1, 8, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batch = ({0: torch.export.Dim("batch")},)
        torch.export.save(torch.export.export(network, (x,), dynamic_shapes=batch), folder / "export.pt2")
        torch.export.save(torch.export.export(network, (x,)), folder / "fixed.pt2")
        torch.jit.script(network).save(folder / "script.ts")
        torch.jit.trace(network, x).save(folder / "trace.ts")
        torch.save(network.state_dict(), folder / "pickle.pt2")
    return {p.stem: str(p) for p in folder.iterdir()}
