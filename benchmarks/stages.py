"""Every stage on 70,080 rows (4 models x 876 prompts x 20), each a process of its own: time, peak memory, growth.

The responses are recorded and the rules judge them, so no engine's memory is in the figures. The stages `generate` and
`judge` run once a model, on its 17,520 rows. Three more studies show what memory grows with: a quarter of the
prompts, a quarter of the models, and answers four times as long. The 80 runs are tracked three times into databases of
their own and three times again unchanged; `dvc commit` then records what the stages wrote, and `dvc repro` finds
nothing to do.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from harness import Child, Finding, Measured, copy_project, main, run_child, shown, stage_command
from recorded_studies import SEEDS, TEMPERATURES, lay_out, stage_commands
from startup import FIGURES_BOUND, NO_OP_BAR, NO_OP_BOUND, nothing_to_do

MODELS, PROMPTS, TIMES = 4, 876, 4
# The quick size grows twofold where the whole one grows fourfold: half as many models are then enough.
FEW_MODELS, FEW_PROMPTS, FEW_TIMES = 2, 4, 2
TRACK_BAR, AGAIN_BAR, FIGURES_BAR = 5.0, 1.5, 4.0
TRACK_BOUND = (
    "Before MLflow can begin, 1.2 s of CPU time go on imports (pandas), the tables and planning the runs. Then two "
    "processes work. By cProfile of MLflow's, 18 % is its import, 23 % the database (two stores, and the chain of "
    "migrations), and 54 % four calls a run, each a session of SQLAlchemy: log_batch 25 %, create_run 13 %, "
    "log_inputs 8 %, set_terminated 7 %. That is the limit through its interface. The other takes 4.9 s of CPU time "
    "to make artifacts: two fifths is drawing, a sixth reading responses, the rest tables."
)
AGAIN_BOUND = (
    "To know that nothing changed, every file is hashed and every run planned: the limit is the start of Python with "
    "pandas, and reading the tables."
)
# Under this share of a stage's peak, a step of four times is no growth worth a name.
LITTLE = 0.1


def measure(quick: bool) -> Measured:
    """Peak memory of four studies, seconds, tracking, and a `dvc repro` with nothing to do."""
    # Quarters have to be whole: 876 is 4 x 219.
    prompts, models, times, rounds = (FEW_PROMPTS, FEW_MODELS, FEW_TIMES, 1) if quick else (PROMPTS, MODELS, TIMES, 3)
    seeds = SEEDS[:2] if quick else SEEDS
    configurations = models * len(TEMPERATURES) * len(seeds)
    rows = prompts * configurations
    # The quick size leaves out what takes its time whatever the rows: figures and report, which `startup` has, and all
    # but the first stages where memory is compared.
    late = ("figures", "report") if quick else ()
    later = (*late, "metrics", "track") if quick else ()
    latest = (*later, "generate", "judge") if quick else ()
    last = ["metrics"] if quick else []
    with tempfile.TemporaryDirectory() as place:
        folder = copy_project(Path(place) / "whole")
        whole = run_stages(folder, prompts, models, seeds, left_out=late)
        for _ in range(rounds - 1):
            for made in (folder / "mlruns").iterdir():
                shutil.rmtree(made) if made.is_dir() else made.unlink()
            whole["track"].append(run_child(stage_command("track"), folder))
        again = [run_child(stage_command("track"), folder).seconds for _ in range(rounds)]
        no_op = nothing_to_do(folder, rounds, last)
        shutil.rmtree(folder)
        fewer = run_stages(Path(place) / "fewer", prompts // times, models, seeds, left_out=latest)
        single = run_stages(Path(place) / "single", prompts, models // times, seeds, left_out=latest)
        longer = run_stages(Path(place) / "longer", prompts, models // times, seeds, times, later)
    found, notes = [], ["What memory grows with, in MB for each 1,000 rows of the whole study that are added:\n"]
    for stage, runs in whole.items():
        each = f"{stage}, {rows:,} rows" if stage not in ("generate", "judge") else f"{stage}, {rows // models:,} rows"
        if stage in ("generate", "judge"):
            each += f" (each of {models} models)"
        found.append(Finding(f"{each}: peak memory", [run.mb for run in runs], "MB"))
        bar = FIGURES_BAR if stage == "figures" and not quick else None
        found.append(Finding(f"{each}: time", [run.seconds for run in runs], "s", bar, bound=FIGURES_BOUND))
        if stage in fewer:
            three = {"whole": runs, "fewer": fewer[stage], "single": single[stage]}
            notes.append(growth(stage, three, longer[stage], rows, times))
    tracked = [run.seconds for run in whole["track"]]
    return Measured(
        [
            *found,
            Finding(
                f"tracking {configurations} runs with their figures, a fresh database",
                tracked,
                "s",
                TRACK_BAR,
                bound=TRACK_BOUND,
            ),
            Finding("tracking them again, unchanged", again, "s", AGAIN_BAR, bound=AGAIN_BOUND),
            Finding(
                f"dvc repro with nothing to do, {rows:,} rows",
                no_op,
                "s",
                NO_OP_BAR,
                bound=NO_OP_BOUND,
            ),
        ],
        # One list in Markdown: its lines together.
        [notes[0] + "\n" + "\n".join(notes[1:])],
    )


def growth(stage: str, runs: Mapping[str, list[Child]], longer: list[Child], rows: int, times: int = TIMES) -> str:
    """A line of what a stage's peak grows with; `rows` are those of the whole study.

    Every step is one of `times`: of prompts and of models from that part to the whole study, of the answers' length at
    as few models.
    """
    whole, fewer, single, long = (max(run.mb for run in some) for some in (*runs.values(), longer))
    steps = {"prompts": whole - fewer, "models": whole - single, "answer length": long - single}
    driver = max(steps, key=lambda name: steps[name])
    named = driver if steps[driver] >= LITTLE * whole else f"nothing here (under {100 * LITTLE:.0f} % of its peak)"
    added = (rows - rows // times) / 1000
    return (
        f"- {stage}: by prompts {shown(steps['prompts'] / added)}, by models {shown(steps['models'] / added)}; answers"
        f" {times} times as long, one model: {shown(steps['answer length'])} MB more. Driver: {named}."
    )


def run_stages(
    folder: Path,
    prompts: int,
    models: int,
    seeds: Sequence[int] = SEEDS,
    length: int = 1,
    left_out: Collection[str] = (),
) -> dict[str, list[Child]]:
    """Run every stage of a synthetic study but those left out; the runs of each stage by name."""
    found: dict[str, list[Child]] = {}
    for name, arguments in stage_commands(lay_out(folder, prompts, models, length=length, seeds=seeds)).items():
        if name.split()[0] in left_out:
            continue
        found.setdefault(name.split()[0], []).append(run_child(stage_command(*arguments), folder))
    return found


if __name__ == "__main__":
    main("stages", __doc__, measure, ("dvc", "mlflow", "matplotlib", "numpy", "pandas", "pyarrow"))
