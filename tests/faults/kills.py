"""Kill a run at random moments, again and again, and let the last one end: nothing lost, nothing doubled.

Four of five kills hit a run that sends requests to a server, the others a process that makes MLflow's database.
"""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from random import Random

from server_behaviours import Misbehaving

from refusal_stability.engines.store import Store
from refusal_stability.tracking.database import is_half_made

BAD = {"lost", "doubled", "traceback", "tracking broken"}
CONCURRENCY = 4
RUN = """
import sys
from pathlib import Path
from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Message, Request, Sampling
url, path, count = sys.argv[1:]
engine = HTTPEngine(ModelParams("openai", "m"), OpenAISettings(base_url=url, concurrency=4))
requests = [Request((Message("user", str(i)),), Sampling(1.0, 0, 0)) for i in range(int(count))]
with Store(Path(path)) as store:
    answers = complete_stored(engine, requests, store, "m")
assert [a.text for a in answers] == [f"echo {i}" for i in range(int(count))]
"""
TRACK = "from refusal_stability.tracking.server import *; open_client(local_store()).search_experiments()"
REQUESTS_A_KILL = 40
# So that a run lasts until its kill.
ANSWER_S = 0.02
MOST_START_S = 20.0


class Slow(Misbehaving):
    """Answers well, each time after a while; from `goal` requests on it waits, so that no run ends before its kill."""

    goal = math.inf

    def respond(self, prompt: str) -> tuple[bytes, bool]:
        """What is written for a prompt, and whether the connection stays open."""
        time.sleep(ANSWER_S)
        while self.sent.total() > self.goal + 2 * CONCURRENCY and not self.ended:
            time.sleep(ANSWER_S)
        return super().respond(prompt)


def run(seed: int, count: int, folder: Path) -> Counter[str]:
    """Counts of kills and of what was wrong after them."""
    random = Random(seed)
    tracking = count // 5
    return _kill_runs(random, count - tracking, folder) + _kill_tracking(random, tracking, folder)


def _kill_runs(random: Random, count: int, folder: Path) -> Counter[str]:
    server, store = Slow(), folder / "store.sqlite"
    threading.Thread(target=server.serve, daemon=True).start()
    requests = REQUESTS_A_KILL * count
    url = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
    command = [sys.executable, "-c", RUN, url, str(store), str(requests)]
    counts: Counter[str] = Counter()
    for _ in range(count):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        before = server.sent.total()
        server.goal = goal = before + random.randrange(2 * REQUESTS_A_KILL)
        deadline = time.monotonic() + MOST_START_S
        while process.poll() is None and server.sent.total() <= goal and time.monotonic() < deadline:
            time.sleep(0.002)
        ended = process.poll() is not None
        process.send_signal(random.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.wait()
        # A run that ended tests nothing.
        counts["ended before its kill" if ended else "run killed"] += 1
    server.goal = math.inf
    last = subprocess.run(command, stderr=subprocess.PIPE, text=True, check=False)
    counts["traceback"] += "Traceback" in last.stderr
    with Store(store) as opened:
        kept = opened._database.execute("SELECT count(*) FROM completions").fetchone()[0]
    counts["lost"] += requests - kept
    # What was in flight at a kill is sent again: at most as many as there are connections.
    counts["doubled"] += max(0, server.sent.total() - requests - CONCURRENCY * count)
    counts["sent again, in flight"] += server.sent.total() - requests
    server.ended = True
    server.socket.close()
    return counts


def _kill_tracking(random: Random, count: int, folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    command = [sys.executable, "-c", TRACK]
    place = folder / "tracking"
    place.mkdir()
    start = time.monotonic()
    subprocess.run(command, cwd=place, stderr=subprocess.DEVNULL, check=True)
    seconds = time.monotonic() - start
    database = place / "mlruns/mlflow.db"
    for _ in range(count):
        database.unlink(missing_ok=True)
        process = subprocess.Popen(command, cwd=place, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * random.uniform(0.2, 1.0))
        process.send_signal(random.choice([signal.SIGKILL, signal.SIGINT]))
        process.wait()
        counts["tracking killed"] += 1
        counts["tracking broken"] += database.exists() and is_half_made(database)
    counts["tracking broken"] += subprocess.run(command, cwd=place, stderr=subprocess.DEVNULL, check=False).returncode
    return counts
