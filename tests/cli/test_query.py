"""`alcli query` on the command line: outputs, and what is checked first."""

from __future__ import annotations

from pathlib import Path

import pytest


def test_names_are_checked_before_data_is_read(alcli, folder):
    alcli("query", "missing.parquet", "-s", "margn", "-n", 1).refused(2, "'margin'")
    alcli("query", "missing.parquet", "-s", "margin", "-n", 1).refused(66, "missing.parquet")
    alcli("query", "missing.parquet", "-s", "prob/topnorm", "-n", 1).refused(
        2, "embedding 'prob' does not go with selector 'topnorm'"
    )


def test_without_a_head_there_is_no_branch_to_ask_and_it_is_said_which_command_fits_one(tiny, alcli):
    for who in ("learning-loss", "margin:0.5,learning-loss:0.5"):
        for more in ((), ("--stream",), ("-p", "prefilter=0.5")):
            alcli("query", "missing.parquet", "-l", "missing.csv", "-s", who, "-n", 1, *more).refused(
                2, "alcli fit-head POOL -l LABELS --head mlp --aux-loss"
            )
    answered = alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "lplgrad", "-n", 3).done()
    said = [line for line in answered.err.splitlines() if "aux: inactive; a linear head has no hidden layer" in line]
    assert len(said) == 1
    assert answered.out == alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "ent-gradnorm", "-n", 3).done().out


def test_without_a_strategy_it_is_auto(tiny, alcli):
    default = alcli("query", "pool.parquet", "-l", "labels.csv", "-n", 3).done()
    assert "auto takes uherding" in default.err
    assert default.out == alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "auto", "-n", 3).done().out
    Path("none.csv").write_text("id,label\n")
    said = alcli("query", "pool.parquet", "-l", "none.csv", "-n", 3).done().err
    assert "auto takes maxherding: there is no head" in said
    alcli("query", "missing.parquet", "-s", "", "-n", 1).refused(2, "no strategy is named ''")


@pytest.mark.parametrize(
    "pair", ["feature/kcenter", "grad/kmeanspp", "prob/lcmd", "noise/maxdet", "delta/topnorm", "samples/fw"]
)
def test_a_pair_is_a_strategy_in_query(tiny, alcli, pair):
    chosen = (
        alcli("query", "pool.parquet", "-l", "labels.csv", "-s", pair, "-n", 4, "--format", "csv")
        .done()
        .out.decode()
        .splitlines()
    )
    assert len(chosen) == 5
    assert all(f",{pair}" in line for line in chosen[1:])


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet", "ids"])
def test_stdout_and_file_hold_the_same(tiny, alcli, form):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 4, "--format", form)
    import subprocess

    from tests.shell import SCRIPT

    alcli(*ask, "-o", "picked").done()
    piped = subprocess.run([SCRIPT, *map(str, ask), "-q"], capture_output=True, timeout=60)
    assert piped.stdout == Path("picked").read_bytes()


def test_the_extension_names_the_format(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "random", "-n", 2, "-o", "x.csv").done()
    assert Path("x.csv").read_text().splitlines()[0] == "id,rank,score,strategy"
    alcli("query", "pool.parquet", "-s", "random", "-n", 2, "-o", "x.txt").done()
    assert len(Path("x.txt").read_text().splitlines()) == 2
