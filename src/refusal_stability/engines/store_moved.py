"""A store whose file is removed, moved or replaced while a run has it open: what it held gets a name again.

SQLite goes on writing to a file that has lost its name, and all of it is gone once the run ends.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from refusal_stability.engines.store_check import free_name, keep_whole_rows
from refusal_stability.engines.store_file import StoreError, opened_store

RESCUED = ".rescued"


def file_identity(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one of its name; None where there is no file.

    Parameters
    ----------
    path : of the file.
    """
    try:
        now = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return now.st_dev, now.st_ino


def rescued(database: sqlite3.Connection, path: Path) -> StoreError:
    """Write what an open store holds to `path` again, or beside it; returns the error that says so.

    Parameters
    ----------
    database : still open; it is not to be read or written afterwards.
    path : where the store's file was. A store that is there now gets the rows that it lacks.
    """
    happened = f"{path}: somebody removed, moved or replaced this file while a run was using it"
    aside = free_name(path.with_name(path.name + RESCUED))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(aside)) as copy:
            database.backup(copy)
            held = copy.execute("SELECT count(*) FROM completions").fetchone()[0]
    except (sqlite3.Error, OSError) as error:
        return StoreError(
            f"{happened}, and its completions could not be saved ({error}); if you moved it, move it back, then run "
            "the same command again"
        )
    try:
        if file_identity(path) is None:
            # They belong to the file that is gone; the copy holds what is in them.
            for log in ("-wal", "-shm"):
                path.with_name(path.name + log).unlink(missing_ok=True)
            aside.rename(path)
        else:
            with closing(opened_store(path)) as there:
                keep_whole_rows(aside, there)
            aside.unlink()
    except (sqlite3.Error, OSError, StoreError) as error:
        return StoreError(
            f"{happened}, and its {held:,} completions are in {aside} now, since they could not be written there "
            f"({error}); move that file to {path}, then run the same command again"
        )
    return StoreError(
        f"{happened}; its {held:,} completions were written there again, and nothing more was sent: leave it alone "
        "while a run goes on, and run the same command again"
    )
