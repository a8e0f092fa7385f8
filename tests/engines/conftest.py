"""Servers on loopback: threads that answer by a function, and vLLM's own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
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
        self._ready.wait(60)

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
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(60)


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


@pytest.fixture(scope="session")
def vllm_server(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., AbstractContextManager[str]]:
    """Serve a model folder, under the folder's name, with vLLM's OpenAI server; gives the base URL."""

    @contextmanager
    def serve(model: Path, context: int, *arguments: str) -> Iterator[str]:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        command = [sys.executable, "-m", "vllm.entrypoints.openai.api_server", "--model", str(model)]
        command += ["--served-model-name", model.name, "--host", "127.0.0.1", "--port", str(port)]
        command += ["--dtype", "float32", "--enforce-eager", "--max-model-len", str(context)]
        command += ["--generation-config", "vllm", *arguments]
        environment = {"VLLM_CPU_KVCACHE_SPACE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
        log = (tmp_path_factory.mktemp("server") / "log").open("w")
        server = subprocess.Popen(
            command, env=os.environ | environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/health", server, Path(log.name))
            yield f"http://127.0.0.1:{port}/v1"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(30)
            log.close()

    return serve


def wait_until_ready(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for a server to answer; fail with the end of its log where it stops first."""
    end = time.monotonic() + 400
    while time.monotonic() < end:
        assert server.poll() is None, log.read_text()[-3000:]
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.5)
    raise AssertionError(f"no server: {log.read_text()[-3000:]}")
