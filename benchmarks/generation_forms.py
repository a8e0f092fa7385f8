"""A million answers as CSV and as Parquet: the write of `generate`, the read of `judge`, and the whole stage `metrics`.

`python benchmarks/generation_forms.py` makes one model's 20 configurations of `--prompts` answers (about 570 letters,
words drawn as often as English ones). Each step is a process of its own. It prints a row a step and form, and whether
the metric tables are equal byte for byte.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from time import process_time

from harness import load, run_child, stage_command

PARAMS = """
study: forms
models: {m: {path: nowhere}}
judging: {primary: rules, judges: {rules: {}}}
metrics: {n_resamples: 1000}
"""
FORMS = {"CSV": ".csv", "Parquet": ".parquet"}
WORDS = 95


def lay_out(prompts: int) -> None:
    """Write the study's parameters, prompts and labels into the working directory."""
    import numpy as np
    import pandas as pd

    from refusal_stability.files import PROMPTS, label_file
    from refusal_stability.params.load import load_params
    from refusal_stability.records import DECISIONS
    from refusal_stability.tables.csv_files import write_table
    from refusal_stability.tables.study import LABEL_TABLE, PROMPT_TABLE

    Path("params.yaml").write_text(PARAMS)
    table = pd.DataFrame({"prompt_id": [f"{k:06d}" for k in range(prompts)]})
    table = table.assign(
        prompt="How would one do thing number " + table["prompt_id"] + "?", category="c", source="here"
    )
    write_table(table, PROMPTS, PROMPT_TABLE)
    rng = np.random.default_rng(0)
    usual = rng.integers(0, 3, prompts)
    for condition in load_params(Path("params.yaml")).conditions("m"):
        drawn = np.where(rng.random(prompts) < 0.8, usual, rng.integers(0, 3, prompts))
        told = {"judge": "rules", "repeat": 0, "reasoning": "drawn", "missing_reason": "", **vars(condition)}
        labels = table[["prompt_id"]].assign(label=[str(DECISIONS[k]) for k in drawn], **told)
        write_table(labels, label_file(condition), LABEL_TABLE)


def write(form: str) -> float:
    """Make each configuration's answers and write them; the CPU seconds of the writes alone."""
    import numpy as np

    from refusal_stability.files import PROMPTS, generation_place
    from refusal_stability.params.load import load_params
    from refusal_stability.records import Completion
    from refusal_stability.tables.csv_files import read_table
    from refusal_stability.tables.generation_files import write_generations
    from refusal_stability.tables.study import PROMPT_TABLE, generation_table

    rng = np.random.default_rng(1)
    letters = np.array(list("etaoinshrdlu"))
    words = np.array(["".join(rng.choice(letters, 1 + k % 9)) for k in range(5_000)])
    often = 1 / np.arange(1, len(words) + 1)
    prompts, spent = read_table(PROMPTS, PROMPT_TABLE), 0.0
    for condition in load_params(Path("params.yaml")).conditions("m"):
        chosen = rng.choice(words, (len(prompts), WORDS), p=often / often.sum())
        table = generation_table(condition, prompts, [Completion(" ".join(row), "stop") for row in chosen])
        start = process_time()
        write_generations(table, generation_place(condition, FORMS[form]))
        spent += process_time() - start
    return spent


def read(form: str) -> float:
    """Read every answer as the stage `judge` does; the CPU seconds."""
    from refusal_stability.files import generation_file
    from refusal_stability.judging.labels import responses_of
    from refusal_stability.params.load import load_params
    from refusal_stability.tables.csv_files import read_table
    from refusal_stability.tables.study import GENERATION_TABLE

    conditions, start = list(load_params(Path("params.yaml")).conditions("m")), process_time()
    held = [responses_of(read_table(generation_file(one), GENERATION_TABLE), one) for one in conditions]
    return process_time() - start if held else 0.0


def main() -> None:
    """Lay the study out and measure both forms."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--prompts", type=int, default=50_000)
    parser.add_argument("--step", nargs=2, metavar=("STEP", "FORM"), help="one step alone, in the working directory")
    options = parser.parse_args()
    if options.step:
        step, form = options.step
        print({"write": write, "read": read}[step](form))
        return
    metrics = {}
    print(
        f"load {load()}\n\n| form | step | CPU seconds | peak memory, GB | files, MB |\n|---|---|---|---|---|",
        flush=True,
    )
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        os.chdir(folder)
        lay_out(options.prompts)
        for form in FORMS:
            for step in ("write", "read"):
                child = run_child([sys.executable, str(Path(__file__).resolve()), "--step", step, form], folder)
                files = sum(file.stat().st_size for file in folder.rglob("*_generations.*")) / 1e6
                row(form, step, float(child.out), child.mb, files)
            child = run_child(stage_command("metrics"), folder)
            row(form, "`metrics`", child.cpu, child.mb, files)
            metrics[form] = {file.name: file.read_bytes() for file in (folder / "data/metrics").iterdir()}
        os.chdir("/")
    equal = sum(metrics["CSV"][name] == metrics["Parquet"].get(name) for name in metrics["CSV"])
    print(f"\n{equal} of {len(metrics['CSV'])} files of metrics are equal (load {load()})")


def row(form: str, step: str, cpu: float, mb: float, files: float) -> None:
    """Print one row of the table."""
    print(f"| {form} | {step} | {cpu:,.1f} | {mb / 1000:.2f} | {files:,.0f} |", flush=True)


if __name__ == "__main__":
    main()
