"""Stage `reference@<name>`: train one embedded model into models/reference/<name>."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from rich.console import Console

from refusal_stability.files import REFERENCE_MODELS
from refusal_stability.params.checks import ParamsError
from refusal_stability.params.load import load_params
from refusal_stability.progress import progress
from refusal_stability.prompts.sources.builtin import builtin_prompts
from refusal_stability.reference_model.training import train_reference_model


def run(name: str, params_path: Path) -> None:
    """Train in a temporary folder, which replaces the model's folder only when training has finished."""
    # Threads that spin while they wait make training several times slower when other programs use the CPU.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    params = load_params(params_path)
    if name not in params.reference_models:
        known = ", ".join(params.reference_models) or "none"
        raise ParamsError(f"{params_path}: reference_models: no model {name!r}; the models are: {known}")
    folder = REFERENCE_MODELS / name
    unfinished = REFERENCE_MODELS / f".{name}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        with progress(f"train {name}, steps", 0) as work:
            train_reference_model(params.reference_models[name], builtin_prompts(), unfinished, work.reached)
        shutil.rmtree(folder, ignore_errors=True)
        unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    size = sum(file.stat().st_size for file in folder.iterdir())
    Console().print(f"{name}: {size / 1e6:.1f} MB in {folder}", markup=False)
