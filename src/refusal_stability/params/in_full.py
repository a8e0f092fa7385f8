"""Every parameter of a study with its value, defaults included."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from refusal_stability.params.engines import engine_settings
from refusal_stability.params.judges import judge_settings
from refusal_stability.params.study import StudyParams


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
