"""Label files as people and tools write them (table 3.5)."""

from __future__ import annotations

import json
import os
import pty
import subprocess

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool
from tests.shell import SCRIPT, process, untouched

X_ND, Y_N = tiny_features()
FIT = ("fit-head", "pool.parquet", "-o", "new.safetensors", "--prior-precision", "1")
GOOD = "id,label\n" + "".join(f"r{i:03d},{CLASSES[Y_N[i]]}\n" for i in range(12))


def fitted(alcli, content: bytes | str, name: str = "given.csv", **more: object):
    """fit-head on one label file; its outcome and the bytes of the head."""
    with open(name, "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    outcome = alcli(*FIT, "-l", name, "--force", **more).done()
    with open("new.safetensors", "rb") as file:
        return outcome, file.read()


def as_parquet(labels: dict[str, str]) -> bytes:
    out = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": list(labels), "label": pa.array(labels.values()).dictionary_encode()}), out)
    return out.getvalue().to_pybytes()


PAIRS = dict(line.split(",") for line in GOOD.split()[1:])
SAME = {
    "tabs": ("given.tsv", GOOD.replace(",", "\t")),
    "BOM and CRLF": ("given.csv", b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()),
    "no last newline": ("given.csv", GOOD.rstrip("\n")),
    "quotes and more columns": (
        "given.csv",
        "who,label,id\n" + "".join(f'"a, b","{c}","{i}"\n' for i, c in PAIRS.items()),
    ),
    "blank lines": ("given.csv", GOOD.replace("\n", "\n\n")),
    "JSON Lines": ("given.jsonl", "".join(json.dumps({"label": c, "id": i}) + "\n" for i, c in PAIRS.items())),
    "JSON Lines by content": (
        "given.txt",
        "\n" + "".join(json.dumps({"id": i, "label": c}) + "\n" for i, c in PAIRS.items()),
    ),
    "Parquet": ("given.parquet", as_parquet(PAIRS)),
    "another order": ("given.csv", "id,label\n" + "".join(f"{i},{c}\n" for i, c in reversed(PAIRS.items()))),
    "weight 1": (
        "given.csv",
        "id,label,weight\n" + "".join(f"{i},{c},{w}\n" for (i, c), w in zip(PAIRS.items(), ["1", "", "1.0"] * 4)),
    ),
}


@pytest.mark.parametrize("form", SAME)
def test_one_set_of_labels_in_every_form(tiny, alcli, form):
    expected = fitted(alcli, GOOD)[1]
    name, content = SAME[form]
    assert fitted(alcli, content, name)[1] == expected


def test_standard_input(tiny, alcli):
    expected = fitted(alcli, GOOD)[1]
    for content in (GOOD.encode(), SAME["JSON Lines"][1].encode()):
        alcli(*FIT, "-l", "-", "--force", stdin=content).done()
        assert (tiny / "new.safetensors").read_bytes() == expected
    alcli(*FIT, "-l", "-", "--force", stdin=GOOD.encode()[:-3]).refused(65, "standard input", "line 13", "producer")
    alcli(*FIT, "-l", "-", "--force", stdin=b"").refused(65, "standard input", "empty")
    alcli(*FIT, "-l", "-", "--force", stdin=as_parquet(PAIRS)).refused(66, "standard input", "Parquet")
    alcli("query", "pool.parquet", "-l", "-", "--exclude", "-", "-s", "random", "-n", 1, stdin=GOOD.encode()).refused(
        2, "'-'", "twice"
    )


def test_a_terminal_is_not_waited_for(tiny):
    leader, follower = pty.openpty()
    try:
        done = subprocess.run([SCRIPT, *FIT, "-l", "-"], stdin=follower, capture_output=True, timeout=20)
    finally:
        os.close(leader), os.close(follower)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"terminal" in done.stderr


def test_ids_stay_text(tiny, alcli):
    write_pool("pool.parquet", X_ND, ["007", "7", *names(60)[2:]])
    write_labels("given.csv", {"007": "cat", "r002": "dog"})
    left = alcli("query", "pool.parquet", "-l", "given.csv", "-s", "random", "-n", 60).done().lines
    assert "7" in left
    assert "007" not in left


def test_labels_stay_text(tiny, alcli):
    words = ["NA", "null", "None", "true", "2024-01-01", "1.0", "01", "nan", "cat", "cat "]
    write_labels("given.csv", {f"r{i:03d}": words[i % 10] for i in range(30)})
    done = alcli(*FIT, "-l", "given.csv").done()
    assert "'cat' and 'cat ' differ only by spaces" in done.err
    found = (
        alcli("query", "pool.parquet", "-H", "new.safetensors", "-s", "margin", "-n", 30, "--format", "jsonl")
        .done()
        .lines
    )
    assert {json.loads(line)["predicted"] for line in found} <= set(words)


def test_typed_classes_come_back_typed(tiny, alcli):
    for labels, kinds in (([3, 10, 9], {3, 10, 9}), ([True, False, True], {True, False})):
        (tiny / "given.jsonl").write_text(
            "".join(json.dumps({"id": f"r{i:03d}", "label": labels[i % 3]}) + "\n" for i in range(12))
        )
        lines = (
            alcli("query", "pool.parquet", "-l", "given.jsonl", "-s", "margin", "-n", 48, "--format", "jsonl")
            .done()
            .lines
        )
        found = {json.loads(line)["predicted"] for line in lines}
        assert found <= kinds
        assert {type(v) for v in found} == {type(labels[0])}


def test_several_files_add_up_and_a_later_one_wins(tiny, alcli):
    merged = fitted(alcli, GOOD.replace("r000,cat", "r000,eel"))[1]
    write_labels("first.csv", {i: c for i, c in PAIRS.items() if i != "r011"})
    write_labels("second.csv", {"r000": "eel", "r011": PAIRS["r011"]})
    alcli(*FIT, "--force", "-l", "first.csv", "-l", "second.csv").done()
    assert (tiny / "new.safetensors").read_bytes() == merged


def test_weights_count_as_repetitions(tiny, alcli):
    """A weight of 2 on every row halves the effect of the prior; the bias of a ridge head has a flat one."""
    (tiny / "w.csv").write_text("id,label,weight\n" + "".join(f"{i},{c},2\n" for i, c in PAIRS.items()))
    weighted = alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "w.csv",
        "-o",
        "w.safetensors",
        "--head",
        "ridge",
        "--prior-precision",
        "2",
        "--json",
        "--posterior",
        "none",
    ).done()
    plain = alcli(
        "fit-head",
        "pool.parquet",
        "-l",
        "-",
        "-o",
        "p.safetensors",
        "--head",
        "ridge",
        "--prior-precision",
        "1",
        "--json",
        "--posterior",
        "none",
        stdin=GOOD.encode(),
    ).done()
    a, b = json.loads(weighted.out), json.loads(plain.out)
    assert a["train_nll"] == pytest.approx(b["train_nll"], rel=1e-6)


