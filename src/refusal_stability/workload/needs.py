"""What a run will need, checked before it: keys, servers, models, judges, space. No request that anyone charges for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from refusal_stability.engines.forecast import Forecast
from refusal_stability.engines.http.models_list import batches_found, needed_variables, server_found
from refusal_stability.files import REFERENCE_MODELS
from refusal_stability.judging.model.judge import readout_of
from refusal_stability.judging.model.rubric import load_rubric
from refusal_stability.judging.open import open_judge
from refusal_stability.params.engines import ModelParams, engine_settings
from refusal_stability.params.engines.openai import OpenAISettings
from refusal_stability.params.judges import MAJORITY, JudgeParams
from refusal_stability.params.study import StudyParams
from refusal_stability.records import OtherEnvironment, StudyError
from refusal_stability.workload.asked import Engines, Work

# An answer lies in the store, in a table and in MLflow. Its row has other columns too.
COPIES = 3
BYTES_PER_ROW = 1_000
BYTES_PER_TOKEN = 4


@dataclass(frozen=True)
class Check:
    """One thing that a run needs: what it is about, whether it is there, and the words for it or for the remedy."""

    about: str
    good: bool
    said: str


def model_checks(works: list[Work], engines: Engines, params: StudyParams, where: str) -> Iterator[Check]:
    """Keys, servers and models, each once."""
    seen: set[str] = set()
    servers: dict[tuple[str, str], Check] = {}
    for work in works:
        if work.key in seen:
            continue
        seen.add(work.key)
        about = work.asked_of if work.judge is None else work.caption
        if is_trained_first(work.model, params):
            yield Check(about, True, f"{work.model.path} is trained by this study before it is asked")
            continue
        found = checked(about, lambda work=work: _opened(work, engines))  # type: ignore[misc]
        settings = engine_settings(work.model)
        if not found.good or not isinstance(settings, OpenAISettings):
            yield found
            continue
        key = f"{where}: {work.key}"
        unset = [v for v in needed_variables(settings, key) if not os.environ.get(v, "").strip()]
        for variable in needed_variables(settings, key):
            said = f"{variable} is not set; export it before the run" if variable in unset else f"{variable} is set"
            yield Check(about, variable not in unset, said)
        if not unset:
            place = (str(engines.of(work).identity.get("base_url")), work.model.path)
            if place not in servers:
                servers[place] = checked(about, lambda: server_found(work.model, settings, key))  # noqa: B023
            yield Check(about, servers[place].good, servers[place].said)
            if settings.batch and servers[place].good:
                yield checked(about, lambda: batches_found(settings, key))  # noqa: B023


def judge_checks(params: StudyParams, where: str) -> Iterator[Check]:
    """The files and rubrics of the judges, and whether the primary one knows every model."""
    for name, judge in params.judging.judges.items():
        if name == MAJORITY:
            continue
        key = f"{where}: judging.judges.{name}"
        yield checked(f"judge {name}", lambda: _judge_found(name, judge, key, params))  # noqa: B023


def space_check(forecasts: Mapping[str, Forecast], folder: Path) -> Check:
    """Whether the disk holds as much as the answers may take."""
    rows = sum(found.to_send for found in forecasts.values())
    tokens = sum(found.answer_tokens for found in forecasts.values())
    needed = COPIES * (BYTES_PER_ROW * rows + BYTES_PER_TOKEN * tokens)
    free = shutil.disk_usage(folder).free
    said = f"{free / 1e9:,.1f} GB free; the answers take at most {needed / 1e9:,.2f} GB"
    if not os.access(folder, os.W_OK):
        return Check("disk", False, f"{folder.resolve()} cannot be written; change its permissions")
    return Check("disk", free > needed, said if free > needed else f"{said}; free some space")


def is_trained_first(model: ModelParams, params: StudyParams) -> bool:
    """Whether the study itself makes this model, and has not yet."""
    path = Path(model.path)
    return path.parent == REFERENCE_MODELS and path.name in params.reference_models and not path.is_dir()


def checked(about: str, look: Callable[[], str]) -> Check:
    """What a look gives, or the error that it ends with, as a check."""
    try:
        return Check(about, True, look())
    except OtherEnvironment:
        raise
    except StudyError as error:
        return Check(about, False, str(error))


def _opened(work: Work, engines: Engines) -> str:
    engine = engines.of(work)
    if work.judge is not None:
        readout_of(work.caption.removeprefix("judge "), engine, load_rubric(work.judge.rubric), work.judge)
    return f"{work.model.path} is there"


def _judge_found(name: str, judge: JudgeParams, key: str, params: StudyParams) -> str:
    second = f"; hands over to {judge.hands_over_to}" if judge.hands_over_to else ""
    if judge.model is not None:
        load_rubric(judge.rubric)
        return f"rubric {judge.rubric} can be read{second}"
    opened = open_judge(name, judge, key, params.judging.judges)
    try:
        judged = [model for model in params.models if params.judging.of(model).primary == name]
        unknown = [model for model in judged if not opened.knows(model)]
    finally:
        opened.close()
    if unknown:
        raise StudyError(
            f"{key}.settings.models: the primary judge has no labels of {', '.join(unknown)}; add them, choose another "
            "primary judge, or leave the model out"
        )
    return f"{judge.path or judge.kind} can be used{second}"
