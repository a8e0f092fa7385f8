"""The store's SQLite file: its tables, its editions, and the checksum of each row.

A row whose checksum does not fit is never used: it is as if it had not been stored. What the checksums do not cover,
SQLite's own pages, is checked before anything is sent (`structural_damage`).
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from refusal_stability.plain_text import visible_line
from refusal_stability.records import Completion, Outcome, StudyError, canonical_json, outcome_of, storable_text

EDITION = 2
# In SQLite's `user_version` all four bytes are the edition, so that one damaged byte is no newer edition.
EVERY_BYTE = 0x01010101
ROW_TABLES = ("completions", "sessions")
TABLES = (
    """CREATE TABLE IF NOT EXISTS completions (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, details TEXT NOT NULL,
    thinking TEXT NOT NULL DEFAULT '', outcome TEXT NOT NULL DEFAULT '', checksum TEXT
) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, caption TEXT NOT NULL, identity TEXT NOT NULL, description TEXT NOT NULL,
    started TEXT NOT NULL, seconds REAL NOT NULL, completions INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, checksum TEXT
)""",
)
COMPLETION_COLUMNS = "key, text, finish_reason, prompt_tokens, completion_tokens, details, thinking, outcome, checksum"
SESSION_COLUMNS = (
    "session, caption, identity, description, started, seconds, completions, prompt_tokens, completion_tokens, checksum"
)
COLUMNS = dict(zip(ROW_TABLES, (COMPLETION_COLUMNS, SESSION_COLUMNS), strict=True))
MISSING_REASON = "missing_reason"
BUSY_SECONDS = 60
# 32 MB of log at most, before SQLite moves it into the file.
LOG_PAGES = 8000
MEND = "`refusal-stability store mend` keeps every row that can still be read"


class StoreError(StudyError):
    """The store cannot be read or written: names the file and the remedy."""


@dataclass
class Session:
    """What one process did through the store: wall seconds, completions and tokens, for MLflow."""

    session: str
    caption: str
    identity: str
    description: str
    started: str
    seconds: float = 0.0
    completions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


def checksum(row: Sequence[Any]) -> str:
    """Of a row's values and their types, 16 hexadecimal digits."""
    # `ascii` writes every value of SQLite apart from every other, in the same way on every Python.
    return blake2b(ascii(tuple(row)).encode("ascii"), digest_size=8).hexdigest()


def is_whole(row: Sequence[Any]) -> bool:
    """Whether a row, its checksum last, is as it was written."""
    return bool(row[-1] == checksum(row[:-1]))


def has_all_values(row: Sequence[Any]) -> bool:
    """All that can be asked of a row of the first edition, which has no checksums."""
    # A page of another table has fewer values: SQLite reads the rest as NULL, which no row holds.
    return None not in row[:-1]


def completion_row(key: str, completion: Completion) -> tuple[Any, ...]:
    """A completion as a row, its checksum last."""
    reason = {} if completion.missing_reason is None else {MISSING_REASON: completion.missing_reason}
    row = (
        key,
        completion.text,
        completion.finish_reason,
        int(completion.prompt_tokens),
        int(completion.completion_tokens),
        # The reason beside the details, so that a store needs no further column.
        storable_text(canonical_json({**completion.details, **reason})),
        completion.thinking,
        completion.outcome.value,
    )
    return (*row, checksum(row))


def completion_of(row: Sequence[Any]) -> Completion:
    """The completion of a row that `is_whole`."""
    _, text, finish_reason, prompt_tokens, completion_tokens, told, thinking, outcome, _ = row
    details = json.loads(told)
    reason = details.pop(MISSING_REASON, None)
    # Stores of the first edition say nothing of the outcome: it is derived then.
    kind = Outcome(outcome or outcome_of(finish_reason, None))
    return Completion(text, finish_reason, prompt_tokens, completion_tokens, reason, details, thinking, kind)


def session_row(session: Session) -> tuple[Any, ...]:
    """A session as a row, its checksum last."""
    row = tuple(float(value) if name == "seconds" else value for name, value in vars(session).items())
    return (*row, checksum(row))


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


# Two processes that switch a new file to write-ahead logging get "busy" at once, whatever the timeout.
@retry(
    retry=retry_if_exception(_is_busy), stop=stop_after_delay(BUSY_SECONDS), wait=wait_random(0.01, 0.1), reraise=True
)
def opened_store(path: Path) -> sqlite3.Connection:
    """The database of a store to write, made where absent and brought to this edition where older."""
    # Autocommit mode: the store opens and closes transactions.
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.text_factory = text_or_damage
        _refuse_another_programs(path, database)
        database.execute("PRAGMA journal_mode=WAL")
        # NORMAL survives a kill -9 of this process; only a power cut may cost the last commits.
        database.execute("PRAGMA synchronous=NORMAL")
        # Keys are hashes, so each row is on a page of its own: seldom moved, many pages are moved together.
        database.execute(f"PRAGMA wal_autocheckpoint={LOG_PAGES}")
        if check_edition(path, database) < EDITION:
            _bring_to_this_edition(path, database)
    except BaseException:
        database.close()
        raise
    return database


