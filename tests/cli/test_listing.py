"""`alcli query --list`: one line a strategy, and one strategy explained."""

from __future__ import annotations

import json

import pytest

from alcli import plugins
from alcli.cli.shown.listing import MODIFIERS
from alcli.composition import pairs


@pytest.fixture(autouse=True)
def narrow(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")


def test_a_strategy_is_one_line_of_at_most_80_columns(alcli):
    lines = alcli("query", "--list").done().lines
    assert [line for line in lines if len(line) > 80] == []
    for name in plugins.names("strategies"):
        of_it = [line for line in lines if line.split(" ")[0] == name]
        # The whole summary: none is cut.
        assert [line.partition(" ")[2].strip() for line in of_it] == [plugins.summary("strategies", name).line]


def test_a_summary_that_does_not_fit_is_cut(alcli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    lines = alcli("query", "--list").done().lines
    line = next(line for line in lines if line.startswith("entropy "))
    assert (len(line) <= 40, line.endswith("...")) == (True, True)


def test_strategies_are_grouped_by_what_they_look_at(alcli):
    blocks = [block.splitlines() for block in "\n".join(alcli("query", "--list").done().lines).split("\n\n")]
    groups = {block[0].rstrip(":"): [line.split(" ")[0] for line in block[1:]] for block in blocks}
    assert groups["The default"] == ["auto"]
    assert {"random", "coreset", "typiclust"} <= set(groups["From the features, without a head"])
    assert {"margin", "badge", "bait"} <= set(groups["From the predictions of a head"])
    assert {"bald", "qbc"} <= set(groups["From the posterior of a head"])


def test_the_end_names_pairs_mixes_and_the_options_of_every_strategy(alcli):
    text = "\n".join(alcli("query", "--list").done().lines)
    end = " ".join(text[text.index("EMBEDDING/SELECTOR") :].split())
    for name in (*pairs.EMBEDDINGS, *pairs.SELECTORS, *map("/".join, pairs.REFUSED)):
        assert name in end
    assert all(f"-p {option}=" in end for option in MODIFIERS)
    assert "--mix margin:0.8,random:0.2" in end
    assert "alcli query --list NAME explains" in end


def test_json_has_an_object_for_every_strategy_and_one_for_pairs(alcli):
    *rows, both = json.loads(alcli("query", "--list", "--json").done().out)
    assert [row["name"] for row in rows] == plugins.names("strategies")
    for row in rows:
        assert {"name", "summary", "needs", "options", "source", "cost", "passes"} <= set(row)
        assert row["summary"]
        assert row["source"]
        assert row["needs"]
        for option in row["options"]:
            assert option["meaning"], (row["name"], option["name"])
            words = set() if option["kind"] == "true or false" else set(option["choices"])
            assert set(option["meanings"]) == words, (row["name"], option["name"])
            # No default is the name of a constant.
            assert option["default"] == option["default"].lower()
    assert both["name"] == "EMBEDDING/SELECTOR"
    assert {f"{e}/{s}" for e in both["embeddings"] for s in both["selectors"]} - set(both["refused"]) == set(
        pairs.names()
    )


@pytest.mark.parametrize("name", [*plugins.names("strategies"), *pairs.names()])
def test_a_strategy_is_explained_in_80_columns(alcli, name):
    lines = alcli("query", "--list", name).done().lines
    assert [line for line in lines if len(line) > 80] == []
    assert lines[0].startswith(f"{name}: ")
    assert lines.count("Needs:") == 1
    assert lines.count("Options, each given as -p NAME=VALUE:") == 1
    if "/" not in name:
        assert {"Source:", "Cost:", "Passes over the pool:"} <= set(lines)


def test_the_options_of_a_strategy_have_values_defaults_and_meanings(alcli):
    text = "\n".join(alcli("query", "--list", "bait").done().lines)
    options = " ".join(text[text.index("Options,") :].split())
    for words in (
        "likelihood binary | full, default binary the Fisher information. binary: one matrix for all classes. full:",
        "top whole number from 1, default 5 number of likeliest labels that the mean is over. Counts only with "
        "likelihood=binary and weight=top.",
        "prior auto or a positive number, default auto",
        "forward number from 1, default 2",
        "prefilter number above 0, at most 1, default 1 share of the candidates",
        "balance none | predicted, default none",
        "embed mean | concat, default mean features of a group of rows. mean: the mean of its rows. concat: its rows",
        "impute argmax | sample choose one item after another",
        "cost-col column",
    ):
        assert words in options
    assert "aggregate" not in options
    assert "aggregate mean | max | sum, default mean" in " ".join(
        alcli("query", "--list", "margin").done().out.decode().split()
    )
    assert "samples whole number from 1, default 100" in " ".join(
        alcli("query", "--list", "bald").done().out.decode().split()
    )
    assert "targets file" in " ".join(alcli("query", "--list", "epig").done().out.decode().split())


def test_an_explanation_says_which_of_two_models_a_strategy_looks_at(alcli):
    for name in (*plugins.names("strategies"), "grad/kmeanspp", "feature/kcenter", "margin:0.8,random:0.2"):
        text = " ".join(" ".join(alcli("query", "--list", name).done().lines).split())
        kind = json.loads(alcli("query", "--list", name, "--json").done().out)["kind"]
        assert ("holds two models: the strategy looks at the plain one" in text) == (kind != "rows"), name
        assert kind in ("rows", "head", "posterior")


def test_a_pair_and_a_mix_explain_themselves(alcli):
    pair = alcli("query", "--list", "grad/kmeanspp").done().lines
    assert f"  grad: {pairs.EMBEDDINGS['grad'][1]}." in pair
    assert f"  kmeanspp: {pairs.SELECTORS['kmeanspp']}." in pair
    mix = " ".join(" ".join(alcli("query", "--list", "margin:0.8,random:0.2").done().lines).split())
    for part, share in (("margin", "80%"), ("random", "20%")):
        assert f"{share} by {part}: {plugins.summary('strategies', part).line}" in mix


def test_the_halves_of_pairs_are_explained(alcli):
    text = " ".join(" ".join(alcli("query", "--list", "EMBEDDING/SELECTOR").done().lines).split())
    for name, line in {**{k: v[1] for k, v in pairs.EMBEDDINGS.items()}, **pairs.SELECTORS}.items():
        assert f"{name} {line}." in text
    assert json.loads(alcli("query", "--list", "EMBEDDING/SELECTOR", "--json").done().out)["selectors"] == dict(
        pairs.SELECTORS
    )


def test_an_explanation_as_json(alcli):
    found = json.loads(alcli("query", "--list", "bait", "--json").done().out)
    assert found["name"] == "bait"
    assert {"Source", "Cost", "Passes"} <= set(found["sections"])
    top = next(option for option in found["options"] if option["name"] == "top")
    assert (top["kind"], top["default"], top["choices"]) == ("whole number from 1", "5", [])
    assert top["counts"] == "with likelihood=binary and weight=top"


def test_a_misspelling_gets_the_nearest_name(alcli):
    alcli("query", "--list", "margn").refused(2, "no strategy is named 'margn'; did you mean 'margin'?")
    alcli("query", "--list", "prob/topnorm").refused(2, "does not go with selector 'topnorm'")
    alcli("query", "--list", "margin:0.5,random:0.6").refused(2, "sum to 1")


MINE = '''"""Rows by a power of their norm.

The longest rows come first.
Source: nobody.
Cost: O(N D).
Passes: 1.

Options:
    power: power of the norm.
"""

from alcli.selection import pointwise


@pointwise(needs=["sq_norm"])
def mine(sq_norm_B, *, power: float = 1.0):
    return sq_norm_B**power
'''


def test_a_strategy_of_the_user_is_explained(alcli, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    text = " ".join(" ".join(alcli("query", "--list", tmp_path / "mine.py").done().lines).split())
    assert "mine.py: Rows by a power of their norm. The longest rows come first." in text
    assert "Needs: the lengths of the feature vectors" in text
    assert "power number, default 1 power of the norm." in text
    alcli("query", "--list", tmp_path / "other.py").refused(66, "cannot read the file")
