"""Texts of the command line as values."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from alcli.cli.options import values
from alcli.errors import UsageError


@pytest.mark.parametrize(
    ("text", "size"),
    [("500", 500), ("500M", 500 << 20), ("4G", 4 << 30), ("1.5k", 1536), ("2 GiB", 2 << 30), ("1TB", 1 << 40)],
)
def test_sizes(text, size):
    assert values.size_in_bytes(text, "--max-memory") == size


@pytest.mark.parametrize("text", ["", "M", "-1", "4X", "4 G B", "1e9"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="--max-memory takes a size"):
        values.size_in_bytes(text, "--max-memory")


def test_pairs():
    assert values.key_values(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert values.key_values(None) == {}
    assert values.key_values(["cost_col=a_b", "x_1.h_2=3"], kebab=True) == {"cost-col": "a_b", "x_1.h-2": "3"}
    with pytest.raises(UsageError, match="-p cost-col is given twice"):
        values.key_values(["cost_col=a", "cost-col=b"], kebab=True)
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="-p"):
            values.key_values(bad)


def test_whole_numbers():
    parse = values.whole_number(1, 9)
    assert parse("9", "--x") == 9
    for text, words in (
        ("0", "at least 1, got 0"),
        ("10", "at most 9, got 10"),
        ("1.5", "takes a whole number, got '1.5'"),
    ):
        with pytest.raises(UsageError, match=f"--x .*{words}"):
            parse(text, "--x")
    assert values.whole_number()("-3", "--x") == -3


def test_numbers():
    assert values.auto_or_number("auto", "--x") is None
    assert values.auto_or_number("1e-3", "--x") == 0.001
    assert values.number(0)("0.5", "--x") == 0.5
    assert values.number(0)("inf", "--x") == math.inf
    assert math.isnan(values.number()("nan", "--x"))
    for parse in (values.auto_or_number, values.number(0)):
        with pytest.raises(UsageError, match="--x"):
            parse("much", "--x")
    for text in ("-1", "nan"):
        with pytest.raises(UsageError, match="--x must be at least 0"):
            values.number(0)(text, "--x")


def test_choices():
    assert values.one_of("a", "--x", ("a", "b")) == "a"
    with pytest.raises(UsageError, match=r"--x must be one of skip, error, got 'skp'; did you mean 'skip'\?"):
        values.one_of("skp", "--x", ("skip", "error"))
    with pytest.raises(UsageError, match=r"--x must be updates, got 'no'$"):
        values.one_of("no", "--x", ("updates",))


def test_digests():
    assert values.sha256("aB" * 32, "--x") == "aB" * 32
    for text in ("ab" * 31, "zz" * 32, ""):
        with pytest.raises(UsageError, match="--x takes 64 hexadecimal digits"):
            values.sha256(text, "--x")


def test_outputs():
    assert values.path_or_stdout("x.csv", "-o") == Path("x.csv")
    assert [values.path_or_stdout(text, "-o") for text in ("-", "/dev/stdout")] == [None, None]
