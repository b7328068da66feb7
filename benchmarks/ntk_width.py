"""How well look-ahead foresees the retraining of a head with hidden layers, by the width of the hidden layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.stats import spearmanr

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.heads._backprop import Schedule, train
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.heads._network import NetworkHead, forward
from alcli.heads.mlp import mlp
from alcli.heads.ridge import ridge
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies import ntk
from benchmarks.timing import table

WIDTHS = (16, 64, 256, 1024)
KERNELS = ("class-average", "sum-of-logits", "infinite", "nngp")
LABELLED, CANDIDATES = 60, 40


def widths(X_ND: Floats, y_N: Int64, seeds: int = 3) -> None:
    """Print the rank correlation of the scores of candidates with mlmoc by retraining, the mean over seeds.

    The head has one hidden layer of relu units and squared loss, as in the paper. Retraining begins at the weights of
    the head (warm), or at new ones (cold), and runs the 50 epochs of the default in full batches, with the label that
    the head predicts and without it. The difference is what the label changes.
    """
    printed = []
    for width in WIDTHS:
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            drawn = np.random.default_rng(seed).permutation(len(y_N))[: LABELLED + CANDIDATES]
            for name, value in agreements(X_ND[drawn], y_N[drawn], width, seed).items():
                found.setdefault(name, []).append(value)
        printed.append((width, *(float(np.mean(values)) for values in found.values())))
    table(("width", *found), printed)


def agreements(X_ND: Floats, y_N: Int64, width: int, seed: int) -> dict[str, float]:
    """The rank correlations of one draw of rows; the first `LABELLED` are labelled."""
    n, C = LABELLED, int(y_N.max()) + 1
    data = Training(X_ND[:n], y_N[:n], np.ones(n), C)
    trained = mlp(data, seed=seed, widths=str(width), loss="squared", batch_size=2 * n)
    by_kernel = {kernel: foreseen(trained, X_ND, y_N, kernel) for kernel in KERNELS}
    out = {}
    for how, start in (("warm", trained), ("cold", None)):
        scores_N = retrained(data, X_ND[n:], trained, width, seed, start)
        out |= {f"{how} {kernel}": float(spearmanr(scores_N, s).statistic) for kernel, s in by_kernel.items()}
    return out


def foreseen(trained: NetworkHead, X_ND: Floats, y_N: Int64, kernel: str) -> Float64:
    """mlmoc of every candidate by a kernel, around the outputs of the head, [N]."""
    n, order = LABELLED, np.arange(len(y_N))
    view = View(ArraySource(X_ND, order), order[n:], order[:n], Model(trained), labels=y_N[:n])
    picks = select(strategy_of(ntk), view, view.n, seed=0, options={"batch": "top", "kernel": kernel})
    return picks.scores_K[np.argsort(picks.rows_K)]


def retrained(
    data: Training, X_ND: Floats, trained: NetworkHead, width: int, seed: int, start: NetworkHead | None
) -> Float64:
    """mlmoc of every candidate by retraining: the summed lengths of the changes of the outputs at all of them, [N].

    Batches hold all rows, so that one more label does not shuffle the others. The prior precision stays.
    """
    schedule = Schedule((width,), "relu", "squared", 0.0, 1.0, 50, None, 0.003, 2 * LABELLED, seed)

    def outputs(rows: Training) -> Float64:
        layers = train(rows, schedule, start=start).layers
        last = ridge(replace(rows, X_LD=forward(layers, "relu", rows.X_LD)), trained.prior_precision)
        return last.logits(forward(layers, "relu", X_ND))

    def with_label(x_D: Array, label: int) -> Training:
        return replace(
            data,
            X_LD=np.vstack([data.X_LD, x_D]),
            y_L=np.append(data.y_L, label),
            weights_L=np.append(data.weights_L, 1.0),
        )

    without_NC, supposed_N = outputs(data), trained.logits(X_ND).argmax(axis=1)
    changes = (outputs(with_label(x_D, int(label))) - without_NC for x_D, label in zip(X_ND, supposed_N))
    return np.array([np.linalg.norm(change_NC, axis=1).sum() for change_NC in changes])
