"""The manual page and the reference pages hold every command and every option once, as the commands declare them."""

from __future__ import annotations

import html
import os
import re
import shutil
import subprocess
import sys
from typing import Any

import pytest
import typer.main

from alcli import errors
from alcli.cli import manual
from alcli.cli.app import app
from alcli.cli.helptext import sections as sections_of_help
from alcli.cli.options.declare import GENERAL, PANELS
from tests.shell import SCRIPT

TREE: Any = typer.main.get_command(app)
ABOVE = TREE.make_context("alcli", [], resilient_parsing=True)
NAMES = TREE.list_commands(ABOVE)
ROFF = {"\\(rs": "\\", "\\-": "-", "\\(aq": "'", "\\(dq": '"', "\\(ga": "`", "\\(ha": "^", "\\(ti": "~", "\\&": ""}


def unescaped(roff: str) -> str:
    """What a line of the manual page prints."""
    roff = re.sub(r"\\f[BIR]", "", roff)
    return re.sub(
        r"\\\[u(\w+)\]|\\\(..|\\.", lambda found: chr(int(found[1], 16)) if found[1] else ROFF[found[0]], roff
    )


def parameters(name: str) -> list[Any]:
    """The parameters of a command, of alcli itself for "", that its help shows."""
    command = TREE.get_command(ABOVE, name) if name else TREE
    context = command.make_context(name, [], parent=ABOVE, resilient_parsing=True) if name else ABOVE
    return [p for p in command.get_params(context) if not p.hidden]


def sections() -> dict[str, list[str]]:
    """Lines of the manual page by heading: OPTIONS of alcli itself, "alcli query" of a command."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in manual.manual().splitlines():
        if line.startswith((".SH ", ".SS ")):
            heading = unescaped(line[4:]).strip('"')
            assert heading not in found
            lines = found[heading] = []
        else:
            lines.append(unescaped(line))
    return found


def entries_of_manual(name: str) -> list[tuple[str, str]]:
    """(what is typed, help) of each option and argument of a command."""
    lines = sections()[f"alcli {name}" if name else "OPTIONS"]
    return [(lines[i + 1], lines[i + 2]) for i, line in enumerate(lines) if line == ".TP"]


def entries_of_reference(name: str) -> list[tuple[str, str]]:
    found = re.findall(r"^`(.+)`\n:   (.+)$", manual.reference(name), flags=re.MULTILINE)
    return [(typed, html.unescape(re.sub(r"\\(.)", r"\1", text))) for typed, text in found]


def panel_of(parameter: Any) -> int:
    """The place of the parameter's panel on the page."""
    return PANELS.index(getattr(parameter, "rich_help_panel", None) or GENERAL)


def check(entries: list[tuple[str, str]], name: str) -> None:
    """Each parameter has one entry, panel by panel, with its names and its help in front; there are no others."""
    wanted = sorted(parameters(name), key=panel_of)
    assert len(entries) == len(wanted)
    for (typed, text), parameter in zip(entries, wanted, strict=True):
        names = re.findall(r"(?<!\S)-[^\s,]+", typed) if parameter.param_type_name == "option" else []
        assert sorted(names) == sorted(parameter.opts if names else []), typed
        assert names or typed.startswith(parameter.metavar)
        assert parameter.metavar is None or parameter.metavar in typed
        assert parameter.help
        assert text.startswith(parameter.help)
        assert not parameter.required or "[required]" in text
    named = [word for typed, _ in entries for word in re.findall(r"(?<!\S)-[^\s,]+", typed)]
    assert len(named) == len(set(named)), "an option stands there once"


@pytest.mark.parametrize("name", ["", *NAMES])
def test_the_manual_page_has_every_option_once(name: str) -> None:
    check(entries_of_manual(name), name)


@pytest.mark.parametrize("name", NAMES)
def test_the_reference_page_has_every_option_once(name: str) -> None:
    check(entries_of_reference(name), name)


@pytest.mark.parametrize("name", NAMES)
def test_both_have_the_whole_help_of_a_command(name: str) -> None:
    in_manual = [w for line in sections()[f"alcli {name}"] if not line.startswith(".") for w in line.split()]
    text = manual.reference(name)
    fences = "".join(re.findall(r"^```$.*?^```$", text, flags=re.DOTALL | re.MULTILINE))
    printed = html.unescape(re.sub(r"\\(.)", r"\1", text)).split()
    assert text.startswith(f"# alcli {name}\n")
    for section in sections_of_help(TREE.get_command(ABOVE, name).help):
        for paragraph in section.paragraphs:
            assert contains(in_manual, paragraph.prose.split())
            assert contains(printed, paragraph.prose.split())
            assert contains(in_manual, " ".join(paragraph.lines).split())
            assert all(line in fences for line in paragraph.lines)


