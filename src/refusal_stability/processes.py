"""How many processes may share a piece of work, and what each of them does first."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading


def usable_cores() -> int:
    """How many processes can work at once: 1 where a process cannot be forked safely."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else 1


def follow_parent() -> None:
    """Have this forked process end when the one that forked it ends, and leave Ctrl-C to that one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
