"""Lists in the documentation are those of the code: strategies, commands, options, exit codes, formats and more."""

from __future__ import annotations

import ast
import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

from alcli import errors, parsing, plugins
from alcli.cli.manual import commands
from alcli.cli.shell import _SIGNALS
from alcli.data.formats import FORMATS, format_of
from alcli.embedders._contract import embedder_of
from alcli.heads._contract import family_of
from alcli.numerics.metrics import METRICS
from alcli.posteriors._contract import posterior_of
from alcli.selection.outside import NEEDS
from alcli.selection.view import View
from alcli.simulation.contenders import ORACLES
from alcli.simulation.plus_update import MODIFIERS
from alcli.workflows.query.request import COST, IMPUTE, TARGETS
from alcli.workflows.recipe import COVARIANCES
from alcli.workflows.simulate.update_study import parameters as study_parameters
from tests.pages import DOCUMENTS, ROOT, blocks
from tests.test_layers import ROOMS

DOCS = ROOT / "docs"
_SPEC = importlib.util.spec_from_file_location("hooks", DOCS / "hooks.py")
hooks = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(hooks)
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
COMMANDS = {name: command for name, command in commands().items() if name}
OPTIONS = {
    name: {o for panel in c.panels for entry in panel.entries for o in re.findall(r"--[\w-]+", entry.typed)}
    for name, c in COMMANDS.items()
}
# Options of other programs that the documentation shows.
OF_OTHERS = {
    "--numprocesses", "--dist", "--only", "--data", "--out", "--no-deps",
    "--no-build-isolation", "--target", "--quiet", "--version", "--install-completion", "--head", "--address",
}  # fmt: skip


