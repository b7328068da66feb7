"""The pools and the heads of the study behind `-s auto` are what its tables say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("skactiveml", reason="scikit-activeml is not installed")

from sklearn.linear_model import LogisticRegression

from alcli.heads._contract import Training
from benchmarks import auto_aims, auto_numbers, auto_rare

POOLS = auto_rare.pools(Path("nowhere"))


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_has_the_share_of_rare_rows_that_it_is_listed_under(name):
    X_ND, y_N = POOLS[name]
    share = float(name.split()[-1].rstrip("%")) / 100 if "%" in name else auto_rare.RARE
    assert len(X_ND) == len(y_N) > 1000
    assert set(np.unique(y_N)) == {0, 1}
    assert abs(y_N.mean() - share) < 0.006


@pytest.mark.parametrize("name", ["answers", "pixels 1"])
def test_everyone_starts_with_a_rare_row_and_picks_as_many_rows_each_once(name):
    for seed in range(3):
        start = auto_rare.started(POOLS[name], seed)
        assert len(np.unique(start.initial)) == auto_rare.INITIAL
        assert start.y_N[start.initial].any()
        assert np.isin(start.initial, start.askable).all()
        assert not np.isin(start.test, start.askable).any()
    picked = [auto_rare.ours(start, "margin", 0), auto_rare.theirs(start, "margin", 0)]
    for labelled in picked:
        assert len(np.unique(labelled)) == auto_rare.INITIAL + auto_rare.BATCH * auto_rare.ROUNDS
        assert np.isin(labelled, start.askable).all()
        assert np.isin(start.initial, labelled).all()


def test_the_pools_of_the_aims_are_rare_and_each_is_in_one_group():
    groups = auto_aims.grouped(Path("nowhere"))
    names = [name for of in groups.values() for name in of]
    assert len(names) == len(set(names))
    for group, of in groups.items():
        for X_ND, y_N in of.values():
            assert (len(y_N) == len(X_ND) == auto_aims.LARGE) == ("large" in group)
            assert abs(y_N.mean() - auto_rare.RARE) < 0.006


def test_the_options_reach_the_strategy():
    start = auto_rare.started(POOLS["pixels 1"], 0)
    picked = {how: auto_rare.ours(start, name, 0, options=options) for how, (name, options) in auto_aims.HOW.items()}
    finds = {how: start.y_N[rows].sum() for how, rows in picked.items()}
    assert finds["aim=1, unsure=0"] > finds["margin"]
    assert len({tuple(rows) for rows in picked.values()}) == len(picked)


def test_with_the_same_head_margin_picks_the_very_rows():
    start = auto_rare.started(POOLS["pixels 1"], 1)
    same, theirs = auto_rare.ours(start, "margin", 0, auto_rare.logistic), auto_rare.theirs(start, "margin", 0)
    assert set(same.tolist()) == set(theirs.tolist())
    assert set(auto_rare.ours(start, "margin", 0).tolist()) != set(theirs.tolist())


def test_the_second_head_is_the_logistic_regression():
    X_LD, y_L = POOLS["pixels 1"][0][:300], POOLS["pixels 1"][1][:300]
    model = auto_rare.logistic(Training(X_LD, y_L, np.ones(300), 2), None)
    theirs = LogisticRegression(C=1, max_iter=1000).fit(X_LD, y_L)
    assert np.allclose(model.head.logits(X_LD) @ [-1, 1], theirs.decision_function(X_LD))


def test_areas_of_numbers_are_trapezoids_of_the_rmse_by_seed(monkeypatch, tmp_path):
    monkeypatch.setattr(auto_numbers, "NAMES", ["maxherding"])
    monkeypatch.setattr(auto_numbers, "ROUNDS", 2)
    name, pool = next(auto_numbers.pools(tmp_path))
    assert name == "diabetes"
    found = auto_numbers.played(pool, tmp_path / "out", 2)
    import pyarrow.parquet as pq

    rows = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    for who in ("random", "maxherding"):
        for seed in range(2):
            first, middle, last = (row["rmse"] for row in rows if (row["strategy"], row["seed"]) == (who, seed))
            assert np.isclose(found[who][seed], (first + 2 * middle + last) / 4)
