"""The retraining of the paper: 200 epochs of RAdam on batches of 64 rows, with cosine decay, on one thread.

Source: Huseljic et al. 2025, section 5.1. Needs torch.
Cost: 200 n / 64 steps for n labels, each of 6 C M flops a row.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import numpy as np

from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.simulation.update_methods import Prior

if TYPE_CHECKING:
    import torch

RADAM = "retrain, 200 epochs of RAdam"
EPOCHS, BATCH, WEIGHT_DECAY = 200, 64, 1e-4


def prepared(prior: Prior) -> Model:
    """Import torch and fit the base, so that neither is timed. Raises ImportError without torch."""
    import torch  # noqa: F401

    return prior.base


def radam(prior: Prior, new: Training) -> Model:
    """Retrain on the old labels and the labels `new`. Raises ImportError without torch."""
    import torch

    data, threads = prior.joined(new), torch.get_num_threads()
    X = torch.from_numpy(np.ascontiguousarray(prior.base.head.hidden(data.X_LD), dtype=np.float32))
    y = torch.from_numpy(np.asarray(data.y_L, np.int64))
    torch.set_num_threads(1)
    try:
        layer = _trained(X, y, cast(int, data.n_classes), prior.radam_rate, torch.Generator().manual_seed(prior.seed))
    finally:
        torch.set_num_threads(threads)
    W = torch.cat([layer.weight, layer.bias[:, None]], dim=1).detach().numpy().astype(np.float64)
    return replace(prior.base, head=prior.base.head.with_last_layer(W), posterior=None, temperature=1.0)


def _trained(
    X: torch.Tensor, y: torch.Tensor, n_classes: int, rate: float, generator: torch.Generator
) -> torch.nn.Linear:
    import torch

    layer = torch.nn.Linear(X.shape[1], n_classes)
    for weight in layer.parameters():
        torch.nn.init.uniform_(weight, -(X.shape[1] ** -0.5), X.shape[1] ** -0.5, generator=generator)
    optimiser = torch.optim.RAdam(layer.parameters(), lr=rate, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, EPOCHS)
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(X), generator=generator).split(BATCH):
            optimiser.zero_grad()
            torch.nn.functional.cross_entropy(layer(X[rows]), y[rows]).backward()
            optimiser.step()
        schedule.step()
    return layer
