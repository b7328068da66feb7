"""A choice over a large pool says beforehand what it costs; over a small one it says nothing."""

from __future__ import annotations

import re

import numpy as np
import pytest

from alcli import plugins
from alcli.engine import forecast
from alcli.engine.forecast import foretell, in_words
from alcli.numerics.diversity import kcenter
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from tests.helpers import TableHead, view_of

N, D, C = 6000, 8, 3
X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)


def told(name: str, k: int = 4, **options: object) -> list[str]:
    """What a strategy says before its work."""
    heard: list[str] = []
    view = view_of(X, labelled=np.arange(20), head=TableHead(np.eye(C, D)))
    view.tell = view.tell_cost = heard.append
    select(strategy_of(plugins.load("strategies", name)), view, k, seed=0, options=options)
    return heard


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("coreset", {}),
        ("badge", {}),
        ("bait", {}),
        ("maxherding", {"evaluation": "500"}),
        ("uherding", {"evaluation": "500"}),
        ("probcover", {"evaluation": "500"}),
    ],
)
def test_choices_say_what_they_cost(name: str, options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    assert not told(name, **options), "a small pool is not worth a word"
    monkeypatch.setattr(forecast, "LARGE", 100)
    monkeypatch.setattr(forecast, "_WORTH_TELLING", 0.0)
    (text,) = told(name, **options)
    assert re.fullmatch(
        rf"{name} of 5,980 rows by 8 features \(0\.0 GiB\) takes about .* once they are read: \d\.\de\+\d+ operations",
        text,
    )


def test_auto_passes_on_what_its_strategy_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "LARGE", 100)
    monkeypatch.setattr(forecast, "_WORTH_TELLING", 0.0)
    taken, cost = told("auto")
    assert taken.startswith("auto takes uherding")
    assert cost.startswith("uherding of 5,980 rows")


def test_more_columns_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forecast, "_seconds_of_a_product", lambda dim, width: 1e-9)
    heard: list[str] = []
    for columns in (10.0, 1e6, 1e8):
        foretell(heard.append, "this", (100_000, D), columns, 32)
    assert [text.partition(" takes about ")[2].partition(" once")[0] for text in heard] == ["2 minutes", "2.8 hours"]


def test_times_in_words() -> None:
    assert [in_words(seconds) for seconds in (3, 44, 89, 91, 600, 5399, 5400, 360_000)] == [
        "10 seconds",
        "40 seconds",
        "90 seconds",
        "2 minutes",
        "10 minutes",
        "90 minutes",
        "1.5 hours",
        "100.0 hours",
    ]


def test_a_command_says_it_before_it_works(tiny, alcli, capfd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where stderr is a file that somebody reads meanwhile."""
    seen: list[str] = []

    def k_center(*args: object) -> object:
        seen.append(capfd.readouterr().err)
        return kcenter.k_center(*args)

    monkeypatch.setattr(forecast, "LARGE", 10)
    monkeypatch.setattr(forecast, "_WORTH_TELLING", 0.0)
    monkeypatch.setattr("alcli.strategies.coreset.k_center", k_center)
    alcli("query", "pool.parquet", "-l", "labels.csv", "-s", "coreset", "-n", 3).done()
    (said,) = seen
    assert said.startswith("alcli: coreset of 40 rows by ")
