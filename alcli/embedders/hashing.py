"""Text to vectors by feature hashing of words and character n-grams: no weights, nothing to download.

The value of a feature is 1 + log(count); each vector then gets unit L2 norm. The hash is numerics/hashing.py, so the
vectors do not depend on the process, on Python's hash seed, or on the batch.

Source: Weinberger et al., Feature Hashing for Large Scale Multitask Learning, ICML 2009, section 2 (signed hashing);
words with character 3- to 5-grams after Cavnar & Trenkle 1994.
Cost: O(characters log characters) in a batch; 20,000 to 60,000 questions a second.
Memory: about 100 bytes per character.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from alcli.arrays import Float32, Int64, Keys
from alcli.embedders._contract import Encoder, Request, embedder, refuse_device, refuse_layer
from alcli.embedders._items import read_text
from alcli.errors import UsageError
from alcli.numerics.hashing import hash_strings, splitmix64

_TOKEN = re.compile(r"\w+|[^\w\s]")
_MULTIPLIER = np.uint64(0xD1342543DE82EF95)
_CHARACTERS = 1 << 20  # characters that are hashed at a time, unless a single text has more
_LARGEST = 1 << 20  # the largest dimension


@embedder(takes={"text"})
def hashing(
    argument: str, request: Request, *, lowercase: bool = True, words: bool = True, ngrams: str = "3-5"
) -> Encoder:
    """`hashing:DIM` gives vectors with D = DIM.

    lowercase: fold case. words: count whole words. ngrams: the lengths of the character n-grams to count, such as 3-5
    or 3, or none.
    """
    refuse_layer(request, "hashing")
    refuse_device(request, "hashing")
    dim = _dimension(argument)
    lengths = _lengths(ngrams)
    if not words and not lengths:
        raise UsageError("hashing: with words=false and ngrams=none there is nothing to count")

    def encode(texts: list[Any]) -> Float32:
        return hash_texts(texts, dim, lowercase=lowercase, words=words, lengths=lengths)

    return Encoder(encode, prepare=read_text)


def hash_texts(texts: list[str], dim: int, *, lowercase: bool, words: bool, lengths: range) -> Float32:
    """Compute the vectors of `texts`, float32 [B, dim], of unit norm; zero for a text in which nothing is counted.

    lengths: of the character n-grams.
    """
    X_BD = np.zeros((len(texts), dim), np.float32)
    first = 0
    # Texts are hashed in pieces, so that a batch of long documents needs little memory.
    while first < len(texts):
        last, size = first, 0
        while last < len(texts) and (last == first or size + len(texts[last]) < _CHARACTERS) and last - first < 1 << 16:
            size += len(texts[last])
            last += 1
        X_BD[first:last] = _hash_piece([_normal_form(t, lowercase) for t in texts[first:last]], dim, words, lengths)
        first = last
    return X_BD


def _normal_form(text: str, lowercase: bool) -> str:
    """Tokens with one space before, between and after, so that n-grams see where words begin and end."""
    tokens = _TOKEN.findall(text.lower() if lowercase else text)
    return f" {' '.join(tokens)} " if tokens else ""


def _hash_piece(texts: list[str], dim: int, words: bool, lengths: range) -> Float32:
    parts = [_ngrams(texts, n) for n in lengths] + ([_words(texts)] if words else [])
    rows, keys = (np.concatenate(column) for column in zip(*parts))
    # 16 bits of text number and 48 bits of hash make one integer, so one sort counts all features of all texts.
    packed, counts = np.unique(rows.astype(np.uint64) << np.uint64(48) | keys >> np.uint64(16), return_counts=True)
    rows, keys = (packed >> np.uint64(48)).astype(np.int64), splitmix64(packed & np.uint64(0xFFFFFFFFFFFF))
    sign = np.where(keys >> np.uint64(63), 1.0, -1.0)
    column = ((keys & np.uint64(0xFFFFFFFF)) % np.uint64(dim)).astype(np.int64)
    sums = np.bincount(rows * dim + column, sign * (1.0 + np.log(counts)), minlength=len(texts) * dim).reshape(
        len(texts), dim
    )
    norms = np.sqrt(np.einsum("bd,bd->b", sums, sums))
    return (sums / np.where(norms > 0, norms, 1.0)[:, None]).astype(np.float32)


def _ngrams(texts: list[str], n: int) -> tuple[Int64, Keys]:
    """The text number and the hash of every window of n characters inside a text."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    rows = np.repeat(np.arange(len(texts)), [len(t) for t in texts])
    size = max(len(codes) - n + 1, 0)
    inside = rows[:size] == rows[n - 1 : n - 1 + size]
    with np.errstate(over="ignore"):
        hashes = np.full(size, n, np.uint64)
        for j in range(n):
            hashes = hashes * _MULTIPLIER + codes[j : j + size]
    return rows[:size][inside], splitmix64(hashes[inside])


def _words(texts: list[str]) -> tuple[Int64, Keys]:
    """The text number and the hash of every token."""
    data = np.frombuffer("".join(t[1:] for t in texts).encode("utf-8", "surrogatepass"), np.uint8)
    offsets = np.concatenate([[0], np.flatnonzero(data == 0x20) + 1])
    return np.repeat(np.arange(len(texts)), [max(t.count(" ") - 1, 0) for t in texts]), hash_strings(data, offsets)


def _dimension(argument: str) -> int:
    if not argument.isdecimal() or not 1 <= int(argument) <= _LARGEST:
        raise UsageError(
            f"hashing: expected a dimension of 1 to {_LARGEST}, got '{argument}'", hint="for example -m hashing:512"
        )
    return int(argument)


def _lengths(text: str) -> range:
    if text == "none":
        return range(0)
    match = re.fullmatch(r"([1-9])(?:-([1-9]))?", text)
    if not match or int(match[2] or match[1]) < int(match[1]):
        raise UsageError(f"hashing: parameter 'ngrams' must look like 3-5, 3 or none, got '{text}'")
    return range(int(match[1]), int(match[2] or match[1]) + 1)
