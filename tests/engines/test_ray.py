"""The ray engine on several raylets of this machine, with kills of what may die. `make test-ray` runs it.

With `ARGS=-s` it prints what became of the requests in each case.
"""

from __future__ import annotations

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
from batch_server import BatchServer, answer_of
from batches import served

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.protocol import EngineError
from refusal_stability.engines.ray import RayEngine
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.records import Completion, Message, Request, Sampling

pytestmark = pytest.mark.ray
ray = pytest.importorskip("ray")

SEEDS = 5
COUNT = 120
IN_FLIGHT = 2
PATIENCE_S = 300.0
REPLICAS = 2
DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[3:]
import test_ray
test_ray.ask(sys.argv[1], sys.argv[2], Path("store.sqlite"))
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head without room for replicas, and two nodes with room for two each."""
    from ray.cluster_utils import Cluster

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    made = Cluster()
    patiently(lambda: made.add_node(num_cpus=0))
    made.nodes_with_room = [patiently(lambda: made.add_node(num_cpus=2)) for _ in range(2)]
    made.wait_for_nodes(300)
    yield made
    made.shutdown()


def patiently(start: Callable[[], Any]) -> Any:
    """A node, tried again where a busy machine takes over the half minute that Ray gives it."""
    for tries_left in reversed(range(4)):
        try:
            return start()
        except Exception:
            if not tries_left:
                raise
    raise AssertionError


@pytest.fixture
def server() -> Iterator[BatchServer]:
    with served() as found:
        found.delay_s = 0.02
        yield found


def requests_of(count: int = COUNT) -> list[Request]:
    """Prompts of five requests each."""
    return [
        Request((Message("user", f"prompt {i // SEEDS}"),), Sampling(1.0, i % SEEDS, i, max_tokens=8))
        for i in range(count)
    ]


def engine_at(address: str | None, url: str, **settings: Any) -> RayEngine:
    """Replicas that ask the server."""
    wrapped = {"base_url": url, "concurrency": IN_FLIGHT, "omit": ["top_k"], "timeout_s": 60.0}
    chosen = {"wraps": "openai", "settings": wrapped, "replicas": REPLICAS, "address": address, "chunk_size": 10}
    engine = open_engine(ModelParams("ray", "m", settings=chosen | settings), "params.yaml: models.m")
    assert isinstance(engine, RayEngine)
    return engine


def ask(address: str, url: str, store: Path) -> list[Completion]:
    """Ask everything through the store."""
    engine = engine_at(address, url)
    try:
        with Store(store) as opened:
            return complete_stored(engine, requests_of(), opened, "m")
    finally:
        engine.close()


def check(
    case: str, server: BatchServer, store: Path, got: list[Completion], again_at_most: int, died: int = 0
) -> None:
    """Every request has its own text and one row; nothing was sent again but what was in flight. Prints the counts."""
    bodies = [{"messages": [{"content": r.messages[0].content}], "temperature": 1.0, "seed": r.sampling.stream}
              for r in requests_of()]  # fmt: skip
    keys = _stored_keys(store)
    sent, lost, doubled = server.asked, COUNT - len(set(keys)), len(keys) - len(set(keys))
    print(f"\n| {case} | {died} | {sent} | {len(keys)} | {lost} | {doubled} | {sent - COUNT} |")
    assert (len(keys), lost, doubled) == (COUNT, 0, 0)
    assert [c.text for c in got] == [answer_of(body) for body in bodies]
    assert len(server.alone) == COUNT
    assert 0 <= sent - COUNT <= again_at_most


def deaths(caplog: pytest.LogCaptureFixture) -> int:
    """How many replicas the driver saw die."""
    return sum("a replica died" in record.getMessage() for record in caplog.records)


def _stored_keys(store: Path) -> list[str]:
    with closing(sqlite3.connect(store)) as database:
        return [key for (key,) in database.execute("SELECT key FROM completions")]


def test_replicas_write_what_one_process_writes_and_keep_prompts_together(
    cluster: Any, server: BatchServer, tmp_path: Path
) -> None:
    got = ask(cluster.address, server.url, tmp_path / "store.sqlite")
    check("nothing", server, tmp_path / "store.sqlite", got, 0)
    chunks = list(engine_at(cluster.address, server.url)._chunks(requests_of()))
    prompts = [{request.messages for request in chunk.requests.values()} for chunk in chunks]
    assert sum(map(len, prompts)) == COUNT // SEEDS
    assert {len(chunk.requests) for chunk in chunks} == {10}
    # The plain engine finds everything in the store, and asks for nothing.
    plain = {"base_url": server.url, "omit": ["top_k"]}
    with Store(tmp_path / "store.sqlite") as store:
        engine = open_engine(ModelParams("openai", "m", settings=plain), "m")
        assert complete_stored(engine, requests_of(), store, "m") == got
    assert server.alone.total() == COUNT


def test_a_local_model_writes_the_same_bytes_in_replicas(cluster: Any, tiny_model: Path) -> None:
    plain = open_engine(ModelParams("transformers", str(tiny_model)), "m")
    settings = {"wraps": "transformers", "replicas": 2, "address": cluster.address, "chunk_size": 10}
    engine = open_engine(ModelParams("ray", str(tiny_model), settings=settings), "m")
    requests = requests_of(40)
    try:
        texts = {place: completion.text for place, completion in engine.complete(requests)}
    finally:
        engine.close()
    assert engine.identity == plain.identity
    assert texts == {place: completion.text for place, completion in plain.complete(requests)}
    assert len(set(texts.values())) > 20


def test_a_node_that_dies_costs_only_what_was_in_flight(
    cluster: Any, server: BatchServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lost = cluster.nodes_with_room.pop()
    engine = engine_at(cluster.address, server.url, replicas=4)
    try:
        with Store(tmp_path / "store.sqlite") as store:
            killer = in_background(_while_held, server, engine, 20, lambda: cluster.remove_node(lost, False))
            got = complete_stored(engine, requests_of(), store, "m")
            killer.join(PATIENCE_S)
    finally:
        engine.close()
        cluster.nodes_with_room.append(patiently(lambda: cluster.add_node(num_cpus=2)))
        cluster.wait_for_nodes(300)
    # Two replicas died, each with a chunk of ten, of which some answers had not reached the driver.
    assert deaths(caplog) >= 2
    check("a node with two replicas dies", server, tmp_path / "store.sqlite", got, 2 * 10, deaths(caplog))


def test_a_driver_that_is_killed_goes_on_where_it_was(cluster: Any, server: BatchServer, tmp_path: Path) -> None:
    here = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "faults")]
    command = [sys.executable, "-c", DRIVER, cluster.address, server.url, *here]
    driver = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    _when_answered(server, 30, lambda: driver.send_signal(signal.SIGKILL))
    assert driver.wait(PATIENCE_S) == -signal.SIGKILL
    stored = len(_stored_keys(tmp_path / "store.sqlite"))
    assert stored > 0
    before = server.alone.total()
    got = ask(cluster.address, server.url, tmp_path / "store.sqlite")
    check("the driver is killed, and started again", server, tmp_path / "store.sqlite", got, COUNT)
    # Nothing that was stored is asked again: only what the first driver had not stored is.
    assert server.alone.total() - before <= COUNT - stored + REPLICAS * 10


def test_a_replica_that_stands_still_is_waited_for_while_the_others_go_on(
    cluster: Any, server: BatchServer, tmp_path: Path
) -> None:
    engine = engine_at(cluster.address, server.url)
    stopped: list[int] = []

    def stop_one() -> None:
        stopped.append(engine.processes()[0])
        os.kill(stopped[0], signal.SIGSTOP)

    def let_it_go() -> None:
        # By then the other has answered all but the chunk of the one that stands still.
        _when_answered(server, COUNT - 10, lambda: os.kill(stopped[0], signal.SIGCONT))

    try:
        with Store(tmp_path / "store.sqlite") as store:
            waker = in_background(lambda: (_when_answered(server, 10, stop_one), let_it_go()))
            got = complete_stored(engine, requests_of(), store, "m")
            waker.join(PATIENCE_S)
    finally:
        engine.close()
    check("a replica stands still for a while", server, tmp_path / "store.sqlite", got, 0)


def test_a_replica_that_stands_still_for_good_is_said_and_replaced(
    cluster: Any, server: BatchServer, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refusal_stability.engines.ray.QUIET_S", 5.0)
    engine = engine_at(cluster.address, server.url, answer_s=20.0)
    stopped: list[int] = []

    def stop_one() -> None:
        stopped.append(engine.processes()[0])
        os.kill(stopped[0], signal.SIGSTOP)

    try:
        with Store(tmp_path / "store.sqlite") as store:
            stopper = in_background(_when_answered, server, 10, stop_one)
            got = complete_stored(engine, requests_of(), store, "m")
            stopper.join(PATIENCE_S)
    finally:
        engine.close()
    # Nothing is left of it that would hold its share of the node.
    until(lambda: not psutil.pid_exists(stopped[0]), "the end of the stopped process")
    said = [record.getMessage() for record in caplog.records]
    assert any("nothing came for" in one and f"processes {stopped[0]}" in one for one in said)
    assert any("a replica died (no answer within 20 s, its setting answer_s)" in one for one in said)
    check(
        "a replica stands still for good", server, tmp_path / "store.sqlite", got, 10 * deaths(caplog), deaths(caplog)
    )


def test_a_replica_out_of_memory_is_replaced(
    cluster: Any, server: BatchServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    engine = engine_at(cluster.address, server.url)
    starved: list[int] = []

    def starve() -> None:
        starved.append(engine.processes()[0])
        resource.prlimit(starved[0], resource.RLIMIT_AS, (1 << 20, 1 << 20))
        # It cannot take what it waits for.
        server.padding = 20_000_000

    def enough() -> None:
        until(lambda: starved[0] not in engine.processes() or server.alone.total() >= COUNT, "the starved one's end")
        server.padding = 0

    try:
        with Store(tmp_path / "store.sqlite") as store:
            taker = in_background(_while_held, server, engine, 10, starve, enough)
            got = complete_stored(engine, requests_of(), store, "m")
            taker.join(PATIENCE_S)
            assert starved
    finally:
        engine.close()
    assert deaths(caplog) == 1
    check("a replica runs out of memory", server, tmp_path / "store.sqlite", got, 10, deaths(caplog))


def test_replicas_that_keep_dying_end_the_run_with_what_to_do(cluster: Any, server: BatchServer) -> None:
    engine = engine_at(cluster.address, server.url, replicas=1)

    def kill() -> None:
        for process in engine.processes():
            os.kill(process, signal.SIGKILL)

    server.fail("alone", *[("before", kill)] * 20)
    try:
        with pytest.raises(EngineError, match="3 replicas in a row died without an answer"):
            list(engine.complete(requests_of(10)))
    finally:
        engine.close()


def test_what_the_wrapped_engine_says_ends_the_run(cluster: Any, server: BatchServer) -> None:
    server.fail("alone", *[401] * 20)
    engine = engine_at(cluster.address, server.url)
    try:
        with pytest.raises(EngineError, match=r"models\.m\.settings\.api_key_env: .* rejects a request without a key"):
            list(engine.complete(requests_of(10)))
    finally:
        engine.close()


def test_no_room_for_a_replica_is_said_with_what_there_is(cluster: Any, server: BatchServer) -> None:
    engine = engine_at(cluster.address, server.url, cpus_per_replica=64.0, start_s=1.0)
    try:
        with pytest.raises(EngineError, match=r"no replica started within 1 s; each needs 64 CPUs .*'CPU': 4"):
            list(engine.complete(requests_of(10)))
    finally:
        engine.close()


def test_an_address_where_nothing_listens_ends_the_run_at_once(server: BatchServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
    with pytest.raises(EngineError, match=rf"no cluster answers at 127.0.0.1:{free} .*refused.*ray start --head"):
        list(engine_at(f"127.0.0.1:{free}", server.url).complete(requests_of(10)))


def test_a_cluster_that_asks_for_a_token_gets_the_one_of_this_machine(server: BatchServer, tmp_path: Path) -> None:
    """As after `ray start --head` in another shell, with the driver's environment as it is."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("RAY")} | {"HOME": str(tmp_path)}
    command = [sys.executable, "-m", "ray.scripts.scripts"]
    (tmp_path / ".ray").mkdir()
    (tmp_path / ".ray/auth_token").write_text("a" * 64)
    code = f"""
import sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent / "faults")]!r}
import test_ray
engine = test_ray.engine_at(sys.argv[1], {server.url!r}, replicas=1)
print(len(list(engine.complete(test_ray.requests_of(10)))))
engine.close()
"""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
    start = [*command, "start", "--head", "--block", f"--port={port}", "--num-cpus=1", "--include-dashboard=false"]
    with (tmp_path / "head.log").open("w") as log:
        head = subprocess.Popen(start, env=env | {"PYTHONUNBUFFERED": "1"}, stdout=log, stderr=log)
    try:
        until(lambda: "Ray runtime started" in (tmp_path / "head.log").read_text(), "the head")
        for address, more in ((f"127.0.0.1:{port}", {}), ("auto", {"RAY_ADDRESS": f"127.0.0.1:{port}"})):
            ran = subprocess.run(
                [sys.executable, "-c", code, address], env=env | more, capture_output=True, text=True, check=False
            )
            assert ran.stdout == "10\n", ran.stderr
    finally:
        head.terminate()
        head.wait(PATIENCE_S)


