"""A study through batch servers that fail at every step, or whose client is killed there: what is sent, stored, paid.

Each case asks 24 requests in files of 10. A case ends with a run that ends by itself. Then everything must be stored
once, and nothing may have been answered twice.
"""

from __future__ import annotations

import json
import logging
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from batch_cases import ANTHROPIC_CASES, CASES, Case
from batch_server import AnthropicServer, BatchServer, Server, answer_of

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.batch.engine import BatchEngine
from refusal_stability.engines.http.batch.journal import Journal
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Request, Sampling, StudyError

BAD = {"lost", "doubled", "paid twice", "wrong text", "unnoticed"}
COUNT = 24
POLL_S = 0.02
SETTINGS: dict[str, Any] = {"batch": True, "batch_size": 10, "batch_poll_s": POLL_S, "timeout_s": 60.0}
OPENAI: dict[str, Any] = {}
ANTHROPIC: dict[str, Any] = {
    "protocol": "anthropic_messages", "structured": "prompt", "headers": {"anthropic-version": "2023-06-01"},
}  # fmt: skip
CLIENT = """
import json
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
import batches
batches.ask(sys.argv[1], Path(sys.argv[2]), **json.loads(sys.argv[4]))
"""


def requests_of(count: int = COUNT) -> list[Request]:
    """The requests of every case."""
    return [Request((Message("user", f"prompt {i}"),), Sampling(1.0, i, i, max_tokens=8)) for i in range(count)]


def engine_at(url: str, **settings: Any) -> BatchEngine:
    """The engine of every case."""
    return BatchEngine(ModelParams("openai", "m"), OpenAISettings(base_url=url, **SETTINGS | settings), "models.m")


def ask(url: str, store: Path, count: int = COUNT, **settings: Any) -> list[Completion]:
    """Ask everything through the store."""
    with Store(store) as opened:
        return complete_stored(engine_at(url, **settings), requests_of(count), opened, "m")


class Killed:
    """A client process that the server kills at a step, before or after the step is done."""

    def __init__(self, server: Server, store: Path, settings: dict[str, Any]) -> None:
        here = str(Path(__file__).parent)
        self._command = [sys.executable, "-c", CLIENT, server.url, str(store), here, json.dumps(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def kill(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()

    def run(self) -> None:
        self._process = subprocess.Popen(self._command, stderr=subprocess.DEVNULL)
        assert self._process.wait(120) == -signal.SIGKILL


@contextmanager
def served(kind: type[Server] = BatchServer) -> Any:
    """A server for one case."""
    server = kind()
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)
    try:
        yield server
    finally:
        server.stop()


def run_case(case: Case, folder: Path, vendor: dict[str, Any] = OPENAI) -> Counter[str]:
    """Run one case to its end at a vendor, and count."""
    counts: Counter[str] = Counter()
    store = folder / "store.sqlite"
    with served(AnthropicServer if vendor else BatchServer) as server:
        case.set_up(server)
        if case.kill is not None:
            step, when, earlier = case.kill
            client = Killed(server, store, vendor)
            server.fail(step, *[None] * earlier, (when, client.kill))  # type: ignore[list-item]
            client.run()
            counts["killed"] += 1
        if case.damage is not None:
            before = {file: file.read_bytes() for file in Journal(store).folder.iterdir()}
            case.damage(Journal(store).folder)
            try:
                ask(server.url, store, **vendor)
            except StudyError:
                counts["stopped with an error"] += 1
            else:
                counts["unnoticed"] += 1
            for file, content in before.items():
                file.write_bytes(content)
        for _ in range(case.stops):
            try:
                ask(server.url, store, **vendor)
            except StudyError:
                counts["stopped with an error"] += 1
        answers = ask(server.url, store, **vendor)
        paid = server.paid + server.alone
        counts["batches"] = sum(not name.startswith("other") for name in server.batches)
        counts["sent"] = server.sent() + server.alone.total()
        counts["paid"] = paid.total()
        counts["paid twice"] = paid.total() - COUNT
        again = len(server.batches), server.alone.total()
        assert [a.text for a in ask(server.url, store, **vendor)] == [a.text for a in answers]
        counts["paid twice"] += (len(server.batches), server.alone.total()) != again
    expected = [answer_of(_body(request, seeded=not vendor)) for request in requests_of()]
    counts["wrong text"] = sum(a.text != b for a, b in zip(answers, expected, strict=True))
    with sqlite3.connect(store) as database:
        kept = [row[0] for row in database.execute("SELECT key FROM completions")]
    counts["stored"], counts["lost"], counts["doubled"] = len(kept), COUNT - len(kept), len(kept) - len(set(kept))
    counts["left in the journal"] = len(list(Journal(store).pending()))
    return counts


def _body(request: Request, seeded: bool) -> dict[str, Any]:
    last = {"content": request.messages[-1].content}
    seed = {"seed": request.sampling.stream} if seeded else {}
    return {"messages": [last], "temperature": request.sampling.temperature} | seed


def run(folder: Path) -> Counter[str]:
    """Every case of each vendor; prints a row for each, and counts what must not be."""
    total: Counter[str] = Counter()
    shown = (
        "sent",
        "batches",
        "paid",
        "stored",
        "lost",
        "doubled",
        "paid twice",
        "wrong text",
        "unnoticed",
        "left in the journal",
    )
    for vendor, settings, cases in (("OpenAI", OPENAI, CASES), ("Anthropic", ANTHROPIC, ANTHROPIC_CASES)):
        print(f"| {vendor} | " + " | ".join(shown) + " |")
        for number, (name, case) in enumerate(cases.items()):
            place = folder / f"{vendor}-{number}"
            place.mkdir()
            counts = run_case(case, place, settings)
            total += Counter({bad: counts[bad] for bad in BAD})
            total["case"] += 1
            print(f"| {name} | " + " | ".join(str(counts[key]) for key in shown) + " |", flush=True)
    return total


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    start = time.monotonic()
    with TemporaryDirectory() as temporary:
        print(json.dumps(run(Path(temporary))), f"{time.monotonic() - start:.0f} s")
