import numpy as np
import pytest
from scipy.stats import chi2, studentized_range

from alcli.report.ranks import rank


def test_by_hand():
    # Demsar's formulas on three strategies and four seeds; the second and third tie in the last seed.
    areas = {"random": [0.1, 0.2, 0.1, 0.1], "good": [0.3, 0.4, 0.5, 0.2], "fair": [0.2, 0.3, 0.2, 0.2]}
    found = rank({k: np.array(v) for k, v in areas.items()}, "random", larger_is_better=True)
    assert found.mean == {"random": 3.0, "good": pytest.approx(1.125), "fair": pytest.approx(1.875)}
    ranks = np.array([[3, 1, 2], [3, 1, 2], [3, 1, 2], [3, 1.5, 1.5]])
    ties = 1 - (2**3 - 2) / (4 * (3**3 - 3))
    statistic = 12 / (4 * 3 * 4) * (ranks.sum(axis=0) ** 2).sum() - 3 * 4 * 4
    assert found.friedman == pytest.approx(chi2.sf(statistic / ties, 2))
    q = (3.0 - 1.125) / np.sqrt(3 * 4 / (6 * 4)) * np.sqrt(2)
    assert found.nemenyi["good"] == pytest.approx(studentized_range.sf(q, 3, np.inf))
    assert set(found.nemenyi) == {"good", "fair"}


@pytest.mark.parametrize(("far_apart", "differs"), [(3, False), (4, True)])
def test_the_published_critical_difference(far_apart, differs):
    # Demsar 2006, section 3.2.2: for 4 classifiers on 14 data sets mean ranks differ at 5% when they are 1.25 apart;
    # here 17/14 and 18/14.
    ranks_SK = np.array([[4, 2, 1, 3]] * far_apart + [[3, 2, 1, 4]] * (14 - far_apart), float)
    areas = dict(zip(("random", "a", "b", "c"), -ranks_SK.T))
    assert (rank(areas, "random", larger_is_better=True).nemenyi["a"] < 0.05) == differs


def test_smaller_areas_win_where_smaller_is_better():
    areas = {"random": np.array([3.0, 3.0]), "a": np.array([1.0, 1.0]), "b": np.array([2.0, 2.0])}
    assert rank(areas, "random", larger_is_better=False).mean["a"] == 1.0
    assert rank(areas, "random", larger_is_better=True).mean["random"] == 1.0


@pytest.mark.parametrize(
    "areas",
    [
        {"random": [0.1, 0.2], "a": [0.2, 0.3]},
        {"random": [0.1], "a": [0.2], "b": [0.3]},
        {"random": [0.1, 0.2], "a": [0.1, 0.2], "b": [0.1, 0.2]},
    ],
)
def test_no_test_without_three_strategies_two_seeds_and_a_difference(areas):
    found = rank({k: np.array(v) for k, v in areas.items()}, "random", larger_is_better=True)
    assert found.friedman is None
    assert found.nemenyi == {}
    assert set(found.mean) == set(areas)
