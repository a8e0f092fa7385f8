"""What every figure uses: the canvas in the house style, intervals, axes in per cent, saving.

Figures are saved without dates or version strings, so that the same tables give the same bytes. They are drawn on
canvases of their own: pyplot's global state and display are not used. seaborn draws heat maps and histograms. It is not
used for points and lines, because it computes their intervals itself; here the metric tables give the intervals.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from refusal_stability.figures.palette import INK, MUTED
from refusal_stability.figures.series import NothingToDraw

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib import RcParams
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from numpy.typing import NDArray

    Tables = Mapping[str, pd.DataFrame]
    Floats = NDArray[np.float64]

STYLE = Path(__file__).with_name("style.mplstyle")
KINDS = ("png", "pdf")
NO_METADATA: Mapping[str, None] = {"Creator": None, "Producer": None, "CreationDate": None, "ModDate": None}
PNG_LEVEL = 4
PAGE_WIDTH = 7.0
DASHED = (0, (2, 2))

F = TypeVar("F", bound=Callable[..., Any])


def import_matplotlib() -> None:
    """Import what every figure is drawn and written with."""
    import matplotlib.backends.backend_agg
    import matplotlib.backends.backend_pdf
    import matplotlib.figure  # noqa: F401


@cache
def add_fonts() -> None:
    """Have matplotlib find the fonts of `fonts/`, which docs/write_fonts.py cuts from DejaVu Sans."""
    from matplotlib.font_manager import fontManager

    for font in sorted(STYLE.with_name("fonts").glob("*.ttf")):
        fontManager.addfont(font)


@cache
def _style() -> RcParams:
    """The house style; to read its file takes as long as to draw a small figure."""
    import matplotlib

    return matplotlib.rc_params_from_file(STYLE, use_default_template=False)


@contextmanager
def house_style() -> Iterator[None]:
    """The house style on top of matplotlib's own defaults; earlier settings are restored afterwards."""
    import matplotlib

    add_fonts()
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_style())
        yield


def in_house_style(draw: F) -> F:
    """Run a drawing function in the house style; where there is nothing to draw, draw the reason instead."""

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


@contextmanager
def undrawn(figure: Figure) -> Iterator[None]:
    """Have a figure drawn without its panels and layout, and as before afterwards.

    seaborn draws the whole figure once for each heat map, to see whether labels overlap.
    """
    layout, shown = figure.get_layout_engine(), [axes for axes in figure.axes if axes.get_visible()]
    figure.set_layout_engine("none")
    for axes in shown:
        axes.set_visible(False)
    try:
        yield
    finally:
        figure.set_layout_engine(layout)
        for axes in shown:
            axes.set_visible(True)


def figure_bytes(figure: Figure, kind: str) -> bytes:
    """A figure as the bytes of a `png` or `pdf` file: the same figure, the same bytes."""
    import matplotlib

    buffer = io.BytesIO()
    with house_style():
        # Else matplotlib gives a figure without a layout engine a new one after it is saved.
        matplotlib.rcParams["figure.constrained_layout.use"] = False
        with _at_dpi(figure, matplotlib.rcParams["savefig.dpi"]):
            _lay_out(figure)
            if kind == "png":
                figure.canvas.draw()
                return png_bytes(figure)
        figure.savefig(buffer, format=kind, metadata=NO_METADATA)
    return buffer.getvalue()


def png_bytes(figure: Figure, level: int = PNG_LEVEL) -> bytes:
    """What is drawn on a figure's Agg canvas as a PNG.

    Not by savefig, which also writes how opaque each pixel is: all are. Without that, a file of this level is a tenth
    smaller and takes three quarters of the time.
    """
    from PIL import Image

    buffer = io.BytesIO()
    pixels = np.asarray(figure.canvas.buffer_rgba())  # type: ignore[attr-defined]
    image = Image.fromarray(pixels).convert("RGB")
    image.save(buffer, format="png", dpi=(figure.dpi, figure.dpi), compress_level=level)
    return buffer.getvalue()


@contextmanager
def _at_dpi(figure: Figure, dpi: float) -> Iterator[None]:
    before = figure.dpi
    figure.set_dpi(dpi)
    try:
        yield
    finally:
        figure.set_dpi(before)


def _lay_out(figure: Figure) -> None:
    """Place a figure's parts for good: every file of it shows the same places.

    A figure that keeps a layout engine, be it "none", is drawn twice for each file: once only to find the places.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        if figure.axes:
            engine.execute(figure)
        figure.set_layout_engine(None)


def percent(share: float, digits: int = 0) -> str:
    """A share in per cent; a small share reads `<1%`, never `0%`, and a large one `>99%`, never `100%`."""
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
    """Label an axis of shares in per cent."""
    from matplotlib.ticker import PercentFormatter

    axis.set_major_formatter(PercentFormatter(1.0, decimals=0))


def draw_intervals(axes: Axes, at: Any, low: Any, high: Any, colour: str, upright: bool = True) -> None:
    """Draw each known interval as a line, not cut where an axis ends."""
    at, low, high = (np.asarray(v, dtype=float) for v in (at, low, high))
    known = np.isfinite(low) & np.isfinite(high)
    lines = axes.vlines if upright else axes.hlines
    lines(at[known], low[known], high[known], colors=colour, linewidths=1.3, zorder=2.5, clip_on=False)


def temperature_axis(axes: Axes, temperatures: Sequence[float]) -> None:
    """An x axis with a tick at each temperature of the study."""
    low, high = min(temperatures), max(temperatures)
    pad = 0.07 * (high - low) if high > low else 0.5
    axes.set_xlim(low - pad, high + pad)
    axes.set_xticks(temperatures, labels=[f"{t:g}" for t in temperatures])
    axes.set_xlabel("temperature")


def note(axes: Axes, x: float, y: float, text: str, **where: Any) -> None:
    """A small remark inside a figure."""
    settings: dict[str, Any] = {"color": MUTED, "fontsize": 7, "ha": "left", "va": "center"}
    axes.text(x, y, text, **{**settings, **where})
