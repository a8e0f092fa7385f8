"""One configuration on one page: its decisions in each category, and against each prompt's majority."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from refusal_stability.figures.palette import DECISION_COLOURS, DECISION_INK, DECISION_WORDS, INK, MUTED
from refusal_stability.figures.style import canvas, house_style, png_bytes
from refusal_stability.records import DECISIONS

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.collections import PolyCollection
    from matplotlib.figure import Figure
    from matplotlib.text import Text
    from numpy.typing import NDArray

    Counts = NDArray[np.int64]
    Floats = NDArray[np.float64]

SCREEN_DPI = 110
LEFT = 0.12  # where the title begins, in inches
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


class Sheet(NamedTuple):
    """A page with the texts that runs share, as a background that each run is drawn on."""

    figure: Figure
    plane: Axes
    words: Any


def run_png(rows: pd.DataFrame, title: str) -> bytes:
    """The page as a PNG; `rows` has the category, decision (empty: missing) and majority of each prompt."""
    with house_style():
        return png_bytes(draw_run(rows, title), level=1)


def draw_run(rows: pd.DataFrame, title: str) -> Figure:
    """Decisions in each category, and decisions against the prompts' majority, under the run's name.

    The returned figure is already drawn. The next run with the same categories draws on it again.
    """
    decided = rows[rows["decision"] != ""]
    counts = _counts_by_category(decided)
    sheet = _sheet(tuple((category, int(of_each.sum())) for category, of_each in counts.items()))
    counted = f"{len(decided)} decisions, {len(rows) - len(decided)} missing"
    count = sheet.plane.text(GRID[1], 0.1, counted, va="top", ha="right", color=MUTED)
    name = sheet.plane.text(LEFT, 0.1, title, va="top", weight="bold", fontsize=9)
    _fit(name, GRID[1] - _width(count) - 0.25 - LEFT)
    words = [name, count]
    boxes = _category_boxes(counts)
    if len(decided):
        tall = float(sheet.plane.get_ylim()[0]) - TOP - BOTTOM
        departures = _departures(decided)
        boxes += _departure_boxes(departures, tall)
        words += [
            sheet.plane.text(*place, text, va="center", ha="center", color=ink)
            for place, text, ink in _numbers(departures, tall)
        ]
    _draw_upon(sheet, boxes, words)
    return sheet.figure


def _width(text: Text) -> float:
    """The width of a drawn text, in inches."""
    return float(text.get_window_extent().width) / SCREEN_DPI


def _fit(text: Text, room: float) -> None:
    """Cut the middle out of a text that is too wide: it starts with the model and ends with temperature and seed."""
    whole = text.get_text()
    kept = len(whole)
    while kept > 2 and (wide := _width(text)) > room:
        kept = min(kept - 1, int(kept * room / wide))
        text.set_text(f"{whole[: kept // 2]}…{whole[len(whole) - (kept - kept // 2) :]}")


@lru_cache(maxsize=64)
def _sheet(categories: tuple[tuple[str, int], ...]) -> Sheet:
    """The page of runs with these categories and numbers of prompts: texts, which take most of the time, are shared."""
    height = TOP + BOTTOM + ROW * max(len(categories), 7)
    figure = canvas(height=height, width=WIDTH)
    figure.set_dpi(SCREEN_DPI)
    # One plane in inches, with everything placed by hand: ticks and layout take several times as long as drawing.
    figure.set_layout_engine("none")
    plane = figure.add_axes((0, 0, 1, 1))
    plane.set_axis_off()
    plane.set_xlim(0, WIDTH)
    plane.set_ylim(height, 0)
    if categories:
        _name_categories(plane, categories)
        _name_departures(plane, height - TOP - BOTTOM)
    figure.canvas.draw()
    return Sheet(figure, plane, figure.canvas.copy_from_bbox(figure.bbox))  # type: ignore[attr-defined]


def _draw_upon(sheet: Sheet, boxes: Sequence[Box], words: Sequence[Text]) -> None:
    """Draw what belongs to this run, and leave the sheet as it was."""
    sheet.figure.canvas.restore_region(sheet.words)  # type: ignore[attr-defined]
    own = [_boxes_as_one(sheet.plane, boxes), *words]
    for thing in own:
        sheet.plane.draw_artist(thing)
        thing.remove()


def _counts_by_category(decided: pd.DataFrame) -> dict[str, Counts]:
    """Prompts of each category by decision; a prompt with several categories counts in each."""
    # By hand here and below: to group so few rows takes pandas as long as to write all the text.
    places = {d.value: place for place, d in enumerate(DECISIONS)}
    counts: dict[str, Counts] = {}
    for (categories, decision), n in Counter(zip(decided["category"], decided["decision"], strict=True)).items():
        for category in str(categories).split("|"):
            counts.setdefault(category, np.zeros(len(DECISIONS), np.int64))[places[decision]] += n
    return dict(sorted(counts.items()))


def _name_categories(plane: Axes, categories: Sequence[tuple[str, int]]) -> None:
    left, width = BARS[0], BARS[1] - BARS[0]
    for column, decision in enumerate(DECISIONS):
        plane.text(left + column + 0.15, TOP - 0.15, DECISION_WORDS[decision], va="center")
    for row, (category, total) in enumerate(categories):
        middle = TOP + (row + 0.5) * ROW
        plane.text(left - 0.08, middle, f"{_short(category)} ({total})", va="center", ha="right")
    foot = TOP + len(categories) * ROW
    for share in (0.0, 0.5, 1.0):
        plane.text(left + share * width, foot + 0.05, f"{share:.0%}", va="top", ha="center")
    below = "of the category's prompts (their number)"
    plane.text(left + width / 2, foot + 0.25, below, va="top", ha="center", color=MUTED)


def _category_boxes(counts: Mapping[str, Counts]) -> list[Box]:
    left, width = BARS[0], BARS[1] - BARS[0]
    keys = enumerate(DECISIONS if counts else ())
    boxes = [Box(left + column, TOP - 0.2, 0.1, 0.1, DECISION_COLOURS[decision]) for column, decision in keys]
    for row, of_each in enumerate(counts.values()):
        start, total = left, int(of_each.sum())
        for decision, n in zip(DECISIONS, of_each, strict=True):
            share = width * int(n) / total
            boxes.append(Box(start, TOP + row * ROW + 0.02, share, ROW - 0.04, DECISION_COLOURS[decision]))
            start += share
    return boxes


def _name_departures(plane: Axes, tall: float) -> None:
    left, wide, high = GRID[0], (GRID[1] - GRID[0]) / len(DECISIONS), tall / len(DECISIONS)
    for place, decision in enumerate(DECISIONS):
        word = DECISION_WORDS[decision]
        plane.text(left - 0.08, TOP + (place + 0.5) * high, word, va="center", ha="right")
        plane.text(left + (place + 0.5) * wide, TOP - 0.06, word, va="bottom", ha="center")
    below = "columns: this run; rows: the prompt's majority"
    plane.text(GRID[1], TOP + tall + 0.05, below, va="top", ha="right", color=MUTED)


def _departures(decided: pd.DataFrame) -> Counts:
    """Prompts by majority (rows) and this run's decision (columns)."""
    pairs = Counter(zip(decided["majority"], decided["decision"], strict=True))
    return np.array([[pairs[(row.value, column.value)] for column in DECISIONS] for row in DECISIONS], np.int64)


