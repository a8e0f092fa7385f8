"""One configuration on one page: its decisions in each category, and where they depart from the prompts' majority."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from refusal_stability.figures.house import NO_METADATA, canvas, house_style
from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_INK, DECISION_WORDS, INK, MUTED
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SCREEN_DPI = 110
CATEGORY_WIDTH = 31
WIDTH, ROW, TOP, BOTTOM = 8.4, 0.2, 0.72, 0.58  # inches
BARS, GRID = (2.35, 5.2), (6.15, 8.25)  # where the two panels lie, from left to right, in inches


class Box(NamedTuple):
    """A filled rectangle, in inches from the top left."""

    x: float
    y: float
    wide: float
    high: float
    colour: str
    alpha: float = 1.0


def run_png(rows: pd.DataFrame, title: str) -> bytes:
    """The page as a PNG for the screen; `rows` has category, decision (empty: missing) and majority of each prompt."""
    buffer = io.BytesIO()
    with house_style():
        figure = draw_run(rows, title)
        # Not savefig, which draws everything twice, and there is a page for every run.
        settings = {"metadata": NO_METADATA["png"], "pil_kwargs": {"compress_level": 1}}
        figure.canvas.print_png(buffer, **settings)  # type: ignore[attr-defined]
    return buffer.getvalue()


def draw_run(rows: pd.DataFrame, title: str) -> Figure:
    """Decisions in each category, and this run's decisions against the prompts' majority, under the run's name."""
    decided = rows[rows["decision"] != ""]
    counts = _counts_by_category(decided)
    height = TOP + BOTTOM + ROW * max(len(counts), 7)
    figure = canvas(height=height, width=WIDTH)
    figure.set_dpi(SCREEN_DPI)
    # One bare plane in inches, everything placed by hand: ticks and layout cost several times what drawing costs.
    figure.set_layout_engine("none")
    plane = figure.add_axes((0, 0, 1, 1))
    plane.set_axis_off()
    plane.set_xlim(0, WIDTH)
    plane.set_ylim(height, 0)
    counted = f"{len(decided)} decisions, {len(rows) - len(decided)} missing"
    plane.text(0.12, 0.1, title, va="top", weight="bold", fontsize=9)
    plane.text(GRID[1], 0.1, counted, va="top", ha="right", color=MUTED)
    if len(decided):
        boxes = [*_draw_categories(plane, counts), *_draw_departures(plane, decided, height - TOP - BOTTOM)]
        _draw_boxes(plane, boxes)
    return figure


def _counts_by_category(decided: pd.DataFrame) -> pd.DataFrame:
    """Prompts by category and decision; a prompt of several categories appears in each."""
    each = decided.assign(category=decided["category"].str.split("|")).explode("category")
    counts = each.groupby(["category", "decision"]).size().unstack(fill_value=0)
    return counts.reindex(columns=[d.value for d in DECISIONS], fill_value=0)


def _draw_categories(plane: Axes, counts: pd.DataFrame) -> Iterator[Box]:
    left, width = BARS[0], BARS[1] - BARS[0]
    for column, decision in enumerate(DECISIONS):
        yield Box(left + column, TOP - 0.2, 0.1, 0.1, DECISION_COLOURS[decision])
        plane.text(left + column + 0.15, TOP - 0.15, DECISION_WORDS[decision], va="center")
    for row, (category, of_each) in enumerate(counts.iterrows()):
        total = int(of_each.sum())
        top = TOP + row * ROW
        plane.text(left - 0.08, top + ROW / 2, f"{_short(str(category))} ({total})", va="center", ha="right")
        start = left
        for decision in DECISIONS:
            share = width * of_each[decision.value] / total
            yield Box(start, top + 0.02, share, ROW - 0.04, DECISION_COLOURS[decision])
            start += share
    foot = TOP + len(counts) * ROW
    for share in (0.0, 0.5, 1.0):
        plane.text(left + share * width, foot + 0.05, f"{share:.0%}", va="top", ha="center")
    plane.text(
        left + width / 2, foot + 0.25, "of the category's prompts (their number)", va="top", ha="center", color=MUTED
    )


def _draw_departures(plane: Axes, decided: pd.DataFrame, tall: float) -> Iterator[Box]:
    names = [d.value for d in DECISIONS]
    pairs = decided.groupby(["majority", "decision"]).size().unstack(fill_value=0)
    table = pairs.reindex(index=names, columns=names, fill_value=0).to_numpy()
    left, wide, high = GRID[0], (GRID[1] - GRID[0]) / 3, tall / 3
    for row, majority in enumerate(DECISIONS):
        total = int(table[row].sum())
        plane.text(left - 0.08, TOP + (row + 0.5) * high, DECISION_WORDS[majority], va="center", ha="right")
        for column, decision in enumerate(DECISIONS):
            count = int(table[row, column])
            shade = (count / total) ** 0.5 if total else 0.0
            x, y = left + column * wide, TOP + row * high
            yield Box(x + 0.015, y + 0.015, wide - 0.03, high - 0.03, DECISION_COLOURS[decision], shade)
            ink = DECISION_INK[decision] if shade > 0.6 else INK if count else MUTED
            plane.text(x + wide / 2, y + high / 2, str(count), va="center", ha="center", color=ink)
    for column, decision in enumerate(DECISIONS):
        plane.text(left + (column + 0.5) * wide, TOP - 0.06, DECISION_WORDS[decision], va="bottom", ha="center")
    below = "columns: this run; rows: the prompt's majority"
    plane.text(GRID[1], TOP + tall + 0.05, below, va="top", ha="right", color=MUTED)


def _draw_boxes(plane: Axes, boxes: Sequence[Box]) -> None:
    """Draw all boxes as one artist; one each costs as much as all the text."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    corners = [[(b.x, b.y), (b.x + b.wide, b.y), (b.x + b.wide, b.y + b.high), (b.x, b.y + b.high)] for b in boxes]
    colours = [to_rgba(b.colour, b.alpha) for b in boxes]
    plane.add_collection(PolyCollection(corners, facecolors=colours, linewidths=0), autolim=False)


def _short(category: str) -> str:
    words = category.replace("_", " ")
    return words if len(words) <= CATEGORY_WIDTH else f"{words[: CATEGORY_WIDTH - 1]}…"
