"""The store: what is kept stays kept, is never made twice, and survives kills, other processes and full disks."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refusal_stability.engines import complete
from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store, StoreError, completion_key
from refusal_stability.engines.store_check import StoreState, check_store
from refusal_stability.records import Completion, Message, Outcome, Request, Sampling, canonical_json, storable_text


class EchoEngine:
    """Answers each request with its own prompt; writes down what it was sent, one line a request.

    Before its request number `hold_at` it waits to be killed.
    """

    def __init__(self, log: Path, seconds: float = 0.0, name: str = "echo", hold_at: int = -1) -> None:
        self.identity = {"engine": name}
        self.description: dict[str, str] = {}
        self._log = log
        self._seconds = seconds
        self._hold_at = hold_at

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for position, request in enumerate(requests):
            if position == self._hold_at:
                time.sleep(600)
            with self._log.open("a") as log:
                log.write(f"{request.messages[-1].content}\n")
            time.sleep(self._seconds)
            yield position, Completion(f"echo {request.messages[-1].content}", "stop", 1, 2)

    def close(self) -> None:
        pass


def request(text: str, seed: int = 0, **options: object) -> Request:
    return Request((Message("user", text),), Sampling(1.0, seed, seed), **options)


FIRST_EDITION = """
CREATE TABLE completions (
    key TEXT PRIMARY KEY, text TEXT NOT NULL, finish_reason TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, details TEXT NOT NULL
) WITHOUT ROWID;
INSERT INTO completions VALUES ('a', 'whole', 'stop', 1, 2, '{}'), ('b', 'half', 'length', 1, 2, '{}');
"""


def test_a_store_of_the_first_edition_is_read_and_written_on(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    database = sqlite3.connect(path)
    database.executescript(FIRST_EDITION)
    database.close()
    later = Completion("so", "stop", thinking="hm", outcome=Outcome.REFUSED)
    for _ in range(2):  # the second time its columns are there already
        with Store(path) as store:
            store.put("c", later)
            found = store.find("abc")
            assert [found[key].outcome for key in "abc"] == [Outcome.ANSWERED, Outcome.CUT, Outcome.REFUSED]
            assert [found[key].text for key in "abc"] == ["whole", "half", "so"]
            assert found["c"] == later
        assert check_store(path) == StoreState(whole=3)


def numbered(count: int) -> list[Request]:
    return [request(str(i)) for i in range(count)]


def sent(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def run_grid(folder: Path, log: Path, count: int, seconds: float, hold_at: int = -1) -> None:
    with Store(folder / "store.sqlite") as store:
        complete_stored(EchoEngine(log, seconds, hold_at=hold_at), numbered(count), store, "test")


def test_a_second_run_sends_nothing(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Store(tmp_path / "store.sqlite") as store:
        first = complete_stored(EchoEngine(log), numbered(5), store, "test")
    with Store(tmp_path / "store.sqlite") as store:
        second = complete_stored(EchoEngine(log), numbered(5), store, "test")
    assert first == second
    assert [c.text for c in first] == [f"echo {i}" for i in range(5)]
    assert sent(log) == ["0", "1", "2", "3", "4"]


def test_only_what_is_new_is_sent_and_equal_requests_are_sent_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Store(tmp_path / "store.sqlite") as store:
        complete_stored(EchoEngine(log), numbered(3), store, "test")
        answers = complete_stored(EchoEngine(log), [request("4"), request("1"), request("4")], store, "test")
    assert [a.text for a in answers] == ["echo 4", "echo 1", "echo 4"]
    assert sent(log) == ["0", "1", "2", "4"]


@pytest.mark.parametrize(
    "other",
    [
        request("x", 1),
        request("y"),
        request("x", repeat=1),
        request("x", schema={"type": "object"}),
        Request((Message("user", "x"),), Sampling(0.5, 0, 0)),
        Request((Message("user", "x"),), Sampling(1.0, 0, 0, max_tokens=1)),
        Request((Message("user", "x"),), Sampling(1.0, 0, 0, top_p=0.5)),
        Request((Message("user", "x"),), Sampling(1.0, 0, 0, top_k=5)),
        Request((Message("system", "s"), Message("user", "x")), Sampling(1.0, 0, 0)),
    ],
)
def test_everything_that_decides_a_completion_is_in_its_key(other: Request) -> None:
    assert completion_key("engine", request("x")) != completion_key("engine", other)
    assert completion_key("engine", request("x")) != completion_key("other engine", request("x"))
    assert completion_key("engine", request("x")) == completion_key("engine", request("x"))


def test_a_missing_completion_is_returned_but_asked_again_next_time(tmp_path: Path) -> None:
    class Failing(EchoEngine):
        def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
            yield from ((i, Completion("", "", missing_reason="server error")) for i in range(len(requests)))

    log = tmp_path / "log"
    with Store(tmp_path / "store.sqlite") as store:
        (answer,) = complete_stored(Failing(log), [request("x")], store, "test")
        assert answer.missing_reason == "server error"
        (answer,) = complete_stored(EchoEngine(log), [request("x")], store, "test")
    assert answer.text == "echo x"


class HandfulEngine(EchoEngine):
    """Answers in handfuls of three, says how many are left of one, and looks into the store before it makes another."""

    def __init__(self, log: Path, path: Path, fail_at: int | None = None) -> None:
        super().__init__(log)
        self._path = path
        self._left = 0
        self._fail_at = fail_at
        self.stored_before: list[int] = []

    def ready(self) -> int:
        return self._left

    def complete(self, requests: Sequence[Request]) -> Iterator[tuple[int, Completion]]:
        for start in range(0, len(requests), 3):
            with sqlite3.connect(self._path) as database:
                self.stored_before += database.execute("SELECT count(*) FROM completions").fetchone()
            handful = range(start, min(start + 3, len(requests)))
            for position in handful:
                self._left = handful[-1] - position
                if position == self._fail_at:
                    raise EngineError("the server is gone")
                yield position, Completion(f"echo {position}", "stop", 1, 2)


def test_what_is_ready_together_is_stored_before_the_engine_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    engine = HandfulEngine(tmp_path / "log", path)
    with Store(path) as store:
        answers = complete_stored(engine, numbered(8), store, "test")
        (session,) = store.sessions()
    assert [a.text for a in answers] == [f"echo {i}" for i in range(8)]
    assert engine.stored_before == [0, 3, 6]
    assert (session.completions, session.prompt_tokens, session.completion_tokens) == (8, 8, 16)


def test_an_engine_that_gives_up_in_a_handful_loses_nothing_that_it_had_answered(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store(path) as store:
        with pytest.raises(EngineError, match="gone"):
            complete_stored(HandfulEngine(tmp_path / "log", path, fail_at=5), numbered(8), store, "test")
        keys = [completion_key('{"engine":"echo"}', r) for r in numbered(8)]
        assert sorted(c.text for c in store.find(keys).values()) == [f"echo {i}" for i in range(5)]


def test_any_text_comes_back_as_it_was_stored(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:

        @given(st.text())
        def stored(text: str) -> None:
            completion = Completion(storable_text(text), "stop", details={"server": "x"})
            store.forget(["key"])
            store.put("key", completion)
            assert store.find(["key"]) == {"key": completion}

        stored()


def test_a_lone_surrogate_becomes_a_replacement_character() -> None:
    assert storable_text("a\ud800b😀") == "a\N{REPLACEMENT CHARACTER}b😀"


@pytest.mark.parametrize("answered", [5, 25, 45])
def test_a_kill_costs_only_what_was_in_flight(tmp_path: Path, answered: int) -> None:
    log = tmp_path / "log"
    # It cannot end before the kill, however long this process is not scheduled.
    worker = multiprocessing.get_context("spawn").Process(target=run_grid, args=(tmp_path, log, 60, 0.01, 55))
    worker.start()
    while len(sent(log)) < answered:
        assert worker.is_alive(), "the worker ended before its kill"
        time.sleep(0.01)
    os.kill(worker.pid or 0, signal.SIGKILL)
    worker.join()
    before = len(sent(log))
    assert 0 < before < 60
    run_grid(tmp_path, log, 60, 0.0)
    # One request was in flight; it may have been stored just before the kill, or not.
    assert len(sent(log)) in (60, 61)
    assert set(sent(log)) == {str(i) for i in range(60)}


def test_two_processes_share_a_store_and_send_no_request_twice(tmp_path: Path) -> None:
    log = tmp_path / "log"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=run_grid, args=(tmp_path, log, 80, 0.005)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert sorted(sent(log), key=int) == [str(i) for i in range(80)]


def test_one_store_serves_two_engines_apart(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with Store(tmp_path / "store.sqlite") as store:
        complete_stored(EchoEngine(log, name="a"), [request("x")], store, "test")
        complete_stored(EchoEngine(log, name="b"), [request("x")], store, "test")
    assert sent(log) == ["x", "x"]


def test_a_session_records_tokens_and_time(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        complete_stored(EchoEngine(tmp_path / "log", seconds=0.002), numbered(10), store, "the model")
        (session,) = store.sessions()
    assert (session.caption, session.completions) == ("the model", 10)
    assert (session.prompt_tokens, session.completion_tokens) == (10, 20)
    assert session.seconds >= 0.02


def test_a_file_that_is_no_store_is_an_error_with_a_remedy(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.write_text("not a database" * 100)
    with (
        pytest.raises(StoreError, match=r"store\.sqlite: damaged, or no store .*store mend.*move it away"),
        Store(path),
    ):
        pass


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.store import Store, StoreError
from refusal_stability.records import Completion
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
with Store(Path(sys.argv[1])) as store:
    store.put("first", Completion("kept", "stop"))
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, resource.RLIM_INFINITY))
    try:
        for i in range(1000):
            store.put(str(i), Completion("x" * 10_000, "stop"))
    except StoreError as error:
        print(error)
"""


