"""What every figure is made with: a canvas in the house style, intervals, labels that keep clear of each other, saving.

Figures are drawn without pyplot (no global state, no display) and saved without dates or version strings, so that the
same tables give the same bytes.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from refusal_stability.figures.palette import FAINT, INK, MUTED
from refusal_stability.figures.series import NothingToDraw

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Tables = Mapping[str, pd.DataFrame]
    Floats = NDArray[np.float64]

STYLE = Path(__file__).with_name("style.mplstyle")
KINDS = ("png", "pdf")
NO_METADATA: Mapping[str, dict[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None, "ModDate": None},
}
PAGE_WIDTH = 7.0

F = TypeVar("F", bound=Callable[..., Any])


@contextmanager
def house_style() -> Iterator[None]:
    """The house style on top of matplotlib's own defaults; what was set before comes back afterwards."""
    import matplotlib

    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rc_file(STYLE, use_default_template=False)
        yield


def in_house_style(draw: F) -> F:
    """A drawing function that runs under the house style and, with nothing to draw, gives a page that says why.

    So a gap is never mistaken for a zero.
    """

    @wraps(draw)
    def styled(*args: Any, **kwargs: Any) -> Any:
        with house_style():
            try:
                return draw(*args, **kwargs)
            except NothingToDraw as reason:
                figure = canvas(2.0)
                figure.text(0.5, 0.5, str(reason), ha="center", va="center", color=INK, wrap=True)
                return figure

    return styled  # type: ignore[return-value]


def canvas(height: float, width: float = PAGE_WIDTH) -> Figure:
    """An empty figure on the Agg canvas."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height))
    FigureCanvasAgg(figure)
    return figure


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a `png` or `pdf` file: the same figure, the same bytes."""
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format=kind, metadata=NO_METADATA[kind])
    return buffer.getvalue()


def percent(share: float, digits: int = 0) -> str:
    """A share as people read it; a share that is not zero or one is never shown as 0 % or 100 %."""
    if not np.isfinite(share):
        return "–"
    least = 10.0**-digits
    value = 100 * share
    if 0 < value < least / 2:
        return f"<{least:.{digits}f}%"
    if 100 - least / 2 < value < 100:
        return f">{100 - least:.{digits}f}%"
    return f"{value:.{digits}f}%"


def percent_axis(axis: Any) -> None:
    """Write an axis of shares in per cent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def draw_intervals(axes: Axes, at: Any, low: Any, high: Any, colour: str, upright: bool = True) -> None:
    """Draw each interval that is known as a line; one that is not known is left out."""
    at, low, high = (np.asarray(v, dtype=float) for v in (at, low, high))
    known = np.isfinite(low) & np.isfinite(high)
    lines = axes.vlines if upright else axes.hlines
    lines(at[known], low[known], high[known], colors=colour, linewidths=1.3, zorder=2.5)


def temperature_axis(axes: Axes, temperatures: Sequence[float]) -> None:
    """An x axis with a tick at each temperature of the study and no other."""
    low, high = min(temperatures), max(temperatures)
    pad = 0.07 * (high - low) if high > low else 0.5
    axes.set_xlim(low - pad, high + pad)
    axes.set_xticks(temperatures, labels=[f"{t:g}" for t in temperatures])
    axes.set_xlabel("temperature")


def name_rows(axes: Axes, names: Sequence[str], guide: bool = True) -> None:
    """Name the rows of a dot or bar chart from the top, with a faint guide line along each."""
    rows = np.arange(len(names))
    axes.set_yticks(rows, labels=names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if guide:
        for row in range(len(names)):
            axes.axhline(row, color=FAINT, linewidth=0.6, zorder=0.5)


def note(axes: Axes, x: float, y: float, text: str, **where: Any) -> None:
    """A quiet remark in a figure, backed by white so that it stays legible over what is drawn."""
    settings: dict[str, Any] = {"color": MUTED, "fontsize": 7, "ha": "left", "va": "center"}
    axes.text(x, y, text, **{**settings, **where})
