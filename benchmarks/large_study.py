"""A study of a million recorded responses through every stage: seconds, CPU and peak memory of each, as it ends.

`python benchmarks/large_study.py` lays out 4 models x 12,500 prompts x 20 (`--prompts`, `--models` for other sizes),
then runs every stage as a process of its own. It prints a row a stage. `--folder` keeps the study,
and takes one that is laid out there already; `--first` and `--last` then name stages, such as `metrics`.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from harness import copy_project, load, run_child, stage_command
from recorded_studies import lay_out, parameters, stage_commands

MOST_GB = 8.0


def main() -> None:
    """Lay the study out, run it, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=12_500)
    parser.add_argument("--models", type=int, default=4)
    parser.add_argument("--resamples", type=int, default=10_000)
    parser.add_argument("--length", type=int, default=1, help="how often each response of about 95 letters is repeated")
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--first", default="params")
    parser.add_argument("--last", default="track")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder, rows = options.folder or Path(place) / "study", options.prompts * options.models * 20
        names = list(parameters(options.models, options.resamples)["models"])  # type: ignore[call-overload]
        if not folder.exists():
            copy_project(folder)
            start = time.monotonic()
            lay_out(folder, options.prompts, options.models, options.resamples, options.length)
            print(f"{rows:,} responses laid out in {time.monotonic() - start:,.0f} s (load {load()})\n")
        print("| stage | rows | seconds | CPU seconds | peak memory, GB | |\n|---|---|---|---|---|---|", flush=True)
        commands = list(stage_commands(names).items())
        first = next(number for number, (stage, _) in enumerate(commands) if stage.startswith(options.first))
        last = max(number for number, (stage, _) in enumerate(commands) if stage.startswith(options.last))
        for stage, arguments in commands[first : last + 1]:
            child = run_child(stage_command(*arguments), folder)
            there = rows // options.models if stage.split()[0] in ("generate", "judge") else rows
            verdict = "" if child.mb <= MOST_GB * 1000 else f"over {MOST_GB:g} GB"
            spent = f"{child.seconds:,.1f} | {child.cpu:,.1f} | {child.mb / 1000:.2f}"
            print(f"| {stage} | {there:,} | {spent} | {verdict} |", flush=True)
        store = folder / "data/store/completions.sqlite"
        print(f"\nstore: {store.stat().st_size / 1e6:,.0f} MB" if store.exists() else "\nno store", f"(load {load()})")


if __name__ == "__main__":
    main()
