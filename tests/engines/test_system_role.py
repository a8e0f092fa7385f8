"""A server whose model has no system role: the control is answered, and a setting folds the system text away."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from refusal_stability.engines.complete import complete_stored
from refusal_stability.engines.open import open_engine
from refusal_stability.engines.store import Store
from refusal_stability.params.engines import ModelParams
from refusal_stability.records import Message, Outcome, Request, Sampling

CONTROL = (Message("user", "Why?"),)
CAREFUL = (Message("system", "Decline harm."), *CONTROL)
REJECTIONS = [
    "System role not supported",
    "Conversation roles must alternate user/assistant/user/assistant/...",
    "Developer instruction is not enabled for models/gemma-3-27b-it",
    "This model does not support system messages.",
]


class Gemma(ThreadingHTTPServer):
    """Answers conversations without a system message; `bodies` holds what was sent."""

    daemon_threads = True
    rejection = REJECTIONS[0]
    bodies: list[dict[str, Any]]


class Handler(BaseHTTPRequestHandler):
    server: Gemma

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.bodies.append(body)
        rejected = body["messages"][0]["role"] == "system"
        message = {"role": "assistant", "content": "Because."}
        answer: Any = {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
        if rejected:
            answer = {"error": {"message": self.server.rejection, "type": "invalid_request_error", "code": 400}}
        data = json.dumps(answer).encode()
        self.send_response(400 if rejected else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Gemma]:
    with Gemma(("127.0.0.1", 0), Handler) as running:
        running.bodies = []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def ask(server: Gemma, folder: Path, *conversations: tuple[Message, ...], **settings: Any) -> list[Any]:
    settings |= {"base_url": f"http://127.0.0.1:{server.server_address[1]}/v1", "concurrency": 1, "max_retries": 0}
    engine = open_engine(ModelParams("openai", "gemma", settings=settings), "models.m")
    requests = [Request(messages, Sampling(0.7, 1, 1, max_tokens=3)) for messages in conversations]
    with Store(folder / "store.sqlite") as store:
        return complete_stored(engine, requests, store, "m")


@pytest.mark.parametrize("rejection", REJECTIONS)
def test_a_rejected_system_prompt_costs_its_own_answers_even_as_the_first_request(
    server: Gemma, tmp_path: Path, rejection: str
) -> None:
    server.rejection = rejection
    careful, control = ask(server, tmp_path, CAREFUL, CONTROL)
    assert control.text == "Because."
    assert careful.outcome is Outcome.UNANSWERED
    assert rejection in careful.missing_reason
    assert careful.missing_reason.endswith("set fold_system: true in the model's settings, or drop the system prompt")


def test_folding_asks_only_what_the_control_did_not_pay_for(server: Gemma, tmp_path: Path) -> None:
    ask(server, tmp_path, CAREFUL, CONTROL)
    sent = len(server.bodies)
    careful, control = ask(server, tmp_path, CAREFUL, CONTROL, fold_system=True)
    assert [careful.text, control.text] == ["Because.", "Because."]
    (body,) = server.bodies[sent:]
    assert body["messages"] == [{"role": "user", "content": "Decline harm.\n\nWhy?"}]
