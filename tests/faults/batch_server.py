"""Servers on loopback with the batches of OpenAI and Anthropic as they are documented, and faults on demand.

A batch goes one state further each time it is looked at. What is answered counts as paid, by custom id. `faults` maps
a step to what its next requests meet: a status, `drop` (the step is done, the connection breaks), `done` (the step is
done, the answer is a status of 500), `torn` (half of a file), `short`, `page` (that of a proxy), `endless`, `at once`
(a 429 that asks to come back at once), or a function that is called before or after the step is done, such as one that
kills the client; then the connection breaks too.
"""

from __future__ import annotations

import asyncio
import json
import re
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from typing import Any

from aiohttp import web

CUSTOM_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
STATES = ("validating", "in_progress", "finalizing", "completed")
Fault = int | str | tuple[str, Callable[[], None]]


def answer_of(body: dict[str, Any]) -> str:
    """The one right answer to a request."""
    return f"{body['messages'][-1]['content']} at {body['temperature']} by {body.get('seed')}"


class Server:
    """A server in a thread: `routes` of a vendor, and what goes wrong at them."""

    def __init__(self) -> None:
        self.batches: dict[str, dict[str, Any]] = {}
        self.paid: Counter[str] = Counter()
        self.alone: Counter[str] = Counter()
        self.delay_s = 0.0
        # While this holds, single requests are taken and not answered.
        self.held = False
        # How many letters of no meaning stand beside each answer to a single request.
        self.padding = 0
        self.asked = 0
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

    def routes(self) -> Iterator[tuple[str, str, str, Callable[..., Any]]]:
        """Step, method, path and what is done."""
        raise NotImplementedError

    def sent(self) -> int:
        """How many requests the batches hold."""
        raise NotImplementedError

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
            for step, method, path, act in self.routes():
                app.router.add_route(method, path, self._at(step, act))
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
            self.asked += 1
            waiting = self.faults.get(step)
            fault = waiting.popleft() if waiting else None
            if isinstance(fault, int):
                headers = {"Retry-After": "0.1"} if fault == 429 else {}
                return _error(fault, "the fault of this step", headers=headers)
            if fault == "at once":
                return _error(429, "slow down", headers={"Retry-After": "0"})
            if fault == "endless":
                endless = web.StreamResponse()
                await endless.prepare(request)
                while True:
                    await endless.write(b" " * 65_536)
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
            if fault == "page":
                return web.json_response({"message": "sign in to the network", "status": "ok"})
            if fault == "short":
                return web.Response(body=response.body[: len(response.body) // 2])
            if fault == "done":
                return _error(500, "Internal server error")
            assert request.transport is not None
            request.transport.abort()
            return response

        return handle


class BatchServer(Server):
    """OpenAI's: a file is uploaded, and a batch is created of it."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        # How many looks at a batch that has ended do not name its files yet.
        self.late = 0
        self.refused: list[str] = []
        self.keeps_metadata = True
        super().__init__()

    def routes(self) -> Iterator[tuple[str, str, str, Callable[..., Any]]]:
        yield "upload", "POST", "/v1/files", self._upload
        yield "create", "POST", "/v1/batches", self._create
        yield "list", "GET", "/v1/batches", self._list
        yield "look", "GET", "/v1/batches/{id}", self._look
        yield "download", "GET", "/v1/files/{id}/content", self._download
        yield "alone", "POST", "/v1/chat/completions", self._alone

    def sent(self) -> int:
        return sum(self.files[batch["input_file_id"]].count(b"\n") for batch in self.batches.values())

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
            "status": "validating", "metadata": metadata if self.keeps_metadata else None, "errors": None,
            "output_file_id": None, "error_file_id": None,
            "request_counts": {"total": 0, "completed": 0, "failed": 0}, "_fate": fate,
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
                batch["_late"] = self.late
        elif batch.get("_late"):
            batch["_late"] -= 1
        shown = self._shown(name)
        if batch.get("_late"):
            unnamed = {"output_file_id": None, "error_file_id": None}
            return web.json_response(json.loads(shown.body) | unnamed)  # type: ignore[arg-type]
        return shown

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
        while self.held:
            await asyncio.sleep(0.005)
        self.alone[answer_of(body)] += 1
        return web.json_response(_completion(body) | {"padding": "x" * self.padding})

    def _shown(self, name: str) -> web.Response:
        return web.json_response({key: value for key, value in self.batches[name].items() if key[0] != "_"})


class AnthropicServer(Server):
    """Anthropic's: the requests are posted, and one stream has the results of a whole batch that has ended.

    `room` is how many requests may be in processing. `add_others` creates batches that are not the client's.
    """

    def __init__(self) -> None:
        self.requests: dict[str, list[dict[str, Any]]] = {}
        self.results: dict[str, bytes] = {}
        self.room = 100_000
        self.others = 0
        super().__init__()

    def routes(self) -> Iterator[tuple[str, str, str, Callable[..., Any]]]:
        yield "create", "POST", "/v1/messages/batches", self._create
        yield "list", "GET", "/v1/messages/batches", self._list
        yield "look", "GET", "/v1/messages/batches/{id}", self._look
        yield "download", "GET", "/v1/messages/batches/{id}/results", self._download
        yield "alone", "POST", "/v1/messages", self._alone

    def sent(self) -> int:
        return sum(len(requests) for name, requests in self.requests.items() if not name.startswith("other"))

    def add_others(self, *sizes: int) -> None:
        """Create batches of somebody else in the same workspace."""
        for size in sizes:
            params = {"messages": [{"role": "user", "content": "other"}], "temperature": 1.0}
            self._add(f"other_{self.others}", [{"custom_id": f"other{i}", "params": params} for i in range(size)])
            self.others += 1

    def archive(self, name: str) -> None:
        """What happens 29 days after the creation."""
        self.batches[name].update(archived_at="2024-08-20T18:37:24.100435Z", results_url=None)
        self.results.pop(name, None)

    def _add(self, name: str, requests: list[dict[str, Any]]) -> None:
        fate = self.fates.popleft() if self.fates and not name.startswith("other") else "completed"
        self.requests[name] = requests
        counts = {"processing": len(requests), "succeeded": 0, "errored": 0, "canceled": 0, "expired": 0}
        self.batches[name] = {
            "id": name, "type": "message_batch", "processing_status": "in_progress", "request_counts": counts,
            "ended_at": None, "archived_at": None, "results_url": None, "_fate": fate, "_looks": 0,
        }  # fmt: skip

    async def _create(self, request: web.Request) -> web.Response:
        if "anthropic-version" not in request.headers:
            return _said("invalid_request_error", "anthropic-version: header is required", 400)
        asked = (await request.json())["requests"]
        ids = [one["custom_id"] for one in asked]
        if not 0 < len(asked) <= 100_000 or len(set(ids)) < len(ids) or not all(map(CUSTOM_ID.fullmatch, ids)):
            return _said("invalid_request_error", "requests: too many, or a custom_id is not valid", 400)
        waiting = sum(batch["request_counts"]["processing"] for batch in self.batches.values())
        if waiting + len(asked) > self.room:
            message = "This request would exceed your organization's limit of batch requests in the processing queue."
            return _said("rate_limit_error", message, 429, {"Retry-After": "0.01"})
        name = f"msgbatch_{len(self.batches)}"
        self._add(name, asked)
        return self._shown(name)

    async def _list(self, request: web.Request) -> web.Response:
        names = list(reversed(self.batches))
        after, limit = request.query.get("after_id"), int(request.query.get("limit", "20"))
        assert 1 <= limit <= 1000
        names = names[names.index(after) + 1 :] if after else names
        # The client's look for the newest batch is no look at it.
        for name in names[:limit] if limit > 1 else ():
            self._advance(name)
        shown = [json.loads(self._shown(name).body) for name in names[:limit]]  # type: ignore[arg-type]
        edges = {"first_id": names[0], "last_id": names[:limit][-1]} if names else {"first_id": None, "last_id": None}
        return web.json_response({"data": shown, "has_more": len(names) > limit} | edges)

    async def _look(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.batches:
            return _said("not_found_error", f"Message Batch {name} not found.", 404)
        self._advance(name)
        return self._shown(name)

    def _advance(self, name: str) -> None:
        batch = self.batches[name]
        batch["_looks"] += 1
        if batch["processing_status"] == "ended" or batch["_looks"] < 3:
            return
        requests, fate = self.requests[name], batch["_fate"].split()[0]
        done = 0 if "whole" in batch["_fate"] else len(requests) if fate == "completed" else len(requests) // 2
        counts: Counter[str] = Counter(processing=0, succeeded=0, errored=0, canceled=0, expired=0)
        lines = []
        for number, one in enumerate(requests):
            body = {**one, "body": one["params"]}
            result: dict[str, Any] = {"type": "canceled" if fate == "cancelled" else fate}
            if number < done and (broken := self.broken(body)) is not None:
                result = {"type": "errored", "error": {"type": "error", "error": broken["body"]["error"]}}
            elif number < done:
                result = {"type": "succeeded", "message": _message(one["params"])}
                if not name.startswith("other"):
                    self.paid[one["custom_id"]] += 1
            counts[result["type"]] += 1
            lines.append({"custom_id": one["custom_id"], "result": result})
        self.results[name] = "".join(json.dumps(line) + "\n" for line in self.lines_of(lines)).encode()
        url = f"{self.url}/messages/batches/{name}/results"
        batch.update(processing_status="ended", request_counts=dict(counts), results_url=url)

    async def _download(self, request: web.Request) -> web.Response:
        name = request.match_info["id"]
        if name not in self.results:
            return _said("not_found_error", f"{name} has no available results.", 404)
        return web.Response(body=self.results[name], content_type="application/x-jsonl")

    async def _alone(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.alone[answer_of(body)] += 1
        return web.json_response(_message(body))

    def _shown(self, name: str) -> web.Response:
        return web.json_response({key: value for key, value in self.batches[name].items() if key[0] != "_"})


def _line(line: dict[str, Any], response: dict[str, Any] | None, error: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"id": f"r{line['custom_id'][:6]}", "custom_id": line["custom_id"], "response": response, "error": error}


def _completion(body: dict[str, Any]) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": answer_of(body)}, "finish_reason": "stop"}
    return {"id": "x", "model": "m", "choices": [choice], "usage": {"prompt_tokens": 10, "completion_tokens": 5}}


def _error(status: int, message: str, headers: dict[str, str] | None = None) -> web.Response:
    return web.json_response({"error": {"message": message, "type": "error"}}, status=status, headers=headers)


def _message(body: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": "msg_x", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": answer_of(body)}], "usage": {"input_tokens": 10, "output_tokens": 5},
    }  # fmt: skip


def _said(kind: str, message: str, status: int, headers: dict[str, str] | None = None) -> web.Response:
    said = {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_x"}
    return web.json_response(said, status=status, headers=headers)
