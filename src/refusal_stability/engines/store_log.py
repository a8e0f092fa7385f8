"""SQLite's write-ahead log of a store: were commits lost in it?

SQLite ends its reading of a log at the first frame whose checksum does not fit, without a word: that is where a killed
process stopped writing. A frame that ends a commit, and lies behind that place, was lost to damage.
"""

from __future__ import annotations

import struct
from enum import Enum
from pathlib import Path

from refusal_stability.engines.store_file import StoreError

HEADER_BYTES, FRAME_BYTES = 32, 24
MAGIC = (0x377F0682, 0x377F0683)


def committed_frames(store: Path) -> int | None:
    """How many frames of a store's log were written up to its last commit; 0 without a log, None if it is damaged.

    Parameters
    ----------
    store : the SQLite file; no other process may have it open.
    """
    path = store.with_name(f"{store.name}-wal")
    try:
        # A pipe has no end; SQLite takes none either.
        log = path.read_bytes() if path.is_file() else b""
    except FileNotFoundError:
        return 0
    if not log:
        return 0
    if len(log) < HEADER_BYTES or not _header_fits(log[:HEADER_BYTES]):
        return None
    (page,) = struct.unpack_from(">I", log, 8)
    salts = log[16:24]
    step, last = FRAME_BYTES + page, 0
    for number, start in enumerate(range(HEADER_BYTES, len(log) - step + 1, step), 1):
        (size_after_commit,) = struct.unpack_from(">I", log, start + 4)
        # Frames of an earlier round of the log have other salts.
        if size_after_commit and log[start + 8 : start + 16] == salts:
            last = number
    return last


class Gone(Enum):
    """Which of a store's files seems to have been lost as a whole."""

    NOTHING = "nothing"
    LOG = "log"
    FILE = "file"
    FILE_BESIDE_ITS_LOG = "file beside its log"


def what_is_gone(store: Path) -> Gone:
    """What is seen of a store's files now; `LOG` where there is none, as after every orderly end.

    Parameters
    ----------
    store : the SQLite file.
    """
    log = store.with_name(f"{store.name}-wal")
    if not store.is_file():
        return Gone.NOTHING
    if store.stat().st_size == 0:
        return Gone.FILE_BESIDE_ITS_LOG if log.is_file() and log.stat().st_size > 0 else Gone.FILE
    return Gone.NOTHING if log.is_file() else Gone.LOG


def refuse_empty_file(store: Path, gone: Gone) -> None:
    """Do not let SQLite throw away the log of a store whose file is empty.

    Parameters
    ----------
    store : the SQLite file.
    gone : what `what_is_gone` said, while no other process had the store open.

    Raises
    ------
    StoreError
        The file is empty, and its log is not.
    """
    if gone is Gone.FILE_BESIDE_ITS_LOG:
        raise StoreError(
            f"{store}: an empty file, although its log {store.name}-wal is none; nothing was changed: restore a "
            "copy of the store, or move both away to generate everything anew"
        )


def log_state(store: Path) -> tuple[int, int, int] | None:
    """What changes when a process writes a store's log, replaces it or removes it; None without a log."""
    try:
        now = store.with_name(f"{store.name}-wal").stat()
    except FileNotFoundError:
        return None
    return now.st_ino, now.st_size, now.st_mtime_ns


def _header_fits(header: bytes) -> bool:
    (magic,) = struct.unpack_from(">I", header)
    order = ">" if magic & 1 else "<"
    a = b = 0
    for x, y in struct.iter_unpack(f"{order}II", header[:24]):
        a = (a + x + b) & 0xFFFFFFFF
        b = (b + y + a) & 0xFFFFFFFF
    return magic in MAGIC and (a, b) == struct.unpack_from(">II", header, 24)
