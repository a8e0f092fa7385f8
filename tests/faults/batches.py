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
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_server import AnthropicServer, BatchServer, Server, answer_of

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.batch.engine import BatchEngine
from refusal_stability.engines.http.batch.journal import Journal
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Request, Sampling, StudyError

BAD = {"lost", "doubled", "paid twice", "wrong text"}
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


@dataclass(frozen=True)
class Case:
    """What goes wrong at the server; `kill` is a step and whether the kill comes before or after it is done.

    `stops` is how many runs end in an error that says what to do; the same command then goes on.
    """

    set_up: Callable[[Any], object] = lambda _: None
    kill: tuple[str, str, int] | None = None
    stops: int = 0


def _fates(*fates: str) -> Callable[[Server], object]:
    return lambda server: server.fates.extend(fates)


def _fail(step: str, *faults: Any) -> Callable[[Server], object]:
    return lambda server: server.fail(step, *faults)


def _another_order(server: Server) -> None:
    server.lines_of = lambda lines: lines[::-1]


def _twice(server: Server) -> None:
    server.lines_of = lambda lines: [*lines, *lines[:3]]


def _lines_left_out(server: Server) -> None:
    """Answers that were never given are not paid for."""
    left: Counter[str] = Counter()

    def lines(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        gone = [line for number, line in enumerate(found) if number % 5 == 0 and not left[line["custom_id"]]]
        for line in gone:
            left[line["custom_id"]] += 1
            server.paid[line["custom_id"]] -= 1
        return [line for line in found if line not in gone]

    server.lines_of = lines


def _lines_of_errors(server: Server) -> None:
    seen: Counter[str] = Counter()

    def broken(line: dict[str, Any]) -> dict[str, Any] | None:
        seen[line["custom_id"]] += 1
        number = int(line["body"]["messages"][-1]["content"].split()[-1])
        if number % 7 == 3 and seen[line["custom_id"]] == 1:
            body = {"error": {"message": "The server had an error", "type": "server_error"}}
            return {"status_code": 500, "request_id": "r", "body": body}
        return None

    server.broken = broken


def _errors_alone(server: Server) -> None:
    """Each request of the first batch is an error, once."""
    seen: Counter[str] = Counter()

    def broken(line: dict[str, Any]) -> dict[str, Any] | None:
        seen[line["custom_id"]] += 1
        number = int(line["body"]["messages"][-1]["content"].split()[-1])
        if number <= 10 and seen[line["custom_id"]] == 1:
            body = {"error": {"message": "The server had an error", "type": "server_error"}}
            return {"status_code": 500, "request_id": "r", "body": body}
        return None

    server.broken = broken


def _error_before_the_answer(server: Server) -> None:
    """Three custom ids twice: the first line is no answer, the second is."""
    server.lines_of = lambda lines: [*({**line, **NO_ANSWER} for line in lines[:3]), *lines]


def _foreign_lines(server: Server) -> None:
    """Lines of no request, of a request of another batch, and without a name."""

    def lines(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
        others = [line["custom_id"] for sent in list(earlier) for line in sent if line["custom_id"] not in ours(found)]
        earlier.append(found)
        names = ["f" * 64, 7, None, *others[:2]]
        return [*({**found[0], "custom_id": name} for name in names), *found]

    def ours(found: list[dict[str, Any]]) -> set[str]:
        return {line["custom_id"] for line in found}

    earlier: list[list[dict[str, Any]]] = []
    server.lines_of = lines


# A line that both vendors' readers take for an error that may pass.
NO_ANSWER: dict[str, Any] = {
    "response": {"status_code": 500, "request_id": "r", "body": {"error": {"message": "The server had an error"}}},
    "result": {"type": "errored", "error": {"type": "error", "error": {"type": "api_error", "message": "Overloaded"}}},
}

CASES: dict[str, Case] = {
    "no fault": Case(),
    "lines in another order": Case(_another_order),
    "custom ids twice in the output": Case(_twice),
    "answers left out": Case(_lines_left_out),
    "lines in the error file": Case(_lines_of_errors),
    "error file alone": Case(_errors_alone),
    "an error before the answer": Case(_error_before_the_answer),
    "lines of other requests": Case(_foreign_lines),
    "output file named late": Case(lambda s: setattr(s, "late", 3)),
    "page of a proxy in place of the answers": Case(_fail("download", "page", "page")),
    "download that ends early, again and again": Case(_fail("download", "short", "short")),
    "expired half way": Case(_fates("expired", "completed", "expired")),
    "expired with nothing done": Case(_fates("expired whole", "expired whole")),
    "cancelled by somebody": Case(_fates("cancelled"), stops=1),
    "file refused": Case(_fates("completed", "invalid_json_line"), stops=1),
    "queue of tokens full": Case(_fates("completed", "token_limit_exceeded", "token_limit_exceeded")),
    "queue full, nothing waits": Case(_fates(*["token_limit_exceeded"] * 4)),
    "429 at each step": Case(lambda s: [s.fail(step, 429, 429) for step in ("upload", "create", "look", "download")]),
    "500 at each step": Case(lambda s: [s.fail(step, 500) for step in ("upload", "create", "look", "download")]),
    "connection drops after upload": Case(_fail("upload", "drop")),
    "connection drops after create": Case(_fail("create", "drop", "drop")),
    "torn download": Case(_fail("download", "torn", "torn")),
    "download that ends early, unseen": Case(_fail("download", "short")),
    "killed before the upload": Case(kill=("upload", "before", 1)),
    "killed between upload and create": Case(kill=("upload", "after", 1)),
    "killed before the create": Case(kill=("create", "before", 1)),
    "killed after the create": Case(kill=("create", "after", 0)),
    "killed after the last create": Case(kill=("create", "after", 2)),
    "killed while it looks": Case(kill=("look", "before", 4)),
    "killed at the last look": Case(kill=("look", "after", 8)),
    "killed before a download": Case(kill=("download", "before", 0)),
    "killed in a download": Case(kill=("download", "after", 1)),
    "killed with answers stored": Case(_lines_of_errors, kill=("download", "before", 1)),
}


def _queue_full(server: AnthropicServer) -> None:
    server.room = 15


def _others_beside(server: AnthropicServer) -> None:
    """Of the same size as ours, created between our look at the list and our create, and older ones."""
    server.add_others(10, 10, 4)
    server.fail("create", None, ("before", lambda: server.add_others(10, 4, 10)))


ANTHROPIC_STEPS = ("list", "create", "look", "download")
# What can also go wrong at Anthropic: there is no upload, and no file that is refused.
ANTHROPIC_CASES: dict[str, Case] = {
    **{name: case for name, case in CASES.items() if name in {
        "no fault", "lines in another order", "custom ids twice in the output", "answers left out", "expired half way",
        "an error before the answer", "lines of other requests", "page of a proxy in place of the answers",
        "download that ends early, again and again",
        "expired with nothing done", "cancelled by somebody", "torn download", "download that ends early, unseen",
        "connection drops after create", "killed before the create", "killed after the create",
        "killed after the last create", "killed while it looks", "killed at the last look",
        "killed before a download", "killed in a download", "killed with answers stored",
    }},
    "results that are errors": CASES["lines in the error file"],
    "429 at each step": Case(lambda s: [s.fail(step, 429, 429) for step in ANTHROPIC_STEPS]),
    "500 at each step": Case(lambda s: [s.fail(step, 500) for step in ANTHROPIC_STEPS]),
    "529 at each step": Case(lambda s: [s.fail(step, 529, 529) for step in ANTHROPIC_STEPS]),
    "created, but 500 is said": Case(_fail("create", "done", "done")),
    "connection drops at each create": Case(_fail("create", "drop", "drop", "drop")),
    "connection drops beside others' batches": Case(_others_beside),
    "queue full": Case(_queue_full),
    "queue full beside a create that failed": Case(_fail("create", 500, 429, 429, 429)),
    "queue full of others' requests": Case(_fail("create", *[429] * 5)),
    "killed before the list": Case(kill=("list", "before", 1)),
    "killed after the create, beside others' batches": Case(
        lambda s: s.add_others(10, 10), kill=("create", "after", 1)
    ),
}  # fmt: skip


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
    shown = ("sent", "batches", "paid", "stored", "lost", "doubled", "paid twice", "wrong text", "left in the journal")
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
