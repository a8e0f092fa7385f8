"""A server that answers one request of several in every wrong way: only that request may suffer, and only so long."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from tempfile import TemporaryDirectory

from odd_answers import odd_answers

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Completion, Message, Request, Sampling, StudyError

BESIDE = 6
POISON = "poison"
# What an answer to it may begin with.
WORDS = ("fi", "late", "abc", "caf\ufffd", "word", "1", "\ufffd", "a\ufffdb")
MOST_TRIES = 40
LONGEST_S = 20
BAD = {"lost", "doubled", "wrong text", "traceback", "too long", "too often"}


def answer(content: object = "fine", **changes: object) -> bytes:
    """The body of a chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"}
    whole = {"model": "m", "choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}
    return json.dumps(whole | changes).encode()


def response(body: bytes, status: int = 200, headers: str = "", length: int | None = None) -> bytes:
    """A whole response, as it is written to the connection."""
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\n{headers}"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode("latin-1") + body


def _deep(levels: int, opening: str, closing: str) -> str:
    return opening * levels + "1" + closing * levels


def _with(field: str, text: str) -> bytes:
    """A good answer in which a field holds JSON written by hand."""
    bodies = {
        "usage": f'{{"choices":[{{"message":{{"content":"fine"}},"finish_reason":"stop"}}],"usage":{text}}}',
        "tokens": f'{{"choices":[{{"message":{{"content":"fine"}},"finish_reason":"stop"}}],"usage":'
        f'{{"prompt_tokens":{text},"completion_tokens":{text}}}}}',
        "model": f'{{"choices":[{{"message":{{"content":"fine"}},"finish_reason":"stop"}}],"model":{text}}}',
        "content": f'{{"choices":[{{"message":{{"content":{text}}},"finish_reason":"stop"}}]}}',
        "reason": f'{{"choices":[{{"message":{{"content":"fine"}},"finish_reason":{text}}}]}}',
        "thinking": f'{{"choices":[{{"message":{{"content":"fine","reasoning":{text}}},"finish_reason":"stop"}}]}}',
        "refusal": f'{{"choices":[{{"message":{{"content":"fine","refusal":{text}}},"finish_reason":"stop"}}]}}',
        "error": f'{{"error":{text}}}',
        "choices": f'{{"choices":{text}}}',
    }
    return response(bodies[field].encode())


VALUES = {
    "Infinity": "Infinity", "NaN": "NaN", "-Infinity": "-Infinity", "1e400": "1e400", "a text": '"abc"',
    "10^30": "1" + "0" * 30, "5,000 digits": "9" * 5000, "-1": "-1", "null": "null", "true": "true",
    "a list": "[1,[2]]",
    "an object": '{"a":{"b":[null]}}', "800 levels": _deep(800, '{"a":', "}"), "90,000 levels": _deep(90_000, "[", "]"),
    "half a letter": '"\\ud800"', "escapes": '"\\u001b[2J\\u0000\\u202e"', "empty": '""',
}  # fmt: skip
FIELDS = ("usage", "tokens", "model", "content", "reason", "thinking", "refusal", "error", "choices")
STATUSES = (
    201, 204, 206, 300, 301, 302, 304, 307, 400, 401, 402, 403, 404, 405, 406, 407, 408, 409, 410, 411, 413, 415, 418,
    421, 422, 424, 425, 426, 428, 429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 507, 508, 511, 520, 522, 529, 530,
    599, 999,
)  # fmt: skip
WAITS = ("0", "-1", "NaN", "inf", "1e-9", "soon", "", "9" * 400, "Thu, 01 Jan 1970 00:00:00 GMT",
         "Thu, 01 Jan 99999999999999999999 00:00:00 GMT", "0.0", "-1e308")  # fmt: skip


def behaviours() -> dict[str, bytes | str]:
    """Every behaviour by its name: what is written to the connection, or the name of what is done with it."""
    made: dict[str, bytes | str] = {
        f"{field}: {name}": _with(field, text) for field in FIELDS for name, text in VALUES.items()
    }
    made |= {f"status {s}": response(b'{"error": {"message": "no"}}', s) for s in STATUSES}
    made |= {f"Retry-After: {w[:40]}": response(b"{}", 429, f"Retry-After: {w}\r\n") for w in WAITS}
    bomb = gzip.compress(bytes(200 << 20), 1)
    made |= {
        "gzip bomb": response(bomb, headers="Content-Encoding: gzip\r\n"),
        "gzip that is none": response(answer(), headers="Content-Encoding: gzip\r\n"),
        "unknown encoding": response(answer(), headers="Content-Encoding: x-mine\r\n"),
        "brotli that is none": response(answer(), headers="Content-Encoding: br\r\n"),
        "body cut": response(answer(), length=10_000),
        "no body": response(b""),
        "html": response(b"<html><body>Bad gateway</body></html>"),
        "UTF-16": response(answer().decode().encode("utf-16")),
        "no UTF-8": response(b'{"choices":[{"message":{"content":"caf\xe9"},"finish_reason":"stop"}]}'),
        "byte order mark": response(b"\xef\xbb\xbf" + answer()),
        "2 MB text": response(answer("word " * 400_000)),
        "chunks that are none": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "no HTTP": b"\x00\x01\x02 hello\r\n\r\n",
        "HTTP/0.9": answer(),
        "status text": b"HTTP/1.1 abc\r\n\r\n",
        "a header of 1 MB": response(answer(), headers=f"X: {'y' * 1_000_000}\r\n"),
        "two lengths": response(answer(), headers="Content-Length: 3\r\n"),
        "closed": b"",
        "reset": "reset",
        "endless": "endless",
        "silent": "silent",
        "drip": "drip",
        "event stream": b"HTTP/1.1 200 X\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\ndata: {}\n\n",
    }
    return made | odd_answers(answer, response, _with)


class Misbehaving:
    """The server: answers `POISON` in the one way that is set, everything else well."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.behaviour: bytes | str = b""
        self.sent: Counter[str] = Counter()
        self.ended = False

    def serve(self) -> None:
        while not self.ended:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_one, args=(connection,), daemon=True).start()

    def _serve_one(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as reader:
            try:
                while self._answer_one(connection, reader):
                    pass
            except OSError:
                pass

    def _answer_one(self, connection: socket.socket, reader: BufferedReader) -> bool:
        length = 0
        while (line := reader.readline().strip()) and not self.ended:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not length:
            return False
        prompt = json.loads(reader.read(length))["messages"][-1]["content"]
        self.sent[prompt] += 1
        if prompt == POISON:
            self._misbehave(connection)
            return False
        written, stays = self.respond(prompt)
        connection.sendall(written)
        return stays

    def respond(self, prompt: str) -> tuple[bytes, bool]:
        """What is written for a prompt, and whether the connection stays open."""
        return response(answer(f"echo {prompt}")), True

    def _misbehave(self, connection: socket.socket) -> None:
        how = self.behaviour
        if isinstance(how, bytes):
            connection.sendall(how)
        elif how == "reset":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        elif how == "silent":
            time.sleep(3)
        else:
            connection.sendall(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
            for _ in range(4_000):
                connection.sendall(b" " * (100_000 if how == "endless" else 1))
                time.sleep(0 if how == "endless" else 0.01)


@contextmanager
def serving() -> Iterator[Misbehaving]:
    """A server on a port of its own."""
    server = Misbehaving()
    threading.Thread(target=server.serve, daemon=True).start()
    try:
        yield server
    finally:
        server.ended = True
        server.socket.close()


def meet(server: Misbehaving, how: bytes | str, folder: Path) -> str:
    """What becomes of a run whose server behaves so to one request: a word, from BAD where it must not be."""
    server.behaviour, server.sent = how, Counter()
    port = server.socket.getsockname()[1]
    # Long enough for every good answer on a busy machine, where nothing waits for the timeout.
    timeout = 2.0 if how in ("silent", "drip") else 60.0
    settings = OpenAISettings(base_url=f"http://127.0.0.1:{port}/v1", concurrency=4, timeout_s=timeout, max_retries=1)
    engine = HTTPEngine(ModelParams("openai", "m"), settings)
    prompts = ["0", "1", "2", POISON, *map(str, range(3, BESIDE))]
    requests = [Request((Message("user", prompt),), Sampling(1.0, 0, 0)) for prompt in prompts]
    start = time.monotonic()
    patience = threading.Timer(6.0, lambda: setattr(server, "behaviour", response(answer("late"))))
    patience.daemon = True
    patience.start()
    with TemporaryDirectory(dir=folder) as name:
        outcome, answers = _run(engine, requests, Path(name))
        patience.cancel()
        if outcome == "ended in one line":
            # A rerun must find what was answered.
            server.behaviour = response(answer("fine"))
            _, answers = _run(engine, requests, Path(name))
    return _judged(server, outcome, answers, prompts, time.monotonic() - start) if answers else outcome


def _run(engine: HTTPEngine, requests: list[Request], folder: Path) -> tuple[str, list[Completion]]:
    """A run as the stage makes it: its store, its answers or its error."""
    try:
        with Store(folder / "store.sqlite") as store:
            answers = complete_stored(engine, requests, store, "m")
        return ("a reason" if answers[3].missing_reason else "an answer"), answers
    except StudyError as error:
        return ("ended in one line" if str(error).isprintable() else "traceback"), []
    except Exception as error:  # noqa: BLE001 - whatever it is, it counts
        print(f"{type(error).__name__}: {error}"[:300])
        return "traceback", []


def _judged(server: Misbehaving, outcome: str, answers: list[Completion], prompts: list[str], seconds: float) -> str:
    others = {p: a.text for p, a in zip(prompts, answers, strict=True) if p != POISON}
    if any(text != f"echo {prompt}" for prompt, text in others.items()):
        return "lost"
    if any(count != 1 for prompt, count in server.sent.items() if prompt != POISON):
        return "doubled"
    if (text := answers[3].text.strip()) and not text.startswith(WORDS):
        return outcome if "\x1b" in answers[3].text else "wrong text"
    if server.sent[POISON] > MOST_TRIES:
        return "too often"
    return "too long" if seconds > LONGEST_S else outcome


def run(folder: Path, names: list[str] | None = None) -> Counter[str]:
    """Counts of outcomes over all behaviours, or those named."""
    counts: Counter[str] = Counter()
    with serving() as server:
        for name, how in behaviours().items():
            if names is None or name in names:
                print(name, flush=True) if names else None
                outcome = meet(server, how, folder)
                counts[outcome] += 1
                if outcome in BAD:
                    print(f"server: {name}: {outcome}")
    return counts
