"""Section `judging`: the panel of judges."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from refusal_stability.params.checks import NAME_PATTERN, ParamsError, check_name, one_of, require, typed
from refusal_stability.params.engines import ModelParams, check_model

JUDGE_KINDS = ("model", "rules", "recorded", "trained", "majority")
MAJORITY = "majority"
# A judge's decisions become a column beside these.
NO_JUDGE_NAMES = (
    *("model", "intervention", "temperature", "seed", "prompt_id", "prompt", "response", "label", "n", "item_id"),
    *("people", "all", "distance", "asked", "decisions", "rank", "n_responses"),
)
# What the stage `judge` depends on: DVC notices when a file in these changes.
WATCHED_FOR_JUDGES = ("data/raw", "models/judges", "data/published")


@dataclass
class RecordedLabelSettings:
    """Where recorded labels lie: `models` maps our model names to the source's (file names, or its model column).

    `files` are the tables of layout `table`, under the judge's `path`. `judge` picks one of several judges in them.
    `columns` maps our column names to the source's, `constants` gives a column that the source lacks one value, and
    `labels` maps the source's labels to decisions. A label among `missing` means that there is no decision.
    """

    layout: str = "project"
    files: list[str] = field(default_factory=list)
    judge: str | None = None
    models: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    constants: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=lambda: ["UNKNOWN", "ERROR"])


@dataclass
class TrainedJudgeSettings:
    """A response whose top probability is under `escalate_below` is handed to the judge that `escalate_to` names."""

    escalate_below: float = 0.0
    escalate_to: str | None = None


JUDGE_SETTINGS: dict[str, type] = {"recorded": RecordedLabelSettings, "trained": TrainedJudgeSettings}
RECORDED_LABEL_LAYOUTS = ("project", "published", "table")
RECORDED_LABEL_COLUMNS = (
    "prompt_id",
    "prompt",
    "response",
    "model",
    "temperature",
    "seed",
    "judge",
    "repeat",
    "label",
    "reasoning",
    "missing_reason",
    "confidence",
)


@dataclass
class JudgeParams:
    """One judge. `kind: model` needs `model`; `rubric` is a built-in name or a file.

    `path` is where recorded labels lie, or a trained judge's file; `settings` belong to the kind. A judge `on_call`
    judges only what another hands over.
    """

    kind: str = "rules"
    repeats: int = 1
    model: ModelParams | None = None
    rubric: str = "default"
    temperature: float = 0.0
    max_tokens: int = 128
    path: str | None = None
    on_call: bool = False
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class JudgingParams:
    """The panel of judges; `primary` names the one whose decisions feed the metrics, or is `majority` of the panel."""

    primary: str = "rules"
    max_missing: float = 0.02
    judges: dict[str, JudgeParams] = field(default_factory=dict)


def judge_settings(judge: JudgeParams, where: str) -> Any:
    """A judge's `settings` as the dataclass of its kind; None for a kind without any."""
    if judge.kind not in JUDGE_SETTINGS:
        require(not judge.settings, f"{where}.settings", judge.settings, f"nothing for kind `{judge.kind}`")
        return None
    return typed(JUDGE_SETTINGS[judge.kind], judge.settings, f"{where}.settings.")


def watched(path: str) -> bool:
    """Whether DVC notices when a judge's file of this path changes."""
    place = Path(os.path.normpath(Path.cwd() / path))
    return any(place.is_relative_to(Path.cwd() / folder) for folder in WATCHED_FOR_JUDGES)


def check_judging(judging: JudgingParams, key: str, models: list[str]) -> None:
    require(bool(judging.judges), f"{key}.judges", "{}", "at least one judge")
    for name, judge in judging.judges.items():
        where = f"{key}.judges.{name}"
        check_name(name, where)
        require(name not in NO_JUDGE_NAMES, where, name, f"a name other than {', '.join(NO_JUDGE_NAMES)}")
        _check_judge(judge, where)
        require(
            (judge.kind == MAJORITY) == (name == MAJORITY), where, judge.kind, "kind `majority` under that name only"
        )
        settings = judge_settings(judge, where)
        if isinstance(settings, RecordedLabelSettings):
            _check_recorded_labels(settings, f"{where}.settings", models)
        if isinstance(settings, TrainedJudgeSettings):
            _check_trained(settings, f"{where}.settings", name, judging)
    panel = [name for name, judge in judging.judges.items() if not judge.on_call and name != MAJORITY]
    require(bool(panel), f"{key}.judges", list(judging.judges), "at least one judge that is not on call")
    allowed = [*panel, MAJORITY]
    require(judging.primary in allowed, f"{key}.primary", judging.primary, one_of(allowed))
    require(0 <= judging.max_missing <= 1, f"{key}.max_missing", judging.max_missing, "a share from 0 to 1")
    called = {judge.settings.get("escalate_to") for judge in judging.judges.values()}
    for name, judge in judging.judges.items():
        require(
            not judge.on_call or name in called,
            f"{key}.judges.{name}.on_call",
            "true",
            "false, or this judge's name as some trained judge's settings.escalate_to: nobody calls it",
        )


