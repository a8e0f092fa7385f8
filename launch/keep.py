"""Keep what a study paid for in a folder that outlives the machine, such as a mounted bucket. Needs Python alone.

`restore FOLDER` brings the store and the results back before a run. `watch FOLDER` saves them every `--every` seconds
until it is ended, and once more then. `save FOLDER` saves them once. The store is copied as one consistent snapshot
while a run writes to it.
"""

from __future__ import annotations

import argparse
import shutil
import signal
import sqlite3
import sys
import threading
from contextlib import closing
from pathlib import Path

STORE = Path("data/store/completions.sqlite")
BATCHES = Path("data/store/completions.batches")
RESULTS = [BATCHES, *map(Path, ("data/generations", "data/labels", "data/metrics", "reports"))]
PART = ".part"


def save(folder: Path) -> None:
    """Copy the store and the results into the folder; each file is there whole or as it was before."""
    if STORE.exists():
        target = folder / STORE
        target.parent.mkdir(parents=True, exist_ok=True)
        # A bucket takes whole files only: the snapshot is made here.
        snapshot = STORE.with_name(f"{STORE.name}.snapshot{PART}")
        snapshot.unlink(missing_ok=True)
        source = sqlite3.connect(f"file:{STORE}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(snapshot)) as copy:
            source.backup(copy)
        _put(snapshot, target)
        snapshot.unlink()
    for root in RESULTS:
        for file in sorted(root.rglob("*")) if root.is_dir() else []:
            target = folder / file
            if file.is_file() and not file.name.endswith(PART) and _differs(file, target):
                target.parent.mkdir(parents=True, exist_ok=True)
                _put(file, target)
    print(f"saved to {folder}", flush=True)


def restore(folder: Path) -> None:
    """Bring back what was saved, where nothing newer is here: a store that is here stays."""
    if STORE.exists():
        print(f"{STORE} is here already; nothing is restored", flush=True)
        return
    found = [file for file in sorted(folder.rglob("*")) if file.is_file() and not file.name.endswith(PART)]
    for file in found:
        target = file.relative_to(folder)
        if target == STORE or any(root in target.parents for root in RESULTS):
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(file, target)
    print(f"restored {len(found)} files from {folder}", flush=True)


def watch(folder: Path, every: float) -> None:
    """Save again and again, until a signal ends it; then once more."""
    stop = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    while True:
        ended = stop.wait(every)
        try:
            save(folder)
        except (OSError, sqlite3.Error) as error:
            # The next time may do; the run goes on.
            print(f"warning: not saved to {folder}: {error}", file=sys.stderr, flush=True)
        if ended:
            return


def _put(file: Path, target: Path) -> None:
    part = target.with_name(f"{target.name}{PART}")
    shutil.copyfile(file, part)
    shutil.copystat(file, part)
    part.replace(target)


def _differs(file: Path, target: Path) -> bool:
    if not target.exists():
        return True
    here, there = file.stat(), target.stat()
    return (here.st_size, int(here.st_mtime)) != (there.st_size, int(there.st_mtime))


def main() -> None:
    """Run the command that is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["save", "restore", "watch"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=float, default=300.0, help="seconds between two saves of `watch`")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.command == "watch":
        watch(options.folder, options.every)
    else:
        {"save": save, "restore": restore}[options.command](options.folder)


if __name__ == "__main__":
    main()
