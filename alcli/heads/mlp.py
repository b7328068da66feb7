"""A multi-layer perceptron: hidden layers under a softmax or least-squares last layer.

Hidden layers separate classes that a linear head cannot; the price is the training, and a result that depends on a
seed. The hidden layers are trained by gradient descent (heads/_backprop.py). Then a new last layer is fitted exactly to
their M outputs: a softmax MAP, or ridge regression under squared loss. So the last layer is a mode, as posteriors and
updates require, just as in a linear head.

The training rows cannot choose the prior of the last layer, because the trained hidden layers separate them better than
other rows. Softmax takes the default of heads/_prior.py. Under squared loss the hidden layers are trained a second time
without a fifth of the rows; the prior precision, noise variance and temperature are fitted on the fifth. The log
evidence is the evidence of the last layer for given inputs.

The rows are first sorted by their content, so the order in which they come does not matter.
aux-loss trains a loss-prediction branch that learns which rows are hard (heads/_pair_loss.py). Strategies read the
branch; predictions do not.

Source: last-layer Laplace, Kristiadi, Hein & Hennig 2020; doubt in labels, Platt 1999; training in heads/_backprop.py.
Cost: the training, twice under squared loss; then softmax.py or ridge.py on M features. 50 epochs on 1000 rows of 384
features and 77 classes take two seconds on one core, and three seconds with a branch.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Array, Float64, with_bias
from alcli.errors import DataError, UsageError
from alcli.heads._backprop import Loss, Schedule, train
from alcli.heads._contract import LinearHead, Training, head
from alcli.heads._network import Layer, NetworkHead, forward
from alcli.heads._pair_loss import Auxiliary
from alcli.heads._prior import default_prior
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics.blocks import workers
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer import ridge as closed_form
from alcli.numerics.last_layer.rotated import rotate_centred
from alcli.numerics.last_layer.temperature import fit_temperature
from alcli.numerics.logistic import one_hot

N_FOLDS = 5
MIN_ROWS = 10  # with fewer rows, none is held out
NEARLY = 1.02  # errors up to this multiple of the least error count as equally good


def _within(least: float, most: float = np.inf, *, strict: bool = False, **options: float | None) -> None:
    """Raise UsageError for an option outside [least, most). strict: `least` itself is refused too. None is allowed."""
    for name, value in options.items():
        if value is not None and not (least < value < most or (value == least and not strict)):
            bound = f"{'above' if strict else 'at least'} {least:g}" + (f" and below {most:g}" if most < np.inf else "")
            raise UsageError(f"parameter '{name.replace('_', '-')}' must be {bound}, got {value}")


def _widths(widths: str) -> tuple[int, ...]:
    """The units of each hidden layer from a text such as "256,128". Raises UsageError for any other text."""
    try:
        found = tuple(int(part) for part in widths.split(","))
    except ValueError:
        found = (0,)
    if min(found) < 1:
        raise UsageError(
            f"parameter 'widths' must be the units of each hidden layer, such as 256 or 256,128, got '{widths}'"
        )
    return found


def _check_widths(*, widths: str) -> None:
    _widths(widths)


Count = partial(_within, 1)


@head(tasks={"classification", "regression"}, random=True, restore=NetworkHead.from_arrays)
def mlp(
    data: Training,
    prior_precision: float | None = None,
    start: NetworkHead | None = None,
    *,
    seed: int = 0,
    widths: Annotated[str, _check_widths] = "256",
    activation: Literal["relu", "tanh", "gelu"] = "relu",
    loss: Literal["auto", "cross-entropy", "squared"] = "auto",
    dropout: Annotated[float, partial(_within, 0, 1)] = 0.0,
    weight_decay: Annotated[float, partial(_within, 0)] = 1.0,
    epochs: Annotated[int, Count] = 50,
    patience: Annotated[int | None, Count] = None,
    learning_rate: Annotated[float, partial(_within, 0, strict=True)] = 0.003,
    batch_size: Annotated[int, Count] = 64,
    warm_start: bool = False,
    aux_loss: bool = False,
    aux_weight: Annotated[float, partial(_within, 0)] = 1.0,
    aux_margin: Annotated[float, partial(_within, 0, strict=True)] = 1.0,
    aux_detach: Annotated[float, partial(_within, 0)] = 0.6,
    aux_units: Annotated[int, Count] = 128,
    aux_input: bool = False,
) -> NetworkHead:
    """Fit the head.

    prior_precision: of the last layer; None chooses it as the module says. start: the head whose weights training
    begins at, if warm_start is set and the head has the same shape. loss: auto is cross-entropy for classes, and
    squared for numbers. patience: stop once the loss of a held-out fifth of the rows has not fallen for this many
    epochs, and return to the weights of the best epoch; None runs all epochs.

    aux_loss: train a loss-prediction branch too (heads/_pair_loss.py). It has aux_units units for each hidden layer,
    and for the features with aux_input. aux_weight, aux_margin: the factor of its loss, and the margin of a pair.
    aux_detach: the share of the epochs after which its gradient no longer reaches the hidden layers.

    Raises DataError below 2 classes, UsageError for cross-entropy on numbers, UnavailableError without torch.
    """
    if data.n_classes is None and loss == "cross-entropy":
        raise UsageError(
            "parameter 'loss' is cross-entropy, which is for classes; the labels are numbers", hint="-p loss=squared"
        )
    if data.n_classes is not None and len(np.unique(data.y_L)) < 2:
        raise DataError(
            f"an mlp head needs 2 classes, the {data.n} labelled rows show {len(np.unique(data.y_L))}",
            hint="label rows of another class",
        )
    means: Loss = "squared" if loss == "squared" or data.n_classes is None else "cross-entropy"
    aux = Auxiliary(aux_weight, aux_margin, aux_detach, aux_units, aux_input) if aux_loss else None
    schedule = Schedule(
        _widths(widths),
        activation,
        means,
        dropout,
        weight_decay,
        epochs,
        patience,
        learning_rate,
        batch_size,
        seed,
        aux,
    )
    data = _in_own_order(data)
    begin = start if warm_start and _fits(start, data, schedule) else None
    # Every matrix product runs on one thread, so the bits do not depend on the number of threads.
    with workers():
        return _fit(data, prior_precision, begin, schedule)


def _fit(data: Training, prior: float | None, start: NetworkHead | None, schedule: Schedule) -> NetworkHead:
    held_out_L = _held_out(data, schedule.seed)
    stops_early = schedule.patience is not None and bool(held_out_L.any())
    learned, held_out = data.rows(~held_out_L), data.rows(held_out_L)
    trained = train(learned if stops_early else data, schedule, held_out=held_out if stops_early else None, start=start)

    def seen(rows: Training, layers: tuple[Layer, ...] = trained.layers) -> Training:
        return replace(rows, X_LD=forward(layers, schedule.activation, rows.X_LD))

    hidden = seen(data)
    if schedule.loss == "cross-entropy":
        last = softmax(hidden, default_prior(hidden.X_LD, data.weights_L) if prior is None else prior)
    elif held_out.n:
        others = trained if stops_early else train(learned, schedule)
        last = _least_squares(hidden, prior, seen(learned, others.layers), seen(held_out, others.layers))
    else:
        last = ridge(hidden, prior)
    told = {"epochs": float(trained.epochs)} | (
        {} if trained.held_out_loss is None else {"held_out_loss": trained.held_out_loss}
    )
    return NetworkHead(
        trained.layers, schedule.activation, replace(last, kind="mlp").with_diagnostics(**told), trained.branch
    )


def _least_squares(hidden: Training, prior: float | None, learned: Training, held_out: Training) -> LinearHead:
    """Fit ridge regression to `hidden`, with prior precision, noise variance and temperature from held-out rows.

    learned, held_out: the outputs, for two parts of the rows, of hidden layers that were trained on the first part.
    """
    judge = _Judge(learned, held_out)
    prior = judge.prior() if prior is None else prior
    error, outputs_HC = judge.at(prior)
    temperature = 1.0 if held_out.n_classes is None else _smoothed_temperature(outputs_HC, held_out)
    last = ridge(hidden, prior)
    return replace(last, noise_variance=error or last.noise_variance, temperature=temperature).with_diagnostics(
        left_out_error=error
    )


class _Judge:
    """Ridge fits to the learned rows at any prior precision, judged by their squared error on the held-out rows."""

    def __init__(self, learned: Training, held_out: Training) -> None:
        self._held_out, self._weights_L = held_out, learned.weights_L
        self._targets_LC, self._targets_HC = _targets(learned), _targets(held_out)
        self._rows = rotate_centred(with_bias(learned.X_LD), learned.y_L, learned.weights_L, learned.n_classes or 1)
        self._Z_HR = with_bias(held_out.X_LD) @ self._rows.V_D1R

    def at(self, prior: float) -> tuple[float, Float64]:
        """The mean squared error on the held-out rows, and the outputs there."""
        outputs_HC = self._Z_HR @ closed_form.solve(self._rows, self._targets_LC, prior).W_CR.T
        errors_H = ((self._targets_HC - outputs_HC) ** 2).mean(axis=1)
        return float(np.average(errors_H, weights=self._held_out.weights_L)), outputs_HC

    def prior(self) -> float:
        """The strongest prior precision whose error is at most NEARLY times the least error.

        The precision is raised where outputs would vary more under the prior than the targets vary. Weak priors hardly
        differ in error, but they differ in variance: the prior variance of a weight is noise / precision.
        """
        errors = {prior: self.at(prior)[0] for prior in closed_form.priors_to_try(self._rows)}
        least = min(errors.values())
        spread = float(
            np.average(
                ((self._targets_LC - np.average(self._targets_LC, axis=0, weights=self._weights_L)) ** 2).mean(axis=1),
                weights=self._weights_L,
            )
        )
        nearly = max(prior for prior, error in errors.items() if error <= NEARLY * least)
        return float(max(nearly, self._rows.mean_square() * least / spread) if spread > 0.0 else nearly)


def _smoothed_temperature(outputs_HC: Float64, held_out: Training) -> float:
    """Fit the temperature to the H held-out rows, with smoothed labels.

    Each label is taken to be another class with probability 1 / (H + 2). Without the doubt, H rows that are separated
    perfectly would give a temperature of zero, that is, certainty.
    """
    H, C = outputs_HC.shape
    doubt = 1.0 / (H + 2)
    targets_HC = one_hot(held_out.y_L, C) * (1.0 - doubt - doubt / (C - 1)) + doubt / (C - 1)
    weights_HC = targets_HC * held_out.weights_L[:, None]
    return fit_temperature(np.repeat(outputs_HC, C, axis=0), np.tile(np.arange(C), H), weights_HC.ravel())


def _targets(data: Training) -> Float64:
    return data.y_L[:, None].astype(np.float64) if data.n_classes is None else one_hot(data.y_L, data.n_classes)


def _held_out(data: Training, seed: int) -> Array:
    """A mask of a fifth of the rows, to be held out.

    No row is held out below MIN_ROWS rows, or where the other rows would show fewer than 2 classes.
    """
    held_out_L: Array = stratified_folds(data.y_L, N_FOLDS, seed=seed) == 0
    too_few = data.n < MIN_ROWS or (data.n_classes is not None and len(np.unique(data.y_L[~held_out_L])) < 2)
    return np.zeros(data.n, bool) if too_few else held_out_L


def _in_own_order(data: Training) -> Training:
    """The rows sorted by the bytes of their features, label and weight."""
    held = np.ascontiguousarray(np.column_stack([data.X_LD, data.y_L, data.weights_L]), np.float64)
    return data.rows(np.argsort(held.view(f"V{held.shape[1] * 8}")[:, 0], kind="stable"))


def _fits(start: NetworkHead | None, data: Training, schedule: Schedule) -> bool:
    """True where `start` has the shape that training needs to begin at its weights."""
    if start is None:
        return False
    shapes = tuple(len(b_M) for _, b_M in start.layers), start.activation, start.dim, len(start.W_CD1)
    return shapes == (schedule.widths, schedule.activation, data.X_LD.shape[1], data.n_classes or 1)
