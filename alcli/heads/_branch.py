"""A fitted loss-prediction branch: a small network that predicts the loss of a row from the hidden layers of the head.

Tap t maps the outputs of layer t to relu(W_t h + b_t); the predicted loss is a linear function of all taps side by
side. Only the order of the predictions means anything, because they are trained on pairs (heads/_pair_loss.py).

Source: Yoo & Kweon 2019, "Learning loss for active learning", section 3.2; the pooling of their taps is the identity
on vectors.
Cost: 2 B U (M_1 + M_2 + ...) flops for B rows, with U units a tap and M_i outputs of layer i.
Memory: the weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeAlias

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64

Tap: TypeAlias = tuple[Float64, Float64]  # (W_UM, b_U)


@dataclass(frozen=True)
class Branch:
    """The weights of a branch.

    taps: (W_UM, b_U) for each tapped layer, all of U units. taps_input: the first tap is on the features; the other
    taps are on the hidden layers, in order. last: the output layer (weights [1, number of taps times U], bias [1]).
    """

    taps: tuple[Tap, ...]
    last: Tap
    taps_input: bool = False

    @property
    def units(self) -> int:
        """U, the number of units of a tap."""
        return len(self.taps[0][1])

    def predict(self, outputs: Sequence[Float64]) -> Float64:
        """Predict the loss of each row, float64 [B]. outputs: the features, then the outputs of each hidden layer."""
        tapped = outputs if self.taps_input else outputs[1:]
        seen = np.concatenate([np.maximum(h @ W_UM.T + b_U, 0.0) for h, (W_UM, b_U) in zip(tapped, self.taps)], axis=1)
        return seen @ self.last[0][0] + self.last[1][0]

    def arrays(self) -> dict[str, Array]:
        """Tensors to store, by name: `branch0.weight`, `branch0.bias`, ... of the taps, then `branch.weight` ..."""
        named = {**{f"branch{i}": tap for i, tap in enumerate(self.taps)}, "branch": self.last}
        return {
            f"{name}.{part}": array for name, layer in named.items() for part, array in zip(("weight", "bias"), layer)
        }

    def settings(self) -> dict[str, Any]:
        """JSON values to store, from which `from_arrays` knows the shapes."""
        return {"units": self.units, "taps_input": self.taps_input}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], dims: Sequence[int]) -> Self:
        """Rebuild a branch from stored tensors and settings.

        dims: D of the features, then the width of each hidden layer of the head. Raises DataError that names the
        missing or wrong tensor or setting.
        """
        units, taps_input = stored.count(settings, "units"), stored.choice(settings, "taps_input", (False, True))
        tapped = dims if taps_input else dims[1:]
        shapes = {f"branch{i}": (units, dim) for i, dim in enumerate(tapped)} | {"branch": (1, units * len(tapped))}
        layers = [
            (stored.tensor(arrays, f"{name}.weight", shape), stored.tensor(arrays, f"{name}.bias", shape[:1]))
            for name, shape in shapes.items()
        ]
        return cls(tuple(layers[:-1]), layers[-1], taps_input)
