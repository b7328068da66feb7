"""Strategies in words: docstrings taken apart, types of options, needs."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import pytest

from alcli import described, parsing, plugins
from alcli.described import NEEDS, kind_of
from alcli.described.docstrings import OptionText, read
from alcli.live.impute import HOW
from alcli.selection import needs
from alcli.selection.options import (
    AllOrCount,
    AutoOrPositive,
    Count,
    at_least,
    kernel_radius,
    positive,
    positive_where_given,
    share,
)
from alcli.workflows.query.request import COST, IMPUTE, TARGETS

DOC = """The summary.

A paragraph on
two lines.

- an item
  that goes on
- another item

    a  formula
    on two lines.

Source: somebody 2020,
"A title".
Deviations: one: two.
Cost: O(N).
Passes: 1.

Options:
    one: the first, with a colon: here,
        on two lines.
    two-words: the second.
        first-word: its meaning: here,
            on two lines.
        word: another.

    three: after an empty line.
"""


def test_a_docstring_in_its_parts():
    doc = read(DOC)
    assert doc.summary == "The summary."
    assert doc.paragraphs == (
        "A paragraph on two lines.",
        "- an item that goes on",
        "- another item",
        "    a  formula\n    on two lines.",
    )
    assert doc.sections == {
        "Source": 'somebody 2020, "A title".',
        "Deviations": "one: two.",
        "Cost": "O(N).",
        "Passes": "1.",
    }
    assert doc.options == {
        "one": OptionText("the first, with a colon: here, on two lines."),
        "two-words": OptionText("the second.", {"first-word": "its meaning: here, on two lines.", "word": "another."}),
        "three": OptionText("after an empty line."),
    }


def test_a_docstring_without_options_or_paragraphs():
    doc = read("The summary.\n\nSource: none.\nCost: none.\n")
    assert (doc.paragraphs, doc.options) == ((), {})
    assert doc.sections == {"Source": "none.", "Cost": "none."}
    assert read("").summary == ""


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (Count, ("whole number from 1", ())),
        (Annotated[int, partial(at_least, 0)], ("whole number from 0", ())),
        (Annotated[float, partial(at_least, 1)], ("number from 1", ())),
        (Annotated[float, positive], ("positive number", ())),
        (Annotated[float | None, positive_where_given], ("none or a positive number", ())),
        (Annotated[float, share], ("number above 0, at most 1", ())),
        (Annotated[float, kernel_radius], ("number from 1e-6 to 1e6", ())),
        (AllOrCount, ("all or a whole number from 1", ())),
        (AutoOrPositive, ("auto or a positive number", ())),
        (Literal["a", "b"], ("word", ("a", "b"))),
        (Annotated[Literal["a", "b"], print], ("word", ("a", "b"))),
        (bool, ("true or false", ("true", "false"))),
        (Annotated[float, print], ("number", ())),
        (str, ("text", ())),
    ],
)
def test_types_in_words(hint, expected):
    assert described._kind(hint) == expected


def test_needs_are_those_that_a_strategy_can_declare():
    head = {name for name, (kind, _) in NEEDS.items() if kind != "rows"}
    assert head == needs.HEAD_NEEDS
    assert {name for name, (kind, _) in NEEDS.items() if kind == "posterior"} == needs.POSTERIOR_NEEDS
    assert set(NEEDS) >= needs.OF_FEATURES | needs.OF_IDS
    for name in plugins.names("strategies"):
        assert set(plugins.strategy(name).needs) <= set(NEEDS)
    assert [kind_of(found) for found in (["features"], ["features", "hidden"], ["sample_log_probs"], [])] == [
        "rows",
        "head",
        "posterior",
        "rows",
    ]


def test_options_of_every_query_are_those_of_the_workflow():
    found = {option.name: option for option in described.described("epig").options}
    assert found[IMPUTE].choices == HOW
    assert {IMPUTE, COST, TARGETS} <= set(found)
    assert TARGETS not in {option.name for option in described.described("margin").options}


@pytest.mark.parametrize("name", plugins.names("strategies"))
def test_every_option_is_there_once_with_its_default(name):
    found = described.described(name).options
    strategy = plugins.strategy(name)
    assert len({option.name for option in found}) == len(found)
    assert {option.name.replace("-", "_") for option in found} >= strategy.options
    for option in found:
        assert option.kind
        assert option.meaning
        if option.kind == "word":
            assert set(option.meanings) == set(option.choices), option.name
            assert all(option.meanings.values())
        else:
            assert option.meanings == {}, option.name
        if option.choices and option.default:
            assert option.default in option.choices


def test_defaults_are_values_that_can_be_typed():
    for name in plugins.names("strategies"):
        strategy = plugins.strategy(name)
        own = {option.name: option.default for option in described.described(name).options if option.default}
        assert parsing.parse_options(strategy.declared, own, name)


def test_an_option_of_two_parts_of_a_mix_has_both_meanings():
    one, other = (
        {option.name: option.meaning for option in described.described(name).options}["candidates"]
        for name in ("batchbald", "bemps")
    )
    mixed = {option.name: option.meaning for option in described.described("batchbald:0.5,bemps:0.5").options}
    if one != other:
        assert mixed["candidates"] == f"Of batchbald: {one} Of bemps: {other}"
    else:
        assert mixed["candidates"] == one
