import sys

import numpy as np
import pytest
from threadpoolctl import ThreadpoolController, threadpool_info

from alcli.numerics.blocks import BLOCK_ROWS, n_threads, thread_limit, workers


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("n", [0, 1, BLOCK_ROWS - 1, BLOCK_ROWS, BLOCK_ROWS + 1, 7 * BLOCK_ROWS + 3])
def test_ranges_cover_every_row_once_and_start_at_blocks(n, threads, monkeypatch):
    monkeypatch.setattr("alcli.numerics.blocks.n_threads", lambda: threads)
    seen, starts = np.zeros(n, int), []

    def work(first, last):
        seen[first:last] += 1
        starts.append(first)

    with workers() as spread:
        spread(n, work)
    assert (seen == 1).all()
    assert all(s % BLOCK_ROWS == 0 for s in starts)


def test_an_error_in_any_block_comes_through(monkeypatch):
    monkeypatch.setattr("alcli.numerics.blocks.n_threads", lambda: 2)

    def work(first, last):
        if first:
            raise ZeroDivisionError

    with workers() as spread, pytest.raises(ZeroDivisionError):
        spread(4 * BLOCK_ROWS, work)


def test_thread_limit_holds_inside_only():
    before = n_threads()
    with thread_limit(1):
        assert n_threads() == 1
        with thread_limit(0):
            assert n_threads() == 1
    assert n_threads() == before


def test_libraries_are_looked_for_again_when_there_are_more_modules(monkeypatch):
    looked = []
    monkeypatch.setattr(
        "alcli.numerics.blocks.ThreadpoolController", lambda: looked.append(1) or ThreadpoolController()
    )
    for name, expected in (("tests.one_more", 1), (None, 1), ("tests.another", 2)):
        if name:
            monkeypatch.setitem(sys.modules, name, sys)
        with workers():
            pass
        assert len(looked) == expected


def test_the_blas_has_one_thread_inside():
    with workers():
        assert {lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"} <= {1}
