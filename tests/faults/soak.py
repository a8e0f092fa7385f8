"""Many requests to a server that fails at random, with every fault: each is answered once, with its own text."""

from __future__ import annotations

import threading
from collections import Counter
from pathlib import Path
from random import Random

from server_behaviours import Misbehaving, answer, response

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.http.engine import HTTPEngine
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.records import Message, Request, Sampling

BAD = {"lost", "doubled"}
FAULTS = {
    "rate limit": response(b'{"error": {"message": "slow down"}}', 429, "Retry-After: 0\r\n"),
    "server error": response(b'{"error": {"message": "no"}}', 500),
    "overloaded": response(b"{}", 503),
    "gateway": response(b"<html>Bad gateway</html>", 502),
    "timeout": response(b"{}", 504),
    "html": response(b"<html></html>"),
    "no body": response(b""),
    "cut": response(answer("echo"), length=9_999),
    "no HTTP": b"\x00\x01\r\n\r\n",
    "no choices": response(b'{"choices": []}'),
    "closed": b"",
    "bad chunks": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    "bad gzip": response(answer("echo"), headers="Content-Encoding: gzip\r\n"),
}


class Flaky(Misbehaving):
    """Answers one try in twelve with a fault."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = Random(seed)
        self.faults: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()

    def respond(self, prompt: str) -> tuple[bytes, bool]:
        """What is written for a prompt, and whether the connection stays open."""
        if self._random.random() < 1 / 12:
            name = self._random.choice(list(FAULTS))
            self.faults[name] += 1
            return FAULTS[name], False
        self.answered[prompt] += 1
        return response(answer(f"echo {prompt}")), True


def run(seed: int, count: int, folder: Path) -> Counter[str]:
    """Counts of answers, faults by their number, and of what must not be."""
    server = Flaky(seed)
    threading.Thread(target=server.serve, daemon=True).start()
    url = f"http://127.0.0.1:{server.socket.getsockname()[1]}/v1"
    engine = HTTPEngine(ModelParams("openai", "m"), OpenAISettings(base_url=url, concurrency=32, timeout_s=20.0))
    requests = [Request((Message("user", str(i)),), Sampling(1.0, 0, 0)) for i in range(count)]
    with Store(folder / "store.sqlite") as store:
        answers = complete_stored(engine, requests, store, "soak")
    server.ended = True
    server.socket.close()
    texts = [a.text for a in answers]
    return Counter({
        "right": sum(text == f"echo {i}" for i, text in enumerate(texts)),
        "faults": server.faults.total(),
        "lost": sum(text != f"echo {i}" for i, text in enumerate(texts)),
        "doubled": sum(n - 1 for n in server.answered.values() if n > 1),
    })  # fmt: skip