def test_the_label_column_of_the_pool(tiny, alcli):
    expected = fitted(alcli, GOOD)[1]
    column = [CLASSES[Y_N[i]] if i < 12 else None for i in range(60)]
    for kind in (pa.string(), pa.large_string(), pa.string_view()):
        write_pool("pool.parquet", X_ND, label=pa.array(column, kind))
        alcli(*FIT, "--force").done()
        assert (tiny / "new.safetensors").read_bytes() == expected
    weights = load_head(tiny / "new.safetensors").model.head.W_CD1
    write_pool("pool.parquet", X_ND, animal=column)
    alcli(*FIT, "--force", "--label-col", "animal").done()
    # The head remembers the name of the column, and is the same else.
    assert (weights == load_head(tiny / "new.safetensors").model.head.W_CD1).all()
    alcli(*FIT, "--force", "--label-col", "beast").refused(65, "pool.parquet", "'beast'", "'animal'")
    alcli(*FIT, "--force").refused(65, "pool.parquet", "no labelled row", "-l")


def test_test_rows_are_kept_out(tiny, alcli):
    split = ["test" if i < 6 else "train" for i in range(60)]
    write_pool("pool.parquet", X_ND, split=split, label=[CLASSES[c] for c in Y_N])
    done = alcli(*FIT, "-l", "labels.csv", "--json").done()
    report = json.loads(done.out)
    assert (report["n"], report["n_test"]) == (14, 6)
    assert "6 labelled rows are test rows" in done.err
    left = alcli("query", "pool.parquet", "-H", "new.safetensors", "-s", "random", "-n", 60).done().lines
    assert set(left) == set(names(60)[20:])
    done = alcli("update", "new.safetensors", "-P", "pool.parquet", "-l", "labels.csv", "--json").done()
    assert json.loads(done.out)["new_labels"] == 0


