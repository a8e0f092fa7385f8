"""Every parameter with its defaults, as the files in which stage `params` writes them for DVC to compare."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from refusal_stability.files import PARAMS_IN_FULL
from refusal_stability.params.engines import engine_settings
from refusal_stability.params.judges import judge_settings
from refusal_stability.params.study import StudyParams

# Sections of which a stage may read one key only: these are written a file a key.
SPLIT = ("models", "judging", "reference_models")


def files_in_full(params: StudyParams) -> dict[Path, Any]:
    """File -> value: data/params/<section>.json, or data/params/<section>/<key>.json where stages read single keys."""
    files: dict[Path, Any] = {}
    for section, value in in_full(params).items():
        if section in SPLIT:
            files |= {PARAMS_IN_FULL / section / f"{key}.json": inner for key, inner in value.items()}
        else:
            files[PARAMS_IN_FULL / f"{section}.json"] = value
    return files


def in_full(params: StudyParams) -> dict[str, Any]:
    """Every parameter by its key, the defaults of engines and judge kinds included."""
    full = asdict(params)
    for name, model in params.models.items():
        full["models"][name]["settings"] = asdict(engine_settings(model))
    for name, judge in params.judging.judges.items():
        full["judging"]["judges"][name]["settings"] = asdict(judge_settings(judge))
        if judge.model is not None:
            full["judging"]["judges"][name]["model"]["settings"] = asdict(engine_settings(judge.model))
    return full
