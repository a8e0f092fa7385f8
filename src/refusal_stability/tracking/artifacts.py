"""The folders of artifacts of runs, made while MLflow works.

MLflow and drawing both keep Python busy, so threads would take turns. On Linux another process makes the folders. It is
forked before MLflow is imported, because MLflow starts threads. Elsewhere a thread makes them.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from refusal_stability.processes import OUT_OF_MEMORY, forked_pool, out_of_memory, usable_cores
from refusal_stability.tracking.run_plan import RunPlan

if TYPE_CHECKING:
    import pandas as pd

AHEAD = 4
# What is made ahead is limited by rows of tables. Each holds a prompt and an answer: long answers take more room.
ROWS_AHEAD = 50_000
MOST_PROCESSES = 3
RESPONSES = "prompts.json"
DIGITS = 10  # of pandas

Make = Callable[[int], Path]


def folders_ahead(prompts: int) -> int:
    """How many folders may wait for MLflow, which takes seconds before it begins; few of a study of many prompts."""
    return max(AHEAD, ROWS_AHEAD // max(prompts, 1))


@contextmanager
def artifact_folders(
    plans: Sequence[RunPlan], expected: Sequence[int], processes: int | None = None, ahead: int = AHEAD
) -> Iterator[Make]:
    """A function from a plan's position to its folder of artifacts, which is there until the next call.

    Positions are asked for in rising order. The folders of the `expected` positions are made beforehand, a few at a
    time; one that is not expected is made when it is asked for.
    """
    with tempfile.TemporaryDirectory() as temporary:
        make = partial(_make, plans, Path(temporary))
        beside = min(usable_cores() - 1, MOST_PROCESSES) if processes is None else processes
        maker, task = _maker(make, beside if expected else 0)
        waiting, making, last = deque(expected), dict[int, Future[Path]](), list[Path]()

        def begin() -> None:
            while waiting and len(making) < ahead:
                position = waiting.popleft()
                making[position] = maker.submit(task, position)

        def take(position: int) -> Path:
            for unused in [place for place in making if place < position]:
                making.pop(unused).cancel()
            while waiting and waiting[0] < position:
                waiting.popleft()
            with _lost_memory():
                begin()
                found = making.pop(position, None)
                while last:
                    shutil.rmtree(last.pop())
                begin()
                last.append(found.result() if found else make(position))
            return last[0]

        try:
            with _lost_memory():
                begin()
            yield take
        finally:
            maker.shutdown(cancel_futures=True)


@contextmanager
def _lost_memory() -> Iterator[None]:
    try:
        yield
    except OUT_OF_MEMORY as error:
        remedy = "run the stage `track` again: it goes on with the runs that are missing"
        raise out_of_memory(error, "mlruns", "made the runs' artifacts", remedy) from None


def _maker(make: Make, processes: int) -> tuple[Executor, Make]:
    """What runs tasks beside this process, and the task that makes a folder there."""
    return forked_pool(make, processes) if processes > 0 else (ThreadPoolExecutor(1), make)


def _make(plans: Sequence[RunPlan], place: Path, position: int) -> Path:
    folder = place / str(position)
    folder.mkdir()
    plans[position].write(folder)
    # As MLflow's `log_table` writes it, which asks for the run and its artifacts four times.
    (folder / RESPONSES).write_text(table_json(plans[position].responses()), encoding="utf-8")
    return folder


def table_json(table: pd.DataFrame) -> str:
    """What `table.to_json(orient="split", index=False)` gives of texts, numbers and booleans, in less time."""
    columns = []
    for name in table:
        column = table[name].round(DIGITS) if table[name].dtype.kind == "f" else table[name]
        columns.append([None if gone else value for gone, value in zip(column.isna(), column.tolist(), strict=True)])
    data = list(zip(*columns, strict=True))
    return json.dumps({"columns": list(table), "data": data}, separators=(",", ":"), allow_nan=False)
