"""Start-up: the command line's help, `dvc repro` with nothing to do, and what each stage spends on imports.

The stages run on a tiny study of two recorded models; `dvc commit` then records what they wrote.
"""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path

from harness import Finding, copy_project, main, run_child, stage_command
from synthetic_study import lay_out, stage_commands

HELP_BAR, NO_OP_BAR, IMPORT_BAR = 0.4, 10.0, 3.0
IMPORTED = re.compile(r"^import time:\s+(\d+) \|", re.MULTILINE)


def measure(quick: bool) -> list[Finding]:
    """Seconds of each; a stage's imports are the sum of every module's own time (`python -X importtime`)."""
    rounds = 1 if quick else 5
    help_command = [str(Path(sys.executable).with_name("refusal-stability")), "--help"]
    found = [
        Finding("refusal-stability --help", [run_child(help_command).seconds for _ in range(2 * rounds)], "s", HELP_BAR)
    ]
    with tempfile.TemporaryDirectory() as place:
        folder = copy_project(Path(place) / "project")
        names = lay_out(folder, 10, 2, n_resamples=200)
        for stage, arguments in stage_commands(names).items():
            if stage.endswith(names[1]):
                run_child(stage_command(*arguments), folder)
                continue
            imports, walls = [], []
            for _ in range(1 if quick else 2):
                run = run_child([sys.executable, "-X", "importtime", *stage_command(*arguments)[1:]], folder)
                imports.append(sum(map(int, IMPORTED.findall(run.err))) / 1e6)
                walls.append(run.seconds)
            found.append(Finding(f"stage {stage.split()[0]}: imports", imports, "s", IMPORT_BAR))
            found.append(Finding(f"stage {stage.split()[0]}: whole, 10 prompts", walls, "s"))
        run_child(["dvc", "commit", "--force"], folder)
        no_op = [run_child(["dvc", "repro"], folder) for _ in range(rounds)]
        if any("Running stage" in run.out for run in no_op):
            raise SystemExit(f"`dvc repro` had something to do:\n{no_op[0].out}")
    return [*found, Finding("dvc repro with nothing to do", [run.seconds for run in no_op], "s", NO_OP_BAR)]


if __name__ == "__main__":
    main("startup", __doc__, measure, ("dvc", "mlflow", "matplotlib", "pandas", "pyarrow", "typer"))
