"""The metrics stage: 70,080 labels with 10,000 resamples, and growth from 20 thousand to 20 million labels.

Each size runs in a process of its own through `metrics_growth.py`, which lays out label files and runs the real stage.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from harness import Finding, main, run_child

BAR_PROMPTS, BAR_SECONDS = 3_504, 10.0
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
LARGEST_SECONDS, LARGEST_MIB = 120.0, 8 * 1024.0


def measure(quick: bool) -> list[Finding]:
    """Seconds and peak memory by size, and how much slower than linear the largest is."""
    rounds = [run([50])[0] if quick else run([BAR_PROMPTS])[0] for _ in range(1 if quick else 3)]
    found = [
        Finding(f"{rounds[0]['labels']:,} labels", [r["seconds"] for r in rounds], "s", BAR_SECONDS),
        Finding(f"{rounds[0]['labels']:,} labels: peak memory", [r["peak_mb"] for r in rounds], "MB"),
    ]
    sizes = run(list((50, 100) if quick else GROWTH))
    for size in sizes:
        largest = size["prompts"] == GROWTH[-1]
        bars = (LARGEST_SECONDS, LARGEST_MIB) if largest else (None, None)
        found.append(Finding(f"{size['labels']:,} labels", [size["seconds"]], "s", bars[0]))
        found.append(Finding(f"{size['labels']:,} labels: peak memory", [size["peak_mb"]], "MB", bars[1]))
    least, most = sizes[-2], sizes[-1]
    times = most["labels"] / least["labels"]
    grown = most["seconds"] / least["seconds"]
    step = f"the last step: time for {times:.0f} times the labels (linear: {times:.0f})"
    return [*found, Finding(step, [grown], "x")]


def run(sizes: list[int]) -> list[dict[str, float]]:
    """What metrics_growth.py measures for these numbers of prompts."""
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    script = str(Path(__file__).with_name("metrics_growth.py"))
    found = run_child([sys.executable, script, "--json", *map(str, sizes)], OMP_NUM_THREADS=threads)
    rows: list[dict[str, float]] = json.loads(found.out)
    return rows


if __name__ == "__main__":
    main("metrics", __doc__, measure)
