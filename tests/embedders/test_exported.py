"""Model files that would run code: nothing runs, and the message says which part."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.torch import torch as open_torch
from alcli.errors import DataError


class Payload:
    """A pickle that makes the folder of the environment variable RAN when it is loaded."""

    def __reduce__(self):
        return eval, ("__import__('os').mkdir(__import__('os').environ['RAN'])",)


CODE = "__import__('os').mkdir(__import__('os').environ['RAN'])"
# The same without quotes and dots, as SymPy would evaluate it.
SPELLED = f"exec({'+'.join(f'chr({ord(c)})' for c in 'import os; os.mkdir(os.environ[chr(82)+chr(65)+chr(78)])')})"


def changed(source: str, target: Path, *, entry: str, change) -> str:
    """Copy an archive; `change` gets the bytes of the entry whose name holds `entry`, and returns new ones."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for info in old.infolist():
            data = old.read(info)
            new.writestr(info.filename, change(data) if entry in info.filename else data)
    return str(target)


def in_json(edit):
    def change(data: bytes) -> bytes:
        content = json.loads(data)
        edit(content)
        return json.dumps(content).encode()

    return change


def graph(program):
    return program["graph_module"]["graph"]


def set_size(program):
    size = {"as_int": {"as_expr": {"expr_str": SPELLED, "hint": None}}}
    next(iter(graph(program)["tensor_values"].values()))["sizes"] = [size["as_int"]]


def set_target(name):
    def edit(program):
        graph(program)["nodes"][-1]["target"] = name

    return edit


def set_argument_name(program):
    program["graph_module"]["module_call_graph"][0]["signature"]["forward_arg_names"] = [f"x={CODE}"]


def set_guard(program):
    program["guards_code"] = [CODE]


def set_container(program):
    signature = program["graph_module"]["module_call_graph"][0]["signature"]
    signature["in_spec"] = json.dumps([1, {"type": "some.module.Class", "context": "null", "children_spec": []}])


def pickled_weight(config):
    next(iter(config["config"].values()))["use_pickle"] = True


def other_path(config):
    next(iter(config["config"].values()))["path_name"] = "../../secret"


@pytest.fixture
def ran(tmp_path, monkeypatch):
    monkeypatch.setenv("RAN", str(tmp_path / "ran"))
    return tmp_path / "ran"


def test_the_payloads_of_this_file_do_run_where_they_are_loaded(ran):
    pickle.loads(pickle.dumps(Payload()))
    assert ran.exists()
    ran.rmdir()
    exec(SPELLED)
    assert ran.exists()


@pytest.mark.parametrize("layer", [None, "encoder"])
@pytest.mark.parametrize(
    ("entry", "edit", "message"),
    [
        ("models/", set_size, "size"),
        ("models/", set_target("torch.ops.aten.from_file.default"), "from_file"),
        ("models/", set_target("torch.os.system"), "torch.os.system"),
        ("models/", set_target("_operator.methodcaller"), "methodcaller"),
        ("models/", set_target("#other:op"), "operation"),
        ("models/", set_argument_name, "name"),
        ("models/", set_container, "some.module.Class"),
        ("weights_config", pickled_weight, "pickle"),
        ("weights_config", other_path, "secret"),
    ],
)
def test_a_part_that_could_run_code_is_refused(entry, edit, message, layer, model_files, tmp_path, ran):
    bad = changed(model_files["export"], tmp_path / "bad.pt2", entry=entry, change=in_json(edit))
    with pytest.raises(DataError, match=message) as caught:
        open_torch(bad, Request("array", layer))
    assert "trust=true" in (caught.value.hint or "")
    assert not ran.exists()


def test_sample_inputs_and_guards_are_left_out(model_files, network, tmp_path, ran):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    honest = open_torch(model_files["export"], Request("array")).encode(list(x))
    stealth = changed(
        model_files["export"], tmp_path / "a.pt2", entry="sample_inputs", change=lambda _: pickle.dumps(Payload())
    )
    guarded = changed(stealth, tmp_path / "b.pt2", entry="models/", change=in_json(set_guard))
    np.testing.assert_array_equal(open_torch(guarded, Request("array")).encode(list(x)), honest)
    assert not ran.exists()


def test_other_entries_and_compressed_ones_are_refused(model_files, tmp_path):
    path = tmp_path / "compiled.pt2"
    path.write_bytes(Path(model_files["export"]).read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("export/data/aotinductor/model/run.so", b"\x7fELF")
    with pytest.raises(DataError, match="aotinductor"):
        open_torch(str(path), Request("array"))
    with zipfile.ZipFile(model_files["export"]) as old, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as new:
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    with pytest.raises(DataError, match="compressed"):
        open_torch(str(path), Request("array"))


def test_torchscript_runs_where_it_is_trusted_alone(model_files, network):
    x = np.random.default_rng(0).random((3, 1, 8, 8), np.float32)
    with pytest.raises(DataError, match="TorchScript file is a program"):
        open_torch(model_files["script"], Request("array"))
    trusted = open_torch(model_files["script"], Request("array"), trust=True).encode(list(x))
    honest = open_torch(model_files["export"], Request("array"), trust=True).encode(list(x))
    np.testing.assert_allclose(trusted, honest, atol=1e-6)


def exports():
    import torch

    class Attention(torch.nn.Module):
        def __init__(self):
            super().__init__()
            layer = torch.nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
            self.encoder = torch.nn.TransformerEncoder(layer, 2)

        def forward(self, x):
            return self.encoder(x).mean(1)

    class Convolution(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.convolution, self.norm = torch.nn.Conv2d(3, 8, 3, padding="same"), torch.nn.BatchNorm2d(8)
            self.register_buffer("mean", torch.ones(3, 1, 1))

        def forward(self, x):
            x = torch.nn.functional.interpolate(x - self.mean, scale_factor=2, mode="bilinear")
            h = torch.nn.functional.gelu(self.norm(self.convolution(x)), approximate="tanh")
            with torch.no_grad():
                return torch.einsum("bchw,bchw->bc", h, h) + 1

    class Shapes(torch.nn.Module):
        def forward(self, x):
            b, n, d = x.shape
            return (x.reshape(b, n // 2, 2 * d).sum(1) + torch.arange(2 * d)) * torch.tensor([2.0])

    dim = torch.export.Dim
    return {
        "attention": (Attention(), (2, 6, 16), {0: dim("b"), 1: dim("n", min=2, max=64)}),
        "convolution": (Convolution(), (2, 3, 9, 9), {0: dim("b"), 2: dim("h", min=4), 3: dim("w", min=4)}),
        "shapes": (Shapes(), (4, 6, 3), {0: dim("b"), 1: 2 * dim("n")}),
    }


@pytest.mark.parametrize("name", ["attention", "convolution", "shapes"])
def test_honest_models_of_many_kinds_give_what_they_gave(name, tmp_path):
    import torch

    torch.manual_seed(0)
    module, shape, sizes = exports()[name]
    module.eval()
    x = torch.randn(shape)
    torch.export.save(torch.export.export(module, (x,), dynamic_shapes=(sizes,)), tmp_path / "m.pt2")
    got = open_torch(str(tmp_path / "m.pt2"), Request("array")).encode(list(x.numpy()))
    np.testing.assert_allclose(got, module(x).detach().numpy(), atol=1e-6)


def test_no_copy_is_left_on_disk(model_files, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    open_torch(model_files["export"], Request("array"))
    assert os.listdir(tmp_path) == []
