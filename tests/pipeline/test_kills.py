"""kill -9 at random moments: the finished files are those of an undisturbed run, and nothing stored is made again."""

from __future__ import annotations

import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest
from pipeline_study import PLANTED_RESPONSES, Study

pytestmark = [pytest.mark.pipeline, pytest.mark.timeout(1800)]

KILLS = 3
MODEL = "reference-wavering"


def stored(store: Path) -> int:
    if not store.exists():
        return 0
    with sqlite3.connect(store) as database:
        exists = database.execute("SELECT 1 FROM sqlite_master WHERE name = 'completions'").fetchone()
        return database.execute("SELECT count(*) FROM completions").fetchone()[0] if exists else 0


def made_by_last_session(store: Path) -> int:
    with sqlite3.connect(store) as database:
        return database.execute("SELECT completions FROM sessions ORDER BY rowid DESC LIMIT 1").fetchone()[0]


def kill_repeatedly(study: Study, command: tuple[str, ...], store: Path, total: int, seed: int) -> list[int]:
    """Start the command, kill it at a random moment while it makes completions; what was stored after each kill."""
    moments = random.Random(seed)
    counts = []
    for number in range(KILLS):
        process = study.start(*command)
        before = stored(store)
        # Kill somewhere between the start-up and well into the work, spread over the whole of it.
        goal = before + moments.randint(0, max(1, (total - before) // (KILLS - number + 1)))
        while process.poll() is None and stored(store) <= goal:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        counts.append(stored(store))
    return counts


def test_generate_survives_kills(planted: Study, trained: Study) -> None:
    expected = planted.files(f"data/generations/{MODEL}", "*.csv")
    store = trained.folder / "data/store/completions.sqlite"
    total = PLANTED_RESPONSES
    counts = kill_repeatedly(trained, ("refusal-stability", "generate", MODEL), store, total, seed=1)
    assert counts == sorted(counts)
    assert any(0 < count < total for count in counts)
    trained.run("refusal-stability", "generate", MODEL)
    assert trained.files(f"data/generations/{MODEL}", "*.csv") == expected
    assert stored(store) == total
    if counts[-1] < total:
        assert made_by_last_session(store) == total - counts[-1]


def test_judge_survives_kills(planted: Study, trained: Study) -> None:
    expected = planted.files(f"data/labels/{MODEL}", "*.csv")
    for name, content in planted.files(f"data/generations/{MODEL}", "*.csv").items():
        (trained.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (trained.folder / name).write_bytes(content)
    store = trained.folder / "data/store/completions.sqlite"
    distinct = stored(planted.folder / "data/store/completions.sqlite") - 2 * PLANTED_RESPONSES
    counts = kill_repeatedly(trained, ("refusal-stability", "judge", MODEL), store, distinct // 3, seed=2)
    assert counts == sorted(counts)
    assert counts[-1] > 0
    trained.run("refusal-stability", "judge", MODEL)
    assert trained.files(f"data/labels/{MODEL}", "*.csv") == expected
