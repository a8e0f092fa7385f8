"""Import into the working directory, and run the imported study's stages there."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.commands import import_logs
from refusal_stability.files import generation_file, label_file
from refusal_stability.params.load import load_params
from refusal_stability.stages import generate, judge, prompts
from refusal_stability.tables.csv_files import read_table
from refusal_stability.tables.study import GENERATION_TABLE, LABEL_TABLE


def import_files(*paths: Path, name: str = "imported", **options: Any) -> None:
    """`refusal-stability import`; `options` are those of the command line."""
    told = dict.fromkeys(("columns", "constants", "labels", "missing"), ()) | {"temperature": None, "map_path": None}
    log_format, force = options.pop("log_format", None), options.pop("force", False)
    import_logs.run(list(paths), name, log_format, import_logs.options_of(**(told | options)), force)


def run_imported(name: str = "imported") -> pd.DataFrame:
    """Every response of the imported study, as its stages wrote it, with each judge's first label in its own column."""
    params_path = Path("params.yaml")
    shutil.copy(f"studies/{name}.yaml", params_path)
    prompts.run(params_path)
    params = load_params(params_path)
    tables = []
    for model in params.models:
        generate.run(model, params_path)
        judge.run(model, params_path)
        for condition in params.conditions(model):
            labels = read_table(label_file(condition), LABEL_TABLE)
            wide = labels[labels["repeat"] == 0].pivot(index="prompt_id", columns="judge", values="label")
            table = read_table(generation_file(condition), GENERATION_TABLE)
            tables.append(table.join(wide, on="prompt_id"))
    return pd.concat(tables, ignore_index=True)
