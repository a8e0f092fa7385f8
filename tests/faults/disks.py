"""A store on a disk that is full, read-only, out of files or forbidden: one line, and what is stored stays stored."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

BAD = {"lost", "traceback"}
PUT = """
import os, resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from refusal_stability.command_errors import run_command
from refusal_stability.engines.store import Store
from refusal_stability.files import atomic_write
from refusal_stability.records import Completion
path, limit, how = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]

def command():
    with Store(path) as store:
        if how == "size":
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
        if how == "memory":
            resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))
        if how == "files":
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
        if how == "table":
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
            with atomic_write(path.with_name("table.csv")) as file:
                file.write("x" * 1_000_000)
        for number in range(60):
            store.put(f"n{number}", Completion("x" * (10_000_000 if how == "memory" else 20_000), "stop"))
            if how == "files":
                with atomic_write(path.with_name("table.csv")) as file:
                    file.write("x")

run_command(command)
"""


def run(folder: Path) -> Counter[str]:
    """Counts of what a command said, and of completions that were lost."""
    counts: Counter[str] = Counter()
    cases = [("size", limit) for limit in range(40_000, 400_000, 12_000)]
    cases += [("table", limit) for limit in range(100_000, 1_000_000, 100_000)]
    cases += [("memory", limit << 20) for limit in range(40, 400, 40)]
    cases += [("files", limit) for limit in range(6, 16)]
    cases += [("folder is a file", 0), ("store is a folder", 0), ("store is a dangling link", 0)]
    for number, (how, limit) in enumerate(cases):
        place = folder / str(number)
        place.mkdir()
        store = place / "store.sqlite"
        if how == "folder is a file":
            (place / "data").touch()
            store = place / "data/store.sqlite"
        elif how == "store is a folder":
            store.mkdir()
        elif how == "store is a dangling link":
            store.symlink_to(place / "none/store.sqlite")
        else:
            _put(store, "first")
        outcome = _outcome([sys.executable, "-c", PUT, str(store), str(limit), how])
        counts[outcome] += 1
        if outcome in BAD:
            print(f"disks: {how} {limit}: {outcome}")
        if store.is_file() and how in ("size", "table", "memory", "files"):
            counts["lost"] += not _holds(store, "first")
    return counts


def _outcome(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if not line.startswith("warning: ")]
    if done.returncode == 0:
        return "went on"
    return "error in one line" if len(lines) == 1 and lines[0].startswith("error: ") else "traceback"


def _put(store: Path, key: str) -> None:
    from refusal_stability.engines.store import Store
    from refusal_stability.records import Completion

    with Store(store) as opened:
        opened.put(key, Completion("kept", "stop"))


def _holds(store: Path, key: str) -> bool:
    from refusal_stability.engines.store import Store

    with Store(store) as opened:
        return key in opened.find([key])