def test_a_full_disk_is_an_error_with_a_remedy_and_loses_nothing_stored(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    out = subprocess.run([sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, check=False)
    assert "free some space" in out.stdout, out.stderr
    with Store(path) as store:
        assert store.find(["first"])["first"].text == "kept"


def test_a_database_that_may_not_grow_is_an_error_with_a_remedy_and_goes_on_once_it_may(tmp_path: Path) -> None:
    with Store(tmp_path / "store.sqlite") as store:
        store.put("first", Completion("kept", "stop"))
        pages = store._database.execute("PRAGMA page_count").fetchone()[0]
        store._database.execute(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StoreError, match=r"store\.sqlite: database or disk is full; free some space"):
            store.put("large", Completion("x" * 100_000, "stop"))
        assert list(store.find(["first", "large"])) == ["first"]
        store._database.execute("PRAGMA max_page_count = 1000000")
        store.put("large", Completion("x" * 100_000, "stop"))
        assert len(store.find(["large"])["large"].text) == 100_000


OPEN_AND_WAIT = """
import sys, time
from pathlib import Path
from refusal_stability.engines.store import Store
with Store(Path(sys.argv[1])):
    print("open", flush=True)
    time.sleep(600)
"""


def test_opening_removes_the_lock_files_of_killed_processes_and_no_others(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    command = [sys.executable, "-c", OPEN_AND_WAIT, str(path)]
    killed, living = (subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2))
    try:
        for process in (killed, living):
            assert process.stdout is not None
            assert process.stdout.readline() == "open\n"
        killed.kill()
        killed.wait()
        assert len(list(tmp_path.glob("*.alive"))) == 2
        with Store(path) as store:
            mine = f"store.sqlite.{store.owner}.alive"
            others = [file.name for file in tmp_path.glob("*.alive") if file.name != mine]
            assert len(others) == 1
            assert store._owner.others() == {others[0].split(".")[2]}
    finally:
        living.kill()
        living.wait()
    with Store(path):
        assert len(list(tmp_path.glob("*.alive"))) == 1
    assert list(tmp_path.glob("*.alive")) == []


OPEN_EACH_TOGETHER = """
import sys, time
from pathlib import Path
from refusal_stability.engines.store import Store
folder, stores = Path(sys.argv[1]), int(sys.argv[2])
print("ready", flush=True)
start = float(sys.stdin.readline())
for number in range(stores):
    time.sleep(max(0.0, start + 0.02 * number - time.time()))
    with Store(folder / f"{number}.sqlite"):
        pass
"""


def test_processes_that_open_a_new_store_at_the_same_moment_all_succeed(tmp_path: Path) -> None:
    command = [sys.executable, "-c", OPEN_EACH_TOGETHER, str(tmp_path), "100"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    processes = [subprocess.Popen(command, text=True, **pipes) for _ in range(3)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        start = f"{time.time() + 0.2}\n"
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(start)
            process.stdin.flush()
        said = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert said == ["", "", ""]
    assert [process.returncode for process in processes] == [0, 0, 0]


def test_a_run_that_only_waits_for_a_suspended_one_says_so_once_and_gets_its_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path, engine, asked = tmp_path / "store.sqlite", EchoEngine(tmp_path / "log"), [request("a"), request("b")]
    identity = canonical_json(engine.identity)
    keys = [completion_key(identity, each) for each in asked]
    monkeypatch.setattr(complete, "WAIT_SECONDS", 0.0)
    with Store(path) as suspended, Store(path) as store:
        assert suspended.claim(keys) == keys
        looks: list[float] = []

        def sleep(seconds: float) -> None:
            looks.append(seconds)
            if len(looks) == 3:
                # It goes on.
                suspended.put_all([(key, Completion("from the other", "stop")) for key in keys])

        monkeypatch.setattr(complete.time, "sleep", sleep)
        answers = complete_stored(engine, asked, store, "m")
    assert [answer.text for answer in answers] == ["from the other"] * 2
    assert not (tmp_path / "log").exists()
    said = [line for line in capsys.readouterr().err.splitlines() if "another process" in line]
    assert len(said) == 1
    assert said[0].startswith(f"{path}: 2 answers are asked for by another process")
    assert "If it is suspended, let it go on (`fg`) or end it" in said[0]
