"""What a figure of the study consists of; each figure's own file makes one, and gallery.py lists them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from refusal_stability.figures.series import SeriesSet
    from refusal_stability.figures.style import Tables


@dataclass(frozen=True)
class StudyFigure:
    """One figure.

    Attributes
    ----------
    name : file name without ending.
    section : the report's section that shows it, by its slug.
    tables : metric tables that it draws and describes.
    draw : tables and series -> figure.
    alt_text : tables and series -> what the figure shows, in words and numbers, for readers who cannot see it.
    finding : tables and series -> one sentence on what it shows, printed beside it.
    title, caption : printed beside it; the caption says how to read it.
    optional : left out of a study in which its first table has no rows.
    by_seaborn : whether seaborn draws a part of it.
    """

    name: str
    section: str
    tables: tuple[str, ...]
    draw: Callable[[Tables, SeriesSet], Figure]
    alt_text: Callable[[Tables, SeriesSet], str]
    finding: Callable[[Tables, SeriesSet], str]
    title: str
    caption: str
    optional: bool = False
    by_seaborn: bool = False

    def belongs_to(self, tables: Tables) -> bool:
        """Whether a study with these tables has this figure."""
        return not self.optional or not tables[self.tables[0]].empty
