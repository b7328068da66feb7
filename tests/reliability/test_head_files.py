"""Head files that are not what they seem (table 3.7): nothing in them runs, and what they say is checked before it is
believed.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load, save

from alcli.data import head_file
from alcli.data.head_file import load_head
from alcli.errors import AlcliError, DataError
from tests.pools import tiny_features, write_pool
from tests.shell import process, untouched

UPDATE = ("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv")
QUERY = ("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 1)


class Payload:
    """A pickle that leaves a trace when it is read."""

    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def parts(data: bytes) -> tuple[dict[str, object], bytes]:
    """(header, tensors) of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def joined(header: dict[str, object] | str, tensors: bytes) -> bytes:
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    return struct.pack("<Q", len(text)) + text + tensors


def about_of(data: bytes) -> dict[str, object]:
    return json.loads(parts(data)[0]["__metadata__"]["alcli"])  # type: ignore[index]


def forged(data: bytes, *, tensors: dict[str, np.ndarray | None] | None = None, **facts: object) -> bytes:
    """A head with other tensors (None removes) and facts (a dotted key reaches inside), and a checksum that fits."""
    arrays = {**load(data), **(tensors or {})}
    arrays = {name: array for name, array in arrays.items() if array is not None}
    about = about_of(data)
    for key, value in facts.items():
        place = about
        *outer, last = key.split("__")
        for name in outer:
            place = place[name]  # type: ignore[assignment]
        place[last] = value
    about["sha256"] = head_file._digest(arrays, about)
    return save(arrays, metadata={"alcli": json.dumps(about)})


def duplicated(data: bytes) -> bytes:
    header, tensors = parts(data)
    text = json.dumps(header)
    name = next(k for k in header if k != "__metadata__")
    return joined(text[:-1] + f', "{name}": ' + json.dumps(header[name]) + "}", tensors)


def shifted(data: bytes, by: int) -> bytes:
    """Offsets that overlap or leave a hole."""
    header, tensors = parts(data)
    last = max((k for k in header if k != "__metadata__"), key=lambda k: header[k]["data_offsets"][0])  # type: ignore[index]
    header[last]["data_offsets"] = [o + by for o in header[last]["data_offsets"]]  # type: ignore[index]
    return joined(header, tensors + b"\0" * max(by, 0))


def bfloat(data: bytes) -> bytes:
    header, tensors = parts(data)
    entry = header["anchor.features"]
    entry["dtype"], entry["shape"] = "BF16", [entry["shape"][0], entry["shape"][1] * 2]  # type: ignore[index]
    return joined(header, tensors)


def weight_of(data: bytes) -> np.ndarray:
    return load(data)["model.head.weight"].copy()


def with_nan(data: bytes) -> np.ndarray:
    W = weight_of(data)
    W[0, 0] = np.nan
    return W


def factor_of(data: bytes, change) -> dict[str, np.ndarray | None]:
    name = next(k for k in load(data) if k.startswith("model.posterior."))
    L = load(data)[name].copy()
    change(L)
    return {name: L}


