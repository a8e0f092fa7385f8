"""The folders of artifacts of runs, made while MLflow works.

MLflow and drawing both keep Python busy, so threads would take turns. On Linux another process makes the folders. It is
forked before MLflow is imported, because MLflow starts threads. Elsewhere a thread makes them.
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from refusal_stability.processes import OUT_OF_MEMORY, forked_pool, out_of_memory, usable_cores
from refusal_stability.tracking.run_plan import RunPlan

AHEAD = 4
MOST_PROCESSES = 3
RESPONSES = "prompts.json"

Make = Callable[[int], Path]


@contextmanager
def artifact_folders(plans: Sequence[RunPlan], expected: Sequence[int], processes: int | None = None) -> Iterator[Make]:
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
            while waiting and len(making) < AHEAD:
                position = waiting.popleft()
                making[position] = maker.submit(task, position)

        def take(position: int) -> Path:
            for unused in [place for place in making if place < position]:
                making.pop(unused).cancel()
            while waiting and waiting[0] < position:
                waiting.popleft()
            begin()
            found = making.pop(position, None)
            while last:
                shutil.rmtree(last.pop())
            begin()
            try:
                last.append(found.result() if found else make(position))
            except OUT_OF_MEMORY as error:
                remedy = "run the stage `track` again: it goes on with the runs that are missing"
                raise out_of_memory(error, "mlruns", "made the runs' artifacts", remedy) from None
            return last[0]

        try:
            begin()
            yield take
        finally:
            maker.shutdown(cancel_futures=True)


def _maker(make: Make, processes: int) -> tuple[Executor, Make]:
    """What runs tasks beside this process, and the task that makes a folder there."""
    return forked_pool(make, processes) if processes > 0 else (ThreadPoolExecutor(1), make)


def _make(plans: Sequence[RunPlan], place: Path, position: int) -> Path:
    folder = place / str(position)
    folder.mkdir()
    plans[position].write(folder)
    # As MLflow's `log_table` writes it, which asks for the run and its artifacts four times.
    plans[position].responses().to_json(folder / RESPONSES, orient="split", index=False, date_format="iso")
    return folder