def _shades(departures: Counts) -> Floats:
    """How strongly each cell is filled, 0 to 1: the square root of its share of the row."""
    shares = departures / np.maximum(departures.sum(axis=1, keepdims=True), 1)
    return np.asarray(np.sqrt(shares), dtype=np.float64)


def _departure_boxes(departures: Counts, tall: float) -> list[Box]:
    left, wide, high = GRID[0], (GRID[1] - GRID[0]) / len(DECISIONS), tall / len(DECISIONS)
    boxes = []
    for (row, column), shade in np.ndenumerate(_shades(departures)):
        x, y, colour = left + column * wide, TOP + row * high, DECISION_COLOURS[DECISIONS[column]]
        boxes.append(Box(x + 0.015, y + 0.015, wide - 0.03, high - 0.03, colour, float(shade)))
    return boxes


def _numbers(departures: Counts, tall: float) -> Iterator[tuple[tuple[float, float], str, str]]:
    """The place of each cell's number, the number, and its colour."""
    left, wide, high = GRID[0], (GRID[1] - GRID[0]) / len(DECISIONS), tall / len(DECISIONS)
    for (row, column), shade in np.ndenumerate(_shades(departures)):
        count = int(departures[row, column])
        ink = DECISION_INK[DECISIONS[column]] if shade > 0.6 else INK if count else MUTED
        yield (left + (column + 0.5) * wide, TOP + (row + 0.5) * high), str(count), ink


def _boxes_as_one(plane: Axes, boxes: Sequence[Box]) -> PolyCollection:
    """All boxes as one artist: one artist for each would take as long as all the text."""
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgba

    corners = [[(b.x, b.y), (b.x + b.wide, b.y), (b.x + b.wide, b.y + b.high), (b.x, b.y + b.high)] for b in boxes]
    colours = [to_rgba(b.colour, b.alpha) for b in boxes]
    collection = PolyCollection(corners, facecolors=colours, linewidths=0)
    plane.add_collection(collection, autolim=False)
    return collection


def _short(category: str) -> str:
    words = category.replace("_", " ")
    return words if len(words) <= CATEGORY_WIDTH else f"{words[: CATEGORY_WIDTH - 1]}…"
