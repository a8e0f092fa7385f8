"""Every figure of a study as files, drawn by as many processes as there are cores.

The files are the same however many processes draw them. On Linux the other processes are forked once matplotlib is
imported, so that none imports it again. Elsewhere forks are not safe, and one process draws all.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterable
from multiprocessing import parent_process
from typing import TYPE_CHECKING

from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.series import SeriesSet
from refusal_stability.figures.style import KINDS, figure_bytes, import_matplotlib
from refusal_stability.processes import OUT_OF_MEMORY, forked_pool, out_of_memory, usable_cores

if TYPE_CHECKING:
    from refusal_stability.figures.style import Tables

Pages = dict[str, bytes]
Draw = Callable[[int], Pages]

# With more, all would wait for the one that draws the largest figures.
MOST_PROCESSES = 4


def study_pages(tables: Tables, series_set: SeriesSet, processes: int | None = None) -> dict[str, bytes]:
    """The files of every figure that the study has, by file name, in the order of the gallery."""
    figures = [figure for figure in GALLERY if figure.belongs_to(tables)]
    # One process imports seaborn: it draws all that need it, and begins there.
    by_seaborn = [figure for figure in figures if figure.by_seaborn]
    shares = [by_seaborn, *([figure] for figure in figures if not figure.by_seaborn)]

    def draw(share: int) -> Pages:
        pages: Pages = {}
        if any(figure.by_seaborn for figure in shares[share]) and parent_process() is not None:
            _import_seaborn_alone()
        for figure in shares[share]:
            drawing = figure.draw(tables, series_set)
            pages |= {f"{figure.name}.{kind}": figure_bytes(drawing, kind) for kind in KINDS}
        return pages

    import_matplotlib()
    # The collector need not look through what was imported: it would after every few figures, and copy it in each fork.
    aside = gc.get_freeze_count()
    gc.freeze()
    try:
        drawn = shared_out(draw, len(shares), min(processes or usable_cores(), MOST_PROCESSES))
    finally:
        # What the caller had set aside stays aside.
        if not aside:
            gc.unfreeze()
    return {name: drawn[name] for name in (f"{figure.name}.{kind}" for figure in figures for kind in KINDS)}


def _import_seaborn_alone() -> None:
    """Import seaborn without scipy, which takes longer to import than several figures to draw.

    seaborn works without it, except for clusters and densities, which no figure has. They are lost to the process: call
    this only in one that draws figures and ends.
    """
    hidden = {} if "scipy" in sys.modules else {"scipy": None}
    sys.modules.update(hidden)  # type: ignore[arg-type]
    try:
        import seaborn  # noqa: F401
    finally:
        for name in hidden:
            del sys.modules[name]


def shared_out(draw: Draw, shares: int, processes: int) -> Pages:
    """What `draw` gives for each of the shares 0, 1, ..., by so many processes; with 1, by this one."""
    if min(processes, shares) < 2:
        return _merged(map(draw, range(shares)))
    drawing, task = forked_pool(draw, min(processes, shares))
    try:
        return _merged(drawing.map(task, range(shares)))
    except OUT_OF_MEMORY as error:
        raise out_of_memory(error, "reports/figures", "drew figures", "run the stage `figures` again") from None
    finally:
        drawing.shutdown(cancel_futures=True)


def _merged(found: Iterable[Pages]) -> Pages:
    return {name: page for pages in found for name, page in pages.items()}
