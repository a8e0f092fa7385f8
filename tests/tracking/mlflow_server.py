"""An MLflow tracking server on loopback, as a team runs one, with a database and an artifact store of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from refusal_stability.tracking.server import ENVIRONMENT


def start_server(folder: Path, tries: int = 3) -> tuple[subprocess.Popen[bytes], str]:
    """The server's process and address, once it answers; `folder` takes its files."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    places = ["--backend-store-uri", f"sqlite:///{folder}/server.db", "--artifacts-destination", str(folder / "store")]
    environment = os.environ | ENVIRONMENT
    environment.pop("MLFLOW_TRACKING_URI", None)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command + places, stdout=log, stderr=subprocess.STDOUT, env=environment, start_new_session=True
        )
    uri = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        with suppress(OSError), urllib.request.urlopen(f"{uri}/health", timeout=5) as answer:
            if answer.status == 200:
                return process, uri
        if process.poll() is not None:
            # Somebody else may have taken the port meanwhile.
            assert tries > 1, (folder / "server.log").read_text()[-2000:]
            return start_server(folder, tries - 1)
        time.sleep(0.2)
    stop_server(process)
    raise AssertionError((folder / "server.log").read_text()[-2000:])


def stop_server(process: subprocess.Popen[bytes]) -> None:
    """End the server and its workers at once."""
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """The address of a server that ends with the block."""
    process, uri = start_server(folder)
    try:
        yield uri
    finally:
        stop_server(process)
