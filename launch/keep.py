"""Keep what a study paid for in a folder that outlives the machine, such as a mounted bucket. Needs Python alone.

`restore FOLDER` brings the store and the results back before a run. `watch FOLDER` saves them every `--every` seconds
until it is ended, and once more then. `save FOLDER` saves them once. The store is copied as one consistent snapshot
while a run writes to it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sqlite3
import sys
import threading
from contextlib import closing, suppress
from pathlib import Path

STORE = Path("data/store/completions.sqlite")
BATCHES = Path("data/store/completions.batches")
RESULTS = [BATCHES, *map(Path, ("data/generations", "data/labels", "data/metrics", "reports"))]
PART = ".part"
OTHER_FORM = {".csv": ".parquet", ".parquet": ".csv"}
# How many answers the saved store holds.
ANSWERS = Path("data/store/completions.answers")


def save(folder: Path) -> None:
    """Copy the store and the results into the folder; each file is there whole or as it was before."""
    if STORE.exists():
        # A bucket takes whole files only: the snapshot is made here.
        snapshot = STORE.with_name(f"{STORE.name}.snapshot{PART}")
        try:
            _keep_store(snapshot, folder)
        finally:
            snapshot.unlink(missing_ok=True)
    for root in RESULTS:
        for file in _files_in(root):
            target = folder / file
            # A stage that begins removes what it wrote before.
            with suppress(FileNotFoundError):
                if _differs(file, target):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    _put(file, target)
                # A table may have been written anew in its other form, maybe during the last save.
                other = OTHER_FORM.get(file.suffix)
                if other is not None and not file.with_suffix(other).exists():
                    target.with_suffix(other).unlink(missing_ok=True)
    print(f"saved to {folder}", flush=True)


def _files_in(root: Path) -> list[Path]:
    found = [Path(folder) / name for folder, _, names in os.walk(root) for name in names if not name.endswith(PART)]
    return sorted(file for file in found if file.is_file())


def _keep_store(snapshot: Path, folder: Path) -> None:
    """Save the store, unless it is damaged; one with fewer answers leaves the former one beside it."""
    target = folder / STORE
    snapshot.unlink(missing_ok=True)
    try:
        source = sqlite3.connect(f"file:{STORE}?mode=ro", uri=True)
        with closing(source), closing(sqlite3.connect(snapshot)) as copy:
            source.backup(copy)
            (tables,) = copy.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if not tables and not target.exists():
                # A run is still making it.
                return
            (found,) = copy.execute("PRAGMA quick_check(1)").fetchone()
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            (answers,) = copy.execute("SELECT count(*) FROM completions").fetchone()
    except sqlite3.DatabaseError as error:
        first = next(iter(str(error).splitlines()), "no reason")
        raise OSError(
            f"{STORE} is damaged or no store ({first}); the copy in {folder} stays as it was: run "
            "`refusal-stability store check`, or delete the store here and restore it"
        ) from error
    count = folder / ANSWERS
    target.parent.mkdir(parents=True, exist_ok=True)
    saved = count.read_text() if count.exists() else ""
    if target.exists() and saved.isdigit() and answers < int(saved):
        former = target.with_name(f"{STORE.name}.former")
        if not former.exists():
            shutil.copyfile(target, former)
        print(f"warning: the store here has fewer answers than the saved one; that stays as {former}", file=sys.stderr)
    _put(snapshot, target)
    count.write_text(str(answers))


def restore(folder: Path) -> None:
    """Bring back what was saved, where nothing newer is here: a store that is here stays."""
    if not folder.is_dir():
        raise OSError(f"{folder} is not there; correct its name, or mount the bucket")
    if STORE.exists():
        print(f"{STORE} is here already; nothing is restored", flush=True)
        return
    restored = 0
    for file in sorted(folder.rglob("*")):
        target = file.relative_to(folder)
        kept = target == STORE or any(root in target.parents for root in RESULTS)
        if kept and file.is_file() and not file.name.endswith(PART):
            target.parent.mkdir(parents=True, exist_ok=True)
            _put(file, target)
            restored += 1
    print(f"restored {restored} files from {folder}", flush=True)


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
    try:
        shutil.copyfile(file, part)
        shutil.copystat(file, part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


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
    try:
        if options.command != "restore":
            options.folder.mkdir(parents=True, exist_ok=True)
        if options.command == "watch":
            watch(options.folder, options.every)
        else:
            {"save": save, "restore": restore}[options.command](options.folder)
    except (OSError, sqlite3.Error) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
