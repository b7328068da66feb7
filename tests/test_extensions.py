"""Methods of other people: a strategy in a file, or offered by an installed package, in every command that takes a
strategy.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli import extensions, parsing, plugins
from alcli.errors import DataError, InputError, UsageError
from tests.pools import CLASSES

CLUE = '''"""Rows of high entropy, far from each other.

Source: own example.
Cost: O(N C).
Passes: 1.
"""

import numpy as np

from alcli.selection import Selection, View, batch, pointwise


@pointwise(needs=["log_probs"])
def sure(log_probs_BC):
    """The largest probability, float64 [B]."""
    return np.exp(log_probs_BC.max(axis=1))


@batch(needs=["features", "log_probs"], random=True)
def clue(view: View, k: int, *, rng: np.random.Generator, power: float = 1.0) -> Selection:
    """Draw k rows by their entropy to a power."""
    log_probs = view.matrix("log_probs").astype(np.float64)
    weights = (-(np.exp(log_probs) * log_probs).sum(axis=1)) ** power
    places = rng.choice(view.n, k, replace=False, p=weights / weights.sum())
    return Selection(view.rows[places], weights[places].astype(np.float32))
'''


@pytest.fixture
def clue(tiny):
    Path("clue.py").write_text(CLUE)
    return "clue.py"


def digest(path="clue.py"):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def ids(outcome):
    return outcome.done().lines


def test_a_file_is_a_strategy_by_its_own_name_or_by_a_name_in_it(clue, alcli):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-n", 5)
    assert len(set(ids(alcli(*ask, "-s", "clue.py")))) == 5
    assert ids(alcli(*ask, "-s", "./clue.py:clue")) == ids(alcli(*ask, "-s", "clue.py"))
    assert ids(alcli(*ask, "-s", str(Path("clue.py").resolve()))) == ids(alcli(*ask, "-s", "clue.py"))
    # the surest rows are the last that least-confident would ask for
    unsure = ids(alcli("query", "pool.parquet", "-l", "labels.csv", "-n", 60, "-s", "least-confident"))
    assert set(ids(alcli(*ask, "-s", "clue.py:sure"))) == set(unsure[-5:])


def test_options_modifiers_and_mixes_go_with_it(clue, alcli):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-n", 6)
    assert ids(alcli(*ask, "-s", "clue.py", "-p", "power=8")) != ids(alcli(*ask, "-s", "clue.py"))
    alcli(*ask, "-s", "clue.py", "-p", "powr=8").refused(2, "no parameter 'powr'", "did you mean 'power'?")
    assert len(set(ids(alcli(*ask, "-s", "clue.py", "-p", "prefilter=0.5", "-p", "balance=predicted")))) == 6
    mixed = alcli(*ask, "--mix", "clue.py:clue:0.5,random:0.5").done()
    assert "3 by clue.py:clue, 3 by random" in mixed.err


def test_it_streams(clue, alcli):
    answers = "".join(json.dumps({"id": f"r{i:03d}", "label": CLASSES[i % 3]}) + "\n" for i in range(30, 33)).encode()
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    for name in ("clue.py", "clue.py:sure"):
        out = (
            alcli("query", "pool.parquet", "-H", "head.safetensors", "-s", name, "-n", 2, "--stream", stdin=answers)
            .done()
            .lines
        )
        assert all("id" in json.loads(line) for line in out)
        assert out


def test_files_and_ledgers_record_which_code_chose(clue, alcli):
    ask = (
        "query",
        "pool.parquet",
        "-l",
        "labels.csv",
        "-n",
        2,
        "-s",
        "clue.py",
        "--selections",
        "ledger.parquet",
        "-o",
        "batch.parquet",
    )
    alcli(*ask).done()
    label = f"clue.py@{digest()[:12]}"
    assert pq.read_table("ledger.parquet")["strategy"].to_pylist() == [label] * 2
    about = json.loads(pq.read_schema("batch.parquet").metadata[b"alcli"])
    assert about["origins"] == {"clue.py": {"file": "clue.py", "sha256": digest()}}
    Path("clue.py").write_text(CLUE + "\n# changed\n")
    alcli(*ask).done()
    assert pq.read_table("ledger.parquet")["strategy"].to_pylist() == [label] * 2 + [f"clue.py@{digest()[:12]}"] * 2
    assert plugins.label("clue.py:sure:0.5,random:0.5") == f"clue.py:sure@{digest()[:12]}:0.5,random:0.5"
    assert plugins.origins("margin:0.5,badge:0.5") == {}
    assert plugins.label("margin:0.5,badge:0.5") == "margin:0.5,badge:0.5"


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("def broken(:\n", 65, ["mine.py, line 1", "not valid Python"]),
        ("import numpy\nx = 1 / 0\n", 65, ["mine.py", "line 2", "ZeroDivisionError"]),
        ("import nothing_of_this_name\n", 65, ["line 1", "ModuleNotFoundError", "nothing_of_this_name"]),
        ("import sys\nsys.exit(0)\n", 65, ["line 2 of mine.py", "SystemExit"]),
        ("x = 1\n", 65, ["declares no strategy", "@pointwise or @batch from alcli.selection"]),
        ("STRATEGY", 2, ["declares 2 of a kind: one, two", "mine.py:one"]),
        (
            "@pointwise(needs=['log_prob'])\ndef mine(x):\n    return x\n",
            65,
            ["needs 'log_prob'", "did you mean 'log_probs'?"],
        ),
        ("@pointwise(needs=['log_probs'])\ndef mine(x, *, t):\n    return x\n", 65, ["option 't' has no default"]),
        (
            "@pointwise(needs=['log_probs'])\ndef mine(x):\n    return x\n",
            65,
            ["scores have shape (40, 3), expected (40,)"],
        ),
        ("@pointwise(needs=['log_probs'])\ndef mine(x):\n    return ['a'] * len(x)\n", 65, ["no array of numbers"]),
        (
            "@pointwise(needs=['log_probs'])\ndef mine(x):\n\n    return x[0, 7]\n",
            65,
            ["line 6 of mine.py", "IndexError"],
        ),
        (
            "@pointwise(needs=['log_probs'])\ndef mine(x):\n    return x[:, 0] * float('nan')\n",
            65,
            ["not a finite number"],
        ),
        (
            "@batch(needs=['features'])\ndef mine(view, k):\n    return view.rows[:k]\n",
            65,
            ["returned ndarray, expected a Selection"],
        ),
        (
            "@batch(needs=['features'])\ndef mine(view, k):\n    return Selection(view.rows[:1], view.rows[:1])\n",
            65,
            ["rows of shape (1,)", "3 were asked"],
        ),
        (
            "@batch(needs=['features'])\ndef mine(view, k):\n    return Selection(view.rows[[0] * k], view.rows[:k])\n",
            65,
            ["distinct candidates"],
        ),
        (
            "@batch(needs=['features'])\ndef mine(view, k):\n    return view.matrix('logits')\n",
            65,
            ["LookupError", "declares only"],
        ),
        ("@pointwise(needs=[])\ndef mine():\n    return 1\n", 65, ["needs nothing of them"]),
        ("@pointwise(needs=['features', 'labelled'])\ndef mine(x, y):\n    return 1\n", 65, ["'labelled'; a strategy"]),
        ("@pointwise(needs=['sample_log_probs'])\ndef mine(x):\n    return 1\n", 65, ["how many draws", "samples=20"]),
        (
            "@pointwise(needs=['features'])\ndef mine(x, *, t: 'Nothing' = 1):\n    return x[:, 0]\n",
            65,
            ["annotations of the options of 'mine'", "name 'Nothing' is not defined"],
        ),
        ("@pointwise(needs=['features'])\ndef mine(x):\n    return x[:, 0] + 1j\n", 65, ["no array of numbers"]),
        *(
            (f"@batch(needs=['features'])\ndef mine(view, k):\n    return Selection({answer})\n", 65, words)
            for answer, words in (
                ("view.rows[0], 1.0", ["rows of shape ()"]),
                ("[[1], [2, 3]], view.rows[:k]", ["its rows are no array of numbers"]),
                ("view.rows[:k], ['a'] * k", ["its scores are no array of numbers"]),
                ("view.rows[:k], view.rows[:k] + 1e300", ["scores is not a finite number in float32"]),
                ("view.rows[:k], view.rows[:k], view.rows[:1]", ["its weights have shape (1,), expected (3,)"]),
                ("view.rows[:k], view.rows[:k], [float('nan')] * k", ["weights is not a finite number"]),
                ("view.rows[:k], view.rows[:k], notes='one text'", ["its notes are no tuple of texts"]),
            )
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_one_sentence(tiny, alcli, text, code, words):
    head = "from alcli.selection import Selection, batch, pointwise\n\n"
    two = "".join(f"@pointwise(needs=['log_probs'])\ndef {name}(x):\n    return x\n" for name in ("one", "two"))
    Path("mine.py").write_text(head + two if text == "STRATEGY" else head + text if text.startswith("@") else text)
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "mine.py", "-n", 3).refused(code, *words)


OPTIONS = """
from typing import Annotated, Literal, Optional
from alcli.selection import pointwise
from alcli.selection.options import positive

