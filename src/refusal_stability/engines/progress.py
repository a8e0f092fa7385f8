"""The progress bar of a run: how many completions are there, how fast tokens come, how long it will take."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PROGRESS_SECONDS = 0.1


@contextmanager
def progress(caption: str, total: int, stored: int) -> Iterator[Any]:
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    start = shown = time.monotonic()
    tokens = waiting = 0
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[speed]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns) as bar:
        task = bar.add_task(caption, total=total, completed=stored, speed=f"{stored} stored" if stored else "")

        def show() -> None:
            nonlocal waiting
            speed = f"{tokens / max(time.monotonic() - start, 1e-9):,.0f} tokens/s" if tokens else ""
            bar.update(task, advance=waiting, speed=speed)
            waiting = 0

        def advance(completions: int, new_tokens: int) -> None:
            nonlocal tokens, waiting, shown
            tokens += new_tokens
            waiting += completions
            if time.monotonic() - shown > PROGRESS_SECONDS:
                show()
                shown = time.monotonic()

        yield advance
        show()
