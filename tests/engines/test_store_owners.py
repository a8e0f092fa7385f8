"""Who has a store open: what one process says of another, whatever the order in which they act."""

from __future__ import annotations

import fcntl
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from refusal_stability.engines import store_owners
from refusal_stability.engines.store import Store
from refusal_stability.engines.store_owners import Owner

OWN_UNTIL_KILLED = """
import sys, time
from pathlib import Path
from refusal_stability.engines.store_owners import Owner
owner = Owner(Path(sys.argv[1]))
print("owns", flush=True)
time.sleep(600)
"""


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store.sqlite"


def lock_files(store: Path) -> list[str]:
    return [file.name for file in store.parent.iterdir() if file.suffix in {".alive", ".opening"}]


def leave_killed(store: Path) -> None:
    """Leave what a killed process leaves."""
    process = subprocess.Popen([sys.executable, "-c", OWN_UNTIL_KILLED, str(store)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "owns\n"
    finally:
        process.kill()
        process.communicate()


def just_before(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Let another process act once, just before a listed lock file is opened, or before it is locked."""
    acted: list[bool] = []

    def first() -> None:
        if not acted:
            acted.append(True)
            act()

    state, flock = store_owners._state, fcntl.flock

    def watched_state(file: Path) -> store_owners.State:
        first()
        return state(file)

    def watched_flock(file: io.BufferedReader, operation: int) -> None:
        if operation & fcntl.LOCK_SH:
            first()
        flock(file, operation)

    if step == "open":
        monkeypatch.setattr(store_owners, "_state", watched_state)
    else:
        monkeypatch.setattr(store_owners.fcntl, "flock", watched_flock)


@pytest.mark.parametrize("step", ["open", "lock"])
def test_a_process_that_leaves_while_another_looks_was_not_killed(
    store: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    leaving, looking = Owner(store), Owner(store)
    just_before(monkeypatch, step, leaving.leave)
    assert looking.others() == set()
    assert not looking.found_killed
    assert len(lock_files(store)) == 1
    looking.leave()
    assert lock_files(store) == []


def test_looking_for_one_that_has_left_makes_no_file(store: Path) -> None:
    left, looking = Owner(store), Owner(store)
    left.leave()
    assert not looking.is_alive(left.name)
    assert len(lock_files(store)) == 1
    looking.leave()


def test_whoever_looks_at_what_a_killed_process_left_is_not_taken_for_it(store: Path) -> None:
    leave_killed(store)
    (killed,) = lock_files(store)
    first, second = Owner(store), Owner(store)
    with (store.parent / killed).open("rb") as looked_at:
        # As another process that looks at the same moment.
        fcntl.flock(looked_at, fcntl.LOCK_SH | fcntl.LOCK_NB)
        assert second.others() == {first.name}
    assert second.found_killed
    assert first.others() == {second.name}
    for owner in (first, second):
        owner.leave()
    assert lock_files(store) == []


def test_a_file_that_took_the_name_of_the_one_that_is_looked_at_stays(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = store.with_name(f"{store.name}.1.opening")
    file.touch()

    def replace() -> None:
        other = store.with_name("other")
        other.touch()
        other.replace(file)

    just_before(monkeypatch, "lock", replace)
    assert store_owners._state(file) is store_owners.State.LEFT
    assert lock_files(store) == [file.name]


def test_a_killed_process_is_told_whether_or_not_another_leaves_meanwhile(
    store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    leave_killed(store)
    leaving, looking = Owner(store), Owner(store)
    just_before(monkeypatch, "open", leaving.leave)
    assert looking.others() == set()
    assert looking.found_killed
    looking.leave()


def test_a_store_opened_while_another_process_closes_it_says_nothing(
    store: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closing = Store(store)
    leaving = Owner(store)
    closing.__exit__(None, None, None)
    just_before(monkeypatch, "open", leaving.leave)
    with Store(store):
        pass
    assert capsys.readouterr().err == ""


def test_a_run_that_was_killed_is_told_of_when_its_log_is_gone(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Store(store):
        pass
    leave_killed(store)
    with Store(store):
        pass
    assert "although the previous run was killed" in capsys.readouterr().err
    with Store(store):
        pass
    assert capsys.readouterr().err == ""
