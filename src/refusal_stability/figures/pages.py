"""Every figure of a study as files, drawn by as many processes as there are cores.

The files are the same however many processes draw them. On Linux the other processes are forked once matplotlib is
imported, so that none imports it again. Elsewhere forks are not safe, and one process draws all.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing import get_context
from typing import TYPE_CHECKING

from refusal_stability.figures.gallery import GALLERY
from refusal_stability.figures.series import SeriesSet
from refusal_stability.figures.style import KINDS, figure_bytes, import_matplotlib
from refusal_stability.processes import follow_parent, usable_cores
from refusal_stability.records import StudyError

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from refusal_stability.figures.style import Tables

    Pages = dict[str, bytes]

# With more, all would wait for the one that draws the largest figures.
MOST_PROCESSES = 4


def study_pages(tables: Tables, series_set: SeriesSet, processes: int | None = None) -> dict[str, bytes]:
    """The files of every figure that the study has, by file name, in the order of the gallery."""
    figures = [figure for figure in GALLERY if figure.belongs_to(tables)]
    # To import seaborn takes as long as to draw several figures: one process draws all that need it, and begins there.
    by_seaborn = [figure for figure in figures if figure.by_seaborn]
    shares = [by_seaborn, *([figure] for figure in figures if not figure.by_seaborn)]

    def draw(share: int) -> Pages:
        pages: Pages = {}
        for figure in shares[share]:
            drawing = figure.draw(tables, series_set)
            pages |= {f"{figure.name}.{kind}": figure_bytes(drawing, kind) for kind in KINDS}
        return pages

    import_matplotlib()
    # The collector need not look through what was imported: it would after every few figures, and copy it in each fork.
    gc.freeze()
    try:
        drawn = shared_out(draw, len(shares), min(processes or usable_cores(), MOST_PROCESSES))
    finally:
        gc.unfreeze()
    return {name: drawn[name] for name in (f"{figure.name}.{kind}" for figure in figures for kind in KINDS)}


def shared_out(draw: Callable[[int], Pages], shares: int, processes: int) -> Pages:
    """What `draw` gives for each of the shares 0, 1, ..., taken in turn by so many processes, this one among them."""
    # A byte in a pipe for each share: unlike a lock, it cannot be kept by a process that is killed.
    left, filled = os.pipe()
    os.write(filled, bytes(range(shares)))
    os.close(filled)
    helpers = [_fork(draw, left) for _ in range(min(processes, shares) - 1)]
    try:
        pages = _take(draw, left)
    finally:
        os.close(left)
    for receiver in helpers:
        try:
            theirs = receiver.recv()
        except EOFError:
            raise StudyError(
                "reports/figures: a process that drew figures was killed, perhaps for want of memory; free memory, "
                "then run the stage `figures` again"
            ) from None
        if isinstance(theirs, Exception):
            raise theirs
        pages |= theirs
    return pages


def _take(draw: Callable[[int], Pages], left: int) -> Pages:
    pages: Pages = {}
    while share := os.read(left, 1):
        pages |= draw(share[0])
    return pages


def _fork(draw: Callable[[int], Pages], left: int) -> Connection:
    """Have another process take shares too; what it drew comes over the connection, or its error."""
    forks = get_context("fork")
    receiver, sender = forks.Pipe(duplex=False)
    # A daemon: it is ended when this process leaves with an error.
    forks.Process(target=_help, args=(draw, left, sender), daemon=True).start()
    sender.close()
    return receiver


def _help(draw: Callable[[int], Pages], left: int, sender: Connection) -> None:
    follow_parent()
    result: Pages | Exception
    try:
        result = _take(draw, left)
    except Exception as error:  # noqa: BLE001 - the process that waits raises it
        if not isinstance(error, StudyError):
            traceback.print_exc()
        result = error
    # Where the process that waits was killed, nobody needs the result.
    with suppress(BrokenPipeError):
        sender.send(result)
