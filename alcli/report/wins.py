"""The win rates of strategies: how often one strategy is ahead of another, as numbers and as a picture.

Source: pairwise comparison of learning curves as in Ash et al. 2020, section 4. They use a t test for each pair; here
the entries are plain fractions of seeds and rounds, as Huseljic et al. 2025 report them. The first point, which all
strategies share, does not count. A tie is half a win for each.
Cost: K^2 comparisons of S x P numbers for K strategies, S seeds and P points.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.arrays import Float64
from alcli.report.pictures import Appearance, rendered, wrapped
from alcli.report.summary import Curves

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# The picture has room for so many letters of a name; longer names make it larger.
_NAME = 12


def wins(curves: Curves) -> Float64:
    """Return the win rates, float64 [K, K]: entry [i, j] is how often strategy i is ahead of strategy j, 0 to 1.

    [i, j] + [j, i] = 1, and the diagonal is 1/2. If nothing was selected, all strategies tie.
    """
    sign = 1 if curves.metric.larger_is_better else -1
    values_KSP = sign * np.stack([v_SP[:, 1:] for v_SP in curves.values_SP.values()])
    if values_KSP.shape[2] == 0:
        return np.full((len(values_KSP), len(values_KSP)), 0.5)
    return np.array(
        [[(mine > theirs).mean() + 0.5 * (mine == theirs).mean() for theirs in values_KSP] for mine in values_KSP]
    )


def rows(curves: Curves) -> list[dict[str, Any]]:
    """Return the rows of wins.csv: a strategy, its mean rate over the others, its rate against each; to four digits."""
    names, ahead_KK = list(curves.values_SP), wins(curves)
    means_K = (ahead_KK.sum(axis=1) - 0.5) / max(len(names) - 1, 1)
    found = []
    for name, mean, ahead_K in zip(names, means_K, ahead_KK):
        against = {other: round(float(share), 4) for other, share in zip(names, ahead_K)}
        found.append({"strategy": name, "mean": round(float(mean), 4), **against})
    return found


def draw(curves: Curves, title: str, look: Appearance) -> dict[str, bytes]:
    """Return the matrix as the bytes of a file, by format; the best strategy comes first."""
    return rendered(lambda: figure_of(curves, title, look.width), look)


def figure_of(curves: Curves, title: str, width: float | None = None) -> Figure:
    """Return the picture at a width in inches; None takes what the names and numbers need.

    In a narrower picture letters are smaller. The texts are not broken into lines yet.
    """
    from matplotlib.figure import Figure

    ahead_KK = wins(curves)
    order = np.argsort(-ahead_KK.sum(axis=1), kind="stable")
    names, ahead_KK = [list(curves.values_SP)[i] for i in order], ahead_KK[np.ix_(order, order)]
    K, labels = len(names), [wrapped(name) for name in names]
    needed, height = _size(labels)
    scale = min(1.0, (width or needed) / needed)
    figure = Figure(figsize=(width or needed, max(scale * height, 1.5)), layout="constrained")
    axes = figure.subplots()
    axes.imshow(100 * ahead_KK, cmap="RdBu", vmin=0, vmax=100, aspect="auto")
    for i in range(K):
        for j in range(K):
            if i != j:
                # Black cannot be read on the dark ends of the colours.
                colour = "white" if abs(ahead_KK[i, j] - 0.5) > 0.33 else "black"
                axes.text(
                    j, i, f"{100 * ahead_KK[i, j]:.0f}", ha="center", va="center", fontsize=8 * scale, color=colour
                )
    axes.set_xticks(range(K), labels, rotation=40, ha="right", rotation_mode="anchor", fontsize=9 * scale)
    axes.set_yticks(range(K), labels, fontsize=9 * scale)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    heading = f"{title}\n% of rounds and seeds in which the row is ahead of the column"
    figure.suptitle(heading, fontsize=9, x=0.01, ha="left")
    return figure


def _size(labels: list[str]) -> tuple[float, float]:
    """Return the width and height of the picture in inches: room for one cell per pair, and for long names."""
    K = len(labels)
    letters = max(len(line) for label in labels for line in label.split("\n"))
    lines = max(label.count("\n") + 1 for label in labels)
    more = 0.08 * max(0, letters - _NAME)
    width = 2.6 + 1.8 * more + max(0.52, 0.26 * lines) * K
    return width, 1.9 + 0.7 * more + max(0.42, 0.16 * lines) * K
