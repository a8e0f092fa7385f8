"""A server on loopback with OpenAI's files and batches as they are documented, and faults on demand.

A batch goes one state further each time it is looked at. What is answered counts as paid, by custom id. `faults` maps
a step to what its next requests meet: a status, `drop` (the step is done, the connection breaks), `torn` (half of a
file), or a function that is called before or after the step is done, such as one that kills the client.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from aiohttp import web

STATES = ("validating", "in_progress", "finalizing", "completed")
Fault = int | str | tuple[str, Callable[[], None]]


def answer_of(body: dict[str, Any]) -> str:
    """The one right answer to a request."""
    return f"{body['messages'][-1]['content']} at {body['temperature']} by {body.get('seed')}"


class BatchServer:
    """The server, in a thread."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.paid: Counter[str] = Counter()
        self.alone: Counter[str] = Counter()
        self.refused: list[str] = []
        self.delay_s = 0.0
        self.faults: dict[str, deque[Fault]] = {}
        # What becomes of batches, in the order of their creation: a state to end in, or an error code for the file.
        self.fates: deque[str] = deque()
        self.lines_of: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = lambda lines: lines
        self.broken: Callable[[dict[str, Any]], dict[str, Any] | None] = lambda _: None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        assert self._ready.wait(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)

    def fail(self, step: str, *faults: Fault) -> None:
        self.faults.setdefault(step, deque()).extend(faults)

    def _serve(self) -> None:
        async def start() -> None:
            app = web.Application(client_max_size=1 << 30)
            app.router.add_post("/v1/files", self._at("upload", self._upload))
            app.router.add_post("/v1/batches", self._at("create", self._create))
            app.router.add_get("/v1/batches", self._at("list", self._list))
            app.router.add_get("/v1/batches/{id}", self._at("look", self._look))
            app.router.add_get("/v1/files/{id}/content", self._at("download", self._download))
            app.router.add_post("/v1/chat/completions", self._at("alone", self._alone))
            self._runner = web.AppRunner(app, access_log=None)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[union-attr]
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    def _at(self, step: str, act: Callable[..., Any]) -> Callable[..., Any]:
        async def handle(request: web.Request) -> web.StreamResponse:
            waiting = self.faults.get(step)
            fault = waiting.popleft() if waiting else None
            if isinstance(fault, int):
                headers = {"Retry-After": "0.1"} if fault == 429 else {}
                return _error(fault, "the fault of this step", headers=headers)
            if isinstance(fault, tuple) and fault[0] == "before":
                fault[1]()
            response = await act(request)
            if isinstance(fault, tuple) and fault[0] == "after":
                fault[1]()
            if fault is None:
                return response
            if fault == "torn":
                half = web.StreamResponse(headers={"Content-Length": str(len(response.body))})
                await half.prepare(request)
                await half.write(response.body[: len(response.body) // 2])
            if fault == "short":
                return web.Response(body=response.body[: len(response.body) // 2])
            assert request.transport is not None
            request.transport.abort()
            return response

        return handle

    async def _upload(self, request: web.Request) -> web.Response:
        form = await request.post()
        if form.get("purpose") != "batch":
            return _error(400, "purpose must be batch")
        file = form["file"]
        assert isinstance(file, web.FileField)
        name = f"file-{len(self.files)}"
        self.files[name] = file.file.read()
        return web.json_response({"id": name, "object": "file", "bytes": len(self.files[name]), "purpose": "batch"})

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("completion_window") != "24h" or body.get("endpoint") != "/v1/chat/completions":
            return _error(400, "no such window or endpoint")
        if body.get("input_file_id") not in self.files:
            return _error(400, "no such file")
        metadata = body.get("metadata", {})
        assert len(metadata) <= 16
        assert all(len(k) <= 64 and len(v) <= 512 for k, v in metadata.items())
        name = f"batch_{len(self.batches)}"
        fate = self.fates.popleft() if self.fates else "completed"
        self.batches[name] = {
            "id": name, "object": "batch", "endpoint": body["endpoint"], "input_file_id": body["input_file_id"],
            "status": "validating", "metadata": metadata, "errors": None, "output_file_id": None,
            "error_file_id": None, "request_counts": {"total": 0, "completed": 0, "failed": 0}, "_fate": fate,
        }  # fmt: skip
        return self._shown(name)

    async def _list(self, request: web.Request) -> web.Response:
        names = list(reversed(self.batches))
        after, limit = request.query.get("after"), int(request.query.get("limit", "20"))
        names = names[names.index(after) + 1 :] if after else names
        shown = [json.loads(self._shown(name).body) for name in names[:limit]]  # type: ignore[arg-type]
        return web.json_response({"object": "list", "data": shown, "has_more": len(names) > limit})

    async def _look(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.batches:
            return _error(404, f"No batch found with id '{name}'.")
        batch = self.batches[name]
        if batch["status"] in STATES[:3]:
            batch["status"] = STATES[STATES.index(batch["status"]) + 1]
            if batch["status"] == "in_progress":
                self._validate(batch)
            elif batch["status"] == "completed":
                self._answer(batch)
        return self._shown(name)

    def _validate(self, batch: dict[str, Any]) -> None:
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        batch["request_counts"]["total"] = len(lines)
        code = None if batch["_fate"] in ("completed", "expired", "cancelled", "expired whole") else batch["_fate"]
        if len({line["custom_id"] for line in lines}) < len(lines):
            code = "duplicate_custom_id"
        if code is not None:
            batch["status"] = "failed"
            error = {"code": code, "line": None, "message": f"the file is refused: {code}", "param": None}
            batch["errors"] = {"object": "list", "data": [error]}

    def _answer(self, batch: dict[str, Any]) -> None:
        lines = [json.loads(line) for line in self.files[batch["input_file_id"]].splitlines()]
        fate = batch["_fate"].split()[0]
        done = 0 if batch["_fate"] == "expired whole" else len(lines) if fate == "completed" else len(lines) // 2
        output: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for number, line in enumerate(lines):
            if number >= done:
                error = {"code": f"batch_{fate}", "message": f"This request was not executed: {fate}."}
                errors.append(_line(line, None, error))
            elif (broken := self.broken(line)) is not None:
                errors.append(_line(line, broken))
            else:
                self.paid[line["custom_id"]] += 1
                output.append(_line(line, {"status_code": 200, "request_id": "r", "body": _completion(line["body"])}))
        batch["status"] = fate
        batch["request_counts"].update(completed=len(output), failed=len(errors))
        for field, found in (("output_file_id", self.lines_of(output)), ("error_file_id", errors)):
            if found:
                batch[field] = f"file-{len(self.files)}"
                self.files[batch[field]] = "".join(json.dumps(line) + "\n" for line in found).encode()

    async def _download(self, request: web.Request) -> web.Response:
        return web.Response(body=self.files[request.match_info["id"]])

    async def _alone(self, request: web.Request) -> web.Response:
        body = await request.json()
        if "top_k" in body:
            self.refused.append("top_k")
            return _error(400, "Unrecognized request argument supplied: top_k")
        await asyncio.sleep(self.delay_s)
        self.alone[answer_of(body)] += 1
        return web.json_response(_completion(body))

    def _shown(self, name: str) -> web.Response:
        return web.json_response({key: value for key, value in self.batches[name].items() if key[0] != "_"})


def _line(line: dict[str, Any], response: dict[str, Any] | None, error: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"id": f"r{line['custom_id'][:6]}", "custom_id": line["custom_id"], "response": response, "error": error}


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": answer_of(body)}, "finish_reason": "stop"}
    return {"id": "x", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "error"}}, status=status, headers=headers)
