"""The study's tables -> a baseline under a name."""

from __future__ import annotations

from pathlib import Path

from refusal_stability.study.side_settings import by_model, save_baseline
from refusal_stability.workload.served import served_to


def run(name: str, force: bool, params_path: Path = Path("params.yaml")) -> None:
    """Save the baseline and say how to compare with it."""
    folder = save_baseline(name, by_model(served_to(params_path)), force)
    print(f"{folder}: saved; compare with it as @{name}, e.g. `refusal-stability compare @{name} .`")