def test_alone_it_listens_on_this_machine_only_and_reports_nothing(server: BatchServer, tmp_path: Path) -> None:
    code = f"""
import sys, psutil
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parent.parent / "faults")]!r}
import test_ray
engine = test_ray.engine_at(None, {server.url!r}, replicas=1)
print(len(list(engine.complete(test_ray.requests_of(10)))))
children = psutil.Process().children(recursive=True)
ports = [c for p in [psutil.Process(), *children] for c in p.net_connections("inet") if c.status == "LISTEN"]
print(len(ports) > 3, sorted({{c.laddr.ip.removeprefix("::ffff:") for c in ports}}))
import ray._common.usage.usage_lib
print(ray._common.usage.usage_lib.usage_stats_enabled())
print(any(":8265" in str(c.laddr) for c in ports))
engine.close()
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["10", "True ['127.0.0.1']", "False", "False"]


def in_background(act: Callable[..., Any], *arguments: Any) -> threading.Thread:
    """A thread that does not outlive a test that fails meanwhile."""
    thread = threading.Thread(target=act, args=arguments, daemon=True)
    thread.start()
    return thread


def until(done: Callable[[], bool], what: str) -> None:
    """Wait for something, and say what it was if it does not come."""
    deadline = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < deadline, f"waited {PATIENCE_S:g} s for {what}"
        time.sleep(0.005)


def _when_answered(server: BatchServer, count: int, act: Any) -> None:
    until(lambda: server.alone.total() >= count, f"{count} answers")
    act()


def _while_held(
    server: BatchServer, engine: RayEngine, count: int, act: Any, then: Callable[[], None] = lambda: None
) -> None:
    """Act while every replica has a chunk and none gets an answer."""
    _when_answered(server, count, lambda: setattr(server, "held", True))
    try:
        until(lambda: engine._working() >= engine._settings.replicas, "work for every replica")
        act()
    finally:
        server.held = False
    then()
