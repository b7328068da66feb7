"""The entry point in one process; what needs real streams and signals is in reliability/test_shell_contract."""

from __future__ import annotations

import numpy as np
import pytest

import alcli as package
from alcli.cli import shell


def test_version(alcli):
    assert alcli("--version").done().out.decode() == f"alcli {package.__version__}\n"


def test_help(alcli):
    for arguments in (["--help"], ["-h"], ["query", "--help"]):
        assert b"Usage: alcli" in alcli(*arguments).done().out
    bare = alcli()
    assert (bare.code, bare.out) == (2, b"")
    assert "Usage: alcli" in bare.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["query", "--bogus"], "query has no option '--bogus'; alcli query --help lists the options"),
        (["query", "--candidate", "3"], "query has no option '--candidate'; did you mean '--candidates'?"),
        (["query", "-Z"], "query has no option '-Z'; alcli query --help lists the options"),
        (["--bogus"], "alcli has no option '--bogus'; alcli --help lists the options"),
        (["quarry"], "no command is named 'quarry'; did you mean 'query'?"),
        (["--version=1"], "--version takes no value"),
        (["query", "pool", "-n"], "-n needs a value"),
        (["query", "pool", "-n", "x"], "-n takes a whole number, got 'x'"),
        (["query", "pool", "-n", "3", "--seed", "-1"], "--seed must be at least 0, got -1"),
        (["query", "pool", "another"], "query takes no argument 'another'; alcli query --help shows an example"),
        (["fit-head", "pool"], "fit-head needs -o HEAD; alcli fit-head --help shows an example"),
        (["simulate"], "simulate needs POOL; alcli simulate --help shows an example"),
        (["update", "head"], "update needs -P POOL; alcli update --help shows an example"),
        (["embed", "x", "-m", "hashing:8", "-o", "p", "--batch-size", "0"], "--batch-size must be at least 1, got 0"),
    ],
    ids=" ".join,
)
def test_a_wrong_command_line_is_refused_in_one_sentence(alcli, arguments, words):
    assert alcli(*arguments).refused(2).err == f"alcli: error: {words}\n"


def test_control_characters_of_arguments_are_escaped(alcli):
    alcli("query", "\x1bpool", "-s", "random", "-n", 1).refused(66, "\\x1bpool", "no such file")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (MemoryError(), 71, "not enough memory"),
        (RuntimeError("can't start new thread"), 71, "starts no more threads"),
        (ImportError("libx.so: failed to map segment from shared object"), 71, "not enough memory"),
        (ZeroDivisionError("float division by zero"), 65, "too large or too small to compute with"),
        (np.linalg.LinAlgError("Singular matrix"), 65, "too large or too small to compute with"),
        (RuntimeError("something else"), 70, "internal error: RuntimeError: something else"),
        (ImportError("no module"), 70, "internal error"),
    ],
)
def test_an_exception_of_a_library_becomes_an_exit_code_and_a_sentence(error, code, words, monkeypatch, capfd):
    def fail(_):
        raise error

    monkeypatch.setattr(shell, "_invoke", fail)
    assert shell.run([]) == code
    assert words in capfd.readouterr().err
