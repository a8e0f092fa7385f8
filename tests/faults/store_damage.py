"""Damage a store's file at random, read it as a run does, and mend it: nothing wrong may be read without a word."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from refusal_stability.engines.store import Session, Store, StoreError
from refusal_stability.engines.store_check import mend_store
from refusal_stability.records import Completion, Outcome, text_hash

ROWS = 400
SESSION = Session("s", "small", "{}", "{}", "2026-01-31T00:00:00Z", 2.0, 3, 30, 60)
BAD = {"silent", "lost", "traceback", "not mended", "mended wrong"}
PAGE = 4096
KINDS = ("bit", "byte", "sector", "zeros", "cut", "log", "pages")


def expected(position: int) -> tuple[str, Completion]:
    """One row of the store that is damaged: a function of its position."""
    text = f"Antwort {position} żółć\n" * (position % 40 + 1)
    if position % 50 == 7:
        return text_hash(str(position)), Completion(
            "", "", missing_reason="the filter", details={"settled": True}, outcome=Outcome.BLOCKED
        )
    return text_hash(str(position)), Completion(text, "stop", position, 2 * position, details={"model": "m"})


ALL = dict(map(expected, range(ROWS)))


def make_store(path: Path, log: bool) -> None:
    """A store of `ALL`, with its rows in the file itself, or the later half still in its write-ahead log."""
    rows = list(ALL.items())
    with Store(path) as store:
        store.put_all(rows[: ROWS // 2])
        store.save_session(SESSION)
        if log:
            store._database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for start in range(ROWS // 2, ROWS, 20):
            store.put_all(rows[start : start + 20])
        if log:
            for end in ("", "-wal"):
                shutil.copy(f"{path}{end}", f"{path}.kept{end}")
    if log:
        for end in ("", "-wal"):
            shutil.move(f"{path}.kept{end}", f"{path}{end}")


def damage(path: Path, kind: str, random: Random) -> None:
    """Change the file in one way."""
    file = path.with_name(f"{path.name}-wal") if kind == "log" else path
    data = bytearray(file.read_bytes())
    at = random.randrange(len(data))
    if kind in ("bit", "log"):
        data[at] ^= 1 << random.randrange(8)
    elif kind == "byte":
        data[at] = random.randrange(256)
    elif kind == "cut":
        del data[at:]
    elif kind == "pages":
        # Both behind the first, and each in the other's place, or one in both.
        here, there = (random.randrange(1, len(data) // PAGE) * PAGE for _ in range(2))
        first, second = data[here : here + PAGE], data[there : there + PAGE]
        data[here : here + PAGE] = second
        if random.random() < 0.5:
            data[there : there + PAGE] = first
    else:
        start = at // 512 * 512
        data[start : start + 512] = bytes(512) if kind == "zeros" else random.randbytes(512)
    file.write_bytes(data)


def read(path: Path) -> str:
    """What a run sees: the same, rows dropped and said so, an error in one line, or what must never be."""
    try:
        with Store(path) as store:
            found = store.find(ALL)
            dropped = store.drop_damaged() if len(found) < len(ALL) else 0
            missing = len(ALL) - len(found)
            said = dropped >= missing or store.lost_commits
            sessions = store.sessions()
    except StoreError as error:
        return "error in one line" if str(error).isprintable() else "traceback"
    except Exception as error:  # noqa: BLE001 - whatever it is, it counts
        print(f"{type(error).__name__}: {error}")
        return "traceback"
    if any(answer != ALL[key] for key, answer in found.items()) or any(s != SESSION for s in sessions):
        return "silent"
    return "the same" if missing == 0 else "dropped, said" if said else "lost"


def mend(path: Path) -> tuple[str, int]:
    """What mending makes of a damaged store, and how many right rows it has then."""
    try:
        kept, _ = mend_store(path)
        with Store(path) as store:
            found = store.find(ALL)
            assert store.drop_damaged() == 0
    except Exception as error:  # noqa: BLE001 - whatever it is, it counts
        print(f"{type(error).__name__}: {error}")
        return "not mended", 0
    right = len(found) == kept and all(answer == ALL[key] for key, answer in found.items())
    return ("mended" if right else "mended wrong"), kept


def run(seed: int, rounds: int, folder: Path) -> Counter[str]:
    """Counts of outcomes over random damage, and of what mending did with each."""
    random = Random(seed)
    for log in (False, True):
        make_store(folder / f"whole-{log}.sqlite", log)
    counts: Counter[str] = Counter()
    for number in range(rounds):
        kind = KINDS[number % len(KINDS)]
        with TemporaryDirectory(dir=folder) as name:
            path, copy = Path(name) / "store.sqlite", Path(name) / "copy.sqlite"
            _copy(folder / f"whole-{kind == 'log'}.sqlite", path)
            damage(path, kind, random)
            _copy(path, copy)
            outcome, (mended, kept) = read(path), mend(copy)
        counts.update((outcome, mended))
        counts["rows kept by mending"] += kept
        if {outcome, mended} & BAD:
            print(f"store: seed {seed}, round {number}: {kind}: {outcome}, {mended}")
    return counts


def _copy(store: Path, to: Path) -> None:
    for end in ("", "-wal"):
        if Path(f"{store}{end}").exists():
            shutil.copy(f"{store}{end}", f"{to}{end}")
