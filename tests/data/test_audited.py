"""The record that a head keeps of its audit."""

import numpy as np
import pytest

from alcli.data.absorbed import Audited, AuditRound
from alcli.errors import DataError

FIRST, LATER = AuditRound(20, 100, 0.8, 0.04, 0.7, 0.9), AuditRound(40, 100, 0.9, 0.03, 0.8, 0.95)


def test_each_look_is_kept_and_the_same_look_once():
    found = Audited().looked(FIRST).looked(LATER)
    assert found.rounds == (FIRST, LATER)
    again = AuditRound(40, 100, 0.91, 0.03, 0.8, 0.95)
    assert found.looked(again).rounds == (FIRST, again)


def test_ids_are_joined_once():
    ids = Audited(np.array([3, 1], np.uint64)).joined(np.array([1, 2], np.uint64))
    assert ids.id_M.tolist() == [1, 2, 3]
    assert len(ids) == 3


def test_it_is_what_its_json_says():
    found = Audited(np.array([1], np.uint64), (FIRST, LATER))
    assert Audited.from_json(found.id_M, found.as_json()).rounds == found.rounds


@pytest.mark.parametrize("wrong", [{"labels": -1}, {"accuracy": "high"}, {"low": None}, {"audit": 1.5}])
def test_looks_of_another_form_are_refused(wrong):
    with pytest.raises(DataError):
        Audited.from_json(np.empty(0, np.uint64), [FIRST.__dict__ | wrong])


def test_a_look_without_a_figure_is_refused():
    with pytest.raises(DataError, match="'error' is missing"):
        Audited.from_json(np.empty(0, np.uint64), [{k: v for k, v in FIRST.__dict__.items() if k != "error"}])
