"""The metric tables of a study, built and written by two threads."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import CancelledError, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from itertools import groupby
from operator import itemgetter
from threading import Event

import pandas as pd

from refusal_stability.measures.adaptive.rounds import Sampled
from refusal_stability.measures.decision_arrays import DecisionArrays
from refusal_stability.measures.tables import Part, table_tasks
from refusal_stability.measures.tables.settings import Settings
from refusal_stability.progress import progress
from refusal_stability.tables.csv_files import write_in_parts
from refusal_stability.tables.metrics import METRIC_TABLES

# A third of the work is Python's own, which one thread does at a time, so more threads would mostly wait.
THREADS = 2
# How long a thread may keep the others from Python: the 5 ms that it has else are longer than most draws.
SWITCH_SECONDS = 0.0005


def write_metric_tables(
    study: DecisionArrays, settings: Settings, sampled: Mapping[tuple[str, str], Sampled] | None = None
) -> None:
    """Build and write every table of `METRIC_TABLES`; the number of threads and cores changes none of them."""
    with (
        _switching_every(SWITCH_SECONDS),
        progress("metrics, tables", len(METRIC_TABLES)) as work,
        ThreadPoolExecutor(THREADS) as threads,
    ):
        stopping = Event()
        running = [threads.submit(_written, task, stopping) for task in table_tasks(study, settings, sampled)]
        try:
            for done in as_completed(running):
                work.advance(done.result())
        except BaseException:
            stopping.set()
            print("metrics: stopping when the tables under way are done", file=sys.stderr, flush=True)
            threads.shutdown(cancel_futures=True)
            raise


def _written(task: Callable[[], Iterator[Part]], stopping: Event) -> int:
    """Write a task's tables part by part, unless the work is to stop; how many there were."""
    number = 0
    for name, parts in groupby(_until(stopping, task()), key=itemgetter(0)):
        path, contract = METRIC_TABLES[name]
        columns = list(contract.columns)
        write_in_parts((_with_columns(table, columns) for _, table in parts), path, contract)
        number += 1
    return number


def _until(stopping: Event, parts: Iterator[Part]) -> Iterator[Part]:
    for part in parts:
        if stopping.is_set():
            raise CancelledError
        yield part


def _with_columns(table: pd.DataFrame, columns: list[str]) -> pd.DataFrame:
    return table.reindex(columns=columns) if table.empty else table


@contextmanager
def _switching_every(seconds: float) -> Iterator[None]:
    before = sys.getswitchinterval()
    sys.setswitchinterval(seconds)
    try:
        yield
    finally:
        sys.setswitchinterval(before)
