from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.fingerprint import add, as_text, fingerprint, id_keys

X = np.random.default_rng(0).standard_normal((6, 5)).astype(np.float32)
IDS = pa.array([f"id-{i}" for i in range(6)])


@given(st.permutations(range(6)), st.integers(0, 6))
def test_order_and_cuts_do_not_matter(order, cut):
    a = fingerprint(id_keys(IDS.take(pa.array(order[:cut], pa.int64()))), X[order[:cut]])
    b = fingerprint(id_keys(IDS.take(pa.array(order[cut:], pa.int64()))), X[order[cut:]])
    assert add(a, b) == fingerprint(id_keys(IDS), X)


def test_any_change_of_a_value_an_id_or_their_pairing_shows():
    whole = fingerprint(id_keys(IDS), X)
    changed = X.copy()
    changed[3, 2] = np.nextafter(changed[3, 2], 9)
    assert fingerprint(id_keys(IDS), changed) != whole
    assert fingerprint(id_keys(IDS), X[::-1]) != whole
    assert fingerprint(id_keys(IDS), X[:, ::-1]) != whole
    assert fingerprint(id_keys(pa.array([*IDS.to_pylist()[:5], "other"])), X) != whole


def test_precision_and_the_sign_of_zero_do_not_matter():
    half = X.astype(np.float16)
    assert (
        fingerprint(id_keys(IDS), half)
        == fingerprint(id_keys(IDS), half.astype(np.float32))
        == fingerprint(id_keys(IDS), half.astype(np.float64))
    )
    assert fingerprint(id_keys(IDS), np.zeros((6, 2))) == fingerprint(id_keys(IDS), -np.zeros((6, 2)))


def test_sliced_and_large_strings_hash_alike():
    assert (id_keys(IDS.slice(2)) == id_keys(IDS)[2:]).all()
    assert (id_keys(IDS.cast(pa.large_string())) == id_keys(IDS)).all()
    assert len(id_keys(pa.array([], pa.string()))) == 0


def test_text_has_16_digits():
    assert as_text(10) == "000000000000000a"
