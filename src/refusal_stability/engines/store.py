"""Completions already paid for: an SQLite file, keyed by everything that decides a completion.

Completions are committed before the engine waits for more. Those that were ready at once share a commit, so a kill
costs only what was in flight or had just arrived. Several processes may share a store. A key is claimed before it is
sent. Others wait for the claimant's answer, and take over the claims of a process that died. Times and throughput are
kept here too, never in DVC's outputs. A damaged row is as if it were not stored, and is written again.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import TracebackType

from refusal_stability.engines.store_file import (
    COMPLETION_COLUMNS,
    MEND,
    SESSION_COLUMNS,
    Session,
    StoreError,
    completion_of,
    completion_row,
    damaged_rows,
    drop_rows,
    is_whole,
    named_errors,
    opened_store,
    session_row,
    structural_damage,
    transaction,
)
from refusal_stability.engines.store_log import Gone, committed_frames, log_state, refuse_empty_file, what_is_gone
from refusal_stability.engines.store_moved import file_identity, rescued
from refusal_stability.engines.store_owners import Owner
from refusal_stability.records import Completion, Request, canonical_json, text_hash

__all__ = ["Session", "Store", "StoreError", "completion_key"]

INSERT = f"INSERT OR IGNORE INTO completions ({COMPLETION_COLUMNS}) VALUES ({', '.join('?' * 9)})"
INSERT_SESSION = f"INSERT OR REPLACE INTO sessions ({SESSION_COLUMNS}) VALUES ({', '.join('?' * 10)})"
LOOKUP_SIZE = 500


class Store:
    """An open store; use as a context manager.

    Parameters
    ----------
    path : the SQLite file; made, with its folder, where absent.

    Attributes
    ----------
    lost_commits : whether commits were lost to damage in the file's log.

    Raises
    ------
    StoreError
        The file is not a store, is of a newer program, is damaged, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        # Two names of one file must lead to the same lock files.
        self.path = path.resolve()
        with named_errors(path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._owner = Owner(self.path)
            try:
                # A log that another process writes meanwhile says nothing.
                # Seen before and after: what a process is making meanwhile is not gone.
                seen = what_is_gone(self.path)
                living = self._owner.others()
                gone = seen if not living and what_is_gone(self.path) is seen else Gone.NOTHING
                refuse_empty_file(self.path, gone)
                log = None if living else log_state(self.path)
                written = committed_frames(self.path)
                self._database = opened_store(self.path)
                self._identity, self._is_moved = file_identity(self.path), False
                untouched = log is not None and log_state(self.path) == log
                read = self._database.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()[1]
            except BaseException:
                self._owner.leave()
                raise
        self.owner = self._owner.name
        # Negative: another process that opens the store now reads the log into the file, and nothing was counted here.
        self.lost_commits = untouched and read >= 0 and (written is None or written > read)
        if gone is Gone.FILE:
            print(f"warning: {path}: an empty file: nothing is stored in it", file=sys.stderr)
        if gone is Gone.LOG and self._owner.found_killed:
            print(
                f"warning: {path}-wal: not there, although the previous run was killed: if somebody removed it, that "
                "run's last completions are lost, and are generated again when they are needed",
                file=sys.stderr,
            )
        if self.lost_commits:
            print(
                f"warning: {path}-wal: damaged: the last completions before the previous run ended are lost, and are "
                "generated again when they are needed",
                file=sys.stderr,
            )

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if not self._is_moved:
                # A claim that cannot be released is taken over anyway: its owner is gone.
                with suppress(sqlite3.Error):
                    self._database.execute("DELETE FROM claims WHERE owner = ?", (self.owner,))
                try:
                    self._refuse_if_moved()
                except StoreError as moved:
                    if error is None:
                        raise
                    print(f"warning: {moved}", file=sys.stderr)
        finally:
            # What a killed process left: its log is in the file now, or is left to those who still run.
            with suppress(OSError):
                self._owner.others()
            self._database.close()
            self._owner.leave()

    def find(self, keys: Iterable[str]) -> dict[str, Completion]:
        """The stored completions among `keys`; a damaged one is as if it were not stored."""
        found: dict[str, Completion] = {}
        for part in _parts(list(dict.fromkeys(keys)), LOOKUP_SIZE):
            marks = ",".join("?" * len(part))
            query = f"SELECT {COMPLETION_COLUMNS} FROM completions WHERE key IN ({marks})"
            with named_errors(self.path):
                rows = self._database.execute(query, part).fetchall()
            found.update((row[0], completion_of(row)) for row in rows if is_whole(row))
        return found

    def drop_damaged(self) -> int:
        """Read the whole file, and drop the rows that are damaged; returns how many.

        Raises
        ------
        StoreError
            SQLite's own pages are damaged. Completions that are there could not be found, and be paid for twice.
        """
        with named_errors(self.path):
            pages = structural_damage(self._database)
            damaged = damaged_rows(self._database) if pages is None else {}
        if pages is not None:
            raise StoreError(f"{self.path}: damaged ({pages}), and nothing was sent; {MEND}")
        if any(damaged.values()):
            with self._transaction():
                for table, keys in damaged.items():
                    drop_rows(self._database, table, keys)
        return sum(map(len, damaged.values()))

    def claim(self, keys: Sequence[str]) -> list[str]:
        """Claim those `keys` that are neither stored nor claimed by a living process, in the given order."""
        with self._transaction():
            owners = {row[0] for row in self._database.execute("SELECT DISTINCT owner FROM claims")}
            for owner in owners - {self.owner}:
                if not self._owner.is_alive(owner):
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
        rows = [completion_row(key, completion) for key, completion in answers if _is_kept(completion)]
        with self._transaction():
            self._database.executemany(INSERT, rows)
            self._database.executemany("DELETE FROM claims WHERE key = ?", [(key,) for key, _ in answers])
            if session is not None:
                self._database.execute(INSERT_SESSION, session_row(session))

    def forget(self, keys: Iterable[str]) -> None:
        """Drop completions, so that their requests are sent again."""
        with self._transaction():
            self._drop(keys)

    def save_session(self, session: Session) -> None:
        """Store what a session did so far."""
        with self._transaction():
            self._database.execute(INSERT_SESSION, session_row(session))

    def sessions(self) -> list[Session]:
        """Every session that is not damaged, oldest first."""
        query = f"SELECT {SESSION_COLUMNS} FROM sessions ORDER BY started, session"
        with named_errors(self.path):
            return [Session(*row[:-1]) for row in self._database.execute(query) if is_whole(row)]

    def _drop(self, keys: Iterable[str]) -> None:
        self._database.executemany("DELETE FROM completions WHERE key = ?", [(key,) for key in keys])

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with named_errors(self.path), transaction(self._database):
            yield
        self._refuse_if_moved()

    def _refuse_if_moved(self) -> None:
        """End the run if the file that it writes to is no longer the one of this name; what it holds is saved."""
        with named_errors(self.path):
            is_there = file_identity(self.path) == self._identity
        if not is_there:
            self._is_moved = True
            raise rescued(self._database, self.path)


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


def _parts(values: list[str], size: int) -> Iterator[list[str]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
