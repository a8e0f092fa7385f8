"""A chat-completions server that misbehaves on demand, run as a process of its own by the tests of the HTTP engine.

`python misbehaving_server.py --port 0 --log FILE --fault reset --every 3 --times 2` breaks every third distinct request
on its first two tries and then answers it. Each try is appended to the log as a JSON line, so that counts survive a
kill. The answer is a function of messages, temperature and seed: a lost, doubled or mixed-up one shows.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
from functools import partial
from pathlib import Path
from typing import Any

from aiohttp import web

FAULTS = (
    "none",
    "rate-limit",
    "server-error",
    "reset",
    "stall",
    "truncated",
    "html",
    "no-choices",
    "no-content",
    "unauthorized",
    "bad-request",
    "filtered",
    "redirect",
    "no-quota",
    "too-long",
)


REFUSAL = "I'm sorry, but I can't help with that request. Please ask somebody who knows you."
HELP = "Sure, here is how it works. First you hold the line, and then you run against the wind until it rises."


def answer_text(body: dict[str, Any], ignore_seed: bool = False, in_words: bool = False) -> str:
    """The one right answer to a request."""
    seed = None if ignore_seed else body.get("seed")
    decides = json.dumps([body["messages"], body["temperature"], seed if body["temperature"] > 0 else None])
    digest = hashlib.sha256(decides.encode()).hexdigest()[:12]
    if "response_format" in body:
        return json.dumps({"reasoning": digest, "label": "REFUSE"})
    if in_words:
        return f"{REFUSAL if int(digest, 16) % 3 == 0 else HELP} ({digest})"
    return f"Answer {digest}."


class Server:
    """The state of one server process."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.tries: dict[str, int] = {}
        self.order: dict[str, int] = {}
        self.under_way = 0
        self.log = Path(options.log).open("a", buffering=1) if options.log else None  # noqa: SIM115 - open for life

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Answer one chat completion, or misbehave."""
        raw = await request.read()
        body = json.loads(raw)
        name = hashlib.sha256(raw).hexdigest()
        self.order.setdefault(name, len(self.order))
        self.tries[name] = self.tries.get(name, 0) + 1
        self.under_way += 1
        if self.log is not None:
            entry = {"name": name, "key": request.headers.get("Authorization"), "at": asyncio.get_running_loop().time()}
            self.log.write(json.dumps(entry | {"under_way": self.under_way, "body": body}) + "\n")
        try:
            return await self._respond(request, body, name)
        finally:
            self.under_way -= 1

    async def _respond(self, request: web.Request, body: dict[str, Any], name: str) -> web.StreamResponse:
        options = self.options
        if options.delay:
            await asyncio.sleep(options.delay)
        for field in options.reject.split(",") if options.reject else ():
            if field in body or (field == "json_schema" and body.get("response_format", {}).get("type") == field):
                return _error(400, f"Unrecognized request argument supplied: {field}")
        broken = self.order[name] >= options.after and (self.order[name] - options.after) % options.every == 0
        if options.fault != "none" and broken and self.tries[name] <= options.times:
            return await self._misbehave(request, body)
        return web.Response(body=self._body(body), content_type="application/json")

    def _body(self, body: dict[str, Any]) -> bytes:
        text = answer_text(body, self.options.ignore_seed, self.options.in_words)
        text = REFUSAL if self.options.refuses else text
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
        answer = {"id": "x", "object": "chat.completion", "model": "served-model"}
        answer["system_fingerprint"] = self.options.fingerprint
        return json.dumps(answer | {"choices": [choice], "usage": usage}).encode()

    async def _misbehave(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        fault = self.options.fault
        whole = self._body(body)
        if fault == "rate-limit":
            return _error(429, "Too many requests", {"Retry-After": str(self.options.retry_after)})
        if fault == "no-quota":
            return _error(429, "You exceeded your current quota", code="insufficient_quota")
        if fault == "server-error":
            return _error(500, "Internal server error")
        if fault == "unauthorized":
            return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization')}")
        if fault == "bad-request":
            return _error(400, f"The model does not exist; you sent {request.headers.get('Authorization')}")
        if fault == "filtered":
            return _error(400, "The prompt was filtered", code="content_filter")
        if fault == "too-long":
            return _error(400, "This model's maximum context length is 16 tokens", code="context_length_exceeded")
        if fault == "redirect":
            return web.Response(status=307, headers={"Location": "http://127.0.0.1:9/elsewhere"})
        if fault == "html":
            return web.Response(text="<html>Bad gateway</html>", content_type="text/html")
        if fault == "truncated":
            return web.Response(body=whole[: len(whole) // 2], content_type="application/json")
        if fault == "no-content":
            choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "length"}
            return web.json_response({"choices": [choice]})
        if fault == "no-choices":
            return web.Response(text='{"choices": []}', content_type="application/json")
        response = web.StreamResponse(headers={"Content-Length": str(len(whole)), "Content-Type": "application/json"})
        await response.prepare(request)
        await response.write(whole[: len(whole) // 2])
        if fault == "stall":
            await asyncio.sleep(600)
        assert request.transport is not None
        request.transport.abort()
        return response


def _error(
    status: int, message: str, headers: dict[str, str] | None = None, code: str | None = None
) -> web.StreamResponse:
    return web.json_response({"error": {"message": message, "code": code}}, status=status, headers=headers)


async def _models(options: argparse.Namespace, request: web.Request) -> web.StreamResponse:
    if options.key and request.headers.get("Authorization") != f"Bearer {options.key}":
        return _error(401, f"Incorrect API key provided: {request.headers.get('Authorization')}")
    return web.json_response({"object": "list", "data": [{"id": name} for name in options.models.split(",")]})


def main() -> None:
    """Serve until killed; the port is printed as the first line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--log")
    parser.add_argument("--fault", choices=FAULTS, default="none")
    parser.add_argument("--every", type=int, default=1, help="break every n-th distinct request")
    parser.add_argument("--after", type=int, default=0, help="... after this many good ones")
    parser.add_argument("--times", type=int, default=1, help="on its first n tries")
    parser.add_argument("--retry-after", type=float, default=1)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--reject", default="", help="fields, comma-separated, that get a 400")
    parser.add_argument("--ignore-seed", action="store_true")
    parser.add_argument("--in-words", action="store_true", help="help or refuse, as the answer's hash decides")
    parser.add_argument("--refuses", action="store_true", help="refuse everything")
    parser.add_argument("--fingerprint", default="fp_1")
    parser.add_argument("--models", help="names, comma-separated, to list at /v1/models; without it there is no list")
    parser.add_argument("--key", help="the one key with which the list is shown")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(options: argparse.Namespace) -> None:
    app = web.Application()
    app.router.add_post("/v1/chat/completions", Server(options).complete)
    if options.models:
        app.router.add_get("/v1/models", partial(_models, options))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", options.port, reuse_address=True)
    await site.start()
    assert site._server is not None
    print(site._server.sockets[0].getsockname()[1], flush=True)  # type: ignore[attr-defined]
    await asyncio.Event().wait()


if __name__ == "__main__":
    main()
