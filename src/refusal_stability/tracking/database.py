"""The study's own MLflow database as a file: made aside and renamed, so that a kill leaves none or a whole one."""

from __future__ import annotations

import errno
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

BESIDE = ("", "-wal", "-shm", "-journal")


def make_whole(database: Path, make: Callable[[Path], None]) -> None:
    """Have the database made where there is none, or where a killed process left a part of one.

    `make` makes a database at the path that it gets. MLflow takes seconds for it, and never finishes one that was left.
    """
    if database.exists() and not os.access(database, os.R_OK | os.W_OK):
        # MLflow would try for minutes.
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(database))
    if database.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(database))
    if database.exists() and not is_half_made(database):
        return
    with alone(database.with_name(f".{database.name}.lock"), "makes MLflow's database"):
        if database.exists():
            if not is_half_made(database):
                return
            print(f"{database}: was left half made and held no run; it is made anew", file=sys.stderr)
        aside, copy = (database.with_name(f".{database.name}.{end}") for end in ("new", "copy"))
        _remove(aside, copy)
        make(aside)
        # A copy: what has the first one open must not have the database open under another name.
        with closing(sqlite3.connect(aside)) as made, closing(sqlite3.connect(copy)) as target:
            made.backup(target)
        _remove(Path(f"{database}"))
        copy.replace(database)
        _remove(aside)


def is_half_made(database: Path) -> bool:
    """Whether MLflow's tables are not all there: its first experiment comes last, and without one there is no run."""
    try:
        with closing(sqlite3.connect(f"file:{database.resolve()}?mode=ro", uri=True, timeout=60)) as opened:
            tables = {row[0] for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            if "experiments" in tables:
                return opened.execute("SELECT 1 FROM experiments LIMIT 1").fetchone() is None
    except sqlite3.Error:
        # No database, or one in use: MLflow says what is wrong.
        return False
    return all(name.startswith("alembic_") for name in tables)


@contextmanager
def alone(lock: Path, doing: str) -> Iterator[None]:
    """Be the only process here; one that has to wait says for what."""
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = FileLock(lock)
    try:
        held.acquire(blocking=False)
    except Timeout:
        print(f"{lock.parent}: another process {doing}; waiting for it", file=sys.stderr, flush=True)
        held.acquire()
    try:
        yield
    finally:
        held.release()


def _remove(*databases: Path) -> None:
    for database in databases:
        for end in BESIDE:
            database.with_name(database.name + end).unlink(missing_ok=True)
