"""The fault suite: `make faults` runs every family and prints what was lost, doubled, silent or a traceback.

`make faults ARGS="store servers --seed 7"` runs some. The gate runs a small part of each as tests.
"""

from __future__ import annotations

import argparse
import logging
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory

import batches
import broken_models
import disks
import echoed_secrets
import hostile_pages
import kills
import server_behaviours
import soak
import store_damage
import study_disks
import study_kills

# Name -> the words for it, what runs it, and the outcomes that must not be.
Family = Callable[[int, Path], "Counter[str]"]
FAMILIES: dict[str, tuple[str, Family, set[str]]] = {
    "store": ("600 damaged stores", lambda seed, folder: store_damage.run(seed, 600, folder), store_damage.BAD),
    "servers": ("wrong answers", lambda _, folder: server_behaviours.run(folder), server_behaviours.BAD),
    "secrets": ("echoed keys", lambda _, __: echoed_secrets.run(), {"shown"}),
    "kills": ("80 kills of runs, 20 of MLflow's start", lambda seed, folder: kills.run(seed, 100, folder), kills.BAD),
    "stage-kills": (
        "kills of nine stages and of dvc repro",
        lambda seed, folder: study_kills.run(seed, of_each_stage=24, of_repro=34, folder=folder),
        study_kills.BAD,
    ),
    "stage-disks": (
        "stages without space, inodes or permission",
        lambda seed, folder: study_disks.run(seed, tries=1, folder=folder),
        study_disks.BAD,
    ),
    "models": ("broken models", lambda _, __: broken_models.run(), broken_models.BAD),
    "disks": ("full, read-only and small disks", lambda _, folder: disks.run(folder), disks.BAD),
    "batches": ("81 cases of batches", lambda _, folder: batches.run(folder), batches.BAD),
    "browser": ("hostile texts in a browser", lambda _, folder: hostile_pages.run(folder), hostile_pages.BAD),
    "soak": ("20,000 requests with faults", lambda seed, folder: soak.run(seed, 20_000, folder), soak.BAD),
}
# These wait for processes or servers of their own most of the time, so each line runs beside the others.
BESIDE = (("stage-kills",), ("servers", "kills", "stage-disks"))


def main() -> None:
    """Run the families that are named, or all; exit code 1 where an outcome must not be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []], help="default: all")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    # A shell that starts this in the background has it ignored, and every child with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    print(f"seed {options.seed}", flush=True)
    names = options.families or list(FAMILIES)
    all_wrong: Counter[str] = Counter()

    def run_each(chosen: Sequence[str]) -> None:
        for name in chosen:
            _run(name, options.seed, all_wrong)

    lines = [[name for name in line if name in names] for line in BESIDE]
    with ThreadPoolExecutor() as pool:
        waiting = [pool.submit(run_each, line) for line in lines]
        run_each([name for name in names if not any(name in line for line in lines)])
        for line in waiting:
            line.result()
    print(f"all, must be 0: {_told(all_wrong)}")
    sys.exit(min(sum(all_wrong.values()), 1))


def _run(name: str, seed: int, all_wrong: Counter[str]) -> None:
    """Run a family, print its counts, and add those that must be 0."""
    words, run, must_not_be = FAMILIES[name]
    start = time.monotonic()
    with TemporaryDirectory() as folder:
        counts = run(seed, Path(folder))
    wrong = {outcome: counts.pop(outcome, 0) for outcome in sorted(must_not_be)}
    all_wrong.update(wrong)
    said = f"{name} ({words}, {time.monotonic() - start:.0f} s): {_told(counts)}"
    print(f"{said}; must be 0: {_told(wrong)}", flush=True)


def _told(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{outcome} {count:,}" for outcome, count in counts.items())


if __name__ == "__main__":
    main()
