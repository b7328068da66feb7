"""Training of hidden layers: mini-batch AdamW on the mean loss of the labelled rows, on one core.

This is the only module of the heads that imports torch.

Features are scaled first (numerics/training_scale.py). The scaling is folded into the first layer after training, so
the network takes unscaled features. Targets of a regression are standardised in the same way.

The learning rate falls linearly to zero. The last layer starts at zero and serves only to train the hidden layers:
heads/mlp.py fits a new one. A loss-prediction branch can be trained beside the network (heads/_pair_loss.py).

Source: AdamW, Loshchilov & Hutter 2019; initial weights, He et al. 2015 (Glorot & Bengio 2010 for tanh); dropout,
Srivastava et al. 2014; early stopping, Prechelt 1998.
Cost: 6 n (D M + M C) flops an epoch in float64 for one hidden layer of M units.
Memory: the rows, and four times the weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from types import ModuleType
from typing import Any, Literal

import numpy as np

from alcli.arrays import Array, Int64
from alcli.embedders._contract import require
from alcli.engine.kernels import pin_torch
from alcli.errors import DataError
from alcli.heads._branch import Branch
from alcli.heads._contract import Training
from alcli.heads._network import Layer, NetworkHead
from alcli.heads._pair_loss import Auxiliary, BranchDescent
from alcli.numerics.logistic import one_hot
from alcli.numerics.training_scale import TrainingScale
from alcli.posteriors._contract import stream

Loss = Literal["cross-entropy", "squared"]


@dataclass(frozen=True)
class Schedule:
    """The settings of one training run.

    widths: units of each hidden layer. activation: relu, tanh or gelu. dropout: the probability that a unit is dropped.
    weight_decay: of the weights; biases do not decay. epochs: the largest number of passes over the rows.
    patience: the number of epochs without a lower held-out loss after which training stops; None runs all epochs.
    aux: the settings of a loss-prediction branch to train beside the network; None trains no branch.
    """

    widths: tuple[int, ...]
    activation: str
    loss: Loss
    dropout: float
    weight_decay: float
    epochs: int
    patience: int | None
    learning_rate: float
    batch_size: int
    seed: int
    aux: Auxiliary | None = None


@dataclass(frozen=True)
class Trained:
    """Trained hidden layers, which take unscaled features.

    epochs: the number of epochs after which the layers had their weights. held_out_loss: the held-out loss of the best
    epoch; None without early stopping. branch: the loss-prediction branch; None where none was trained.
    """

    layers: tuple[Layer, ...]
    epochs: int
    held_out_loss: float | None
    branch: Branch | None = None


def train(
    data: Training, schedule: Schedule, *, held_out: Training | None = None, start: NetworkHead | None = None
) -> Trained:
    """Train hidden layers on `data`.

    held_out: rows whose loss decides when to stop, where the schedule has a patience. start: a head to begin training
    at its weights. The same data, schedule and start give the same bits at any number of threads.
    Raises UnavailableError without torch, and DataError where the weights do not stay finite.
    """
    pin_torch()
    torch = require("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _Descent(torch, data, schedule, start).run(None if schedule.patience is None else held_out)
    finally:
        torch.set_num_threads(threads)


class _Descent:
    """One training run: the parameters, the rows that they are fitted to, and the optimiser."""

    def __init__(self, torch: ModuleType, data: Training, schedule: Schedule, start: NetworkHead | None) -> None:
        self._torch, self._schedule = torch, schedule
        self._scale = TrainingScale(data.X_LD.astype(np.float64), data.weights_L)
        self._target_scale = (
            None if data.n_classes is not None else TrainingScale(data.y_L[:, None].astype(np.float64), data.weights_L)
        )
        self._rows = self._tensors(data)
        layers = self._initial(data) if start is None else self._unfolded(start)
        self._parameters = [torch.tensor(array, requires_grad=True) for layer in layers for array in layer]
        self._branch = None if schedule.aux is None else self._new_branch(schedule.aux, start)
        parts = [self._parameters, *([] if self._branch is None else [self._branch.parameters])]
        # Each list of parameters holds weights and biases in turn. Only the weights decay.
        decays = (schedule.weight_decay, 0.0)
        groups = [{"params": part[i::2], "weight_decay": decay} for part in parts for i, decay in enumerate(decays)]
        self._optimiser = torch.optim.AdamW(groups, lr=schedule.learning_rate)
        self._masks = torch.Generator().manual_seed(schedule.seed)
        self._orders = stream(schedule.seed, 1)

    def run(self, held_out: Training | None) -> Trained:
        """Run all epochs, or stop once the held-out loss has not fallen for `patience` epochs.

        Return the weights of the best epoch where `held_out` is given, else the weights of the last epoch.
        """
        best, best_epoch, kept = np.inf, 0, None
        watched = None if held_out is None else self._tensors(held_out)
        for epoch in range(self._schedule.epochs):
            self._epoch(epoch)
            if watched is None:
                continue
            with self._torch.no_grad():
                loss = float(self._loss(watched))
            if loss < best:
                best, best_epoch, kept = loss, epoch + 1, [p.detach().clone() for p in self._everything]
            elif epoch + 1 - best_epoch >= (self._schedule.patience or 0):
                break
        values = [p.detach().numpy().copy() for p in (self._everything if kept is None else kept)]
        if not all(np.isfinite(value).all() for value in values):
            raise DataError(
                "the hidden layers did not stay finite in training",
                hint="lower -p learning-rate, or normalise the features",
            )
        main, beside = values[: len(self._parameters)], values[len(self._parameters) :]
        hidden = list(zip(main[0::2], main[1::2]))[:-1]
        hidden[0] = self._scale.folded(hidden[0])
        branch = None if self._branch is None else self._branch.fitted(beside, self._scale.folded)
        return Trained(tuple(hidden), epoch + 1 if kept is None else best_epoch, None if kept is None else best, branch)

    @property
    def _everything(self) -> list[Any]:
        """All parameters: first of the network, then of the branch."""
        return [*self._parameters, *([] if self._branch is None else self._branch.parameters)]

    def _epoch(self, epoch: int) -> None:
        n = len(self._rows[0])
        batches = np.array_split(self._orders.permutation(n), -(-n // self._schedule.batch_size))
        for i, rows in enumerate(batches):
            for group in self._optimiser.param_groups:
                group["lr"] = self._schedule.learning_rate * (1.0 - (epoch + i / len(batches)) / self._schedule.epochs)
            self._optimiser.zero_grad(set_to_none=True)
            self._objective(rows, epoch / self._schedule.epochs).backward()
            self._optimiser.step()

    def _objective(self, rows: Int64, share: float) -> Any:
        """The objective of one step: the weighted mean loss of `rows`, plus the loss of the branch.

        Weights are divided by their mean over all rows. share: the fraction of the epochs that is over.
        """
        X, targets, weights = (tensor[self._torch.from_numpy(rows)] for tensor in self._rows)
        hidden, scale = self._hidden(X, dropout=True), self._rows[2].mean()
        losses = self._losses(hidden[-1], targets)
        main = (weights * losses).mean() / scale
        return main if self._branch is None else main + self._branch.loss([X, *hidden], losses, weights / scale, share)

    def _loss(self, data: tuple[Any, Any, Any]) -> Any:
        """The weighted mean loss of the rows of `data`, without dropout."""
        X, targets, weights = data
        return (weights * self._losses(self._hidden(X, dropout=False)[-1], targets)).mean() / weights.mean()

    def _losses(self, last: Any, targets: Any) -> Any:
        """The loss of every row, from the outputs of the last hidden layer."""
        outputs = last @ self._parameters[-2].T + self._parameters[-1]
        if self._schedule.loss == "squared":
            return 0.5 * ((outputs - targets) ** 2).sum(dim=1)
        return -(targets * self._torch.log_softmax(outputs, dim=1)).sum(dim=1)

    def _hidden(self, X: Any, *, dropout: bool) -> list[Any]:
        """The outputs of every hidden layer."""
        functions = {"relu": self._torch.relu, "tanh": self._torch.tanh, "gelu": self._torch.nn.functional.gelu}
        found, h, drop = [], X, self._schedule.dropout if dropout else 0.0
        for W, b in zip(self._parameters[0:-2:2], self._parameters[1:-2:2]):
            h = functions[self._schedule.activation](h @ W.T + b)
            if drop > 0.0:
                h = h * (self._torch.rand(h.shape, generator=self._masks, dtype=h.dtype) >= drop) / (1.0 - drop)
            found.append(h)
        return found

    def _tensors(self, data: Training) -> tuple[Any, Any, Any]:
        """The scaled features, the targets and the weights of the rows, as tensors."""
        if data.n_classes is not None:
            targets_LC: Array = one_hot(data.y_L, data.n_classes)
        else:
            assert self._target_scale is not None
            targets_LC = self._target_scale(data.y_L[:, None].astype(np.float64))
        arrays = self._scale(data.X_LD.astype(np.float64)), targets_LC, data.weights_L.astype(np.float64)
        return tuple(self._torch.from_numpy(np.ascontiguousarray(array)) for array in arrays)

    def _initial(self, data: Training) -> list[Layer]:
        gain = 1.0 if self._schedule.activation == "tanh" else 2.0
        normal, layers = stream(self._schedule.seed, 0).standard_normal, []
        for inputs, outputs in pairwise((data.X_LD.shape[1], *self._schedule.widths)):
            layers.append((normal((outputs, inputs)) * np.sqrt(gain / inputs), np.zeros(outputs)))
        C = data.n_classes or 1
        return [*layers, (np.zeros((C, self._schedule.widths[-1])), np.zeros(C))]

    def _new_branch(self, aux: Auxiliary, start: NetworkHead | None) -> BranchDescent:
        """A branch with its first weights: drawn, or the weights of `start` turned to act on scaled features."""
        begin = None if start is None else start.branch
        if begin is not None and begin.taps_input:
            begin = replace(begin, taps=(self._scale.unfolded(begin.taps[0]), *begin.taps[1:]))
        dims = [self._rows[0].shape[1], *self._schedule.widths]
        return BranchDescent(self._torch, aux, dims, self._schedule.seed, begin)

    def _unfolded(self, start: NetworkHead) -> list[Layer]:
        """The layers of a fitted head, turned to take scaled features and to predict scaled targets."""
        W_CM, b_C = start.W_CD1[:, :-1], start.W_CD1[:, -1]
        if self._target_scale is not None:
            W_CM, b_C = W_CM / self._target_scale.divisor_D, self._target_scale(b_C[None])[0]
        return [self._scale.unfolded(start.layers[0]), *start.layers[1:], (W_CM, b_C)]
