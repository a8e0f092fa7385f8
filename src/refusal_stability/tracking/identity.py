"""What makes a run this run and no other: everything that decides its responses and decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

from refusal_stability.files import REFERENCE_MODELS
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.judges import MAJORITY, JudgingParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import content_hash
from refusal_stability.tracking.provenance import file_md5


def study_digest(params: StudyParams, prompts_hash: str) -> str:
    """The name of a version of a study: its parameters and prompts."""
    return content_hash([_chosen(params), prompts_hash])[:16]


def cell_of(params: StudyParams, prompts_hash: str, model: str, intervention: str, *place: float) -> str:
    """The name of a run: a hash of whatever decides its responses and decisions, and of its place in the grid.

    The grid itself does not count: when a seed is added, existing runs are updated, not doubled.
    """
    sampling = params.sampling
    identity = {
        "model": [model, _weights(params, params.models[model])],
        "intervention": [intervention, _chosen(params.interventions[intervention])],
        "sampling": [sampling.top_p, sampling.top_k, sampling.max_tokens],
        "prompts": prompts_hash,
        "judge": {name: _judge(params, name) for name in _deciding(params.judging.of(model))},
        "place": [float(value) for value in place],
    }
    return content_hash(identity)[:16]


def _deciding(judging: JudgingParams) -> list[str]:
    """The judges that decide a run: the primary judge, its panel, and the judges that these escalate to."""
    chosen = [judging.primary] if judging.primary != MAJORITY else list(judging.judges)
    others = [judging.judges[name].hands_over_to for name in chosen]
    return sorted({*chosen, *(name for name in others if name is not None)})


def _judge(params: StudyParams, name: str) -> dict[str, Any]:
    """What decides a judge's labels: its parameters, its model, its rubric's text and the bytes of its file."""
    judge = params.judging.judges[name]
    path = Path(judge.path or "")
    files = {"path": file_md5(path)} if path.is_file() else {}
    if judge.model is not None:
        files["rubric"] = load_rubric(judge.rubric).hash
    return {**_chosen(judge), "model": judge.model and _weights(params, judge.model), "files": files}


def rubric_hashes(judging: JudgingParams) -> dict[str, str]:
    """The rubric's SHA-256 for each deciding judge that has one, so that versions of the text can be told apart."""
    deciding = {name: judging.judges[name] for name in _deciding(judging)}
    return {
        f"rubric of {name}, sha256": load_rubric(judge.rubric).hash
        for name, judge in deciding.items()
        if judge.model is not None
    }


def _weights(params: StudyParams, model: ModelParams) -> dict[str, Any]:
    """What decides a model's responses; for an embedded model, how it was trained as well."""
    no_effect = model.settings_class.no_effect
    settings = {key: value for key, value in model.settings.items() if key not in no_effect}
    trained = {
        name: _chosen(reference)
        for name, reference in params.reference_models.items()
        if Path(model.path) == REFERENCE_MODELS / name
    }
    return {"engine": model.engine, "path": model.path, "revision": model.revision, "settings": settings, **trained}


def _chosen(value: Any) -> Any:
    """The parameters that differ from their defaults, so that a new parameter does not rename old studies."""
    if isinstance(value, Mapping):
        return {key: _chosen(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_chosen(item) for item in value]
    if not is_dataclass(value):
        return value
    chosen = {}
    for part in fields(value):
        default = part.default if part.default_factory is MISSING else part.default_factory()
        if (item := getattr(value, part.name)) != default:
            chosen[part.name] = _chosen(item)
    return chosen
