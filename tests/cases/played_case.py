"""Play a case: its stages in a copy of its folder, beside its own loopback server where it has one."""

from __future__ import annotations

import contextlib
import io
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from refusal_stability.params.load import load_params
from refusal_stability.records import StudyError
from refusal_stability.stages import generate, judge
from refusal_stability.stages import prompts as prompts_stage

PORT = 18990
ANSWER = "Sure! Here is the answer you asked for: it is Paris, and it lies on the river Seine in France."


@dataclass
class Played:
    """What a case left behind."""

    folder: Path
    error: str = ""
    output: str = ""
    exits: dict[str, int] = field(default_factory=dict)

    def table(self, pattern: str) -> pd.DataFrame:
        """All files that match, as one table; empty where there are none."""
        files = sorted(self.folder.glob(pattern))
        if not files:
            return pd.DataFrame()
        return pd.concat([pd.read_csv(f, keep_default_na=False) for f in files], ignore_index=True)

    @property
    def prompts(self) -> pd.DataFrame:
        return self.table("data/prompts/prompts.csv")

    @property
    def generations(self) -> pd.DataFrame:
        return self.table("data/generations/m/*.csv")

    @property
    def labels(self) -> pd.DataFrame:
        return self.table("data/labels/m/*.csv")

    def outcomes(self) -> str:
        """How many responses had each outcome, or the error that ended the case."""
        if self.generations.empty:
            return self.error or "no generations"
        counts = Counter(self.generations["outcome"])
        labelled = Counter(self.labels["label"].replace("", "missing")) if len(self.labels) else {}
        text = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))
        text += "; labels: " + ", ".join(f"{n} {name}" for name, n in sorted(labelled.items())) if labelled else ""
        return text + (f"; {self.error}" if self.error else "")


@contextlib.contextmanager
def inside(folder: Path) -> Iterator[None]:
    """Work in a folder for a while."""
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@contextlib.contextmanager
def served(folder: Path, port: int = PORT) -> Iterator[None]:
    """The case's own server, if it has one."""
    if not (folder / "serve.py").is_file():
        yield
        return
    process = subprocess.Popen([sys.executable, "serve.py"], cwd=folder)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if process.poll() is not None:
                # Its port is fixed, and another run of the cases may have it.
                time.sleep(0.5)
                process = subprocess.Popen([sys.executable, "serve.py"], cwd=folder)
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                if process.poll() is None:
                    break
            time.sleep(0.05)
        yield
    finally:
        process.kill()
        process.wait()


def play(
    folder: Path, stages: str = "prompts generate judge", change: Callable[[dict[str, Any]], None] | None = None
) -> Played:
    """Run stages on a case, its parameters changed where `change` says so, until one fails."""
    played, told = Played(folder), io.StringIO()
    run = {
        "prompts": lambda: prompts_stage.run(Path("params.yaml")),
        "generate": lambda: generate.run("m", Path("params.yaml")),
        "judge": lambda: judge.run("m", Path("params.yaml")),
        "plan": lambda: load_params(Path("params.yaml")),
    }
    with inside(folder), contextlib.redirect_stdout(told), contextlib.redirect_stderr(told):
        if (folder / "p.csv").is_file():
            Path("data/raw").mkdir(parents=True, exist_ok=True)
            shutil.copy("p.csv", "data/raw/p.csv")
        if change is not None:
            params = yaml.safe_load(Path("params.yaml").read_text())
            change(params)
            Path("params.yaml").write_text(yaml.safe_dump(params, allow_unicode=True, sort_keys=False))
        for stage in stages.split():
            try:
                run[stage]()
                played.exits[stage] = 0
            except StudyError as error:
                played.exits[stage] = 1
                played.error = f"{stage}: {error}"
                break
    played.output = told.getvalue()
    return played


def settings(**values: Any) -> Callable[[dict[str, Any]], None]:
    """A change of the model's settings."""

    def change(params: dict[str, Any]) -> None:
        params["models"]["m"].setdefault("settings", {}).update(values)

    return change


def answered(played: Played, count: int) -> bool:
    return len(played.generations) == count and set(played.generations["outcome"]) == {"answered"}


def _varied(size: int) -> str:
    """About so many characters of which nothing repeats as a degenerate answer does."""
    rng = random.Random(0)
    words = [f"w{rng.randrange(10**6)}" for _ in range(size // 8)]
    return ANSWER + "\n" + "\n".join(" ".join(words[i : i + 12]) + "." for i in range(0, len(words), 12))


@contextlib.contextmanager
def long_answers(size: int, port: int) -> Iterator[list[dict[str, Any]]]:
    """A server whose every answer has so many characters; yields the bodies that it was sent."""
    bodies: list[dict[str, Any]] = []
    body = {"choices": [{"index": 0, "message": {"role": "assistant", "content": _varied(size)}}]}
    body["choices"][0]["finish_reason"] = "stop"
    data = json.dumps(body).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", port), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield bodies
        server.shutdown()
        thread.join()


def served_case(folder: Path, change: Callable[[dict[str, Any]], None] | None = None) -> Played:
    """All stages of a case beside its server."""
    with served(folder):
        return play(folder, change=change)


def allow_missing(params: dict[str, Any]) -> None:
    """Let the judge stage pass whatever is missing: the case looks at what is labelled."""
    params["judging"]["max_missing"] = 1.0


def answers_stored(folder: Path) -> int:
    with sqlite3.connect(folder / "data/store/completions.sqlite") as database:
        return int(database.execute("SELECT count(*) FROM completions").fetchone()[0])
