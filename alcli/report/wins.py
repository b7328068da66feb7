"""Who beats whom: the share of seeds and rounds in which one strategy is ahead of another, as numbers and as a picture.

Source: pairwise comparison of learning curves as in Ash et al. 2020, section 4 (there with a t test each; here plain shares, as
Huseljic et al. 2025 report them). The first point, which all strategies share, does not count; a tie is half a win for each.
Cost: K^2 comparisons of S x P numbers for K strategies.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.arrays import Float64
from alcli.report.curves import broken, rendered
from alcli.report.summary import Curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAME = 12  # letters of a name that the picture has room for as it is


def wins(curves: Curves) -> Float64:
    """Entry [i, j]: how often strategy i is ahead of strategy j, between 0 and 1; [i, j] + [j, i] = 1. Shape [K, K], 1/2 on the diagonal."""
    values_KSP = np.stack([v_SP[:, 1:] for v_SP in curves.values_SP.values()]) * (-1 if curves.smaller_is_better else 1)
    if values_KSP.shape[2] == 0:  # nothing was chosen, so all are level
        return np.full((len(values_KSP), len(values_KSP)), 0.5)
    ahead_KK = np.array([[(mine > theirs).mean() + 0.5 * (mine == theirs).mean() for theirs in values_KSP] for mine in values_KSP])
    return ahead_KK


def rows(curves: Curves) -> list[dict[str, Any]]:
    """The columns of wins.csv: a strategy, the mean over the others, and its share against each, to four digits."""
    names, ahead_KK = list(curves.values_SP), wins(curves)
    means_K = (ahead_KK.sum(axis=1) - 0.5) / max(len(names) - 1, 1)
    return [
        {"strategy": name, "mean": round(float(mean), 4), **{other: round(float(share), 4) for other, share in zip(names, ahead_K)}}
        for name, mean, ahead_K in zip(names, means_K, ahead_KK)
    ]


def draw(curves: Curves, title: str) -> dict[str, bytes]:
    """The matrix as the bytes of a PNG and of an SVG file, by format; the strategy that wins most stands first."""
    return rendered(lambda: _figure(curves, title))


def _figure(curves: Curves, title: str) -> Figure:
    from matplotlib.figure import Figure

    ahead_KK = wins(curves)
    order = np.argsort(-ahead_KK.sum(axis=1), kind="stable")
    names, ahead_KK = [list(curves.values_SP)[i] for i in order], ahead_KK[np.ix_(order, order)]
    K, labels = len(names), [broken(name) for name in names]
    width, lines = max(len(line) for label in labels for line in label.split("\n")), max(label.count("\n") + 1 for label in labels)
    more = 0.08 * max(0, width - _NAME)  # inches, for names that are longer than most
    figure = Figure(figsize=(2.6 + 1.8 * more + max(0.52, 0.26 * lines) * K, 1.9 + 0.7 * more + max(0.42, 0.16 * lines) * K), layout="constrained")
    axes = figure.subplots()
    axes.imshow(100 * ahead_KK, cmap="RdBu", vmin=0, vmax=100, aspect="auto")
    for i in range(K):
        for j in range(K):
            if i != j:
                far = abs(ahead_KK[i, j] - 0.5) > 0.33
                axes.text(j, i, f"{100 * ahead_KK[i, j]:.0f}", ha="center", va="center", fontsize=8, color="white" if far else "black")
    axes.set_xticks(range(K), labels, rotation=40, ha="right", rotation_mode="anchor")
    axes.set_yticks(range(K), labels)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title(f"{title}\n% of rounds and seeds in which the row is ahead of the column", fontsize=9, loc="left")
    return figure
