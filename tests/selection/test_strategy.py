import numpy as np
import pytest

from alcli.errors import DataError, UsageError
from alcli.selection.options import at_least
from alcli.selection.order import finite32
from alcli.selection.outside import checked
from alcli.selection.select import select
from alcli.selection.strategy import Selection, batch, declared_by, pointwise
from tests.helpers import view_of

X = np.arange(12, dtype=np.float32).reshape(6, 2)


@pointwise(needs=["features"])
def first_column(X_BD, *, sign: float = 1.0):
    """The first feature."""
    return sign * X_BD[:, 0].astype(np.float64)


@batch(needs=["features"])
def curious(view, k):
    """Reads what it did not declare."""
    view.labelled()
    return Selection(view.rows[:k], np.zeros(k, np.float32))


def test_a_pointwise_strategy_is_ranked_by_score_and_takes_options():
    for sign, expected in ((1.0, [5, 4, 3]), (-1.0, [0, 1, 2])):
        chosen = select(first_column.strategy, view_of(X, block_rows=2), 3, seed=0, options={"sign": sign})
        assert chosen.rows_K.tolist() == expected
        assert chosen.scores_K.tolist() == (sign * X[expected, 0]).tolist()


def test_a_strategy_that_reads_what_it_did_not_declare_is_stopped():
    with pytest.raises(LookupError, match="labelled"):
        select(curious.strategy, view_of(X, labelled=[0]), 2, seed=0, options={})


def test_a_score_that_is_not_finite_names_the_row():
    with pytest.raises(DataError, match="'3'"):
        select(
            first_column.strategy,
            view_of(np.where(np.arange(6)[:, None] == 3, np.inf, X).astype(np.float32)),
            2,
            seed=0,
            options={},
        )


def test_scores_equal_in_float32_are_ordered_by_id():
    values = 1.0 + np.array([[3e-9], [1e-9], [2e-9]])
    assert select(first_column.strategy, view_of(values), 3, seed=0, options={}).rows_K.tolist() == [0, 1, 2]


def test_finite32_caps_what_float32_cannot_hold():
    assert finite32(np.array([1e300, 2.0])).tolist() == [np.finfo(np.float32).max, 2.0]


@pytest.mark.parametrize("value", [0, -3, float("nan")])
def test_at_least_names_the_option(value):
    with pytest.raises(UsageError, match="min-size"):
        at_least(1, min_size=value)


def test_needs_under_an_option_are_checked_in_code_from_outside():
    def by_draws(view, k, *, form: str = "plain"):
        """Never run."""

    declared = declared_by(batch(needs=["row_key"], needs_with={"form=draws": ["sample_log_prbs"]})(by_draws))
    with pytest.raises(DataError, match="needs 'sample_log_prbs', which is not offered"):
        checked(declared, "mine")
    declared = declared_by(batch(needs=["row_key"], needs_with={"form=draws": ["sample_log_probs"]})(by_draws))
    with pytest.raises(DataError, match="does not say how many draws"):
        checked(declared, "mine")


def test_an_option_brings_its_needs():
    @batch(needs=["row_key"], needs_with={"form=draws": ["sample_log_probs"]}, samples=7)
    def by_draws(view, k, *, form: str = "plain"):
        """Never run."""

    declared = declared_by(by_draws)
    plain, drawn = declared.under({}), declared.under({"form": "draws"})
    assert (plain.needs, plain.needs_posterior) == (("row_key",), False)
    assert (drawn.needs, drawn.needs_posterior) == (("row_key", "sample_log_probs"), True)
    assert (plain.posterior_asked_by, drawn.posterior_asked_by) == ("", "form=draws")
    assert drawn.under({}).needs == drawn.needs
