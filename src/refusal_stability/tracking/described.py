"""What a run says of itself beside its numbers: name, parameters, tags, and the versions and hashes behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pandas as pd

from refusal_stability.params.study import StudyParams
from refusal_stability.records import NO_INTERVENTION
from refusal_stability.tracking.aliases import aliases
from refusal_stability.tracking.tracked_study import TrackedStudy

MARKUP = re.compile(r"[\\`*_{}\[\]()<>#!|~@&:$]")
SAMPLED_WITH = ("top_p", "top_k", "max_tokens")
# What people filter by; the rest of an engine's description is in the run's provenance.json.
ENGINE_TAGS = ("engine", "engine_version", "device")


def run_name(params: StudyParams, model: str, intervention: str) -> str:
    """The name of a model's run, with which those under it begin."""
    label = " ".join((params.models[model].label or model).split())
    return label if intervention == NO_INTERVENTION else f"{label} + {intervention}"


def as_markdown(name: str) -> str:
    """A name that Markdown shows unchanged: characters of markup become entities."""
    return MARKUP.sub(lambda found: f"&#{ord(found[0])};", name)


def run_params(study: TrackedStudy, model: str, intervention: str) -> dict[str, str]:
    """The parameters of a run, apart from its temperature and seed; the model by its short name."""
    chosen, sampling = study.params.models[model], study.params.sampling
    values: dict[str, object] = {
        "model": aliases(list(study.params.models))[model],
        "intervention": intervention,
        # The study does not know how a recorded model was sampled.
        **({key: getattr(sampling, key) for key in SAMPLED_WITH} if chosen.settings_class.samples else {}),
        "prompts": len(study.prompts),
        "prompt_source": study.params.prompts.source,
        "judge": study.params.judging.of(model).primary,
        "engine": chosen.engine,
        "revision": chosen.revision,
        "stopping_rule": next(iter(sampling.adaptive), None),
    }
    return {key: f"{v:g}" if isinstance(v, float) else str(v) for key, v in values.items() if v is not None}


def run_tags(study: TrackedStudy, level: str, model: str, outcomes: pd.Series[Any] | None) -> dict[str, str]:
    """The tags that people read; `unseeded` where some responses were drawn without a seed."""
    tags = {"study": study.params.study, "level": level, "model": model, "model_path": study.params.models[model].path}
    if study.params.sampling.adaptive:
        tags["estimated"] = "true"
    if outcomes is not None and outcomes["n_unseeded"]:
        tags["unseeded"] = f"{outcomes['n_unseeded']} of {outcomes['n_asked']}"
    return tags


def machine_tags(study: TrackedStudy, model: str) -> dict[str, str]:
    """The commit, and the engine that wrote the responses."""
    described = _engine(study, model)
    commit = {key: value for key, value in study.provenance.get(model, {}).items() if not key.startswith("dvc.")}
    return {**commit, **{key: described[key] for key in ENGINE_TAGS if key in described}}


def origin(study: TrackedStudy, model: str, hashes: Mapping[str, str]) -> dict[str, Mapping[str, str]]:
    """Where a run comes from, as provenance.json says it: hashes of its files, DVC's hashes, commit and engine."""
    known = study.provenance.get(model, {})
    dvc = {key.removeprefix("dvc."): value for key, value in known.items() if key.startswith("dvc.")}
    code = {key.removeprefix("mlflow.source."): value for key, value in known.items() if not key.startswith("dvc.")}
    return {"files and rubrics": dict(hashes), "dvc": dvc, "code": code, "engine": _engine(study, model)}


def speed_metrics(study: TrackedStudy, model: str) -> dict[str, float]:
    """The model's generation speed over its whole grid: the store times all interventions of a session together."""
    speed = study.speed.get(model)
    if speed is None:
        return {}
    metrics = {"speed/model_tokens": float(speed.tokens), "speed/model_seconds": round(speed.seconds, 1)}
    if speed.seconds > 0:
        metrics["speed/tokens_per_second"] = round(speed.tokens / speed.seconds, 1)
    return metrics


def _engine(study: TrackedStudy, model: str) -> dict[str, str]:
    speed = study.speed.get(model)
    return {str(key): str(value) for key, value in speed.description.items()} if speed else {}