REFUSED = {
    "pickle": (lambda d: pickle.dumps(Payload()), 65, ["not an alcli head"]),
    "zip": (lambda d: b"PK\x03\x04" + bytes(200), 65, ["not an alcli head"]),
    "empty": (lambda d: b"", 65, ["not an alcli head"]),
    "other safetensors": (lambda d: save({"x": np.zeros(3)}), 65, ["not an alcli head"]),
    "truncated": (lambda d: d[:-1], 65, []),
    "longer": (lambda d: d + b"\0", 65, []),
    "header of 2^63": (lambda d: struct.pack("<Q", 2**63) + d[8:], 65, ["not an alcli head"]),
    "header of 200 MB": (lambda d: struct.pack("<Q", 200 << 20) + b" " * 100, 65, ["not an alcli head"]),
    "overlap": (lambda d: shifted(d, -8), 65, []),
    "hole": (lambda d: shifted(d, 8), 65, []),
    "duplicate key": (duplicated, 65, ["twice"]),
    "BF16": (bfloat, 65, []),
    "extra tensor": (lambda d: forged(d, tensors={"extra": np.zeros(3)}), 65, ["'extra'"]),
    "extra model tensor": (lambda d: forged(d, tensors={"model.head.extra": np.zeros(3)}), 65, ["head.extra"]),
    "missing tensor": (lambda d: forged(d, tensors={"anchor.id": None}), 65, ["'anchor.id'", "missing"]),
    "missing weight": (lambda d: forged(d, tensors={"model.head.weight": None}), 65, ["weight", "missing"]),
    "flat weight": (lambda d: forged(d, tensors={"model.head.weight": weight_of(d).ravel()}), 65, ["weight", "shape"]),
    "wide weight": (lambda d: forged(d, tensors={"model.head.weight": np.zeros((3, 9))}), 65, ["shape"]),
    "NaN": (lambda d: forged(d, tensors={"model.head.weight": with_nan(d)}), 65, ["weight", "NaN"]),
    "float32 weight": (
        lambda d: forged(d, tensors={"model.head.weight": weight_of(d).astype("f4")}),
        65,
        ["weight", "float32"],
    ),
    "asymmetric": (
        lambda d: forged(d, tensors=factor_of(d, lambda L: L.__setitem__((0, 1), 7.0))),
        65,
        ["positive definite"],
    ),
    "not definite": (
        lambda d: forged(d, tensors=factor_of(d, lambda L: L.__setitem__((1, 1), -1.0))),
        65,
        ["positive definite"],
    ),
    "labels too short": (
        lambda d: forged(d, tensors={"absorbed.label": np.zeros(3, np.int64)}),
        65,
        ["absorbed.label", "(3,)", "(20,)"],
    ),
    "labels beyond": (lambda d: forged(d, tensors={"absorbed.label": np.full(20, 3)}), 65, ["absorbed.label", "class"]),
    "labels of floats": (
        lambda d: forged(d, tensors={"absorbed.label": np.zeros(20)}),
        65,
        ["absorbed.label", "int64"],
    ),
    "scalar": (lambda d: forged(d, tensors={"absorbed.id": np.array(3, np.uint64)}), 65, ["absorbed.id"]),
    "anchors NaN": (
        lambda d: forged(d, tensors={"anchor.features": np.full((4, 5), np.nan, np.float32)}),
        65,
        ["anchor.features", "NaN"],
    ),
    "anchors of another D": (
        lambda d: forged(d, tensors={"anchor.features": np.zeros((4, 6), np.float32)}),
        65,
        ["anchor.features", "(4, 6)"],
    ),
    "class count": (lambda d: forged(d, classes=["cat", "dog"]), 65, ["classes"]),
    "class twice": (lambda d: forged(d, classes=["cat", "dog", "dog"]), 65, ["classes"]),
    "classes gone": (lambda d: forged(d, classes=None), 65, []),
    "kind": (lambda d: forged(d, model__head__kind="os.system"), 65, ["os.system"]),
    "kind of posterior": (lambda d: forged(d, model__posterior__kind="../../evil"), 65, ["../../evil"]),
    "settings": (lambda d: forged(d, model__head={"kind": "softmax"}), 65, []),
    "temperature": (lambda d: forged(d, model__temperature="warm"), 65, ["temperature", "warm"]),
    "model a number": (lambda d: forged(d, model=3), 65, ["header"]),
    "recipe a number": (lambda d: forged(d, recipe=3), 65, ["header"]),
    "a changed fact": (lambda d: d.replace(b'\\"cat\\"', b'\\"cow\\"', 1), 65, ["checksum"]),
    "a newer format": (lambda d: forged(d, format=99, versions={"alcli": "9.8.7"}), 78, ["99", "9.8.7", "upgrade"]),
    "a format of text": (lambda d: forged(d, format="x"), 65, ["not an alcli head"]),
    "a format of infinity": (lambda d: forged(d, format=float("inf")), 65, ["not an alcli head"]),
    "versions a list": (lambda d: forged(d, versions=[]), 65, ["not an alcli head"]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refusals(head, alcli, case):
    spoil, code, words = REFUSED[case]
    head.write_bytes(spoil(head.read_bytes()))
    with untouched(head.parent):
        alcli(*UPDATE).refused(code, "head.safetensors", *words)
        alcli(*QUERY).refused(code, "head.safetensors", *words)
    assert not Path("it-ran").exists()


def test_one_refusal_in_a_child_process(head):
    head.write_bytes(REFUSED["pickle"][0](b""))
    with untouched(head.parent):
        process(*UPDATE).refused(65, "head.safetensors", "not an alcli head")


def test_a_recipe_that_cannot_be_repeated(head, alcli):
    for recipe in ({"head": "softmax", "surprise": 1}, {"head": "sofmax"}, {"prior_precision": "much"}):
        head.write_bytes(forged(head.read_bytes(), recipe=recipe))
        alcli(*UPDATE, "--method", "refit").refused(65, "head.safetensors", "recipe")


def facts(path: Path) -> str:
    """Everything that a head says, as text."""
    head = load_head(path)
    arrays = {k: v.tobytes().hex() for k, v in head.model.arrays().items()}
    return repr(
        (
            arrays,
            head.model.settings(),
            head.classes,
            head.provenance,
            head.recipe,
            head.written_by,
            head.absorbed.id_L.tolist(),
            head.anchors.tolist(),
        )
    )


def test_a_flipped_bit_anywhere(tiny, alcli):
    """Each byte of a small head with one bit changed: refused in a sentence, or it says exactly the same."""
    write_pool("pool.parquet", tiny_features(dim=1)[0])
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    path = tiny / "head.safetensors"
    data = path.read_bytes()
    expected = facts(path)
    refused = 0
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
        try:
            assert facts(path) == expected, place
        except AlcliError:
            refused += 1
    assert refused > 0.95 * len(data)


def test_truncation_anywhere(head):
    data = head.read_bytes()
    for length in range(0, len(data), 97):
        head.write_bytes(data[:length])
        with pytest.raises(DataError):
            load_head(head)


def test_features_of_another_model(head, alcli):
    X_ND = tiny_features()[0]
    write_pool("pool.parquet", X_ND + 0.5)
    for command in (UPDATE, QUERY):
        alcli(*command).refused(65, "pool.parquet", "'r0", "features are not those", "head.safetensors", "%")
    write_pool("pool.parquet", X_ND.astype(np.float16))
    alcli(*QUERY).done()
    write_pool("pool.parquet", X_ND, [f"other-{i}" for i in range(60)])
    done = alcli(*QUERY).done()
    assert "nothing shows that the features of pool.parquet come from the model" in done.err


def test_metadata_of_another_model(tiny, alcli):
    import pyarrow.parquet as pq

    def write(**about: object) -> None:
        pq.write_table(
            pq.read_table("pool.parquet").replace_schema_metadata({"alcli": json.dumps({"format": 1, **about})}),
            "pool.parquet",
        )

    write(model="hashing:64", normalized=True)
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    alcli(*QUERY).done()
    write(model="hashing:65", normalized=True)
    alcli(*QUERY).refused(65, "pool.parquet", "hashing:65", "hashing:64", "head.safetensors")
    write(model="hashing:64", normalized=False)
    alcli(*UPDATE).refused(65, "normalized", "head.safetensors")


def test_the_target_of_a_link_is_replaced(head, alcli):
    (head.parent / "store").mkdir()
    real = head.parent / "store" / "real.safetensors"
    head.rename(real)
    real.chmod(0o640)
    head.symlink_to(real)
    before = real.read_bytes()
    alcli(*UPDATE).done()
    assert head.is_symlink()
    assert real.read_bytes() != before
    assert real.stat().st_mode & 0o777 == 0o640
    assert sorted(p.name for p in real.parent.iterdir()) == [".real.safetensors.alcli.lock", "real.safetensors"]


def test_heads_that_are_not_there(tiny, alcli):
    os.symlink("gone", "head.safetensors")
    alcli(*QUERY).refused(66, "head.safetensors", "link")
    alcli(*UPDATE).refused(66, "head.safetensors", "link")
    os.unlink("head.safetensors")
    with untouched(tiny):
        alcli(*QUERY).refused(66, "head.safetensors", "no such file")
        alcli(*UPDATE).refused(66, "head.safetensors", "no such file")
    os.mkdir("head.safetensors")
    alcli(*QUERY).refused(66, "head.safetensors", "directory")


def test_a_head_of_somebody_else(head, alcli):
    """One that is whole, and not the one that was handed over: its own checksum cannot know, that of sha256sum does."""
    data = head.read_bytes()
    ours = hashlib.sha256(data).hexdigest()
    header, tensors = parts(data)
    forged = json.loads(header["__metadata__"]["alcli"])
    forged["classes"].reverse()
    forged["sha256"] = head_file._digest(load(data), forged)
    evil = joined(header | {"__metadata__": {"alcli": json.dumps(forged)}}, tensors)
    for command in (QUERY, UPDATE, (*QUERY, "--stream")):
        head.write_bytes(evil)
        if command is not UPDATE:
            alcli(*command).done()
        with untouched(head.parent):
            alcli(*command, "--expect-sha256", ours).refused(
                65, "head.safetensors", "SHA-256", hashlib.sha256(evil).hexdigest(), ours
            )
            alcli(*command, "--expect-sha256", ours[:-1]).refused(2, "--expect-sha256", "64")
        head.write_bytes(data)
        alcli(*command, "--expect-sha256", ours.upper()).done()
    alcli(*UPDATE, "--expect-sha256", ours).done()
    alcli(*UPDATE, "--expect-sha256", ours).refused(65, "head.safetensors")  # which is another file by now
    alcli("query", "pool.parquet", "-s", "random", "-n", 1, "--expect-sha256", ours).refused(2, "--expect-sha256", "-H")


# -- heads with two models, and with names of classes ---------------------------------------------


def changed(data: bytes, name: str, change) -> bytes:
    """A head whose tensor `name` is what `change` makes of it, with a checksum that fits."""
    return forged(data, tensors={name: change(load(data)[name].copy())})


TWO_MODELS = {
    "missing weight": (lambda d: forged(d, tensors={"predictor.head.weight": None}), ["predictor", "'weight'"]),
    "flat centre": (lambda d: changed(d, "predictor.head.prior_mean", np.ravel), ["predictor", "prior_mean", "shape"]),
    "NaN": (lambda d: changed(d, "predictor.head.weight", lambda W: W * np.nan), ["predictor", "weight", "NaN"]),
    "extra tensor": (lambda d: forged(d, tensors={"predictor.head.extra": np.zeros(3)}), ["predictor", "head.extra"]),
    "no model in the header": (lambda d: forged_without(d, "predictor"), ["'predictor."]),
    "other classes": (
        lambda d: forged(
            changed(changed(d, "predictor.head.weight", lambda W: W[:5]), "predictor.head.prior_mean", lambda W: W[:5]),
            predictor__head__outputs=5,
        ),
        ["predictor"],
    ),
    "kind": (lambda d: forged(d, predictor__head__kind="os.system"), ["os.system"]),
    "a number": (lambda d: forged(d, predictor=3), ["header"]),
}
NAMED = {
    "missing": (lambda d: forged(d, tensors={"class_names.features": None}), ["'class_names.features'", "missing"]),
    "too few": (lambda d: changed(d, "class_names.features", lambda X: X[:5]), ["'class_names.features'", "6 names"]),
    "NaN": (lambda d: changed(d, "class_names.features", lambda X: X * np.nan), ["'class_names.features'", "finite"]),
    "flat": (lambda d: changed(d, "class_names.features", np.ravel), ["'class_names.features'", "6 names"]),
    "integers": (lambda d: changed(d, "class_names.features", lambda X: X.astype("i8")), ["'class_names.features'"]),
    "another D": (lambda d: changed(d, "class_names.features", lambda X: X[:, 1:].copy()), ["15", "16"]),
    "other classes": (lambda d: forged(d, class_names__names=["a", "b", "c", "d", "e", "f"]), ["'class_names'"]),
    "no names in the header": (lambda d: forged_without(d, "class_names"), ["'class_names.features'"]),
    "a number": (lambda d: forged(d, class_names=3), ["header"]),
}


def forged_without(data: bytes, key: str) -> bytes:
    """A head whose header lacks a key, with a checksum that fits."""
    about, tensors = about_of(data), load(data)
    del about[key]
    about["sha256"] = head_file._digest(tensors, about)
    return save(tensors, metadata={"alcli": json.dumps(about)})


@pytest.mark.parametrize(
    ("options", "spoil", "words"),
    [
        *((["--prior", "pool"], *case) for case in TWO_MODELS.values()),
        *((["--class-names", "names.parquet"], *case) for case in NAMED.values()),
    ],
    ids=[*(f"two models, {name}" for name in TWO_MODELS), *(f"names, {name}" for name in NAMED)],
)
def test_refusals_of_the_second_model_and_of_names(named, alcli, options, spoil, words):
    path = named / "head.safetensors"
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", path, *options).done()
    spoilt = spoil(path.read_bytes())
    path.write_bytes(spoilt)
    with untouched(named):
        for command in (UPDATE, QUERY, ("predict", "pool.parquet", "-H", "head.safetensors")):
            alcli(*command).refused(65, "head.safetensors", *words)


def test_a_second_model_of_other_features(named, alcli):
    path = named / "head.safetensors"
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", path, "--prior", "pool", "--posterior", "none").done()
    data = path.read_bytes()
    for name in ("predictor.head.weight", "predictor.head.prior_mean"):
        data = changed(data, name, lambda W: W[:, 1:].copy())
    path.write_bytes(forged(data, predictor__head__dim=15))
    alcli(*QUERY).refused(65, "head.safetensors", "'predictor'", "15", "16")


def test_a_flipped_bit_in_the_second_model_or_in_names(named, alcli):
    """Sampled bytes of the tensors: every one is under the checksum."""
    for options in (["--prior", "pool"], ["--class-names", "names.parquet"]):
        path = named / "head.safetensors"
        alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", path, "--force", *options).done()
        data = path.read_bytes()
        (length,) = struct.unpack("<Q", data[:8])
        for place in range(8 + length, len(data), 53):
            path.write_bytes(data[:place] + bytes([data[place] ^ 1 << place % 8]) + data[place + 1 :])
            with pytest.raises(DataError, match="checksum"):
                load_head(path)
