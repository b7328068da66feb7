"""What holds for every embedder that is found in the folder."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from alcli import plugins
from alcli.embedders._contract import KINDS, embedder_of

NAMES = plugins.names("embedders")


def test_the_documented_models_are_there():
    assert {"hashing", "identity", "onnx", "python", "sentence-transformers", "timm", "torch", "transformers"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_docstring_says_source_and_cost(name):
    summary = plugins.summary("embedders", name)
    assert summary.line.endswith(".")
    assert {"Source", "Cost"} <= set(summary.sections)


@pytest.mark.parametrize("name", NAMES)
def test_declares_what_it_takes_and_has_a_test(name):
    module = plugins.load("embedders", name)
    declared = embedder_of(module)
    assert declared.takes
    assert declared.takes <= set(KINDS)
    first_two = list(inspect.signature(declared.open).parameters)[:2]
    assert first_two == ["argument", "request"]
    assert inspect.getdoc(declared.open)
    stem = Path(module.__file__).stem
    assert (Path(__file__).parents[1] / "embedders" / f"test_{stem}.py").is_file()


def test_loading_every_embedder_imports_no_model_library():
    code = (
        "import sys; from alcli import plugins; [plugins.load('embedders', n) for n in plugins.names('embedders')];"
        "print([m for m in ('torch', 'onnxruntime', 'onnx', 'transformers', 'sentence_transformers', 'timm', "
        "'PIL', 'pyarrow') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2], check=True
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("model", "library", "requirement", "kind"),
    [
        ("torch:model.pt2", "torch", "torch>=2.6,<3", "array"),
        ("onnx:model.onnx", "onnxruntime", "onnxruntime>=1.20", "array"),
        ("sentence-transformers:any", "sentence_transformers", "sentence-transformers>=6.2", "text"),
        ("transformers:any", "transformers", "transformers>=4.46", "text"),
        ("timm:resnet18", "timm", "timm>=1.0", "image"),
    ],
)
def test_a_missing_library_is_unavailable_and_says_what_to_install(
    model, library, requirement, kind, tmp_path, monkeypatch
):
    from alcli.embedders import _contract
    from alcli.embedders._contract import Request
    from alcli.errors import UnavailableError

    for file in ("model.pt2", "model.onnx"):
        (tmp_path / file).write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setattr(_contract, "_LIBRARIES", {})
    name, _, argument = model.partition(":")
    with pytest.raises(UnavailableError, match=library) as caught:
        embedder_of(plugins.load("embedders", name)).open(argument, Request(kind))
    assert caught.value.hint == f"pip install '{requirement}'"
    assert caught.value.exit_code == 69
