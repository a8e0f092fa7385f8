"""A study of a million recorded responses through every stage: seconds, CPU and peak memory of each, as it ends.

`python benchmarks/large_study.py` lays out 4 models x 12,500 prompts x 20 (`--prompts`, `--models` for other sizes),
then runs every stage as a process of its own. It prints a row a stage.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from harness import copy_project, load, run_child, stage_command
from recorded_studies import lay_out, stage_commands

MOST_GB = 8.0


def main() -> None:
    """Lay the study out, run it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=12_500)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--resamples", type=int, default=10_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = copy_project(Path(place) / "study")
        start = time.monotonic()
        names = lay_out(folder, options.prompts, options.models, options.resamples)
        rows = options.prompts * options.models * 20
        print(f"{rows:,} responses laid out in {time.monotonic() - start:,.0f} s (load {load()})\n")
        print("| stage | rows | seconds | CPU seconds | peak memory, GB | |\n|---|---|---|---|---|---|", flush=True)
        for stage, arguments in stage_commands(names).items():
            child = run_child(stage_command(*arguments), folder)
            there = rows // options.models if stage.split()[0] in ("generate", "judge") else rows
            verdict = "" if child.mb <= MOST_GB * 1000 else f"over {MOST_GB:g} GB"
            spent = f"{child.seconds:,.1f} | {child.cpu:,.1f} | {child.mb / 1000:.2f}"
            print(f"| {stage} | {there:,} | {spent} | {verdict} |", flush=True)
        store = folder / "data/store/completions.sqlite"
        print(f"\nstore: {store.stat().st_size / 1e6:,.0f} MB" if store.exists() else "\nno store", f"(load {load()})")


if __name__ == "__main__":
    main()
