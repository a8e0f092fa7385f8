"""What long work says while it runs: a bar on a terminal; anywhere else, such as a log, a line every 30 seconds."""

from __future__ import annotations

import sys
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

SAY_EVERY_S = 30.0
LOOK_EVERY_S = 2.0
BAR_EVERY_S = 0.1
# The rate is that of the last two minutes: a server may slow down, and loading a model is no part of it.
RATE_OVER_S = 120.0
REASONS_SHOWN = 3
REASON_LENGTH = 80
Save = Callable[["Progress"], None]


class Progress:
    """How far one piece of work is. The work counts here; a thread reads it meanwhile.

    `total` is None where nobody knows how much there is to do. Counts are bytes where `in_bytes` says so.
    """

    def __init__(self, caption: str, total: int | None, done: int = 0, in_bytes: bool = False) -> None:
        self.caption = caption
        self.total = total
        self.done = done
        self.tokens = 0
        self.missing: Counter[str] = Counter()
        self.started = time.time()
        self.ended = False
        self._in_bytes = in_bytes
        self._seen = deque([(time.monotonic(), done)])

    def advance(self, count: int = 1, tokens: int = 0, missing: str | None = None) -> None:
        """Count what was done; `missing` says why it has no result."""
        self.done += count
        self.tokens += tokens
        if missing is not None:
            self.missing[missing] += 1

    def reached(self, done: int, total: int | None) -> None:
        """Set how far the work is, where it counts by itself."""
        self.done, self.total = done, total

    def look(self) -> None:
        """Note how far the work is now, for its rate."""
        now = time.monotonic()
        self._seen.append((now, self.done))
        while len(self._seen) > 2 and now - self._seen[1][0] > RATE_OVER_S:
            self._seen.popleft()

    @property
    def rate(self) -> float | None:
        """What is done a second, of late; None where nothing was."""
        (before, first), (now, last) = self._seen[0], self._seen[-1]
        return (last - first) / (now - before) if last > first and now > before else None

    def line(self) -> str:
        """How far the work is, on one line."""
        running = f"{duration(time.time() - self.started)} so far"
        if self.total is None and not self.done:
            return f"{self.caption}: {running}"
        done = size(self.done) if self._in_bytes else f"{self.done:,}"
        if self.total is None:
            return f"{self.caption}: {done}, {running}"
        total = size(self.total) if self._in_bytes else f"{self.total:,}"
        parts = [f"{done} of {total} ({self.done / max(self.total, 1):.0%})", *self._pace(running)]
        if self.missing:
            parts.append(f"{self.missing.total():,} missing: {reasons(self.missing)}")
        return f"{self.caption}: {', '.join(parts)}"

    def _pace(self, running: str) -> list[str]:
        rate, left = self.rate, (self.total or 0) - self.done
        if left <= 0:
            return [running]
        if rate is None:
            return ["none of late" if len(self._seen) > 2 and self.done else "none yet", running]
        speed = f"{size(rate)}/s" if self._in_bytes else pace(rate)
        return [speed, f"{duration(left / rate)} left"]


@contextmanager
def progress(
    caption: str, total: int | None, done: int = 0, in_bytes: bool = False, save: Save | None = None
) -> Iterator[Progress]:
    """Show how far a piece of work is while the block runs. `save` is handed it every few seconds, and at the end."""
    work = Progress(caption, total, done, in_bytes)
    on_terminal = sys.stderr.isatty()
    stop = threading.Event()
    reporter = threading.Thread(target=_report, args=(work, stop, save, on_terminal and total is not None), daemon=True)
    reporter.start()
    try:
        if on_terminal and total is not None:
            with _bar(work):
                yield work
        else:
            yield work
    finally:
        stop.set()
        reporter.join()
        work.ended = True
        if save is not None:
            save(work)


def _report(work: Progress, stop: threading.Event, save: Save | None, quiet: bool) -> None:
    said = time.monotonic()
    if save is not None:
        save(work)
    while not stop.wait(min(LOOK_EVERY_S, SAY_EVERY_S)):
        work.look()
        if save is not None:
            save(work)
        if not quiet and time.monotonic() - said >= SAY_EVERY_S:
            said = time.monotonic()
            print(work.line(), file=sys.stderr, flush=True)


@contextmanager
def _bar(work: Progress) -> Iterator[None]:
    from rich import progress as rich
    from rich.console import Console

    columns = (
        rich.TextColumn("{task.description}", markup=False),
        rich.BarColumn(),
        rich.DownloadColumn() if work._in_bytes else rich.MofNCompleteColumn(),
        rich.TextColumn("{task.fields[note]}", markup=False),
        rich.TimeElapsedColumn(),
        rich.TimeRemainingColumn(),
    )
    with rich.Progress(*columns, console=Console(stderr=True), refresh_per_second=1 / BAR_EVERY_S) as bar:
        task = bar.add_task(work.caption, total=work.total, completed=work.done, note="")

        def show() -> None:
            seconds = max(time.time() - work.started, 1e-9)
            notes = [f"{work.tokens / seconds:,.0f} tokens/s"] if work.tokens else []
            notes += [f"{work.missing.total():,} missing"] if work.missing else []
            bar.update(task, total=work.total, completed=work.done, note=", ".join(notes))

        stop = threading.Event()
        watcher = threading.Thread(target=_repeat, args=(show, stop), daemon=True)
        watcher.start()
        try:
            yield
        finally:
            stop.set()
            watcher.join()
            show()


def _repeat(show: Callable[[], Any], stop: threading.Event) -> None:
    while not stop.wait(BAR_EVERY_S):
        show()


def pace(per_second: float) -> str:
    """A rate in the unit that reads best."""
    if per_second >= 1:
        return f"{per_second:,.{0 if per_second >= 10 else 1}f}/s"
    return f"{60 * per_second:.0f}/min" if per_second >= 1 / 30 else f"{3600 * per_second:.1f}/h"


def duration(seconds: float) -> str:
    """A time to wait, in the unit that reads best."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    if seconds < 100 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """So many bytes, for people."""
    return f"{count / 1e6:,.1f} MB" if count < 1e9 else f"{count / 1e9:,.1f} GB"


def reasons(counts: Mapping[str, int]) -> str:
    """The commonest reasons with their counts, short and printable: they may be a server's words."""
    shown = Counter(counts).most_common(REASONS_SHOWN)
    rest = len(counts) - len(shown)
    return ", ".join(f"{count:,} {_short(reason)}" for reason, count in shown) + (f" and {rest} more" if rest else "")


def _short(reason: str) -> str:
    words = " ".join("".join(c if c.isprintable() else " " for c in reason[: 4 * REASON_LENGTH]).split())
    return words if len(words) <= REASON_LENGTH else f"{words[:REASON_LENGTH]}..."
