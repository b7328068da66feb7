from __future__ import annotations

import numpy as np
import pytest

from alcli.embedders._contract import Request
from alcli.embedders.onnx import onnx as open_onnx
from alcli.errors import DataError, InputError, UnavailableError, UsageError

D_IN, D, C = 64, 6, 3


@pytest.fixture(scope="module")
def weights():
    draws = np.random.default_rng(0)
    return draws.standard_normal((D_IN, D)).astype(np.float32), draws.standard_normal((D, C)).astype(np.float32)


def save(path, weights, batch="N"):
    """images [N, 1, 8, 8] -> flatten -> gemm -> relu (hidden) -> gemm (logits)."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Flatten", ["images"], ["flat"]),
        helper.make_node("MatMul", ["flat", "W1"], ["product"]),
        helper.make_node("Relu", ["product"], ["hidden"], name="activation"),
        helper.make_node("MatMul", ["hidden", "W2"], ["logits"]),
    ]
    tensors = [numpy_helper.from_array(w, n) for w, n in zip(weights, ("W1", "W2"))]
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, [batch, 1, 8, 8])
    result = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, C])
    graph = helper.make_graph(nodes, "net", [given], [result], tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(path))
    return str(path)


@pytest.fixture(scope="module")
def model(weights, tmp_path_factory):
    return save(tmp_path_factory.mktemp("onnx") / "net.onnx", weights)


@pytest.mark.parametrize("layer", [None, "logits", "hidden", "activation"])
def test_outputs_and_inner_tensors(layer, model, weights, images):
    encoded, x = images
    hidden = np.maximum(x.reshape(len(x), -1) @ weights[0], 0)
    encoder = open_onnx(model, Request("image", layer))
    got = encoder.encode([encoder.prepare(i) for i in encoded])
    np.testing.assert_allclose(
        got, hidden if layer in ("hidden", "activation") else hidden @ weights[1], rtol=1e-4, atol=1e-4
    )


def test_a_fixed_batch_is_filled_up(weights, images, tmp_path):
    _, x = images
    fixed = open_onnx(save(tmp_path / "fixed.onnx", weights, batch=2), Request("array"))
    free = open_onnx(save(tmp_path / "free.onnx", weights), Request("array"))
    np.testing.assert_allclose(fixed.encode(list(x)), free.encode(list(x)), rtol=1e-5, atol=1e-5)


def test_channels_come_last_where_the_model_says_so(images, tmp_path):
    import onnx
    from onnx import TensorProto, helper

    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 8, 8, 1])
    result = helper.make_tensor_value_info("flat", TensorProto.FLOAT, ["N", 64])
    graph = helper.make_graph([helper.make_node("Flatten", ["images"], ["flat"])], "net", [given], [result])
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), str(tmp_path / "last.onnx")
    )
    encoded, x = images
    encoder = open_onnx(str(tmp_path / "last.onnx"), Request("image"))
    np.testing.assert_array_equal(encoder.encode([encoder.prepare(i) for i in encoded]), x.reshape(5, 64))


def test_texts_go_to_models_that_take_strings(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node(
            "LabelEncoder",
            ["text"],
            ["number"],
            domain="ai.onnx.ml",
            keys_strings=["a", "b"],
            values_floats=[1.0, 2.0],
            default_float=9.0,
        )
    ]
    given = helper.make_tensor_value_info("text", TensorProto.STRING, ["N"])
    result = helper.make_tensor_value_info("number", TensorProto.FLOAT, ["N"])
    graph = helper.make_graph(nodes, "net", [given], [result])
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("ai.onnx.ml", 2)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), str(tmp_path / "text.onnx"))
    encoder = open_onnx(str(tmp_path / "text.onnx"), Request("text"))
    np.testing.assert_array_equal(encoder.encode(["b", "x", "a"]), [[2], [9], [1]])


def test_wrong_requests_are_said(model, tmp_path):
    with pytest.raises(UsageError, match=r"'hiden'.*hidden"):
        open_onnx(model, Request("image", "hiden"))
    with pytest.raises(UsageError, match="texts"):
        open_onnx(model, Request("text"))
    with pytest.raises(InputError, match="no such model file"):
        open_onnx("nowhere.onnx", Request("array"))
    (tmp_path / "bad.onnx").write_bytes(b"not a model")
    with pytest.raises(DataError, match=r"bad\.onnx"):
        open_onnx(str(tmp_path / "bad.onnx"), Request("array"))
    with pytest.raises(UnavailableError, match="CUDA"):
        open_onnx(model, Request("image", device="cuda"))
