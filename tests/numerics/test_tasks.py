import threading

import pytest

from alcli.numerics.blocks import share, thread_limit, workers


@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("threads", [1, 2])
def test_every_task_runs_once(n, threads):
    done, lock = [], threading.Lock()

    def task(i):
        with lock:
            done.append(i)

    with thread_limit(threads), workers() as spread:
        share(spread, n, task)
    assert sorted(done) == list(range(n))