def test_a_pool_that_labels_every_row_says_how_to_begin(tiny, alcli):
    write_pool("pool.parquet", X_ND, label=[CLASSES[c] for c in Y_N])
    done = alcli("query", "pool.parquet", "-s", "coreset", "-n", 4).done()
    assert done.out == b""
    assert "id,label" in done.err
    assert (
        len(alcli("query", "pool.parquet", "-s", "coreset", "-n", 4, "-l", "-", stdin=b"id,label\n").done().lines) == 4
    )


def test_integer_classes_with_gaps_and_numbers_to_regress(tiny, alcli):
    write_pool("pool.parquet", X_ND, label=pa.array([float(c) if i < 20 else None for i, c in enumerate(Y_N)]))
    assert json.loads(alcli(*FIT, "--json").done().out)["kind"] == "ridge"
    report = json.loads(alcli(*FIT, "--json", "--force", "--task", "classification").done().out)
    assert (report["kind"], report["classes"]) == ("softmax", 3)
    write_pool("pool.parquet", X_ND, label=pa.array([int(c) if i < 20 else None for i, c in enumerate(Y_N)]))
    assert json.loads(alcli(*FIT, "--json", "--force", "--task", "regression").done().out)["kind"] == "ridge"
    write_pool("pool.parquet", X_ND, label=pa.array([c + 0.5 for c in Y_N]))
    alcli(*FIT, "--force", "--task", "classification").refused(65, "'label'", "0.5", "no class")


NOTHING_NEW = {
    "header only": b"id,label\n",
    "blank labels": b"id,label\nr030,\nr031,\n",
    "JSON null": b'{"id": "r030", "label": null}\n',
}


@pytest.mark.parametrize("case", NOTHING_NEW)
def test_nothing_to_absorb(head, alcli, case):
    (head.parent / "given.txt").write_bytes(NOTHING_NEW[case])
    with untouched(head.parent):
        done = alcli("update", head, "-P", "pool.parquet", "-l", "given.txt").done()
    assert "0 new labels" in done.err
    assert done.out == b""
    if case == "blank labels":
        assert "2 rows without a label were skipped" in done.err


REFUSED = {
    "empty": (b"", ["given.csv", "empty"]),
    "spaces": (b"\n \n", ["given.csv", "empty"]),
    "latin-1": ("id,label\nr000,caf\u00e9\n".encode("latin-1"), ["given.csv", "line 2", "UTF-8"]),
    "utf-16": ("id,label\nr000,cat\n".encode("utf-16le"), ["given.csv", "line 1", "UTF-8", "UTF-16"]),
    "NUL": (b"id,label\nr000,cat\nr001,d\0g\n", ["given.csv", "line 3", "NUL"]),
    "short row": (b"id,label\nr000,cat\nr001\n", ["given.csv", "line 3", "1 fields, expected 2"]),
    "long row": (b"id,label\nr000,cat,x\n", ["given.csv", "line 2", "3 fields, expected 2"]),
    "unclosed quote": (b'id,label\nr000,"cat\nr001,dog\n', ["given.csv", "line 3", "quote"]),
    "header twice": (b"id,label,id\nr000,cat,x\n", ["given.csv", "line 1", "'id'", "twice"]),
    "no label column": (b"id,class\nr000,cat\n", ["given.csv", "no column 'label'", "'class'"]),
    "semicolons": (b"id;class\nr000;cat\n", ["given.csv", "no column 'id'", "'id;class'"]),
    "contradiction": (
        b"id,label\nr000,cat\nr001,dog\nr000,dog\n",
        ["given.csv", "line 4", "'r000'", "'dog'", "'cat'", "line 2"],
    ),
    "not in the pool": (
        b"id,label\nr000,cat\nx1,dog\nx2,dog\n",
        ["given.csv", "line 3", "'x1'", "not in the pool", "1 more", "--ignore-unknown"],
    ),
    "weight": (b"id,label,weight\nr000,cat,-1\n", ["given.csv", "line 2", "weight '-1'"]),
    "weight nan": (b"id,label,weight\nr000,cat,nan\n", ["given.csv", "line 2", "weight"]),
    "terminal escape": (b"id,label\n\x1b[31mevil,cat\n", ["given.csv", "\\x1b[31mevil"]),
}
REFUSED_JSON = {
    "not JSON": (b'{"id": "r000", "label": "cat"}\n{"id"\n', ["given.jsonl", "line 2", "JSON"]),
    "array": (b'["r000", "cat"]\n', ["given.jsonl", "entry 0", "object", "str", "JSON Lines"]),
    "no label": (b'{"id": "r000"}\n', ["given.jsonl", "line 1", "'label'"]),
    "label list": (b'{"id": "r000", "label": ["cat"]}\n', ["given.jsonl", "line 1", "class"]),
    "label fraction": (b'{"id": "r000", "label": 1.5}\n', ["given.jsonl", "line 1", "1.5", "regression"]),
    "id missing": (b'{"id": null, "label": "cat"}\n', ["given.jsonl", "line 1", "missing"]),
    "id boolean": (b'{"id": true, "label": "cat"}\n', ["given.jsonl", "line 1", "boolean"]),
    "half a surrogate": (b'{"id": "\\ud800", "label": "cat"}\n', ["given.jsonl", "line 1", "surrogate"]),
    "deep": (b"[" * 100_000 + b"\n", ["given.jsonl", "not JSON"]),
    "deep line": (b'{"id":' + b"[" * 100_000 + b"\n", ["given.jsonl", "line 1", "not JSON"]),
}


