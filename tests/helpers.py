"""Small problems for tests: views over plain arrays, heads with given weights."""

from __future__ import annotations

import numpy as np

from alcli import plugins
from alcli.numerics.logistic import log_softmax
from alcli.posteriors._contract import sample_noise
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View


class TableHead:
    """A linear classifier with given weights, float64; what a view asks of a head and nothing more.

    spread: standard deviation of every weight in its posterior. temperature: that its logits were divided by.
    It is its own `head`, the part of a model that has weights.
    """

    @property
    def n_classes(self):
        return len(self.W_CD)

    @property
    def posterior(self):
        return self if self.spread is not None else None

    link, layers, activation = "softmax", (), "identity"

    def __init__(self, W_CD, b_C=0.0, *, spread=0.5, temperature=1.0, prior_precision=1.0):
        self.W_CD, self.b_C = np.asarray(W_CD, np.float64), b_C
        self.spread, self.temperature, self.prior_precision = spread, temperature, prior_precision

    @property
    def head(self):
        return self

    @property
    def W_CD1(self):
        return np.column_stack([self.W_CD, np.broadcast_to(self.b_C, len(self.W_CD))])

    def hidden(self, X_BD):
        return X_BD

    def logits(self, X_BD):
        return X_BD.astype(np.float64) @ self.W_CD.T + self.b_C

    def log_probs(self, X_BD):
        return log_softmax(self.logits(X_BD))

    def trained_log_probs(self, X_BD):
        return log_softmax(self.logits(X_BD) * self.temperature)

    def predictive(self, X_BD):
        return log_softmax(self.logits(X_BD) / np.sqrt(1.0 + np.pi / 8 * self.logit_variance(X_BD)))

    def logit_variance(self, X_BD):
        return self.spread**2 * (X_BD.astype(np.float64) ** 2).sum(axis=1, keepdims=True)

    def predicted_loss(self, X_BD):
        return self.logits(X_BD)[:, 0]

    def draw(self, n_samples, *, seed):
        return self.W_CD + self.spread * sample_noise(self.W_CD.shape, n_samples, seed=seed, first=0)

    def sample_log_probs(self, X_BD, W_SCD):
        return log_softmax(np.einsum("bd,scd->bsc", X_BD.astype(np.float64), W_SCD) + self.b_C)


def names_for_linear_heads():
    """Strategies that choose items to learn from and that a head without hidden layers can serve: a loss-prediction
    branch has nothing to read there.
    """
    return [
        name
        for name in plugins.names("strategies")
        if "predicted_loss" not in plugins.summary("strategies", name).needs
        and not (plugins.strategy(name).again or plugins.strategy(name).audits)
    ]


# Options that make strategies with a training of their own short, for laws that hold after any training.
BRIEF = {
    "core-gcn": {"steps": 10},
    "refine": {"rounds": 1, "batches": 1},
    "sraal": {"steps": 5},
    "vaal": {"steps": 5},
}


def brief(strategy):
    """Options of a strategy for a short run, by argument name."""
    return BRIEF.get(strategy, {})


def brief_options(strategy):
    """The same on a command line."""
    return tuple(part for name, value in brief(strategy).items() for part in ("-p", f"{name}={value}"))


def random_head(D, C, seed=0, scale=1.0, **rest):
    return TableHead(np.random.default_rng(seed).standard_normal((C, D)) * scale, **rest)


def normal_rows(n, D, seed=0):
    """Independent normal numbers, float32."""
    return np.random.default_rng(seed).standard_normal((n, D)).astype(np.float32)


def chooser(module):
    """What the strategy of a module selects of rows that a head is asked about, as a function."""
    strategy = strategy_of(module)

    def choose(X_ND, head, k, seed=0, **options):
        return select(strategy, view_of(X_ND, head=head), k, seed=seed, options=options)

    return choose


def fresh(view):
    """The view with nothing computed yet."""
    return View(view._source, view._candidates, view._labelled, view._answers.head, labels=view._labels)


def view_of(X_ND, *, labelled=(), ids=None, head=None, block_rows=8192, candidates=None, targets=None, labels=None):
    """A view over all rows of X_ND that are not labelled (or over `candidates`); ids default to the row numbers."""
    X_ND = np.asarray(X_ND)
    ids = np.arange(len(X_ND)) if ids is None else np.asarray(ids)
    labelled = np.asarray(labelled, np.int64)
    if candidates is None:
        candidates = np.setdiff1d(np.arange(len(X_ND)), labelled)
    return View(
        ArraySource(X_ND, ids, block_rows=block_rows),
        candidates,
        labelled,
        head,
        targets=targets,
        labels=None if labels is None else np.asarray(labels),
    )