@pytest.mark.parametrize("name", NAMES)
def test_both_name_the_panels_and_the_sections(name: str) -> None:
    page = manual.commands()[name]
    titles = [part.title for part in page.parts if part.title]
    assert {panel.title for panel in page.panels} <= set(PANELS)
    assert re.findall(r"^## (.*)$", manual.reference(name), flags=re.MULTILINE) == titles
    lines = sections()[f"alcli {name}"]
    assert [line for line in lines if line in titles] == titles


def contains(long: list[str], short: list[str]) -> bool:
    return any(long[i : i + len(short)] == short for i in range(len(long) - len(short) + 1))


def test_there_is_a_section_for_every_command_and_no_other() -> None:
    assert [h.removeprefix("alcli ") for h in sections() if h.startswith("alcli ")] == NAMES
    assert list(manual.commands()) == ["", *NAMES]


def test_exit_codes_are_those_of_the_errors() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, errors.AlcliError)]
    assert [code for code, _ in manual.exit_codes()] == sorted({0, *(c.exit_code for c in classes)})
    lines = sections()["EXIT STATUS"]
    assert [(int(lines[i + 1]), lines[i + 2]) for i, line in enumerate(lines) if line == ".TP"] == manual.exit_codes()
    assert all(meaning.strip() for _, meaning in manual.exit_codes())


def test_a_name_that_is_no_command() -> None:
    for name in ("quarry", ""):
        with pytest.raises(ValueError, match=r"no command '.*'; there are .*query"):
            manual.reference(name)


def test_signs_that_mean_something_to_roff_or_markdown_are_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = typer.Typer(rich_markup_mode=None)
    text = ".q 'b' \\c `d` ~e ^f *g* _h_ <i> &amp; [j] é"

    @odd.callback()
    def above() -> None:
        """Above."""

    @odd.command("odd", help=text)
    def command(x: str = typer.Option("", "--x", help=text)) -> None: ...

    monkeypatch.setattr(manual, "app", odd)
    lines = manual.manual().splitlines()
    assert [unescaped(line) for line in lines].count(text) == 2
    assert not [line for line in lines if line.startswith((".q", "'"))]
    assert manual.manual().isascii()
    assert html.unescape(re.sub(r"\\(.)", r"\1", manual.reference("odd"))).count(text) == 2


@pytest.mark.parametrize(
    "check", [["mandoc", "-Tlint", "-Werror"], ["groff", "-man", "-ww", "-Tutf8", "-z"]], ids=lambda c: c[0]
)
def test_formatters_find_nothing_wrong(check: list[str]) -> None:
    if not shutil.which(check[0]):
        pytest.skip(f"{check[0]} is not installed")
    done = subprocess.run(check, input=manual.manual(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_module_prints_the_page() -> None:
    done = subprocess.run([sys.executable, "-m", "alcli.cli.manual"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, manual.manual())


def test_no_command_imports_the_manual() -> None:
    code = (
        "import sys, alcli.cli.app, alcli.cli.shell; alcli.cli.shell.run(['query', '--help']); "
        "assert 'alcli.cli.manual' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, timeout=60)


def completion_script(shell: str) -> str:
    done = subprocess.run(
        [SCRIPT], capture_output=True, text=True, timeout=60, env=os.environ | {"_ALCLI_COMPLETE": f"source_{shell}"}
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_ask_alcli(shell: str) -> None:
    script = completion_script(shell)
    assert f"_ALCLI_COMPLETE=complete_{shell} " in script
    if shutil.which(shell):
        assert subprocess.run([shell, "-n"], input=script, text=True, timeout=60).returncode == 0


def test_the_completion_script_of_bash_completes_a_command() -> None:
    if not shutil.which("bash"):
        pytest.skip("bash is not installed")
    program = (
        completion_script("bash")
        + 'COMP_WORDS=(alcli que); COMP_CWORD=1; _alcli_completion "$0"; echo "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program, SCRIPT], capture_output=True, text=True, timeout=60)
    assert done.stdout == "query\n"
