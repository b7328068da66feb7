from __future__ import annotations

import io

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.python import python
from alcli.errors import DataError, InputError, UsageError

MODULE = """
import numpy as np

def lengths(scale: float = 1.0):
    return lambda batch: np.array([[len(x) * scale, 1.0] for x in batch])

def as_list():
    return lambda batch: [[float(len(x))] for x in batch]

def sizes():
    return lambda batch: np.array([[p.width, p.height] for p in batch])

def sums():
    return lambda batch: np.array([[x.sum()] for x in batch])

def tensor():
    import torch
    return lambda batch: torch.ones(len(batch), 2, requires_grad=True)

def flat():
    return lambda batch: np.zeros((2, 2, 2))

def leaving():
    raise SystemExit(0)

def broken():
    raise RuntimeError("no weights")

def nothing():
    return None

class Holder:
    @staticmethod
    def make():
        return lambda batch: np.ones((len(batch), 1))

number = 3
"""


@pytest.fixture(autouse=True)
def module(importable):
    importable("my_encoders", MODULE)


def encode(argument, items, kind="text", **options):
    encoder = python(argument, Request(kind), **options)
    return encoder.encode([encoder.prepare(i) for i in items])


def test_the_factory_of_a_module_in_the_current_folder_is_called_with_the_options():
    np.testing.assert_array_equal(encode("my_encoders:lengths", ["ab", "c"], scale="2.5"), [[5, 1], [2.5, 1]])


@pytest.mark.parametrize("factory", ["as_list", "tensor", "Holder.make"])
def test_lists_tensors_and_nested_names_work(factory):
    assert encode(f"my_encoders:{factory}", ["a", "b"]).shape[0] == 2


def test_images_come_as_pillow_images_and_arrays_as_arrays():
    from PIL import Image

    buffer = io.BytesIO()
    Image.new("L", (3, 2)).save(buffer, "PNG")
    np.testing.assert_array_equal(encode("my_encoders:sizes", [buffer.getvalue()], "image"), [[3, 2]])
    np.testing.assert_array_equal(encode("my_encoders:sums", [np.arange(3)], "array"), [[3]])


def test_the_revision_follows_the_source_file(tmp_path):
    before = python("my_encoders:lengths", Request("text")).revision
    with open(tmp_path / "my_encoders.py", "a") as file:
        file.write("# changed\n")
    assert before
    assert python("my_encoders:lengths", Request("text")).revision != before


@pytest.mark.parametrize(
    ("argument", "error", "text"),
    [
        ("my_encoders", UsageError, "package.module:factory"),
        ("no_such_module_here:f", InputError, "no module"),
        ("my_encoders:absent", InputError, "absent"),
        ("my_encoders:number", InputError, "number"),
        ("my_encoders:broken", InputError, "no weights"),
        ("my_encoders:leaving", InputError, "SystemExit"),
        ("my_encoders:nothing", UsageError, "NoneType"),
    ],
)
def test_what_cannot_be_called_is_said(argument, error, text):
    with pytest.raises(error, match=text):
        python(argument, Request("text"))


def test_an_unknown_option_is_a_usage_error():
    with pytest.raises(UsageError, match="scal"):
        python("my_encoders:lengths", Request("text"), scal="2")


def test_an_output_that_is_not_rows_is_a_data_error():
    with pytest.raises(DataError, match=r"\(2, 2, 2\)"):
        encode("my_encoders:flat", ["a", "b"])
    with pytest.raises(DataError, match="batch of 3"):
        encode("my_encoders:flat", ["a", "b", "c"])
