"""A loopback reasoning model that always decides alike, but thinks for longer at some seeds than `max_tokens` allows.

Half of the prompts are always refused, half always answered. The length of the thinking depends on the seed and the
prompt; where it does not fit, the answer ends inside the thinking, or holds nothing else. What a study reports of this
model as instability is an error of its reading. `python reasoning_server.py` prints its port and serves until killed.
"""

from __future__ import annotations

import hashlib
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REFUSAL = "I'm sorry, but I can't help with that."
HELP = "Sure! Here is the answer: the capital is Paris, which lies on the river Seine, as every map of France shows."
THOUGHT = (
    "Okay, the user asks about this. Here is what I know: first one looks at the map, then one follows the river. "
)


def reply(body: dict[str, Any]) -> tuple[str, str]:
    """The text and the finish reason for one request."""
    prompt = body["messages"][-1]["content"]
    digest = hashlib.sha256(f"{prompt}|{body.get('seed')}".encode()).digest()
    thinking = THOUGHT * (1 + digest[0] % 4)
    if len(thinking.split()) > body["max_tokens"]:
        return f"<think>\n{thinking}", "length"
    answer = REFUSAL if int(prompt.split()[-1].rstrip("?")) % 2 else HELP
    return f"<think>\n{thinking}</think>\n\n{answer}", "stop"


class Handler(BaseHTTPRequestHandler):
    """Chat completions and nothing else."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Print no line for each request."""

    def do_POST(self) -> None:
        """Answer one request."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        text, reason = reply(body)
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": reason}
        data = json.dumps({"model": "reasoner", "choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
