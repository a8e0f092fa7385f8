"""What tracking reads of a study, and how a run of it is named: by whatever decides its responses and decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.files import REFERENCE_MODELS
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.params.engines import ModelParams
from refusal_stability.params.judges import MAJORITY, JudgingParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition, content_hash
from refusal_stability.tracking.provenance import file_md5


@dataclass(frozen=True)
class Speed:
    """What generating with one model took in all, and with what; true of a machine, not of the study.

    Sessions of the store are what is timed: one holds every intervention, and perhaps a grid that was asked earlier.
    """

    tokens: int
    seconds: float
    description: Mapping[str, Any]


@dataclass(frozen=True)
class Study:
    """Everything that tracking reads.

    Attributes
    ----------
    tables : metric table name -> table.
    attachments : place among a parent run's artifacts -> file; the study's figures, report and parameters.
    hashes : file -> MD5 of its bytes, which is also the name that DVC's cache gives it.
    rows : a configuration's rows (prompt_id, decision, response); called only when its run has to be logged.
    draw : draws such rows, with category and majority added, as a PNG.
    speed : model -> what its generation took; provenance : model -> tags such as the git commit.
    """

    params: StudyParams
    prompts: pd.DataFrame
    prompts_hash: str
    tables: Mapping[str, pd.DataFrame]
    attachments: Mapping[str, Path]
    hashes: Mapping[Path, str]
    rows: Callable[[Condition], pd.DataFrame]
    draw: Callable[[pd.DataFrame, str], bytes]
    speed: Mapping[str, Speed] = field(default_factory=dict)
    provenance: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The name of this version of the study: its parameters and prompts."""
        return content_hash([_chosen(self.params), self.prompts_hash])[:16]


def cell_of(study: Study, model: str, intervention: str, *place: float) -> str:
    """The name of a run's place: whatever decides its responses and decisions, and which of them it holds.

    The grid is not part of it: with a seed more, the runs that are there already are updated, not doubled.
    """
    params, sampling = study.params, study.params.sampling
    identity = {
        "model": [model, _weights(params, params.models[model])],
        "intervention": [intervention, _chosen(params.interventions[intervention])],
        "sampling": [sampling.top_p, sampling.top_k, sampling.max_tokens],
        "prompts": study.prompts_hash,
        "judge": {name: _judge(params, name) for name in _deciding(params.judging)},
        "place": [float(value) for value in place],
    }
    return content_hash(identity)[:16]


def _deciding(judging: JudgingParams) -> list[str]:
    """The judges whose decisions a run shows, or may: the primary one, its panel, and whom it hands its doubts to."""
    chosen = [judging.primary] if judging.primary != MAJORITY else list(judging.judges)
    others = [judging.judges[name].hands_over_to for name in chosen]
    return sorted({*chosen, *(name for name in others if name is not None)})


def _judge(params: StudyParams, name: str) -> dict[str, Any]:
    """A judge as far as it decides: its parameters, its model, its rubric's text and the bytes of its file."""
    judge = params.judging.judges[name]
    path = Path(judge.path or "")
    files = {"path": file_md5(path)} if path.is_file() else {}
    if judge.model is not None:
        files["rubric"] = load_rubric(judge.rubric).hash
    return {**_chosen(judge), "model": judge.model and _weights(params, judge.model), "files": files}


def rubric_tags(judging: JudgingParams) -> dict[str, str]:
    """The hash of the rubric of each deciding judge that has one: tells versions of its text apart."""
    deciding = {name: judging.judges[name] for name in _deciding(judging)}
    return {
        f"rubric_sha256.{name}": load_rubric(judge.rubric).hash
        for name, judge in deciding.items()
        if judge.model is not None
    }


def _weights(params: StudyParams, model: ModelParams) -> dict[str, Any]:
    """A model as far as it decides what is written; an embedded one is decided by how it was trained."""
    no_effect = model.settings_class.no_effect
    settings = {key: value for key, value in model.settings.items() if key not in no_effect}
    trained = {
        name: _chosen(reference)
        for name, reference in params.reference_models.items()
        if Path(model.path) == REFERENCE_MODELS / name
    }
    return {"engine": model.engine, "path": model.path, "revision": model.revision, "settings": settings, **trained}


def _chosen(value: Any) -> Any:
    """Parameters that differ from their defaults: the same study keeps its name when the project learns a new one."""
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
