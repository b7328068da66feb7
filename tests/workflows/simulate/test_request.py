from __future__ import annotations

import pytest

from alcli.errors import UsageError
from alcli.workflows.simulate.request import assigned
from tests.workflows.simulate.runs import ask

STRATEGIES = {"first": {"metric", "size"}, "second": {"metric"}, "random": set()}


def test_a_bare_key_goes_to_all_who_know_it():
    found = assigned({"metric": "cosine", "size": "4"}, STRATEGIES, None)
    assert found == {
        "first": {"metric": "cosine", "size": "4"},
        "second": {"metric": "cosine"},
        "random": {},
        "head": {},
    }


def test_an_owner_restricts_it():
    assert assigned({"second.metric": "x"}, STRATEGIES, None)["second"] == {"metric": "x"}
    assert assigned({"second.metric": "x"}, STRATEGIES, None)["first"] == {}


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("metrc", "no strategy of this simulation has a parameter 'metrc'; did you mean 'metric'"),
        ("third.metric", "'third' takes no part in this simulation"),
        ("second.size", "'second' has no parameter 'size'"),
        ("head.prior-precision", "'head' has no parameter 'prior-precision'"),
    ],
)
def test_a_key_that_nobody_knows_is_refused(key, words):
    with pytest.raises(UsageError, match=words):
        assigned({key: "1"}, STRATEGIES, None)


def test_candidates_are_at_least_a_batch_and_no_company_of_costs():
    assert ask(candidates=5).checked().plan(False).candidates == 5
    with pytest.raises(UsageError, match="--candidates must be at least -n, the 5 items of a round, got 4"):
        ask(candidates=4).checked()
    with pytest.raises(UsageError, match="--candidates offers some of them"):
        ask(candidates=20, options={"cost-col": "price"}).checked()
