"""The store as `plan` and `status` read it: without waiting for a run that writes, and without a lock or a file."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple
from urllib.parse import quote

from refusal_stability.engines.store import LOOKUP_SIZE
from refusal_stability.engines.store_file import (
    COLUMNS,
    MEND,
    MISSING_REASON,
    Session,
    StoreError,
    check_edition,
    has_all_values,
    is_whole,
    text_or_damage,
)

PATIENCE_S = 5
# What a store of any edition has, with nothing for the checksum; and all that the checksum of a row is of.
OLD_COLUMNS = "key, '', '', prompt_tokens, completion_tokens, details, '', '', NULL"
OLD_SESSIONS = ", ".join([*Session.__dataclass_fields__, "NULL"])


class StoredTokens(NamedTuple):
    """What a stored completion took; `missing` says why one has no text."""

    prompt: int
    answer: int
    missing: str | None = None


class StoreView:
    """A store that is only read; use as a context manager. A store that does not exist has nothing in it.

    Parameters
    ----------
    path : the SQLite file.

    Raises
    ------
    StoreError
        The file is no store, is damaged, or cannot be read.

    Notes
    -----
    A store that a run has open has a write-ahead log, in which readers and the writer do not meet. One without is
    nobody's at the moment: it is read as a file that does not change, which needs no lock and leaves no file behind.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._database = _opened_to_read(path) if path.exists() else None
        has_checksums = self._rows("SELECT name FROM pragma_table_info('completions') WHERE name = 'checksum'")
        self._fits = is_whole if has_checksums else has_all_values
        self._columns = COLUMNS if has_checksums else {"completions": OLD_COLUMNS, "sessions": OLD_SESSIONS}

    def __enter__(self) -> StoreView:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._database is not None:
            self._database.close()

    def tokens(self, keys: Iterable[str]) -> dict[str, StoredTokens]:
        """What the stored completions among `keys` took; damaged ones are generated again, and are not among them.

        Parameters
        ----------
        keys : of requests, as `completion_key` makes them.
        """
        wanted = list(dict.fromkeys(keys))
        found: dict[str, StoredTokens] = {}
        for start in range(0, len(wanted), LOOKUP_SIZE):
            part = wanted[start : start + LOOKUP_SIZE]
            marks = ",".join("?" * len(part))
            query = f"SELECT {self._columns['completions']} FROM completions WHERE key IN ({marks})"
            for row in filter(self._fits, self._rows(query, part)):
                key, _, _, prompt, answer, told, *_ = row
                reason = json.loads(told).get(MISSING_REASON) if MISSING_REASON in told else None
                found[key] = StoredTokens(prompt, answer, reason)
        return found

    def sessions(self) -> list[Session]:
        """Every session that is not damaged, oldest first."""
        query = f"SELECT {self._columns['sessions']} FROM sessions ORDER BY started, session"
        return [Session(*row[:-1]) for row in self._rows(query) if self._fits(row)]

    def served(self, keys: Iterable[str] | None = None) -> set[tuple[str, str]]:
        """The models that servers said they were, each with its fingerprint; an empty text where they said none.

        Parameters
        ----------
        keys : of the requests whose answers count; all of the store if not given.
        """
        query = (
            "SELECT DISTINCT coalesce(json_extract(details, '$.model'), ''), "
            "coalesce(json_extract(details, '$.system_fingerprint'), '') FROM completions WHERE json_valid(details)"
        )
        rows: list[tuple[str, str]] = []
        if keys is None:
            rows = self._rows(query)
        wanted = list(dict.fromkeys(keys or ()))
        for start in range(0, len(wanted), LOOKUP_SIZE):
            part = wanted[start : start + LOOKUP_SIZE]
            rows += self._rows(f"{query} AND key IN ({','.join('?' * len(part))})", part)
        return {(str(model), str(fingerprint)) for model, fingerprint in rows if model or fingerprint}

    def _rows(self, query: str, values: list[str] | None = None) -> list[Any]:
        if self._database is None:
            return []
        try:
            return self._database.execute(query, values or []).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise _unreadable(self.path, error) from error


def _opened_to_read(path: Path) -> sqlite3.Connection | None:
    # A run may open the store between the look at its log and the reading: then the second way fits.
    unopened = not path.with_name(f"{path.name}-wal").exists()
    if unopened:
        with suppress(sqlite3.Error, UnicodeDecodeError):
            return _checked(path, "mode=ro&immutable=1")
    try:
        return _checked(path, "mode=ro")
    except (sqlite3.Error, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _checked(path: Path, how: str) -> sqlite3.Connection | None:
    """The store, or None while a run is still making its tables."""
    database = sqlite3.connect(
        f"file:{quote(str(path.absolute()))}?{how}", uri=True, timeout=PATIENCE_S, isolation_level=None
    )
    try:
        database.text_factory = text_or_damage
        check_edition(path, database)
        if not database.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            database.close()
            return None
        database.execute("SELECT key, prompt_tokens, completion_tokens FROM completions LIMIT 1").fetchall()
    except BaseException:
        database.close()
        raise
    return database


def _unreadable(path: Path, error: Exception) -> StoreError:
    if "no such" in str(error):
        return StoreError(
            f"{path}: is a database, but no store of this project ({error}); move it away, or name the right folder"
        )
    return StoreError(f"{path}: cannot be read as a store ({error}); {MEND}; or restore a copy")