@pytest.mark.parametrize("case", [*REFUSED, *REFUSED_JSON])
def test_refusals(head, alcli, case):
    name, table = ("given.csv", REFUSED) if case in REFUSED else ("given.jsonl", REFUSED_JSON)
    content, words = table[case]
    (head.parent / name).write_bytes(content)
    with untouched(head.parent):
        alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", name).refused(65, *words)
        alcli(*FIT, "-l", name).refused(65, *words)


def test_one_refusal_in_a_child_process(tiny):
    (tiny / "given.csv").write_bytes(REFUSED["contradiction"][0])
    process(*FIT, "-l", "given.csv").refused(65, *REFUSED["contradiction"][1])


def test_repeated_and_unknown_rows_are_counted(tiny, alcli):
    done, _ = fitted(alcli, GOOD + "r000,cat\n")
    assert "1 row repeats a label" in done.err
    (tiny / "given.csv").write_text(GOOD + "elsewhere,cat\n")
    done = alcli(*FIT, "--force", "-l", "given.csv", "--ignore-unknown").done()
    assert "1 label of an id that is not in the pool was ignored" in done.err


def test_a_class_that_the_head_does_not_have(head, alcli):
    write_labels("given.csv", {"r030": "cat", "r031": "dgo"})
    with untouched(head.parent):
        alcli("update", head, "-P", "pool.parquet", "-l", "given.csv").refused(
            65, "given.csv", "line 3", "'dgo'", "class"
        )


def test_parquet_labels_that_cannot_be_read(tiny, alcli):
    (tiny / "given.parquet").write_bytes(as_parquet(PAIRS)[:200])
    alcli(*FIT, "-l", "given.parquet").refused(65, "given.parquet", "Parquet")
    pq.write_table(pa.table({"id": [1.5], "label": ["cat"]}), "given.parquet")
    alcli(*FIT, "-l", "given.parquet").refused(65, "given.parquet", "row 0", "expected string")
    pq.write_table(pa.table({"id": np.array(["r000"]), "class": ["cat"]}), "given.parquet")
    alcli(*FIT, "-l", "given.parquet").refused(65, "given.parquet", "'label'")


def test_files_that_cannot_be_opened(tiny, alcli):
    os.mkfifo("pipe.csv")
    os.symlink("gone.csv", "dangling.csv")
    for name, words in (
        ("missing.csv", ["no such file"]),
        ("dangling.csv", ["link"]),
        ("pipe.csv", ["regular file"]),
        (".", ["directory"]),
    ):
        alcli(*FIT, "-l", name).refused(66, name, *words)
        alcli("query", name if name != "." else "pipe.csv", "-s", "random", "-n", 1).refused(66)
