"""SQLite's write-ahead log of a store: were commits lost in it?

SQLite ends its reading of a log at the first frame whose checksum does not fit, without a word: that is where a killed
process stopped writing. A frame that ends a commit, and lies behind that place, was lost to damage.
"""

from __future__ import annotations

import struct
from pathlib import Path

HEADER_BYTES, FRAME_BYTES = 32, 24
MAGIC = (0x377F0682, 0x377F0683)


def committed_frames(store: Path) -> int | None:
    """How many frames of a store's log were written up to its last commit; 0 without a log, None if it is damaged.

    Parameters
    ----------
    store : the SQLite file; no other process may have it open.
    """
    try:
        log = store.with_name(f"{store.name}-wal").read_bytes()
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
