"""Two runs that open one store at one moment: one acts before each single step of the other's opening.

What races of processes show now and then is tried here in every order, without a clock.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.engines import store as store_module
from refusal_stability.engines.store import Store
from refusal_stability.engines.store_check import StoreState, check_store
from refusal_stability.engines.store_owners import Owner
from refusal_stability.records import Completion

STEPS = ("what_is_gone", "refuse_empty_file", "log_state", "committed_frames", "opened_store", "file_identity")
Act = Callable[[Path, ExitStack], set[str]]


def put(store: Store, key: str) -> None:
    store.put(key, Completion(f"text of {key}", "stop"))


def new(path: Path) -> set[str]:
    return set()


def ended(path: Path) -> set[str]:
    """A store whose last run ended as it should."""
    with Store(path) as store:
        put(store, "old")
    return {"old"}


def killed(path: Path) -> set[str]:
    """What a killed run leaves: the file, its log with commits that the file lacks, and an unlocked lock file."""
    running = path.with_name("running") / path.name
    with Store(running) as store:
        put(store, "old")
        store._database.execute("PRAGMA wal_checkpoint(PASSIVE)")
        put(store, "in the log")
        for name in (path.name, f"{path.name}-wal", f"{path.name}.{store.owner}.alive"):
            shutil.copyfile(running.with_name(name), path.with_name(name))
    shutil.rmtree(running.parent)
    return {"old", "in the log"}


def opens(path: Path, stays: ExitStack) -> set[str]:
    with Store(path):
        return set()


def opens_and_stores(path: Path, stays: ExitStack) -> set[str]:
    with Store(path) as store:
        put(store, "other")
    return {"other"}


def opens_and_stays(path: Path, stays: ExitStack) -> set[str]:
    stays.enter_context(Store(path))
    return set()


def stores_and_stays(path: Path, stays: ExitStack) -> set[str]:
    put(stays.enter_context(Store(path)), "other")
    return {"other"}


def checkpoints_and_stays(path: Path, stays: ExitStack) -> set[str]:
    """It reads the log into the file, and begins the log anew."""
    other = stays.enter_context(Store(path))
    other._database.execute("PRAGMA wal_checkpoint(RESTART)").fetchall()
    put(other, "other")
    return {"other"}


@contextmanager
def acting(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> Iterator[list[str]]:
    """Act once, just before step `number` of opening a store; gives the steps so far."""
    steps: list[str] = []
    # While it acts, and once the store is open, no step counts.
    busy: list[bool] = []

    def step(name: str) -> None:
        if busy:
            return
        steps.append(name)
        if len(steps) - 1 == number:
            busy.append(True)
            try:
                act()
            finally:
                busy.clear()

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            step(name)
            return function(*arguments)

        return call

    class Watched(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:  # type: ignore[override]
            # Whoever opens the store while a transaction is written waits for its end: that is no order of its own.
            if not self.in_transaction:
                step(arguments[0])
            return super().execute(*arguments)

    connect = sqlite3.connect
    with monkeypatch.context() as patch:
        for name in STEPS:
            patch.setattr(store_module, name, watched(name, getattr(store_module, name)))
        patch.setattr(Owner, "others", watched("others", Owner.others))
        patch.setattr(Owner, "__init__", watched("owner", Owner.__init__))
        patch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, factory=Watched, **k))
        yield steps
        busy.append(True)


@pytest.mark.parametrize(
    "act", [opens, opens_and_stores, opens_and_stays, stores_and_stays, checkpoints_and_stays], ids=lambda f: f.__name__
)
@pytest.mark.parametrize("before", [new, ended, killed], ids=lambda f: f.__name__)
def test_whatever_the_order_both_open_nothing_is_lost_and_no_damage_is_told(
    before: Callable[[Path], set[str]],
    act: Act,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number = 0
    while True:
        path = tmp_path / str(number) / "store.sqlite"
        path.parent.mkdir()
        keys = before(path)
        with ExitStack() as stays:
            acted: list[set[str]] = []
            with acting(monkeypatch, number, lambda: acted.append(act(path, stays))) as steps:  # noqa: B023
                store = stays.enter_context(Store(path))
            keys |= set().union(*acted)
            assert set(store.find(keys)) == keys, steps
            put(store, "mine")
            assert not store.lost_commits, steps
        assert check_store(path) == StoreState(whole=len(keys) + 1), steps
        assert list(path.parent.glob("*.alive")) == []
        assert list(path.parent.glob("*.opening")) == []
        assert capsys.readouterr().err == "", steps
        if not acted:
            break
        number += 1
    # All that opening does was gone through: its own lock, what it sees of the files, and SQLite's statements.
    assert number == len(steps) > 12
    assert {"owner", "others", *STEPS} < {*steps}


def log_damaged(path: Path) -> None:
    log = path.with_name(f"{path.name}-wal")
    content = bytearray(log.read_bytes())
    content[100] ^= 1  # in the first page after the header
    log.write_bytes(content)


def log_removed(path: Path) -> None:
    path.with_name(f"{path.name}-wal").unlink()


@pytest.mark.parametrize("act", [opens, opens_and_stays], ids=lambda f: f.__name__)
@pytest.mark.parametrize(
    ("lose", "told"), [(log_damaged, "damaged"), (log_removed, "although the previous run was killed")]
)
def test_a_killed_runs_lost_log_is_told_once_at_most_and_where_one_run_is_first(
    lose: Callable[[Path], None],
    told: str,
    act: Act,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    number, counts = 0, list[int]()
    while True:
        path = tmp_path / str(number) / "store.sqlite"
        path.parent.mkdir()
        killed(path)
        lose(path)
        with ExitStack() as stays:
            acted: list[set[str]] = []
            with acting(monkeypatch, number, lambda: acted.append(act(path, stays))):  # noqa: B023
                stays.enter_context(Store(path))
        counts.append(capsys.readouterr().err.count(told))
        if not acted:
            break
        number += 1
    # Whoever finds another run there says nothing: its log may be written right now. So both may say nothing where they
    # look at each other. One says it where the other is first, or comes when it has looked.
    assert max(counts) == 1
    assert (counts[0], counts[-1]) == (1, 1)
    assert counts[-5:] == [1] * 5


def test_a_log_that_another_process_merges_meanwhile_is_not_taken_for_a_damaged_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "store.sqlite"
    keys = killed(path)

    def merge() -> None:
        with closing(sqlite3.connect(path, timeout=600)) as database:
            # Busy at once where the look below is merging itself.
            while database.execute("PRAGMA wal_checkpoint(FULL)").fetchone()[0]:
                pass

    with closing(sqlite3.connect(path, isolation_level=None)) as reader, closing(sqlite3.connect(path)) as looking:
        # It holds up whoever merges: what it reads is older than the log's end.
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM completions").fetchall()
        looking.execute("INSERT INTO claims VALUES ('a key', 'somebody')")
        looking.commit()
        merging = threading.Thread(target=merge)
        merging.start()
        try:
            while looking.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone() != (1, -1, -1):
                assert merging.is_alive()
                time.sleep(0.01)
            with Store(path) as store:
                assert not store.lost_commits
                assert set(store.find(keys)) == keys
        finally:
            reader.execute("COMMIT")
            merging.join()
    assert capsys.readouterr().err == ""
