"""How much time, memory and arithmetic a model's chat template may take for one conversation."""

from __future__ import annotations

import operator
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_BYTES = 1 << 30
# A number of more bits is no part of any text, and Python cannot be interrupted while it computes one.
MOST_BITS = 100_000
STATM = Path("/proc/self/statm")


@contextmanager
def template_limits(seconds: int) -> Iterator[None]:
    """Raise TimeoutError, MemoryError or OverflowError in a block that renders a template without measure."""
    with _small_numbers():
        # Both limits are the whole process's: threads would undo one another's.
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with _no_more_memory(MOST_BYTES), _no_longer_than(seconds):
            yield


@contextmanager
def _no_longer_than(seconds: int) -> Iterator[None]:
    """Raise TimeoutError in a block that does not end; not on Windows."""
    if not hasattr(signal, "SIGALRM"):
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def _no_more_memory(most: int) -> Iterator[None]:
    """Raise MemoryError where the process asks for so many bytes beyond what it has; on Linux only."""
    if sys.platform != "linux" or not STATM.exists():
        yield
        return
    import resource

    soft, hard = before = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(STATM.read_text().split()[0]) * resource.getpagesize() + most
    within = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    resource.setrlimit(resource.RLIMIT_AS, (within, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


@contextmanager
def _small_numbers() -> Iterator[None]:
    """Let templates that are compiled within raise OverflowError where a product or a power has too many bits."""
    from jinja2.sandbox import SandboxedEnvironment as Sandbox

    kinds: Any = Sandbox
    before = kinds.intercepted_binops, kinds.default_binop_table
    kinds.intercepted_binops = before[0] | {"*", "**"}
    kinds.default_binop_table = before[1] | {
        "*": _bounded(operator.mul, lambda left, right: left.bit_length() + right.bit_length()),
        "**": _bounded(operator.pow, lambda left, right: left.bit_length() * max(0, right)),
    }
    try:
        yield
    finally:
        kinds.intercepted_binops, kinds.default_binop_table = before


def _bounded(operation: Callable[[Any, Any], Any], bits: Callable[[int, int], int]) -> Callable[[Any, Any], Any]:
    def bounded(left: Any, right: Any) -> Any:
        if isinstance(left, int) and isinstance(right, int) and bits(left, right) > MOST_BITS:
            raise OverflowError(f"a number of over {MOST_BITS:,} bits")
        return operation(left, right)

    return bounded
