"""Pictures as files: their style, their width, and titles that fit into it.

Source: the colours are those of Okabe & Ito, Color Universal Design, 2008, which colour-blind readers can tell apart.
Dashes repeat the distinction.
Cost: one drawing per format, and two or three layouts. The bytes follow from the numbers and the version of matplotlib.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import os
import re
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alcli.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend
    from matplotlib.text import Text

FORMATS = ("png", "svg", "pdf")
NARROWEST, WIDEST = 2.5, 60.0
COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
# Letters of a line of a strategy's name. The name of a mix can have any length, a picture cannot.
_LONGEST = 32
# Inches below which panels stand above each other, and the legend below them.
_ONE_COLUMN = 7.0
# Pixels between a text and the edge of the picture.
_MARGIN = 4.0
# Wrapped titles take height from the panels, which then have less room for the texts beside them.
_LAYOUTS = 3
_STYLE = {
    "svg.hashsalt": "alcli",
    # Text stays text: it can be searched, edited, and set in the font of the page.
    "svg.fonttype": "none",
    "pdf.fonttype": 42,
    # Names may have dollar signs, between which a picture would show a formula.
    "text.parse_math": False,
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Appearance:
    """The files of a picture. formats: out of `FORMATS`. width: in inches; None takes the picture's own.

    Raises UsageError for another format, and for a width that no picture fits.
    """

    formats: tuple[str, ...] = ("png", "svg")
    width: float | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.formats if name not in FORMATS]
        if unknown or not self.formats:
            raise UsageError(f"a picture can be {', '.join(FORMATS)}, got '{', '.join(unknown)}'")
        if self.width is not None and not NARROWEST <= self.width <= WIDEST:
            what = f"the width of a picture must be {NARROWEST:g} to {WIDEST:g} inches, got {self.width:g}"
            raise UsageError(what, hint="a column of a paper is about 3.4 inches wide")


def rendered(make: Callable[[], Figure], look: Appearance) -> dict[str, bytes]:
    """Call `make` in the style of all pictures, and return its figure as the bytes of a file, by format."""
    with _styled():
        figure = make()
        fit(figure)
        return {format: _encode(figure, format) for format in look.formats}


@contextmanager
def _styled() -> Iterator[None]:
    with library() as matplotlib, matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE}):
        # The defaults come first: a user's matplotlibrc must not change the bytes.
        yield


@contextmanager
def library() -> Iterator[Any]:
    """Hand out matplotlib, which says nothing but errors inside: a home that cannot be written to is none.

    Where matplotlib is not loaded yet, it is loaded without the `matplotlibrc` of the current folder or of the user,
    which may be of strangers, and ends the import where it is not UTF-8.
    """
    logger = logging.getLogger("matplotlib")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with nullcontext() if "matplotlib" in sys.modules else _own_settings():
            import matplotlib
        yield matplotlib
    finally:
        logger.setLevel(before)


@contextmanager
def _own_settings() -> Iterator[None]:
    """Let matplotlib find its own defaults first: it looks into the current folder, then where MATPLOTLIBRC says."""
    found = importlib.util.find_spec("matplotlib")
    data = Path(next(iter(found.submodule_search_locations or ()))) / "mpl-data" if found else None
    if data is None or not data.is_dir():
        yield
        return
    variable = os.environ.get("MATPLOTLIBRC")
    os.environ["MATPLOTLIBRC"] = str(data / "matplotlibrc")
    # Other threads have the same current folder, so it is left only where it has such a file.
    here = os.open(".", os.O_RDONLY) if os.path.exists("matplotlibrc") else None
    try:
        if here is not None:
            os.chdir(data)
        yield
    finally:
        if here is not None:
            os.fchdir(here)
            os.close(here)
        if variable is None:
            del os.environ["MATPLOTLIBRC"]
        else:
            os.environ["MATPLOTLIBRC"] = variable


def _encode(figure: Figure, format: str) -> bytes:
    out = io.BytesIO()
    # A file without a date is the same at any time of day; a PNG has none.
    dates: dict[str, dict[str, Any]] = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}
    figure.savefig(out, format=format, dpi=150, metadata=dates.get(format))
    return out.getvalue()


def is_narrow(width: float) -> bool:
    """True where panels stand above each other, and the legend below them."""
    return width < _ONE_COLUMN


def colour_and_dash(i: int) -> tuple[str, Any]:
    """Return the colour and the dash of line i of a picture."""
    return COLOURS[i % len(COLOURS)], DASHES[i // len(COLOURS) % len(DASHES)]


def wrapped(strategy: str) -> str:
    """Break the name of a strategy into lines that leave room for the axes; a short name stays as it is."""
    if len(strategy) <= _LONGEST:
        return strategy
    return "\n".join(textwrap.wrap(re.sub(r",(?! )", ", ", strategy), _LONGEST, break_on_hyphens=False))


def legend(figure: Figure, handles: list[Any], labels: list[str]) -> Legend:
    """Put a legend beside the panels, or below them in a narrow picture, in as many columns as fit."""
    if not is_narrow(figure.get_figwidth()):
        return figure.legend(handles, labels, loc="outside right center", frameon=False, handlelength=3.2)
    for columns in (4, 3, 2, 1):
        found = figure.legend(
            handles, labels, loc="outside lower left", frameon=False, handlelength=2.6, ncols=columns, fontsize=8
        )
        fits = found.get_window_extent().width <= figure.bbox.width - 2 * _MARGIN
        if fits or columns == 1:
            break
        found.remove()
    return found


# -- texts that fit ---------------------------------------------------------------------------------------------------


def fit(figure: Figure) -> None:
    """Break titles and the names of axes into lines that fit beside their panels, and lay the picture out again."""
    whole: dict[Text, str] = {}
    for _ in range(_LAYOUTS):
        figure.draw_without_rendering()
        changed = False
        for text, room in _texts(figure):
            before = text.get_text()
            _break(text, whole.setdefault(text, before), room)
            changed |= text.get_text() != before
        if not changed:
            break
    # Every format has this layout, so that it is found once.
    figure.set_layout_engine("none")


def _texts(figure: Figure) -> Iterator[tuple[Text, float]]:
    """Yield every title and every name of an axis, with its room in pixels along its direction."""
    if figure._suptitle is not None:  # type: ignore[attr-defined]
        yield figure._suptitle, figure.bbox.width - 2 * _MARGIN  # type: ignore[attr-defined]
    for axes in figure.axes:
        box = axes.get_window_extent()
        yield axes._left_title, min(box.width, figure.bbox.x1 - box.x0 - _MARGIN)  # type: ignore[attr-defined]
        # An axis may be shorter than its name: the name is centred, and may be a little longer.
        yield axes.xaxis.label, box.width
        yield axes.yaxis.label, box.height


def _break(text: Text, whole: str, room: float) -> None:
    """Set a text to `whole` in lines no longer than `room`, in pixels; a word that is longer is broken too."""
    lines = []
    for paragraph in whole.split("\n"):
        width = max(len(paragraph), 1)
        while True:
            found = textwrap.wrap(paragraph, width, break_on_hyphens=False) or [""]
            text.set_text("\n".join(found))
            length = text.get_window_extent().height if text.get_rotation() else text.get_window_extent().width
            if length <= room or width <= 1:
                break
            # Letters have different widths, so the next guess is a little shorter than the share that fits.
            width = max(1, min(width - 1, int(width * room / length)))
        lines += found
    text.set_text("\n".join(lines))
