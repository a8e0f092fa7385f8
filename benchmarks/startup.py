"""Start-up: the command line's help, `dvc repro` with nothing to do, and how soon each stage begins its work.

A stage begins its work when it first reads a file of the study under data/, reports/ or models/: until then it starts
Python, imports and reads params.yaml. The stages run on a tiny study of two recorded models; `dvc commit` then records
what they wrote.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from harness import Finding, copy_project, main, run_child, stage_command
from recorded_studies import SEEDS, lay_out, stage_commands

HELP_BAR, NO_OP_BAR, FIRST_BAR, FIGURES_BAR = 0.1, 1.0, 3.0, 3.0
NO_OP_BOUND = (
    "By cProfile, most of the time grows with the 1,400 or so times that a stage names a file: reading them from "
    "dvc.lock, checking, locking and comparing each. An eighth is imports. Folders would be fewer names, but then a "
    "change of one module would rerun stages that do not import it."
)
# Also where the study has 70,080 rows.
FIGURES_BOUND = (
    "Two processes draw. Before they part, a second goes on imports (pandas, matplotlib), which more cores do not "
    "shorten. By cProfile of the rest, a fourth is to make panels, lines and texts, a sixth to find layouts, two "
    "fifths to draw each figure once as PNG and once as PDF, most of it text, and a seventh the fonts of PDFs "
    "(fontTools)."
)

BEGUN = "first read after "
# Runs the command line as `refusal-stability` does. An audit hook sees each file that Python opens, each folder that it
# lists and each database; pyarrow opens tables unseen, so the function that calls it is watched, pyarrow's import done.
WRAPPER = f"""
import os, sys, time
begun = float(sys.argv.pop(1))
folders = [os.path.join(os.getcwd(), name) + os.sep for name in ("data", "reports", "models")]
seen = []

def watch(event, arguments):
    if seen or event not in ("open", "os.listdir", "os.scandir", "sqlite3.connect"):
        return
    path, reading = arguments[0], event != "open" or not isinstance(arguments[1], str) or "r" in arguments[1]
    if not isinstance(path, (str, bytes)) or not reading:
        return
    if (os.path.abspath(os.fsdecode(path)) + os.sep).startswith(tuple(folders)):
        seen.append(time.time() - begun)

def noticed(path, contract):
    import pandas, pyarrow.csv
    watch("os.listdir", [str(path)])
    return reads(path, contract)

sys.addaudithook(watch)
from refusal_stability.tables.csv_files import read_table
from refusal_stability.cli import main
reads, read_table = read_table, noticed
try:
    main()
finally:
    seen.append(time.time() - begun)
    print("{BEGUN}" + str(seen[0]), file=sys.stderr)
"""


def measure(quick: bool) -> list[Finding]:
    """Seconds of each."""
    # The quick size has one model and leaves tracking to `stages`.
    rounds, models, left_out, last = (1, 1, ("track",), ["report"]) if quick else (5, 2, (), [])
    help_command = [str(Path(sys.executable).with_name("refusal-stability")), "--help"]
    found = [
        Finding("refusal-stability --help", [run_child(help_command).seconds for _ in range(2 * rounds)], "s", HELP_BAR)
    ]
    with tempfile.TemporaryDirectory() as place:
        folder = copy_project(Path(place) / "project")
        names = lay_out(folder, 10, models, n_resamples=200, seeds=SEEDS[:2] if quick else SEEDS)
        for stage, arguments in stage_commands(names).items():
            if stage in left_out:
                continue
            if stage.split()[-1] in names[1:]:
                run_child(stage_command(*arguments), folder)
                continue
            firsts, walls = [], []
            for _ in range(rounds):
                run = run_child([sys.executable, "-c", WRAPPER, str(time.time()), *arguments], folder)
                firsts.append(float(run.err.rsplit(BEGUN, 1)[1].split()[0]))
                walls.append(run.seconds)
            found.append(Finding(f"stage {stage.split()[0]}: start to its first read", firsts, "s", FIRST_BAR))
            bar = FIGURES_BAR if stage == "figures" else None
            found.append(Finding(f"stage {stage.split()[0]}: whole, 10 prompts", walls, "s", bar, bound=FIGURES_BOUND))
        seconds = nothing_to_do(folder, rounds, last)
    return [*found, Finding("dvc repro with nothing to do", seconds, "s", NO_OP_BAR, bound=NO_OP_BOUND)]


def nothing_to_do(folder: Path, rounds: int, last: Sequence[str] = ()) -> list[float]:
    """Seconds of `dvc repro` once DVC knows what the stages wrote, of all stages or of those up to the `last`."""
    run_child(["dvc", "commit", "--force", *(["--with-deps"] if last else []), *last], folder)
    runs = [run_child(["dvc", "repro", *last], folder) for _ in range(rounds)]
    if any("Running stage" in run.out for run in runs):
        raise SystemExit(f"`dvc repro` had something to do:\n{runs[0].out}")
    return [run.seconds for run in runs]


if __name__ == "__main__":
    main("startup", __doc__, measure, ("dvc", "mlflow", "matplotlib", "pandas", "pyarrow", "typer"))
