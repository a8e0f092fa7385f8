"""The metrics stage: 70,080 labels of four models with 10,000 resamples, and growth from 20 thousand to 20 million.

The 70,080 are measured on synthetic label files and, where they are found (RS_SHARED, or `shared` beside the checkout),
on the published study's own, which have up to two judges a model and responses too. Each size runs in a process of its
own, on files that the stage reads as it reads any study's.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from itertools import pairwise
from pathlib import Path

from harness import ROOT, Finding, main, run_child, skipped, stage_command
from judging import PUBLISHED

STUDY = ROOT / "studies" / "published.yaml"
MODELS, PROMPTS, BAR_SECONDS = 4, 876, 10.0
PUBLISHED_SECONDS, FIXED_SECONDS = 3.0, 1.0
GROWTH = (1_000, 10_000, 100_000, 1_000_000)
# 2 GB of 10^9 bytes, in MB as metrics_growth.py counts them.
LARGEST_SECONDS, LARGEST_MB = 20.0, 2_000.0
START_BOUND = (
    "No label decides this time. Of 2.6 s of CPU time (load 16; 3.1 s before scipy.stats was loaded only where a table "
    "needs it), 0.8 s are imports before the first table (pandas 0.25 s, NumPy 0.1 s) and 0.5 s "
    "the import of scipy.stats for the tests of categories. The rest is spread over 44 tables."
)
PUBLISHED_BOUND = (
    "Of 6.9 s of CPU time (load 16; 10.8 s in paired runs before small groups' prompts were drawn one by one), 2.0 s "
    "are NumPy's draws of 302 million prompts and 9 million counts, 0.8 s imports on one core, and 0.5 s the import of "
    "scipy.stats. Two threads build the tables. With all but the first imports shared evenly by two cores that leaves "
    "3.9 s. The permutation tests of categories take about 0.9 s; other draws would change published p-values."
)
LARGEST_BOUND = (
    "Of 34.1 s of CPU time (load 17; 36.4 s and 2,015 MB before, measured beside it), 7 s go to reading and checking "
    "2.3 GB of CSV and 9.8 s to building and writing 0.75 GB of CSV with a row for every prompt. The rest is spread "
    "over the tables. Evenly shared by two cores that is 17 s, and reading is not shared evenly."
)


def measure(quick: bool) -> list[Finding]:
    """Seconds and peak memory by size, and the ratio of times from each size to the next."""
    sizes = run(list((50, 100) if quick else GROWTH))
    rounds = sizes[:1] if quick else [run([PROMPTS], MODELS)[0] for _ in range(3)]
    labels = f"{rounds[0]['labels']:,} synthetic labels"
    found = [
        *([] if quick else [published(3)]),
        Finding(labels, [r["seconds"] for r in rounds], "s", BAR_SECONDS),
        Finding(f"{labels}: peak memory", [r["peak_mb"] for r in rounds], "MB"),
    ]
    for size in sizes:
        largest = size["prompts"] == GROWTH[-1]
        bars = (LARGEST_SECONDS, LARGEST_MB) if largest else (None, None)
        seconds_bar = FIXED_SECONDS if size["prompts"] == GROWTH[0] else bars[0]
        bound = LARGEST_BOUND if largest else START_BOUND
        found.append(Finding(f"{size['labels']:,} labels", [size["seconds"]], "s", seconds_bar, bound=bound))
        found.append(Finding(f"{size['labels']:,} labels: peak memory", [size["peak_mb"]], "MB", bars[1]))
    for less, more in pairwise(sizes):
        step = f"time of {more['labels']:,} labels over that of {less['labels']:,}"
        linear = more["labels"] / less["labels"]
        found.append(Finding(f"{step} (linear: {linear:.0f})", [more["seconds"] / less["seconds"]], "x"))
    return found


def published(rounds: int) -> Finding:
    """The whole command, from its start to its last table, on the published study's labels."""
    what = "published study, 4 models, 70,080 labels by the primary judge"
    if not PUBLISHED.is_dir():
        return skipped(what, "s", "no published data; set RS_SHARED to the folder that holds them", PUBLISHED_SECONDS)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "studies").symlink_to(STUDY.parent)
        fetch = ["replication", "fetch", "published", "--study", str(STUDY), "--folder", str(PUBLISHED)]
        run_child(stage_command(*fetch), folder)
        run_child(stage_command("prompts"), folder)
        for model in models(folder):
            run_child(stage_command("generate", model), folder)
            run_child(stage_command("judge", model), folder)
        return Finding(
            what,
            [run_child(stage_command("metrics"), folder).seconds for _ in range(rounds)],
            "s",
            PUBLISHED_SECONDS,
            bound=PUBLISHED_BOUND,
        )


def models(folder: Path) -> list[str]:
    """The models of the study that is active in a folder."""
    from refusal_stability.params.load import load_params

    return list(load_params(folder / "params.yaml").models)


def run(sizes: list[int], models: int = 1) -> list[dict[str, float]]:
    """What metrics_growth.py measures for these numbers of prompts."""
    threads = os.environ.get("OMP_NUM_THREADS", "2")
    script = str(Path(__file__).with_name("metrics_growth.py"))
    command = [sys.executable, script, "--json", "--models", str(models), *map(str, sizes)]
    found = run_child(command, OMP_NUM_THREADS=threads)
    rows: list[dict[str, float]] = json.loads(found.out)
    return rows


if __name__ == "__main__":
    main("metrics", __doc__, measure, ("numpy", "pandas", "pyarrow", "scipy"))