def table(page: Path, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without the header."""
    text = page.read_text()
    below = text[re.search(rf"^#+ {re.escape(heading)}$", text, re.MULTILINE).end() :]
    rows = re.search(r"^\|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", below, re.MULTILINE)[1]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.splitlines()]


def tables(page: Path, first: str) -> list[list[str]]:
    """The cells of the table whose header begins with `first`."""
    rows = re.search(rf"^\| {re.escape(first)} \|.*\n\|[-:| ]+\|\n((?:\|.*\n)+)", page.read_text(), re.MULTILINE)[1]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in rows.splitlines()]


def codes(cell: str) -> list[str]:
    """What stands between backticks."""
    return re.findall(r"`([^`]+)`", cell)


# -- README -----------------------------------------------------------------------------------------------------------


def test_readme_is_short_and_shows_every_command() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 160
    assert [codes(name)[0] for name, _ in table(ROOT / "README.md", "Commands")] == [
        f"alcli {name}" for name in COMMANDS
    ]


def test_figures_of_readme_are_those_of_the_study() -> None:
    """The picture of README and the table of docs/strategies.md are of the same runs."""
    words, home = (" ".join(page.read_text().split()) for page in (ROOT / "README.md", DOCS / "index.md"))
    rows = {cells[0]: cells for cells in table(DOCS / "strategies.md", "The core")}
    needed, of_random, behind = rows["uherding"][8], rows["random"][8], rows["coreset"][2]
    assert behind.startswith("-")
    for text in (words, home):
        assert f"`uherding` needs {needed} labels for nine tenths" in text
        assert f"random choice needs {of_random}" in text
    assert "all 10,003 labels give" in words
    assert "all 10,003 labels give" in (DOCS / "strategies.md").read_text()


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_extras_exist_and_nothing_installs_another_program(page: Path) -> None:
    text = page.read_text()
    for extras in re.findall(r"pip install '\.\[([\w,]+)\]'", text):
        assert set(extras.split(",")) <= EXTRAS.keys()
    assert not re.search(r"(?<!`)pip install '?alcli\b(?!-)", text), "alcli on the public index is another program"


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md"])
def test_links_lead_somewhere(name: str) -> None:
    """The strict build of the site asks this of docs/; headings are looked for by their words."""
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", (ROOT / name).read_text()):
        path, _, heading = target.partition("#")
        assert (ROOT / path).exists(), target
        headings = re.findall(r"^#+ (.*)$", (ROOT / path).read_text(), re.MULTILINE) if heading else []
        assert not heading or heading in {re.sub(r"[^\w-]+", "-", h.lower()).strip("-") for h in headings}, target


# -- strategies -------------------------------------------------------------------------------------------------------


def test_the_site_lists_every_strategy_once_and_says_which_take_numbers() -> None:
    page = (DOCS / "strategies.md").read_text()
    assert page.count(hooks.STRATEGIES) == 1
    rows = re.findall(r"^\| `([a-z-]+)` \| (.+) \| (yes|) \|$", hooks.strategies(), re.MULTILINE)
    assert sorted(name for name, _, _ in rows) == plugins.names("strategies")
    assert {name: line for name, line, _ in rows} == {
        name: plugins.summary("strategies", name).line for name in plugins.names("strategies")
    }
    for name, _, numbers in rows:
        takes_numbers = not plugins.strategy(name).needs_classes and name not in ("feature-margin", "suspect")
        assert bool(numbers) == takes_numbers, name


# -- files ------------------------------------------------------------------------------------------------------------


def test_exit_codes_are_those_of_the_errors() -> None:
    found = {int(code) for cells in table(DOCS / "cron.md", "Exit codes") for code in cells[0].split(", ")}
    kinds = {
        kind.exit_code
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.AlcliError)
    }
    assert found == {0} | kinds | set(_SIGNALS.values()), "see the table 'Exit codes' of docs/cron.md"


def test_formats_and_extensions_are_those_of_query() -> None:
    rows = tables(DOCS / "files.md", "`--format`")
    hint = "the table under 'Selection' of docs/files.md lists the formats in the order of FORMATS"
    assert [codes(cells[0])[0] for cells in rows] == list(FORMATS), hint
    for name, extensions, _ in rows:
        assert all(format_of(Path(f"out{e}"), None) == codes(name)[0] for e in codes(extensions))


def test_models_are_those_of_embed() -> None:
    rows = table(DOCS / "files.md", "Upstream models")
    named = [codes(cells[0])[0].partition(":")[0] for cells in rows]
    missing = sorted(set(plugins.names("embedders")) - set(named))
    assert not missing, f"name {', '.join(missing)} in the table 'Upstream models' of docs/files.md"
    assert sorted(named) == plugins.names("embedders"), "a name of the table is no model, or stands twice"
    for model, kinds, needs, _ in rows:
        found = embedder_of(plugins.load("embedders", codes(model)[0].partition(":")[0]))
        assert set(kinds.split(", ")) == found.takes
        assert set(codes(needs)) <= EXTRAS.keys()


def test_heads_and_posteriors_are_those_of_fit_head() -> None:
    assert sorted(codes(cells[0])[0] for cells in tables(DOCS / "files.md", "`fit-head --head`")) == plugins.names(
        "heads"
    )
    rows = {codes(name)[0]: codes(text) for name, text in tables(DOCS / "files.md", "`fit-head --posterior`")}
    others = [name for name in plugins.names("posteriors") if not name.startswith("laplace-")]
    assert sorted(rows) == sorted(["laplace", "none", *others])
    assert rows["laplace"] == ["--covariance", *COVARIANCES]


def test_metrics_are_those_of_simulate() -> None:
    rows = [[codes(name)[0], labels, better] for name, labels, better, _ in tables(DOCS / "files.md", "`--metric`")]
    words = {"classification": "classes", "regression": "numbers"}
    known = [[m.name, words[m.task], "larger" if m.larger_is_better else "smaller"] for m in METRICS.values()]
    assert rows == known, "the table under 'Simulation' of docs/files.md lists the metrics in the order of METRICS"


# -- the code ---------------------------------------------------------------------------------------------------------


def test_needs_and_the_view_are_those_of_a_strategy() -> None:
    named = [codes(cells[0])[0] for cells in table(DOCS / "plugins.md", "Needs")]
    assert sorted(named) == sorted(NEEDS)
    members = [re.split(r"\W", code)[0] for cells in table(DOCS / "plugins.md", "The view") for code in codes(cells[0])]
    assert all(hasattr(View, name) for name in members)


def test_the_rooms_have_their_rank() -> None:
    found = [(int(rank), codes(room)[0]) for rank, room, _ in table(DOCS / "how-it-works.md", "The rooms")]
    assert found == list(enumerate(ROOMS, 1))


def test_the_one_rule_stands_there() -> None:
    assert (
        "**A strategy is a function from a View to a Selection; it may read only what it declares.**"
        in (DOCS / "how-it-works.md").read_text()
    )


def test_every_stop_of_a_trip_is_there() -> None:
    stops = re.findall(r"^\d+\. `(alcli/[\w/]+\.py)`: `([\w.]+)`", (DOCS / "how-it-works.md").read_text(), re.MULTILINE)
    assert len(stops) > 30
    for path, name in stops:
        tree = ast.parse((ROOT / path).read_text())
        defined = {n.name for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.ClassDef))}
        assert set(name.split(".")) <= defined, f"docs/how-it-works.md: {path} has no {name}"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_files_of_the_repository_that_are_named_are_there(page: Path) -> None:
    for path in re.findall(r"`((?:alcli|tests|docs|sample_data|benchmarks)/[\w/.-]+)`", page.read_text()):
        assert "NAME" in path or (ROOT / path).exists(), f"{page.name} names {path}"


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_options_are_those_of_their_command(page: Path) -> None:
    text = page.read_text()
    everything = set().union(*OPTIONS.values())
    for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", text):
        assert option in everything | OF_OTHERS, f"{page.name}: no command has {option}"
    spans = [line for block in blocks(text) for line in block.text.splitlines()] + codes(
        re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    )
    for span in spans:
        for name, rest in re.findall(rf"(?:^|alcli )({'|'.join(OPTIONS)}) ([^|]*)", span):
            given = set(re.findall(r"(?<![\w-])--[a-z][\w-]*", rest))
            assert given <= OPTIONS[name] | OF_OTHERS, (
                f"{page.name}: `{span}`: alcli {name} has no {sorted(given - OPTIONS[name])}"
            )


def parameters() -> set[str]:
    """The names that -p takes, of every method and command."""
    functions = [function for name in plugins.names("strategies") for function in plugins.strategy(name).declared]
    functions += [family_of(plugins.load("heads", name)).fit for name in plugins.names("heads")]
    functions += [posterior_of(plugins.load("posteriors", name)).fit for name in plugins.names("posteriors")]
    functions += [embedder_of(plugins.load("embedders", name)).open for name in plugins.names("embedders")]
    functions += [*(modifier.run for modifier in MODIFIERS.values()), *ORACLES.values(), study_parameters]
    return {*parsing.options_of(*functions), IMPUTE, TARGETS, COST, "KEY"}


@pytest.mark.parametrize("page", DOCUMENTS, ids=lambda page: page.name)
def test_parameters_that_are_shown_exist(page: Path) -> None:
    text = page.read_text()
    for block in blocks(text):
        for command, output in block.commands():
            # The page shows what a misspelling gives.
            text = text.replace(command, "") if "has no parameter" in output else text
    known = parameters() | {
        a.arg
        for b in blocks(text)
        if b.language == "python"
        for a in ast.walk(ast.parse(b.text))
        if isinstance(a, ast.arg)
    }
    for key in re.findall(r"-p (?:[\w+-]+\.)*([\w-]+)=", text):
        assert key.replace("_", "-") in known, f"{page.name}: no method has -p {key}="
