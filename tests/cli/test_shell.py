"""The entry point in one process; what needs real streams and signals is in reliability/test_shell_contract."""

from __future__ import annotations

import alcli as package


def test_version(alcli):
    assert alcli("--version").done().out.decode() == f"alcli {package.__version__}\n"


def test_help(alcli):
    for arguments in (["--help"], ["-h"], ["query", "--help"]):
        assert b"Usage: alcli" in alcli(*arguments).done().out
    bare = alcli()
    assert (bare.code, bare.out) == (2, b"")
    assert "Usage: alcli" in bare.err


def test_usage_errors_say_where_help_is(alcli):
    alcli("query", "--bogus").refused(2, "No such option", "alcli query --help")
    alcli("--bogus").refused(2, "--bogus")


def test_control_characters_of_arguments_are_escaped(alcli):
    alcli("query", "\x1bpool", "-s", "random", "-n", 1).refused(66, "\\x1bpool", "no such file")
