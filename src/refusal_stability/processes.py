"""A piece of work shared by processes: how many, what each does first, and what is said when one is lost."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from refusal_stability.records import StudyError

# What a process that was forked for a piece of work raises where memory ran out: the second, when it was killed.
OUT_OF_MEMORY = (MemoryError, BrokenProcessPool)


def usable_cores() -> int:
    """How many processes can work at once: 1 where a process cannot be forked safely."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def forked_pool(work: Callable[[int], Any], processes: int) -> tuple[ProcessPoolExecutor, Callable[[int], Any]]:
    """A pool of forked processes that know `work`, and the task to submit there, which calls `work` with a number.

    `work` is not sent to the processes, but there when they are forked: it may hold whatever cannot be pickled.
    """
    fork = multiprocessing.get_context("fork")
    return ProcessPoolExecutor(processes, fork, _begin_process, (work,)), _work_in_process


_work_of_this_process: list[Callable[[int], Any]] = []


def _begin_process(work: Callable[[int], Any]) -> None:
    follow_parent()
    _work_of_this_process.append(work)


def _work_in_process(number: int) -> Any:
    return _work_of_this_process[0](number)


def out_of_memory(error: BaseException, where: str, doing: str, remedy: str) -> StudyError:
    """The error to raise for one of OUT_OF_MEMORY, where a process was `doing` something."""
    ended = "ran" if isinstance(error, MemoryError) else "was killed; it probably ran"
    return StudyError(f"{where}: a process that {doing} {ended} out of memory; free memory, then {remedy}")


def follow_parent() -> None:
    """Have this forked process end when the one that forked it ends, and leave Ctrl-C to that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
