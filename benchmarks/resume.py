"""Resuming: kill -9 after 6,000 of 17,520 requests over HTTP, run the same command again, count what is sent.

The kill lands a little past 6,000: the server is asked every 20 ms how many requests it has had. What the second run
sends must be exactly what the store lacked.
"""

from __future__ import annotations

import signal
import subprocess
import tempfile
import time
from pathlib import Path

from harness import Finding, main, stage_command, surroundings
from http_study import CONCURRENCY, MODEL, PROMPTS, lay_out, stored
from loopback_server import asked_of, serving

KILL_AT = 6000
FIRST_BAR = 5.0


def measure(quick: bool) -> list[Finding]:
    """What was sent twice, and how long the second run took to send its first request."""
    prompts, kill_at, rounds = (40, 200, 1) if quick else (PROMPTS, KILL_AT, 3)
    asked = prompts * 20
    runs = [killed_and_resumed(prompts, kill_at) for _ in range(rounds)]
    at, kept, after, first = (list(map(float, column)) for column in zip(*runs, strict=True))
    again = [a + b - asked for a, b in zip(at, after, strict=True)]
    return [
        Finding(f"requests sent when it was killed (a little past {kill_at:,})", at, ""),
        Finding("completions stored when it was killed", kept, ""),
        Finding(f"requests sent after it, all that were not stored of {asked:,}", after, ""),
        Finding("requests sent twice (at most those in flight)", again, "", float(CONCURRENCY)),
        Finding("start of the second run to its first request", first, "s", FIRST_BAR),
    ]


def killed_and_resumed(prompts: int, kill_at: int) -> tuple[int, int, int, float]:
    """(sent when killed, stored then, sent afterwards, seconds to the first of these)."""
    with tempfile.TemporaryDirectory() as place, serving() as port:
        folder = lay_out(Path(place) / "study", prompts, port)
        process = start(folder)
        while process.poll() is None and asked_of(port) < kill_at:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before, kept = asked_of(port), stored(folder)
        if not kill_at <= before < prompts * 20:
            raise SystemExit(f"killed at {before} of {prompts * 20} requests, not at {kill_at}")
        begun = time.perf_counter()
        process = start(folder)
        while process.poll() is None and asked_of(port) == before:
            time.sleep(0.02)
        first = time.perf_counter() - begun
        if process.wait() != 0 or stored(folder) != prompts * 20:
            raise SystemExit(f"the second run ended with {process.returncode} and {stored(folder)} completions")
        after = asked_of(port) - before
        if after != prompts * 20 - kept:
            raise SystemExit(f"the second run sent {after} requests where {prompts * 20 - kept} were not stored")
        return before, kept, after, first


def start(folder: Path) -> subprocess.Popen[bytes]:
    """The stage in the study's folder."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        stage_command("generate", MODEL), cwd=folder, env=surroundings(), stdout=quiet, stderr=quiet
    )


if __name__ == "__main__":
    main("resume", __doc__, measure, ("aiohttp", "pandas", "pyarrow"))
