"""What goes wrong at batch servers, with their clients, and with what is written down beside the store."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batch_server import AnthropicServer, Server


@dataclass(frozen=True)
class Case:
    """What goes wrong at the server; `kill` is a step and whether the kill comes before or after it is done.

    `stops` is how many runs end in an error that says what to do; the same command then goes on. `damage` is done to
    the journal's files after the kill. The run then has to stop, and goes on once they are as they were.
    """

    set_up: Callable[[Any], object] = lambda _: None
    kill: tuple[str, str, int] | None = None
    stops: int = 0
    damage: Callable[[Path], object] | None = None


def _fates(*fates: str) -> Callable[[Server], object]:
    return lambda server: server.fates.extend(fates)


def _fail(step: str, *faults: Any) -> Callable[[Server], object]:
    return lambda server: server.fail(step, *faults)


def _changed(kind: str, change: Callable[[Path], object]) -> Callable[[Path], object]:
    """A change of a file in a journal, of a batch whose name at the server is known."""

    def damage(folder: Path) -> None:
        known = [file for file in sorted(folder.glob("*.json")) if json.loads(file.read_text())["batch_id"]]
        change(known[0].with_suffix(f".{kind}"))

    return damage


def _flip(place: float) -> Callable[[Path], object]:
    """Change the lowest bit of a byte, so far into a file."""

    def change(file: Path) -> None:
        content = bytearray(file.read_bytes())
        content[int(place * len(content))] ^= 1
        file.write_bytes(content)

    return change


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

LAST_CREATED = ("create", "after", 2)
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
    "connection drops after create, no metadata": Case(
        lambda s: [setattr(s, "keeps_metadata", False), s.fail("create", "drop", "drop")]
    ),
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
    "busy, and asks to come back at once": Case(
        lambda s: [s.fail(step, *["at once"] * 5) for step in ("upload", "create", "look", "download")]
    ),
    "a look that has no end": Case(_fail("look", "endless"), stops=1),
    "journal: keys emptied": Case(kill=LAST_CREATED, damage=_changed("keys", lambda file: file.write_text(""))),
    "journal: keys gone": Case(kill=LAST_CREATED, damage=_changed("keys", Path.unlink)),
    "journal: a bit of the keys": Case(kill=LAST_CREATED, damage=_changed("keys", _flip(0.3))),
    "journal: entry gone": Case(kill=LAST_CREATED, damage=_changed("json", Path.unlink)),
    "journal: a bit of the entry": Case(kill=LAST_CREATED, damage=_changed("json", _flip(0.5))),
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
        "killed before a download", "killed in a download", "killed with answers stored", "a look that has no end",
        "journal: keys emptied", "journal: keys gone", "journal: a bit of the keys", "journal: entry gone",
        "journal: a bit of the entry",
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