def _check_judge(judge: JudgeParams, key: str) -> None:
    require(judge.kind in JUDGE_KINDS, f"{key}.kind", judge.kind, one_of(JUDGE_KINDS))
    require(judge.repeats >= 1, f"{key}.repeats", judge.repeats, "a whole number of at least 1")
    require(judge.max_tokens >= 1, f"{key}.max_tokens", judge.max_tokens, "a whole number of at least 1")
    require(0 <= judge.temperature <= 5, f"{key}.temperature", judge.temperature, "a number from 0 to 5")
    if judge.kind == "model":
        if judge.model is None:
            raise ParamsError(f"{key}.model: required for kind `model`: give its engine and path")
        check_model(judge.model, f"{key}.model")
    else:
        require(judge.model is None, f"{key}.model", "a model", f"null for kind `{judge.kind}`, which asks no model")
    noticed = f"under {', '.join(WATCHED_FOR_JUDGES)}: DVC notices no change of a file elsewhere"
    named = NAME_PATTERN.fullmatch(judge.rubric) is not None
    require(
        named or watched(judge.rubric), f"{key}.rubric", judge.rubric, f"a built-in rubric's name, or a file {noticed}"
    )
    if judge.kind == "trained" and judge.path:
        require(watched(judge.path), f"{key}.path", judge.path, f"a file {noticed}")
    if judge.kind in JUDGE_SETTINGS:
        require(bool(judge.path), f"{key}.path", judge.path, f"the file or folder of a judge of kind `{judge.kind}`")
    else:
        require(judge.path is None, f"{key}.path", judge.path, f"null for kind `{judge.kind}`, which reads no file")
    if judge.kind == MAJORITY:
        require(judge.repeats == 1, f"{key}.repeats", judge.repeats, "1: the panel's majority is taken once")
        require(not judge.on_call, f"{key}.on_call", judge.on_call, "false: the majority is taken of every response")


def _check_recorded_labels(settings: RecordedLabelSettings, key: str, models: list[str]) -> None:
    require(settings.layout in RECORDED_LABEL_LAYOUTS, f"{key}.layout", settings.layout, one_of(RECORDED_LABEL_LAYOUTS))
    require(bool(settings.models), f"{key}.models", "{}", "our model name -> the model's name at the source")
    for ours, theirs in settings.models.items():
        require(ours in models, f"{key}.models.{ours}", theirs, f"a key that is {one_of(models)}")
        named = bool(theirs) and (settings.layout == "table" or re.fullmatch(r"[^/\\]+", theirs) is not None)
        require(named, f"{key}.models.{ours}", theirs, "the model's name at the source")
    for name, column in settings.columns.items():
        allowed = f"a key that is {one_of(RECORDED_LABEL_COLUMNS)}"
        require(name in RECORDED_LABEL_COLUMNS, f"{key}.columns.{name}", column, allowed)
    of_table = settings.layout == "table"
    require(not settings.files or of_table, f"{key}.files", settings.files, "[] unless the layout is `table`")


def _check_trained(settings: TrainedJudgeSettings, key: str, name: str, judging: JudgingParams) -> None:
    below, other = settings.escalate_below, settings.escalate_to
    require(0 <= below <= 1, f"{key}.escalate_below", below, "a probability from 0 (never) to 1")
    require(
        (below > 0) == (other is not None), f"{key}.escalate_to", other, "a judge exactly if escalate_below is over 0"
    )
    if other is not None:
        others = [n for n, j in judging.judges.items() if n != name and j.kind not in (MAJORITY, "trained")]
        require(other in others, f"{key}.escalate_to", other, one_of(others))
        repeats, theirs = judging.judges[name].repeats, judging.judges[other].repeats
        require(repeats == theirs, f"{key}.escalate_to", other, f"a judge of {repeats} repeats, as this judge has")
