"""Signed feature hashing against a slow reference that counts in dictionaries."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.embedders._contract import Request
from alcli.embedders.hashing import hashing
from alcli.errors import DataError, UsageError
from alcli.numerics.hashing import hash_text, splitmix64

TEXTS = ["How do I locate my card?", "card CARD card", "", "Grüße, 東京! 🙂", "a", "   ", "x\ty\nz"]


def encode(texts, argument="64", **options):
    return hashing(argument, Request("text"), **options).encode(list(texts))


def slow(text, dim):
    """The definition, one feature at a time."""
    import re

    tokens = re.findall(r"\w+|[^\w\s]", text.lower())
    normal = f" {' '.join(tokens)} " if tokens else ""
    keys = Counter()
    for n in (3, 4, 5):
        for i in range(len(normal) - n + 1):
            h = n
            for c in normal[i : i + n]:
                h = (h * 0xD1342543DE82EF95 + ord(c)) % 2**64
            keys[int(splitmix64(np.array([h], np.uint64))[0]) >> 16] += 1
    for token in tokens:
        keys[hash_text(token + " ") >> 16] += 1
    x = np.zeros(dim)
    for key, count in keys.items():
        h = int(splitmix64(np.array([key], np.uint64))[0])
        x[(h & 0xFFFFFFFF) % dim] += (1 if h >> 63 else -1) * (1 + np.log(count))
    norm = np.linalg.norm(x)
    return x / norm if norm else x


def test_equals_the_definition():
    np.testing.assert_allclose(encode(TEXTS), [slow(t, 64) for t in TEXTS], atol=1e-6)


@given(st.lists(st.text(max_size=30), min_size=1, max_size=8), st.integers(1, 3))
def test_a_vector_does_not_depend_on_its_batch(texts, size):
    together = encode(texts)
    apart = np.concatenate([encode(texts[i : i + size]) for i in range(0, len(texts), size)])
    assert together.tobytes() == apart.tobytes()


@given(st.text(max_size=50))
def test_rows_have_unit_norm_or_are_zero(text):
    norm = np.linalg.norm(encode([text]))
    assert norm == 0 or abs(norm - 1) < 1e-6


def test_long_documents_are_hashed_in_pieces_with_the_same_result(monkeypatch):
    whole = encode(TEXTS)
    monkeypatch.setattr("alcli.embedders.hashing._CHARACTERS", 10)
    assert encode(TEXTS).tobytes() == whole.tobytes()


def test_similar_questions_are_nearer_than_others():
    a, b, c = encode(["where is my card", "where is my new card?", "exchange rate for euros"], "4096")
    assert a @ b > 0.5 > 0.2 > abs(a @ c)


def test_options_switch_features():
    assert not np.array_equal(encode(["Card"], lowercase=False), encode(["card"], lowercase=False))
    np.testing.assert_array_equal(encode(["Card"]), encode(["card"]))
    words = encode(["to be or not to be"], words=True, ngrams="none")
    assert np.count_nonzero(words) <= 4
    np.testing.assert_array_equal(encode(["not be or to be to"], ngrams="none"), words)


def test_another_process_with_another_hash_seed_gives_the_same_bytes():
    code = (
        "import sys; from alcli.embedders.hashing import hashing; from alcli.embedders._contract import Request;"
        "sys.stdout.write(hashing('64', Request('text')).encode(['How do I locate my card?', 'x']).tobytes().hex())"
    )
    root = Path(__file__).parents[2]
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": s},
            cwd=root,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for s in ("1", "2")
    }
    assert outputs == {encode(["How do I locate my card?", "x"]).tobytes().hex()}


@pytest.mark.parametrize("argument", ["", "0", "-4", "many", "3.5", "99999999999"])
def test_a_dimension_that_is_none_is_a_usage_error(argument):
    with pytest.raises(UsageError, match="dimension"):
        hashing(argument, Request("text"))


@pytest.mark.parametrize("options", [{"ngrams": "5-3"}, {"ngrams": "x"}, {"ngrams": "none", "words": False}])
def test_options_that_make_no_sense_are_usage_errors(options):
    with pytest.raises(UsageError):
        hashing("8", Request("text"), **options)


def test_null_is_refused_and_so_are_layer_and_device():
    with pytest.raises(DataError, match="null"):
        hashing("8", Request("text")).prepare(None)
    with pytest.raises(UsageError, match="layer"):
        hashing("8", Request("text", layer="x"))
    with pytest.raises(UsageError, match="cuda"):
        hashing("8", Request("text", device="cuda"))