def refusing(**options):
    raise ValueError("one is too many")

@pointwise(needs=["features"])
def mine(
    x,
    *,
    plain=1,
    word: Annotated[float, "a unit"] = 1.0,
    size: Literal[1, 2] = 1,
    own: Annotated[int, refusing] = 1,
    part: Optional[Annotated[float, positive]] = None,
    side: Optional[Literal["a", "b"]] = None,
    many: list[int] = [],
):
    return x[:, 0]
"""


def test_annotations_of_options(tiny, alcli):
    Path("mine.py").write_text(OPTIONS)
    functions = plugins.strategy("mine.py").declared
    texts = {"plain": "2", "word": "3", "size": "2", "part": "0.5", "side": "b"}
    values = {"plain": 2, "word": 3.0, "size": 2, "part": 0.5, "side": "b"}
    assert parsing.parse_options(functions, texts, "mine") == values
    assert parsing.parse_options(functions, {"part": "none", "side": "none"}, "mine") == {"part": None, "side": None}
    ask = ("query", "pool.parquet", "-s", "mine.py", "-n", 2, "-p")
    alcli(*ask, "size=3").refused(2, "must be one of 1, 2, got '3'")
    alcli(*ask, "part=-1").refused(2, "'part' must be a positive number")
    alcli(*ask, "own=1").refused(2, "parameter 'own': one is too many")
    alcli(*ask, "many=1").refused(65, "'many' is declared as list[int]; options are int")
    explained = "\n".join(alcli("query", "--list", "mine.py").done().lines)
    for words in ("1 | 2, default 1", "none or a positive number", "none | a | b", "whole number, default 1"):
        assert words in explained


def test_a_decorator_above_the_declaration_counts(tiny):
    above = (
        "def flipped(f):\n    return functools.wraps(f)(lambda *a, **k: -f(*a, **k))\n\n\n@flipped\n@pointwise(needs"
    )
    text = "import functools\n" + CLUE.replace("@pointwise(needs", above)
    Path("clue.py").write_text(text)
    log_probs_BC = np.log(np.array([[0.5, 0.5], [0.9, 0.1]]))
    assert plugins.strategy("clue.py:sure").run(log_probs_BC) == pytest.approx([-0.5, -0.9])


def test_a_file_may_import_modules_that_have_names_of_decorators(clue):
    Path(clue).write_text("import alcli.selection as selection\nfrom alcli.simulation import metrics\n" + CLUE)
    assert plugins.strategy(clue).needs == ("features", "log_probs")
    with pytest.raises(DataError, match="declares no metric"):
        extensions.load("metrics", clue)


def test_the_text_that_is_recorded_is_what_runs(clue):
    when = os.stat(clue).st_mtime_ns
    for power in ("1.0", "2.0"):  # texts of one length and one time, for which bytecode in a cache looks fresh
        Path(clue).write_text(CLUE.replace("power: float = 1.0", f"power: float = {power}"))
        os.utime(clue, ns=(when, when))
        run = plugins.strategy(clue).run
        assert inspect.signature(run).parameters["power"].default == float(power)
    assert not Path("__pycache__").exists()


def test_files_that_are_not_there(tiny, alcli):
    alcli("query", "pool.parquet", "-s", "./none.py", "-n", 3).refused(66, "none.py: cannot read the file")
    Path("clue.py").write_text(CLUE)
    alcli("query", "pool.parquet", "-s", "clue.py:clu", "-n", 3).refused(2, "no strategy 'clu'", "did you mean 'clue'?")
    alcli("query", "pool.parquet", "-s", "clue.py:np", "-n", 3).refused(2, "no strategy 'np'", "is not declared as one")
    with pytest.raises(InputError):
        extensions.load("strategies", "folder/none.py:x")
    with pytest.raises(UsageError, match="no metric is named 'top3'"):
        extensions.load("metrics", "top3")


def package(folder: Path, module: str, text: str, **points: str) -> None:
    """An installed distribution `alcli-mine` 1.2 with one module and entry points into it."""
    (folder / f"{module}.py").write_text(text)
    about = folder / "alcli_mine-1.2.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: alcli-mine\nVersion: 1.2\n")
    lines = ["[alcli.strategies]", *(f"{name} = {module}:{target}" for name, target in points.items())]
    (about / "entry_points.txt").write_text("\n".join(lines) + "\n")


@pytest.fixture
def site(tmp_path_factory, monkeypatch):
    folder = tmp_path_factory.mktemp("site")
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [n for n, m in sys.modules.items() if str(folder) in str(getattr(m, "__file__", ""))]:
        del sys.modules[name]


def test_an_installed_package_offers_strategies(tiny, alcli, site):
    package(site, "clue_of_mine", CLUE, **{"clue-of-mine": "clue", "sure-of-mine": "sure"})
    assert plugins.known_strategies().count("clue-of-mine") == 1
    assert "clue-of-mine" in plugins.strategy_names("clu")
    listed = json.loads(alcli("query", "--list", "--json").done().out)
    mine = next(row for row in listed if row["name"] == "clue-of-mine")
    assert (mine["options"][0]["name"], mine["options"][0]["default"]) == ("power", "1")
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-n", 2, "-s", "clue-of-mine")
    alcli(*ask, "--selections", "ledger.parquet").done()
    assert pq.read_table("ledger.parquet")["strategy"].to_pylist() == ["clue-of-mine@alcli-mine-1.2"] * 2
    assert plugins.origins("clue-of-mine:0.5,random:0.5") == {
        "clue-of-mine": {"package": "alcli-mine", "version": "1.2"}
    }
    alcli("query", "pool.parquet", "-s", "clue-of-min", "-n", 2).refused(2, "did you mean 'clue-of-mine'?")


def test_a_package_that_fails_or_offers_something_else_is_named(tiny, alcli, site):
    package(site, "broken_of_mine", "import numpy\n\nnumpy.nothing\n", broken="x")
    alcli("query", "pool.parquet", "-s", "broken", "-n", 2).refused(
        65, "'broken' of the package alcli-mine", "line 3 of broken_of_mine.py"
    )
    (site / "alcli_mine-1.2.dist-info" / "entry_points.txt").write_text("[alcli.strategies]\nother = json:dumps\n")
    with pytest.raises(DataError, match="'json:dumps' is no strategy"):
        plugins.strategy("other")


def test_two_packages_with_one_name_are_both_named(tiny, alcli, site):
    package(site, "clue_of_mine", CLUE, **{"shared-name": "clue", "a/b": "clue"})
    other = site / "alcli_other-1.0.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: alcli-other\nVersion: 1.0\n")
    (other / "entry_points.txt").write_text("[alcli.strategies]\nshared-name = json:dumps\n")
    words = "several packages offer a strategy named 'shared-name': alcli-mine and alcli-other"
    alcli("query", "pool.parquet", "-s", "shared-name", "-n", 2).refused(65, words)
    assert words[:40] in "\n".join(alcli("query", "--list").done().lines)
    assert "a/b" not in plugins.known_strategies()


def test_a_package_that_cannot_be_read_leaves_the_list_of_strategies(tiny, alcli, site):
    package(site, "broken_of_mine", "def f(:\n", broken="x")
    points = site / "alcli_mine-1.2.dist-info" / "entry_points.txt"
    points.write_text(points.read_text() + "missing = nothing_of_this_name.sub:x\n")
    listed = "\n".join(alcli("query", "--list").done().lines)
    assert "the source of 'broken' is not valid Python" in listed
    assert "\nmissing" in listed
    alcli("query", "pool.parquet", "-s", "missing", "-n", 2).refused(
        65, "'missing' of the package alcli-mine: ", "ModuleNotFoundError: No module named 'nothing_of_this_name'"
    )


def test_alclis_own_names_win_over_those_of_packages(tiny, site):
    package(site, "margin_of_mine", CLUE, margin="clue")
    assert plugins.strategy("margin").pointwise
    assert plugins.origins("margin") == {}
