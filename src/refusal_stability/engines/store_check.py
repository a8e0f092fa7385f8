"""A store read as a whole: which rows are damaged, and a new file of those that are not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

from refusal_stability.engines.store_file import (
    COLUMNS,
    EDITION,
    EVERY_BYTE,
    ROW_TABLES,
    StoreError,
    add_checksums,
    damaged_rows,
    has_all_values,
    is_whole,
    named_errors,
    opened_store,
    structural_damage,
    text_or_damage,
    transaction,
)
from refusal_stability.engines.store_log import refuse_empty_file, what_is_gone
from refusal_stability.engines.store_owners import Owner

# The start of SQLite's header, and what follows the page size: the same in every store.
HEADER, AFTER_PAGE_SIZE = b"SQLite format 3\0", bytes((2, 2, 0, 64, 32, 32))
PAGE, COUNTED = 4096, slice(28, 32)
DIGITS = "0123456789abcdef"
MENDED, ASIDE = ".mended", ".damaged"


@dataclass
class StoreState:
    """What reading a whole store found.

    Attributes
    ----------
    whole : how many completions are as they were written.
    damaged : the keys of those that are not; they are generated again.
    sessions : how many records of times and throughput are damaged.
    pages : what is wrong with SQLite's own pages; None if nothing is.
    """

    whole: int = 0
    damaged: list[Any] = field(default_factory=list)
    sessions: int = 0
    pages: str | None = None


def check_store(path: Path) -> StoreState:
    """Read every row of a store.

    Parameters
    ----------
    path : the SQLite file; it must exist.

    Raises
    ------
    StoreError
        There is no such file, or it cannot be opened as a store.
    """
    path = _existing(path)
    state = StoreState()
    refuse_empty_file(path, what_is_gone(path))
    with named_errors(path), closing(opened_store(path)) as database:
        state.pages = structural_damage(database)
        if state.pages is not None:
            return state
        damaged = damaged_rows(database)
        state.damaged, state.sessions = damaged["completions"], len(damaged["sessions"])
        stored = database.execute("SELECT count(*) FROM completions").fetchone()[0]
        state.whole = int(stored) - len(state.damaged)
    return state


def mend_store(path: Path) -> tuple[int, Path]:
    """Write a new store from every row of a damaged one that can be read and whose checksum fits.

    Parameters
    ----------
    path : the SQLite file; it must exist, and no run may have it open.

    Returns
    -------
    tuple[int, Path]
        How many completions were kept, and where the damaged file is now.

    Raises
    ------
    StoreError
        There is no such file, a run has it open, or the disk is full. The damaged file then stays where it was.
    """
    path = _existing(path)
    mended, aside = path.with_name(path.name + MENDED), free_name(path.with_name(path.name + ASIDE))
    owner = Owner(path)
    try:
        if owner.others():
            raise StoreError(f"{path}: a run has it open; wait until it ends, or end it, then mend")
        _remove(mended)
        with named_errors(path), TemporaryDirectory(dir=path.parent, prefix=".mending.") as folder:
            copy = _copied(path, Path(folder))
            with closing(opened_store(mended)) as new:
                kept = keep_whole_rows(copy, new)
                if kept == 0:
                    # The page that says where each table is may be the damaged one; every store has the same.
                    _replace_first_page(copy, Path(folder) / "new.sqlite")
                    kept = keep_whole_rows(copy, new)
        with named_errors(path):
            path.rename(aside)
            for log in ("-wal", "-shm"):
                with suppress(FileNotFoundError):
                    path.with_name(path.name + log).rename(aside.with_name(aside.name + log))
            mended.rename(path)
    finally:
        owner.leave()
    return kept, aside


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise StoreError(f"{path}: no such file; a run makes it, or name another with --store")
    return path.resolve()


def free_name(path: Path) -> Path:
    """The first name that no file has.

    Parameters
    ----------
    path : the name without a number.
    """
    names = [path, *(path.with_name(f"{path.name}-{number}") for number in range(2, 1000))]
    return next(name for name in names if not name.exists())


def _remove(path: Path) -> None:
    for end in ("", "-wal", "-shm"):
        path.with_name(path.name + end).unlink(missing_ok=True)


def _copied(path: Path, folder: Path) -> Path:
    """A copy of a store and its log, with a header that SQLite opens."""
    copy = folder / "store.sqlite"
    copyfile(path, copy)
    with copy.open("r+b") as file:
        file.write(HEADER)
        file.seek(18)
        file.write(AFTER_PAGE_SIZE)
    log = path.with_name(f"{path.name}-wal")
    if log.exists():
        copyfile(log, copy.with_name(f"{copy.name}-wal"))
    return copy


def keep_whole_rows(damaged: Path, new: sqlite3.Connection) -> int:
    """Copy the rows that are as they were written and that another store lacks; returns how many completions it has.

    Parameters
    ----------
    damaged : the SQLite file to read.
    new : the open store to write.
    """
    with transaction(new):
        for table in ROW_TABLES:
            marks = ", ".join("?" * len(COLUMNS[table].split(",")))
            into = f"INSERT OR IGNORE INTO {table} ({COLUMNS[table]}) VALUES ({marks})"
            new.executemany(into, _whole_rows(damaged, table))
        # Only rows of the first edition have none here.
        add_checksums(new)
        return int(new.execute("SELECT count(*) FROM completions").fetchone()[0])


def _replace_first_page(copy: Path, new: Path) -> None:
    opened_store(new).close()
    first = bytearray(new.read_bytes()[:PAGE])
    # Not the size of the new file: SQLite then looks at the file.
    first[COUNTED] = bytes(4)
    with copy.open("r+b") as file:
        file.write(first)


def _whole_rows(path: Path, table: str) -> Iterator[Any]:
    """Every whole row that SQLite can read, in ranges of keys from both ends: a damaged page costs its own rows."""
    key = COLUMNS[table].split(",")[0]
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.text_factory = text_or_damage
        with suppress(sqlite3.DatabaseError):
            database.execute("PRAGMA writable_schema = ON")
        bounds = ["", *(a + b + c for a in DIGITS for b in DIGITS for c in DIGITS), chr(0x10FFFF)]
        columns, fits = COLUMNS[table], is_whole
        if not _has_checksums(database, table):
            fits = has_all_values
            columns = columns.replace("checksum", "NULL").replace("thinking, outcome", "'', ''")
        for low, high in pairwise(bounds):
            chosen = f"SELECT {columns} FROM {table} WHERE {key} >= ? AND {key} < ? ORDER BY {key}"
            try:
                yield from filter(fits, database.execute(chosen, (low, high)))
            except sqlite3.DatabaseError:
                with suppress(sqlite3.DatabaseError):
                    yield from filter(fits, database.execute(f"{chosen} DESC", (low, high)))


def _has_checksums(database: sqlite3.Connection, table: str) -> bool:
    with suppress(sqlite3.DatabaseError):
        # Where the table's definition is the damaged part, the edition says it.
        if database.execute("PRAGMA user_version").fetchone()[0] >= EDITION * EVERY_BYTE:
            return True
        return any(row[1] == "checksum" for row in database.execute(f"PRAGMA table_info({table})"))
    return True
