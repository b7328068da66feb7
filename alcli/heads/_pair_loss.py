"""Training of a loss-prediction branch by pairs: of two rows, the row of larger loss must be predicted larger.

The rows of a mini-batch come in random order. They are paired from both ends, the first with the last; the last row of
an odd number takes no part. The loss of a pair is max(0, margin - s (predicted_i - predicted_j)). The sign s is 1 where
the loss of row i is larger, and -1 otherwise, ties included. No gradient passes through the losses that are compared.
The loss of a pair is weighted by the product of the weights of the two rows.

Up to a share of the epochs the gradient of the branch reaches the hidden layers; after that only the main loss trains
the hidden layers. The branch draws its first weights from a random stream of its own.

Source: Yoo & Kweon 2019, "Learning loss for active learning", eq. 2 and section 3.3; Gul et al. 2024, "LPLgrad".
Eq. 2-3 of LPLgrad differ from its published code; the code here follows the published code. The row weights are our
own.
Cost: 6 n U (M_1 + M_2 + ...) flops an epoch for n rows, U units a tap and M_i outputs of tapped layer i.
Memory: four times the weights of the branch.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from alcli.heads._branch import Branch, Tap
from alcli.posteriors._contract import stream

_STREAM = 2  # number of the random stream of the branch; the head uses streams 0 and 1


@dataclass(frozen=True)
class Auxiliary:
    """The settings of a loss-prediction branch.

    weight: the factor of the branch's loss, which is added to the main loss. margin: of a pair. units: U of each tap.
    detach: the share of the epochs after which the branch's gradient no longer reaches the hidden layers.
    taps_input: the branch taps the features too.
    """

    weight: float = 1.0
    margin: float = 1.0
    detach: float = 0.6
    units: int = 128
    taps_input: bool = False


class BranchDescent:
    """The parameters of a branch, as tensors, and the loss of the branch.

    dims: D of the features, then the width of each hidden layer. start: a fitted branch to begin at, where it has the
    same units and taps.
    """

    def __init__(self, torch: ModuleType, how: Auxiliary, dims: Sequence[int], seed: int, start: Branch | None) -> None:
        self._torch, self._how = torch, how
        tapped = dims if how.taps_input else dims[1:]
        fits = start is not None and (start.units, start.taps_input) == (how.units, how.taps_input)
        layers = [*start.taps, start.last] if start is not None and fits else _initial(how.units, tapped, seed)
        self.parameters = [torch.tensor(array, requires_grad=True) for layer in layers for array in layer]

    def loss(self, outputs: Sequence[Any], losses: Any, weights: Any, share: float) -> Any:
        """The term that the branch adds to the loss of a mini-batch.

        outputs: the features, then the outputs of each hidden layer. losses: the main loss of each row.
        share: the fraction of the epochs that is over.
        """
        if share >= self._how.detach:
            outputs = [h.detach() for h in outputs]
        return self._how.weight * pair_loss(self._torch, self.predict(outputs), losses, weights, self._how.margin)

    def predict(self, outputs: Sequence[Any]) -> Any:
        """Predict the loss of each row, [B]. outputs: the features, then the outputs of each hidden layer."""
        tapped = outputs if self._how.taps_input else outputs[1:]
        W, b = self.parameters[0:-2:2], self.parameters[1:-2:2]
        seen = self._torch.cat([self._torch.relu(h @ W.T + b) for h, W, b in zip(tapped, W, b)], dim=1)
        return (seen @ self.parameters[-2].T + self.parameters[-1])[:, 0]

    def fitted(self, values: Sequence[Any], folded: Callable[[Tap], Tap]) -> Branch:
        """The branch with `values` as parameters. folded: makes a layer over scaled features take unscaled features."""
        taps = list(zip(values[0:-2:2], values[1:-2:2]))
        if self._how.taps_input:
            taps[0] = folded(taps[0])
        return Branch(tuple(taps), (values[-2], values[-1]), self._how.taps_input)


def pair_loss(torch: ModuleType, predicted: Any, losses: Any, weights: Any, margin: float) -> Any:
    """Compute the mean loss of the pairs of a mini-batch; 0 without a pair.

    The losses are only compared, so no gradient passes through them.
    """
    half = len(predicted) // 2
    if half == 0:
        return 0.0 * predicted.sum()
    ends = 2 * half

    def against(values: Any) -> tuple[Any, Any]:
        return values[:half], values[half:ends].flip(0)

    (mine, other), (loss, other_loss), (weight, other_weight) = against(predicted), against(losses), against(weights)
    sign = torch.where(loss > other_loss, 1.0, -1.0).to(predicted.dtype)
    return (weight * other_weight * torch.relu(margin - sign * (mine - other))).mean()


def _initial(units: int, tapped: Sequence[int], seed: int) -> list[Tap]:
    normal = stream(seed, _STREAM).standard_normal
    taps = [(normal((units, dim)) * np.sqrt(2.0 / dim), np.zeros(units)) for dim in tapped]
    inputs = units * len(tapped)
    return [*taps, (normal((1, inputs)) * np.sqrt(1.0 / inputs), np.zeros(1))]
