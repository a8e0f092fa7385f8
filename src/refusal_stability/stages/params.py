"""Stage `params`: check the study's parameters and write them out in full, for the other stages to depend on.

DVC stops where a stage names a parameter that `params.yaml` leaves to its default. So only this stage depends on that
file. It writes a file for each section, and each other stage depends on the sections that it reads.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from refusal_stability.files import PARAMS_IN_FULL, write_json
from refusal_stability.params.in_full import files_in_full
from refusal_stability.params.load import load_params
from refusal_stability.prompts.load import chosen_source


def run(params_path: Path) -> None:
    """Write data/params/<section>.json, or data/params/<section>/<key>.json where stages read single keys."""
    params = load_params(params_path)
    chosen_source(params.prompts)
    shutil.rmtree(PARAMS_IN_FULL, ignore_errors=True)
    for path, value in files_in_full(params).items():
        write_json(value, path)
    models = ", ".join(params.models)
    print(f"{params.study}: {models}; every parameter, defaults included, is in {PARAMS_IN_FULL}")
