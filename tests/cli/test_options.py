"""Texts of the command line as values."""

from __future__ import annotations

from pathlib import Path

import pytest

from alcli.cli import options as o
from alcli.errors import UsageError


@pytest.mark.parametrize(("text", "size"), [("500", 500), ("500M", 500 << 20), ("4G", 4 << 30), ("1.5k", 1536), ("2 GiB", 2 << 30), ("1TB", 1 << 40), (None, None)])
def test_sizes(text, size):
    assert o.size_in_bytes(text) == size


@pytest.mark.parametrize("text", ["", "M", "-1", "4X", "4 G B", "1e9"])
def test_what_is_no_size(text):
    with pytest.raises(UsageError, match="--max-memory"):
        o.size_in_bytes(text)


def test_pairs():
    assert o.key_values(["a=1", "b=x=y", "c="]) == {"a": "1", "b": "x=y", "c": ""}
    assert o.key_values(None) == {}
    assert o.key_values(["cost_col=a_b", "x_1.h_2=3"], kebab=True) == {"cost-col": "a_b", "x_1.h-2": "3"}
    with pytest.raises(UsageError, match="-p cost-col is given twice"):
        o.key_values(["cost_col=a", "cost-col=b"], kebab=True)
    for bad in (["a"], ["=1"], ["a=1", "a=2"]):
        with pytest.raises(UsageError, match="-p"):
            o.key_values(bad)


def test_numbers_and_choices():
    assert o.auto_or_number("auto", "--x") is None
    assert o.auto_or_number("1e-3", "--x") == 0.001
    with pytest.raises(UsageError, match="--x"):
        o.auto_or_number("much", "--x")
    assert o.check_choice("a", ("a", "b"), "--x") == "a"
    with pytest.raises(UsageError, match=r"--x must be one of skip, error.*did you mean 'skip'"):
        o.check_choice("skp", ("skip", "error"), "--x")


def test_outputs():
    assert o.out_path("x.csv") == Path("x.csv")
    assert [o.out_path(v) for v in (None, "-", "/dev/stdout")] == [None, None, None]


def test_completion():
    assert "margin" in o.complete_strategy("mar")
    assert o.complete_head("soft") == ["softmax"]
