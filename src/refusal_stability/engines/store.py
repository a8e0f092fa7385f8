"""Completions already paid for: an SQLite file, keyed by everything that decides a completion.

Completions are committed before the engine waits for more. Those that were ready at once share a commit, so a kill
costs only what was in flight or had just arrived. Several processes may share a store. A key is claimed before it is
sent. Others wait for the claimant's answer, and take over the claims of a process that died. Times and throughput are
kept here too, never in DVC's outputs.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout
from tenacity import retry, retry_if_exception, stop_after_delay, wait_random

from refusal_stability.records import (
    Completion,
    Outcome,
    Request,
    StudyError,
    canonical_json,
    outcome_of,
    storable_text,
    text_hash,
)

SCHEMA = """
CREATE TABLE IF NOT EXISTS completions (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, details TEXT NOT NULL,
    thinking TEXT NOT NULL DEFAULT '', outcome TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (key TEXT PRIMARY KEY, owner TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sessions (
    session TEXT PRIMARY KEY, caption TEXT NOT NULL, identity TEXT NOT NULL, description TEXT NOT NULL,
    started TEXT NOT NULL, seconds REAL NOT NULL, completions INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL
);
"""
COLUMNS = (
    "key",
    "text",
    "finish_reason",
    "prompt_tokens",
    "completion_tokens",
    "details",
    "thinking",
    "outcome",
)
INSERT = f"INSERT OR IGNORE INTO completions ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
MISSING_REASON = "missing_reason"
LOOKUP_SIZE = 500
POLL_SECONDS = 0.2
BUSY_SECONDS = 60
SESSION_SECONDS = 1.0
PROGRESS_SECONDS = 0.1
COMMIT_SIZE = 256


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


class Store:
    """An open store; use as a context manager.

    Parameters
    ----------
    path : the SQLite file; made, with its folder, where absent.

    Raises
    ------
    StoreError
        The file is not a store, is damaged, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.owner = uuid.uuid4().hex
        with self._named_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            self._alive = FileLock(self._lock_file(self.owner))
            self._alive.acquire()
            self._forget_the_dead()
            self._database = _opened(path)

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A claim that cannot be released is taken over anyway: its owner is gone.
            with suppress(sqlite3.Error):
                self._database.execute("DELETE FROM claims WHERE owner = ?", (self.owner,))
        finally:
            self._database.close()
            self._alive.release()
            Path(self._lock_file(self.owner)).unlink(missing_ok=True)

    def find(self, keys: Iterable[str]) -> dict[str, Completion]:
        """The stored completions among `keys`."""
        found: dict[str, Completion] = {}
        for part in _parts(list(dict.fromkeys(keys)), LOOKUP_SIZE):
            marks = ",".join("?" * len(part))
            query = f"SELECT {', '.join(COLUMNS)} FROM completions WHERE key IN ({marks})"
            with self._named_errors():
                rows = self._database.execute(query, part).fetchall()
            for key, text, finish_reason, prompt_tokens, completion_tokens, told, thinking, outcome in rows:
                details = json.loads(told)
                # Stores of the first edition say nothing of the outcome: it is derived then.
                found[key] = Completion(
                    text,
                    finish_reason,
                    prompt_tokens,
                    completion_tokens,
                    # Beside the details, so that a store needs no further column.
                    details.pop(MISSING_REASON, None),
                    details,
                    thinking,
                    Outcome(outcome or outcome_of(finish_reason, None)),
                )
        return found

    def claim(self, keys: Sequence[str]) -> list[str]:
        """Claim those `keys` that are neither stored nor claimed by a living process, in the given order."""
        with self._transaction():
            owners = {row[0] for row in self._database.execute("SELECT DISTINCT owner FROM claims")}
            for owner in owners - {self.owner}:
                if not self._is_alive(owner):
                    self._database.execute("DELETE FROM claims WHERE owner = ?", (owner,))
            taken = set(self.find(keys))
            for part in _parts(list(keys), LOOKUP_SIZE):
                marks = ",".join("?" * len(part))
                rows = self._database.execute(f"SELECT key FROM claims WHERE key IN ({marks})", part)
                taken.update(row[0] for row in rows)
            free = [key for key in keys if key not in taken]
            self._database.executemany("INSERT INTO claims VALUES (?, ?)", [(key, self.owner) for key in free])
        return free

    def put(self, key: str, completion: Completion, session: Session | None = None) -> None:
        """Store one completion; see `put_all`."""
        self.put_all([(key, completion)], session)

    def put_all(self, answers: Sequence[tuple[str, Completion]], session: Session | None = None) -> None:
        """Store (key, completion) pairs and release their claims, in one commit.

        A completion without a text is stored only where it is `settled`.
        """
        rows = [
            (
                key,
                completion.text,
                completion.finish_reason,
                completion.prompt_tokens,
                completion.completion_tokens,
                storable_text(canonical_json(_told(completion))),
                completion.thinking,
                completion.outcome.value,
            )
            for key, completion in answers
            if _is_kept(completion)
        ]
        with self._transaction():
            self._database.executemany(INSERT, rows)
            self._database.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key, _ in answers])
            if session is not None:
                self._save_session(session)

    def forget(self, keys: Iterable[str]) -> None:
        """Drop completions, so that their requests are sent again."""
        with self._transaction():
            self._database.executemany("DELETE FROM completions WHERE key = ?", [(key,) for key in keys])

    def save_session(self, session: Session) -> None:
        """Store what a session did so far."""
        with self._transaction():
            self._save_session(session)

    def sessions(self) -> list[Session]:
        """Every session, oldest first."""
        with self._named_errors():
            rows = self._database.execute("SELECT * FROM sessions ORDER BY started, session").fetchall()
        return [Session(*row) for row in rows]

    def _save_session(self, session: Session) -> None:
        marks = ",".join("?" * len(vars(session)))
        self._database.execute(f"INSERT OR REPLACE INTO sessions VALUES ({marks})", tuple(vars(session).values()))

    def _lock_file(self, owner: str) -> str:
        return str(self.path.with_name(f"{self.path.name}.{owner}.alive"))

    def _forget_the_dead(self) -> None:
        """Remove the lock files of killed processes, also of those that left no claim behind."""
        start = f"{self.path.name}."
        for file in self.path.parent.iterdir():
            if file.name.startswith(start) and file.suffix == ".alive":
                owner = file.name.removeprefix(start).removesuffix(".alive")
                if owner != self.owner:
                    self._is_alive(owner)

    def _is_alive(self, owner: str) -> bool:
        # The operating system drops a dead process's lock, whatever ended it.
        if not Path(self._lock_file(owner)).exists():
            return False
        lock = FileLock(self._lock_file(owner))
        try:
            lock.acquire(blocking=False)
        except Timeout:
            return True
        lock.release()
        Path(self._lock_file(owner)).unlink(missing_ok=True)
        return False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._named_errors():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._database.execute("COMMIT")
            except BaseException:
                # On a full disk SQLite has rolled back by itself.
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    @contextmanager
    def _named_errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            raise StoreError(
                f"{self.path}: {error}; free some space or end other writers, then run the same command again: "
                "what is stored stays stored"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StoreError(
                f"{self.path}: {error}; restore the file from a copy, or move it away to generate everything anew"
            ) from error
        except OSError as error:
            raise StoreError(f"{self.path}: {error.strerror or error}; check the folder and its space") from error


def _is_busy(error: BaseException) -> bool:
    return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY


# Two processes that switch a new file to write-ahead logging get "busy" at once, whatever the timeout.
@retry(
    retry=retry_if_exception(_is_busy), stop=stop_after_delay(BUSY_SECONDS), wait=wait_random(0.01, 0.1), reraise=True
)
def _opened(path: Path) -> sqlite3.Connection:
    # Autocommit mode: `Store._transaction` opens and closes transactions.
    database = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        # NORMAL survives a kill -9 of this process; only a power cut may cost the last commits.
        database.execute("PRAGMA synchronous=NORMAL")
        database.executescript(SCHEMA)
        _add_later_columns(database)
    except BaseException:
        database.close()
        raise
    return database


def _add_later_columns(database: sqlite3.Connection) -> None:
    """Give a store of the first edition the columns that came later; its completions stay as they are."""
    there = {row[1] for row in database.execute("PRAGMA table_info(completions)")}
    for name in ("thinking", "outcome"):
        if name not in there:
            try:
                database.execute(f"ALTER TABLE completions ADD COLUMN {name} TEXT NOT NULL DEFAULT ''")
            except sqlite3.OperationalError as error:
                # Another process that opened the store at the same moment was first.
                if "duplicate column" not in str(error):
                    raise


def completion_key(identity: str, request: Request) -> str:
    """The store's key of a request: a hash of the engine's identity and of the whole request."""
    return text_hash(f"[{_quoted(identity)},{canonical_json(request.identity())}]")


@lru_cache(maxsize=1)
def _quoted(identity: str) -> str:
    """An engine's identity as JSON: the same for all its requests."""
    return canonical_json(identity)


def _is_kept(completion: Completion) -> bool:
    """Whether the request is never sent again, unless a person asks for that."""
    return completion.missing_reason is None or bool(completion.details.get("settled"))


def _told(completion: Completion) -> dict[str, Any]:
    """A completion's details, with the reason where there is no text."""
    reason = {} if completion.missing_reason is None else {MISSING_REASON: completion.missing_reason}
    return {**completion.details, **reason}


def _parts(values: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
