import numpy as np
import pytest

from alcli.heads._contract import Training
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import emoc
from tests.helpers import random_head, view_of
from tests.strategies.test_eer import fitted

STRATEGY = strategy_of(emoc)


@pytest.mark.parametrize("output", ["probs", "logits"])
def test_scores_are_what_updating_the_model_with_every_label_gives(output):
    X, labelled, y, model = fitted()
    rest = np.arange(len(labelled), len(X))

    def outputs(model):
        return np.exp(model.log_probs(X[rest])) if output == "probs" else model.logits(X[rest])

    chosen = select(
        STRATEGY,
        view_of(X, labelled=labelled, labels=y, head=model),
        1000,
        seed=0,
        options={"output": output, "labels": 9},
    )
    for row, score in zip(chosen.rows_K, chosen.scores_K):
        p = np.exp(model.log_probs(X[[row]]))[0]
        futures = [outputs(model.update(Training(X[[row]], np.array([c]), np.ones(1), len(p)))) for c in range(len(p))]
        assert np.isclose(score, p @ [np.linalg.norm(f - outputs(model), axis=1).mean() for f in futures], rtol=1e-4)
    assert (np.diff(chosen.scores_K) <= 0).all()


def test_rows_whose_label_is_known_come_last():
    X = np.random.default_rng(0).standard_normal((50, 4)).astype(np.float32)
    X[7] *= 30.0
    head = random_head(4, 3, scale=2.0)
    p = np.exp(head.log_probs(X)).max(1)
    assert p[7] > 1 - 1e-6
    assert select(STRATEGY, view_of(X, head=head), 50, seed=0, options={}).rows_K.tolist().index(7) > 25
