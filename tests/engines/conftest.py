"""Servers on loopback that answer by a function, run in a thread."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from aiohttp import web

KEY = "sk-secret-0123456789"
Answer = tuple[int, Any]


class Vendor:
    """A server of one vendor, in a thread."""

    def __init__(self, respond: Callable[[web.Request, dict[str, Any]], Answer]) -> None:
        self.bodies: list[dict[str, Any]] = []
        self._respond = respond
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self._ready.wait(10)

    def _serve(self) -> None:
        async def handle(request: web.Request) -> web.Response:
            body = await request.json()
            self.bodies.append(body)
            status, answer = self._respond(request, body)
            return web.Response(
                text=answer if isinstance(answer, str) else json.dumps(answer),
                status=status,
                content_type="application/json",
            )

        async def start() -> None:
            app = web.Application()
            app.router.add_post("/{path:.*}", handle)
            self._runner = web.AppRunner(app, access_log=None)
            await self._runner.setup()
            site = web.TCPSite(self._runner, "127.0.0.1", 0)
            await site.start()
            assert site._server is not None
            self.port = site._server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
            self._ready.set()

        self._loop.run_until_complete(start())
        self._loop.run_forever()

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


Serve = Callable[..., Vendor]


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Serve]:
    """Start servers that answer by a function of (request, body)."""
    for variable in ("OPENAI", "AZURE_OPENAI", "ANTHROPIC", "GEMINI", "MISTRAL", "GROQ", "OPENROUTER"):
        monkeypatch.setenv(f"{variable}_API_KEY", KEY)
    started: list[Vendor] = []

    def start(respond: Callable[[web.Request, dict[str, Any]], Answer]) -> Vendor:
        started.append(Vendor(respond))
        return started[-1]

    yield start
    for server in started:
        server.stop()
