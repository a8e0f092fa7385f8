"""A small study that runs through every stage against a server on this machine, for the families that break stages."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from pipeline_study import copy_project

ROOT = Path(__file__).resolve().parent.parent.parent
SERVER = ROOT / "tests/engines/misbehaving_server.py"
CONCURRENCY = 4
PARAMS = """study: small
prompts: {{limit: 8}}
sampling: {{temperatures: [0.0, 0.7], seeds: [1, 2, 3]}}
models:
  served:
    engine: openai
    path: served-model
    settings: {{base_url: "http://127.0.0.1:{port}/v1", concurrency: {concurrency}}}
judging: {{judges: {{rules: {{kind: rules}}}}}}
metrics: {{n_resamples: 100}}
"""
TRAINED = """reference_models:
  tiny: {samples_per_prompt: 20, hidden_size: 16, layers: 1, heads: 1, vocabulary: 320, batch_size: 840}
"""
# Command -> what it writes.
STAGES: dict[str, tuple[str, ...]] = {
    "params": ("data/params",),
    "prompts": ("data/prompts",),
    "generate served": ("data/generations",),
    "judge served": ("data/labels",),
    "metrics": ("data/metrics",),
    "figures": ("reports/figures",),
    "report": ("reports/report.html", "reports/report.md", "reports/tables"),
    "track": ("reports/mlflow.json",),
}
TRAINING = {"train-reference tiny": ("models/reference/tiny",)}
OUTPUTS = [place for places in (STAGES | TRAINING).values() for place in places]
# What a killed process leaves, and the next one removes.
PARTIAL = (".part", ".unfinished", ".new", ".copy")


class SmallStudy:
    """A copy of the project with the small study, and the server that it asks."""

    def __init__(self, folder: Path, port: int, log: Path) -> None:
        self.study, self.folder, self._log = copy_project(ROOT, folder), folder, log
        (folder / "params.yaml").write_text(PARAMS.format(port=port, concurrency=CONCURRENCY))

    def files(self, places: Sequence[str] = OUTPUTS) -> dict[str, bytes]:
        """The bytes of what lies there under its final name, by path."""
        found = {}
        for place in places:
            whole = self.folder / place
            for file in [whole] if whole.is_file() else sorted(whole.rglob("*")):
                path = file.relative_to(self.folder)
                if file.is_file() and not any(part.startswith(".") for part in path.parts):
                    found[str(path)] = file.read_bytes()
        return found

    def left_over(self) -> list[str]:
        """Temporary files that nobody removed."""
        everything = [
            file for place in ("data", "reports", "models/reference") for file in (self.folder / place).rglob("*")
        ]
        return [str(f.relative_to(self.folder)) for f in everything if f.name.endswith(PARTIAL)]

    def tracked(self) -> Counter[tuple[str, str]]:
        """The active runs in MLflow, by name and state."""
        database = self.folder / "mlruns/mlflow.db"
        if not database.is_file():
            return Counter()
        with closing(sqlite3.connect(database)) as opened:
            return Counter(opened.execute("SELECT name, status FROM runs WHERE lifecycle_stage = 'active'"))

    def remove(self, places: Sequence[str]) -> None:
        """Remove files and folders, those that are not there too."""
        for place in places:
            path = self.folder / place
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)

    def sent(self) -> Counter[str]:
        """How often each request was sent since `forget_sent`."""
        return Counter(json.loads(line)["name"] for line in self._log.read_text().splitlines())

    def forget_sent(self) -> None:
        """Count what is sent from here on."""
        self._log.write_text("")


@contextmanager
def small_study(folder: Path) -> Iterator[SmallStudy]:
    """The study in a new folder; nothing has run. Its server ends with it."""
    folder.mkdir(exist_ok=True)
    log = folder / "requests.jsonl"
    log.touch()
    options = ["--in-words", "--delay", "0.1", "--log", str(log)]
    process = subprocess.Popen([sys.executable, str(SERVER), *options], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield SmallStudy(folder / "project", int(process.stdout.readline()), log)
    finally:
        process.kill()
        process.wait()


def command(stage: str) -> tuple[str, ...]:
    """The command of a stage of `STAGES`."""
    return ("refusal-stability", *stage.split())