def _refuse_another_programs(path: Path, database: sqlite3.Connection) -> None:
    """Leave a database alone that some other program made."""
    tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "completions" not in tables and database.execute("PRAGMA user_version").fetchone()[0] == 0:
        raise StoreError(
            f"{path}: a database of another program, and no store; nothing was written to it: move it away, or name "
            "another file"
        )


def text_or_damage(data: bytes) -> str:
    """A text of SQLite's; one that is damaged differs from every text, so that its checksum does not fit."""
    return data.decode("utf-8", "surrogateescape")


def check_edition(path: Path, database: sqlite3.Connection) -> int:
    """The edition of a store: 0 for a new one, and for the first; a StoreError for one of a newer program."""
    found = int(database.execute("PRAGMA user_version").fetchone()[0])
    edition = found // EVERY_BYTE
    if found != edition * EVERY_BYTE or edition < 0:
        raise StoreError(f"{path}: damaged: its header names no edition; {MEND}")
    if edition > EDITION:
        raise StoreError(
            f"{path}: written by a newer version of this program (store edition {edition}; this one reads up to "
            f"{EDITION}); update the program, or move the file away to generate everything anew"
        )
    return edition


def _bring_to_this_edition(path: Path, database: sqlite3.Connection) -> None:
    """Make the tables, or give those of the first edition their later columns and checksums: all, or nothing."""
    with transaction(database):
        # Another process may have been first.
        if check_edition(path, database) == EDITION:
            return
        for table in TABLES:
            database.execute(table)
        for table, later in (
            ("completions", ("thinking TEXT NOT NULL DEFAULT ''", "outcome TEXT NOT NULL DEFAULT ''", "checksum TEXT")),
            ("sessions", ("checksum TEXT",)),
        ):
            there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
            for column in later:
                if column.split()[0] not in there:
                    database.execute(f"ALTER TABLE {table} ADD COLUMN {column}")
        add_checksums(database)
        database.execute(f"PRAGMA user_version = {EDITION * EVERY_BYTE}")


def add_checksums(database: sqlite3.Connection) -> None:
    """Give a checksum to the rows of the first edition."""
    for table, columns in COLUMNS.items():
        key = columns.split(",")[0]
        rows = database.execute(f"SELECT {columns} FROM {table} WHERE checksum IS NULL")
        sums = [(checksum(row[:-1]), row[0]) for row in rows]
        database.executemany(f"UPDATE {table} SET checksum = ? WHERE {key} = ?", sums)


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of what is written within, or nothing."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
        database.execute("COMMIT")
    except BaseException:
        # On a full disk SQLite has rolled back by itself.
        if database.in_transaction:
            database.execute("ROLLBACK")
        raise


@contextmanager
def named_errors(path: Path) -> Iterator[None]:
    """Turn what SQLite and the operating system say into a StoreError with its remedy."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            remedy = "free some space or end other writers"
        elif error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY):
            remedy = "free some space and check the folder's permissions"
        else:
            raise StoreError(f"{path}: damaged ({error}); {MEND}") from error
        raise StoreError(
            f"{path}: {error}; {remedy}, then run the same command again: what is stored stays stored"
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        # SQLite quotes damaged bytes of its tables' definitions.
        raise StoreError(
            f"{path}: damaged, or no store ({error}); {MEND}; or restore a copy, or move it away to generate anew"
        ) from error
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror or error}; check the folder and its space") from error


def structural_damage(database: sqlite3.Connection) -> str | None:
    """What is wrong with SQLite's own pages, in which a row could hide; None if nothing is."""
    found = [str(row[0]) for row in database.execute("PRAGMA integrity_check(1)")]
    return None if found == ["ok"] else visible_line(found[0])


def damaged_rows(database: sqlite3.Connection) -> dict[str, list[Any]]:
    """By table, the keys of the rows that are not as they were written."""
    return {
        table: [row[0] for row in database.execute(f"SELECT {columns} FROM {table}") if not is_whole(row)]
        for table, columns in COLUMNS.items()
    }


def drop_rows(database: sqlite3.Connection, table: str, keys: Sequence[Any]) -> None:
    """Delete rows by their keys, which may be damaged texts."""
    name = COLUMNS[table].split(",")[0]
    texts = [(key.encode("utf-8", "surrogateescape"),) for key in keys if isinstance(key, str)]
    database.executemany(f"DELETE FROM {table} WHERE {name} = CAST(? AS TEXT)", texts)
    others = [(key,) for key in keys if not isinstance(key, str)]
    database.executemany(f"DELETE FROM {table} WHERE {name} = ?", others)
