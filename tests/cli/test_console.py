"""What a command says and where."""

from __future__ import annotations

import json
import os
import sys

import pytest

from alcli.cli.console import console, is_fancy
from alcli.errors import OutputError


def test_streams(capfd):
    with console(verbose=True) as talk:
        talk.emit(b"data\n")
        os.write(1, b"chatter\n")
        talk.note("a\x1b[31m note")
        talk.say("plain")
        talk.detail("more")
        talk.summary({"not": "asked for"})
    out, err = capfd.readouterr()
    assert out == "data\n"
    assert err == "chatter\nalcli: a\\x1b[31m note\nplain\nalcli: more\n"


def test_quiet_and_not_verbose(capfd):
    with console(quiet=True) as talk:
        talk.note("x")
        talk.say("x")
        talk.detail("x")
        talk.table(["x"], [["y"]])
        with talk.progress() as progress:
            progress.start(3, "work")
            progress.advance(1)
    assert capfd.readouterr() == ("", "")


def test_reports(capfd):
    with console(as_json=True) as talk:
        talk.report({"b": 1, "a": "ü"})
    assert capfd.readouterr() == ('{"a": "ü", "b": 1}\n', "")
    with console() as talk:
        talk.report({"log_evidence": -1.23456789, "n": 3})
        talk.table(["name", "value"], [["a", "1"], ["long name", "22"]])
    assert capfd.readouterr() == (
        "",
        "log evidence  -1.235\nn             3\nname       value\na          1\nlong name  22\n",
    )


def test_a_report_shows_the_extremes_of_many_numbers_and_the_beginning_of_a_list(capfd):
    masses = {"cat": 7.25, "dog": 0.5, "a\x1bt": 100.0}
    report = {"pool_rows": masses, "wrong": [], "some": ["x", "y"], "many": list("abcdefg")}
    with console() as talk:
        talk.report(report)
    assert capfd.readouterr().err.splitlines() == [
        "pool rows  least 0.5 (dog), median 7.25, most 100 (a\\x1bt)",
        "wrong      none",
        "some       x, y",
        "many       a, b, c, d, e and 2 more",
    ]
    with console(as_json=True) as talk:
        talk.report(report)
    assert json.loads(capfd.readouterr().out) == report


def test_a_large_emission_is_whole(capfd):
    with console() as talk:
        talk.emit(b"x" * 300_000)
    assert len(capfd.readouterr().out) == 300_000


def test_full_and_closed_output(capfd):
    for flags, path in ((os.O_WRONLY, "/dev/full"), (os.O_RDONLY, "/dev/null")):
        with console() as talk:
            talk._data = os.open(path, flags)
            for data in (b"", b"x"):
                with pytest.raises(OutputError, match="standard output"):
                    talk.emit(data)


def test_stdout_comes_back_after_an_error(capfd):
    with pytest.raises(LookupError), console():
        raise LookupError
    os.write(1, b"again")
    assert capfd.readouterr() == ("again", "")


@pytest.mark.parametrize(
    ("terminal", "environment", "fancy"),
    [
        (True, {}, True),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_when_colours_are_shown(monkeypatch, terminal, environment, fancy):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert is_fancy() == fancy


def test_a_bar_on_a_terminal(capfd, monkeypatch):
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    with console() as talk, talk.progress() as progress:
        progress.start(10, "first")
        progress.advance(10)
        progress.start(None, "second")
        progress.advance(1)
    with console() as talk:
        talk.table(["name"], [["row"]])
    out, err = capfd.readouterr()
    assert out == ""
    assert "row" in err
