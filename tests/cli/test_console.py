"""What a command says and where."""

from __future__ import annotations

import json
import os
import pty
import re
import sys
import time

import pytest

from alcli.cli.console import Console, _rate, console, is_fancy
from alcli.errors import OutputError
from alcli.remarks import steps


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
        (True, {"NO_COLOR": "1"}, True),
        (True, {"NO_COLOR": ""}, True),
        (True, {"TERM": "dumb"}, False),
        (False, {}, False),
    ],
)
def test_when_bars_and_tables_are_shown(monkeypatch, terminal, environment, fancy):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    assert is_fancy() == fancy


@pytest.mark.parametrize(
    ("speed", "shown"),
    [(None, ""), (1234.5, "1,234/s"), (3.2, "3.2/s"), (0.04, "25.0 s each")],
)
def test_a_rate_is_never_nothing_a_second(speed, shown):
    assert _rate(speed) == shown


@pytest.mark.parametrize(("no_color", "coloured"), [("", True), ("1", False)])
def test_no_color_takes_the_colour_and_leaves_the_bar(capfd, monkeypatch, no_color, coloured):
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    monkeypatch.setattr("alcli.cli.console._PATIENCE", 0.0)
    for name, value in (("NO_COLOR", no_color), ("FORCE_COLOR", "1"), ("TERM", "xterm-256color")):
        monkeypatch.setenv(name, value)
    with console() as talk, talk.progress() as progress:
        progress.start(10, "pondering")
        for _ in range(10):
            progress.advance(1)
            time.sleep(0.03)
    err = capfd.readouterr().err
    assert "pondering" in err
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-9]", err)) == coloured


def test_a_short_run_shows_no_bar(capfd, monkeypatch):
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    with console() as talk, talk.working():
        assert list(steps(range(3), "picking", 3)) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")


def test_an_announcement_comes_at_once_on_a_terminal_and_once(capfd, monkeypatch):
    with console() as talk:
        talk.announce("first")
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == "alcli: first\n"
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    with console() as talk:
        talk.announce("first")
        assert capfd.readouterr().err == "alcli: first\n"
        talk.remark("first")
    assert capfd.readouterr().err == ""


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


def test_a_table_of_nine_columns_is_whole_at_80(capfd, monkeypatch):
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    header = "strategy,mean accuracy %,vs random,95% interval,final accuracy %,labels to random's final,mean rank"
    header += ",s fit,s select"
    rows = [["typiclust", "90.4", "+8.7", "-80.9 to +98.3", "96.3", "24", "2.5", "0.44", "0.09"]]
    with console() as talk:
        talk.table(header.split(","), rows)
    lines = re.sub(r"\x1b\[[0-9;]*m", "", capfd.readouterr().err).splitlines()
    assert max(len(line.rstrip()) for line in lines) <= 80, lines
    assert "…" not in "".join(lines)
    assert "  ".join(rows[0]).split() == lines[-1].split()


def test_long_lines_end_between_words_on_a_terminal(capfd, monkeypatch):
    text = "the smallest difference to random that is clear is 89.6 points, by a-long-name; more --seeds lower it"
    monkeypatch.setenv("COLUMNS", "40")
    with console() as talk:
        talk.say(text)
    assert capfd.readouterr().err == f"{text}\n"
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    with console() as talk:
        talk.say(text)
    lines = capfd.readouterr().err.splitlines()
    assert max(map(len, lines)) <= 40
    assert " ".join(line.strip() for line in lines) == text


def test_a_name_that_looks_like_markup_is_shown_as_it_is(capfd, monkeypatch):
    """A step may be named after a column, and a column may have any name."""
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    monkeypatch.setattr("alcli.cli.console._PATIENCE", 0.0)
    monkeypatch.setenv("FORCE_COLOR", "1")
    with console() as talk, talk.progress() as progress:
        progress.start(1, "column [/red][bold]")
        progress.advance(1)
        time.sleep(0.2)
    assert "column [/red][bold]" in capfd.readouterr().err


def test_lines_of_a_text_stay_lines_on_a_terminal(capfd, monkeypatch):
    monkeypatch.setattr("alcli.cli.console.is_fancy", lambda: True)
    with console() as talk:
        talk.say("first\n  second   2")
    assert capfd.readouterr().err == "first\n  second   2\n"


def test_a_terminal_gets_control_characters_escaped_and_a_file_gets_them_as_they_are(tmp_path):
    data = "a\x1b]0;title\x07\tb\x9b2J\n".encode() + b"\xff\n"
    leader, follower = pty.openpty()
    Console(follower, quiet=True, verbose=False, as_json=False).emit(data)
    os.close(follower)
    assert os.read(leader, 4096).replace(b"\r\n", b"\n") == b"a\\x1b]0;title\\x07\tb\\x9b2J\n\\udcff\n"
    os.close(leader)
    with open(tmp_path / "file", "wb") as file:
        Console(file.fileno(), quiet=True, verbose=False, as_json=False).emit(data)
    assert (tmp_path / "file").read_bytes() == data
