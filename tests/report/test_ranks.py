import numpy as np
import pytest
from scipy.stats import chi2, studentized_range, ttest_rel

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


def test_areas_that_are_equal_but_for_rounding_tie():
    """The same ten numbers, summed in two orders, differ in the last bit."""
    values = np.array([0.1, 0.7, 0.3, 0.9, 0.2, 0.8, 0.6, 0.4, 0.55, 0.35])
    one, other = sum(values), sum(values[::-1]) + 2e-16
    assert one != other
    ranks = rank(
        {"random": np.array([one, 1.0]), "a": np.array([other, 2.0]), "b": np.array([9.0, 3.0])},
        "random",
        larger_is_better=True,
    )
    assert ranks.mean == {"random": (2.5 + 3) / 2, "a": (2.5 + 2) / 2, "b": 1.0}


def test_paired_t_tests_are_adjusted_by_holm():
    rng = np.random.default_rng(0)
    base = rng.standard_normal(8)
    areas = {"random": base} | {
        name: base + gain + 0.3 * rng.standard_normal(8) for name, gain in (("a", 0.0), ("b", 0.3), ("c", 1.0))
    }
    found = rank(areas, "random", larger_is_better=True).holm
    p = {name: ttest_rel(areas[name], base).pvalue for name in "abc"}
    low, middle, high = sorted(p, key=p.get)
    expected = {low: min(3 * p[low], 1)}
    expected[middle] = max(expected[low], min(2 * p[middle], 1))
    expected[high] = max(expected[middle], p[high])
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_single_seed_has_no_paired_test():
    assert rank({"random": np.array([1.0]), "a": np.array([2.0])}, "random", larger_is_better=True).holm == {}
