from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.torch import torch as open_torch
from alcli.errors import DataError, InputError, UnavailableError, UsageError

KINDS = ["export", "fixed", "script", "trace"]


def expected(network, x, layer):
    import torch

    modules = dict(network.named_modules())
    with torch.inference_mode():
        inner = network.encoder(torch.from_numpy(x))
        return {
            "": modules["head"](inner),
            "encoder": inner,
            "encoder.2": inner,
            "encoder.1": network.encoder[:2](torch.from_numpy(x)),
        }[layer].numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("layer", ["", "encoder", "encoder.1", "encoder.2"])
def test_images_through_every_kind_of_file_and_layer(kind, layer, network, model_files, images):
    encoded, x = images
    options = {} if kind in ("export", "fixed") else {"mode": "L", "trust": True}
    encoder = open_torch(model_files[kind], Request("image", layer or None), **options)
    got = encoder.encode([encoder.prepare(i) for i in encoded])
    np.testing.assert_allclose(got, expected(network, x, layer), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_one_at_a_time_equal_the_batch(kind, network, model_files, images):
    _, x = images
    encoder = open_torch(model_files[kind], Request("array", "encoder"), trust=kind in ("script", "trace"))
    alone = np.concatenate([encoder.encode([encoder.prepare(i)]) for i in x])
    np.testing.assert_allclose(alone, encoder.encode(list(x)), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_several_threads_get_their_own_activations(kind, network, model_files):
    x = np.random.default_rng(1).random((64, 1, 8, 8), np.float32)
    encoder = open_torch(model_files[kind], Request("array", "encoder"), trust=kind in ("script", "trace"))
    assert encoder.concurrent
    with ThreadPoolExecutor(4) as threads:
        got = np.concatenate(list(threads.map(lambda i: encoder.encode(list(x[i : i + 2])), range(0, 64, 2))))
    np.testing.assert_allclose(got, expected(network, x, "encoder"), atol=1e-6)


def test_mean_and_std_are_applied_by_channel(network, model_files, images):
    encoded, x = images
    encoder = open_torch(model_files["export"], Request("image"), mean="0.5", std="0.25")
    np.testing.assert_allclose(encoder.prepare(encoded[0]), (x[0] - 0.5) / 0.25, atol=1e-6)


def test_an_exported_size_resizes_other_images_and_a_wrong_mode_is_refused(model_files):
    import io

    from PIL import Image

    buffer = io.BytesIO()
    Image.new("RGB", (30, 20), "white").save(buffer, "PNG")
    encoder = open_torch(model_files["export"], Request("image"))
    np.testing.assert_array_equal(encoder.prepare(buffer.getvalue()), np.ones((1, 8, 8)))
    with pytest.raises(UsageError, match="1 channels"):
        open_torch(model_files["export"], Request("image"), mode="RGB")


@pytest.mark.parametrize("kind", KINDS)
def test_an_unknown_layer_gets_the_nearest_name(kind, model_files):
    with pytest.raises(UsageError, match="did you mean 'encoder'"):
        open_torch(model_files[kind], Request("array", "encodr"), trust=True)


def test_a_layer_inside_a_branch_of_torchscript_is_refused_with_a_way_out(tmp_path):
    import warnings

    import torch

    class Branch(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = torch.nn.Linear(2, 2)

        def forward(self, x):
            if x.sum() > 0:
                x = self.inner(x)
            return x

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Branch()).save(tmp_path / "branch.ts")
    with pytest.raises(UsageError, match=r"outside loops and branches.*torch\.export"):
        open_torch(str(tmp_path / "branch.ts"), Request("array", "inner"), trust=True)


def test_a_pickle_is_never_loaded(model_files, tmp_path):
    with pytest.raises(DataError, match="pickle"):
        open_torch(model_files["pickle"], Request("array"))
    (tmp_path / "old.pt").write_bytes(b"\x80\x02]q\x00.")
    with pytest.raises(DataError, match="neither"):
        open_torch(str(tmp_path / "old.pt"), Request("array"))


def test_a_damaged_archive_is_a_data_error(model_files, tmp_path):
    for kind in ("export", "script"):
        data = Path(model_files[kind]).read_bytes()
        (tmp_path / "cut.pt2").write_bytes(data[: len(data) // 2])
        with pytest.raises(DataError):
            open_torch(str(tmp_path / "cut.pt2"), Request("array"), trust=True)


def test_missing_files_and_devices_are_said(model_files):
    with pytest.raises(InputError, match="no such model file"):
        open_torch("nowhere.pt2", Request("array"))
    with pytest.raises(UsageError, match="no such device"):
        open_torch(model_files["export"], Request("array", device="toaster"))
    with pytest.raises(UnavailableError, match="cuda:77"):
        open_torch(model_files["export"], Request("array", device="cuda:77"))


def test_the_revision_is_that_of_the_content(model_files, tmp_path):
    (tmp_path / "copy.pt2").write_bytes(Path(model_files["export"]).read_bytes())
    first = open_torch(model_files["export"], Request("array")).revision
    assert first == open_torch(str(tmp_path / "copy.pt2"), Request("array")).revision
    assert first != open_torch(model_files["fixed"], Request("array")).revision


def test_axes_that_are_left_over_need_a_choice(tmp_path):
    import warnings

    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(torch.nn.Conv2d(1, 4, 3)).save(tmp_path / "conv.ts")
    x = [np.ones((1, 8, 8), np.float32)]
    with pytest.raises(DataError, match="pool=mean"):
        open_torch(str(tmp_path / "conv.ts"), Request("array"), trust=True).encode(x)
    assert open_torch(str(tmp_path / "conv.ts"), Request("array"), trust=True, pool="mean").encode(x).shape == (1, 4)
    assert open_torch(str(tmp_path / "conv.ts"), Request("array"), trust=True, pool="flatten").encode(x).shape == (
        1,
        144,
    )
