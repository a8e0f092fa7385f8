"""Every stage on 70,080 rows (4 models x 876 prompts x 20), each a process of its own: time, peak memory, growth.

The responses are recorded and the rules judge them, so no engine's memory is in the figures. The 80 runs are tracked
twice; `dvc commit` then records what the stages wrote, and `dvc repro` finds nothing to do.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from harness import Child, Finding, copy_project, main, run_child, stage_command
from synthetic_study import lay_out, stage_commands

MODELS, PROMPTS, SMALLER = 4, 876, 219
TRACK_BAR, NO_OP_BAR = 30.0, 10.0


def measure(quick: bool) -> list[Finding]:
    """Peak memory at two sizes, seconds, tracking twice, and a `dvc repro` with nothing to do."""
    prompts, smaller, models = (12, 6, 1) if quick else (PROMPTS, SMALLER, MODELS)
    with tempfile.TemporaryDirectory() as place:
        folder = copy_project(Path(place) / "large")
        large = run_stages(folder, prompts, models)
        again = run_child(stage_command("track"), folder)
        run_child(["dvc", "commit", "--force"], folder)
        no_op = [run_child(["dvc", "repro"], folder).seconds for _ in range(1 if quick else 3)]
        small = run_stages(copy_project(Path(place) / "small"), smaller, models)
    rows = prompts * models * 20
    found = []
    for stage, runs in large.items():
        each = "" if len(runs) == 1 else f" (each of {len(runs)} models)"
        found.append(Finding(f"{stage}{each}: peak memory, {rows:,} rows", [run.mb for run in runs], "MB"))
        growth = max(r.mb for r in runs) - max(r.mb for r in small[stage])
        found.append(Finding(f"{stage}: more than with {smaller * models * 20:,} rows", [growth], "MB"))
        found.append(Finding(f"{stage}{each}: time", [run.seconds for run in runs], "s"))
    return [
        *found,
        Finding(f"tracking {20 * models} runs with their figures", [large["track"][0].seconds], "s", TRACK_BAR),
        Finding("tracking them again, unchanged", [again.seconds], "s"),
        Finding(f"dvc repro with nothing to do, {rows:,} rows", no_op, "s", NO_OP_BAR),
    ]


def run_stages(folder: Path, prompts: int, models: int) -> dict[str, list[Child]]:
    """Run every stage of a synthetic study; the runs of each stage by name."""
    found: dict[str, list[Child]] = {}
    for name, arguments in stage_commands(lay_out(folder, prompts, models)).items():
        found.setdefault(name.split()[0], []).append(run_child(stage_command(*arguments), folder))
    return found


if __name__ == "__main__":
    main("stages", __doc__, measure, ("dvc", "mlflow", "matplotlib", "numpy", "pandas", "pyarrow"))
