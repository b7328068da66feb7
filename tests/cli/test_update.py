"""`alcli update` on the command line: in place or beside, and what it tells."""

from __future__ import annotations

import json
import re
from pathlib import Path


def test_in_place_and_beside(head, alcli):
    before = head.read_bytes()
    done = alcli("update", head, "-P", "pool.parquet", "-l", "more.csv", "-o", "new.safetensors").done()
    assert done.out == b""
    assert re.fullmatch(r"10 new labels absorbed in \d+\.\d ms, 0 already known, 30 in all\n", done.err)
    assert head.read_bytes() == before
    alcli("update", head, "-P", "pool.parquet", "-l", "more.csv").done()
    assert head.read_bytes() == Path("new.safetensors").read_bytes()


def test_standard_input_and_json(head, alcli):
    done = alcli("update", head, "-P", "pool.parquet", "-l", "-", "--json", stdin=Path("more.csv").read_bytes()).done()
    assert json.loads(done.out) | {"gamma": None, "seconds": None, "prior_precision": None} == {
        "new_labels": 10,
        "corrected": 0,
        "already_absorbed": 0,
        "removed": 0,
        "absorbed": 30,
        "method": "second-order",
        "gamma": None,
        "seconds": None,
        "polished": True,
        "renewed": False,
        "prior_precision": None,
    }


def test_names_are_checked_before_data_is_read(folder, alcli):
    for option, value in (("--method", "x"), ("--mode", "x"), ("--gamma", "0"), ("--lock-timeout", "-1")):
        alcli("update", "missing", "-P", "missing", "-l", "missing", option, value).refused(2)
    alcli("update", "missing", "-P", "missing", "-l", "missing").refused(66, "missing")
