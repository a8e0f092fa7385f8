"""A real server for the commands that ask or look at one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

SERVER = Path(__file__).parent.parent / "engines" / "misbehaving_server.py"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Start a server with options; gives its base URL. What it is asked to complete is in `asked`."""
    started = []

    def start(*options: str) -> str:
        command = [sys.executable, str(SERVER), "--log", str(tmp_path / "asked"), *options]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        return f"http://127.0.0.1:{int(process.stdout.readline())}/v1"

    yield start
    for process in started:
        process.kill()
        process.wait()
