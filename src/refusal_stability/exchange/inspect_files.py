"""A study as logs of Inspect, written by Inspect's own API: one for each model, intervention and temperature."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd

from refusal_stability.engines.finish_reasons import Ending, ending_of
from refusal_stability.exchange.exported_study import study_description
from refusal_stability.exchange.logged import LogError
from refusal_stability.exchange.response_table import response_rows
from refusal_stability.exchange.told_by_export import OWN, told_by
from refusal_stability.params.study import StudyParams
from refusal_stability.records import Condition

STOP_REASONS: dict[Ending, Any] = {
    Ending.STOP: "stop",
    Ending.LENGTH: "max_tokens",
    Ending.FILTER: "content_filter",
    Ending.REFUSAL: "content_filter",
    Ending.TOOL: "tool_calls",
}


def write_inspect_logs(params: StudyParams, prompts: pd.DataFrame, written: float, folder: Path) -> int:
    """Write the logs; returns how many. An epoch is a seed, a score is a judge; `written` is in epoch seconds."""
    try:
        from inspect_ai.log import EvalResults, write_eval_log
    except ImportError as error:
        raise LogError(
            "Inspect writes its logs itself, and it is not installed; run: .venv/bin/pip install inspect_ai"
        ) from error
    about: dict[Any, Any] = prompts.set_index("prompt_id", drop=False).to_dict("index")
    folder.mkdir(parents=True, exist_ok=True)
    count, described = 0, study_description(params, prompts)
    for model in params.models:
        of_log = groupby(params.conditions(model), lambda c: (c.intervention, c.temperature))
        for (intervention, temperature), conditions in of_log:
            samples = [sample for k, c in enumerate(conditions) for sample in _samples(params, c, about, k + 1)]
            if not samples:
                continue
            log = _log(params, model, intervention, temperature, written, described)
            log.samples = samples
            log.results = EvalResults(total_samples=len(samples), completed_samples=len(samples))
            write_eval_log(log, str(folder / f"{log.eval.task_id}.eval"))
            count += 1
    return count


def _log(params: StudyParams, model: str, intervention: str, temperature: float, written: float, described: str) -> Any:
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalPlan, EvalSpec
    from inspect_ai.model import GenerateConfig

    config = GenerateConfig(temperature=temperature)
    name = f"{model}_{intervention}_temp{float(temperature)!r}"
    spec = EvalSpec(
        created=datetime.fromtimestamp(written, timezone.utc).isoformat(timespec="seconds"),
        task=params.study,
        task_id=name,
        eval_id=name,
        run_id=params.study,
        dataset=EvalDataset(name=params.study),
        model=f"refusal-stability/{model}",
        model_generate_config=config,
        config=EvalConfig(epochs=len(params.sampling.seeds)),
        packages={"refusal_stability": version("refusal-stability")},
        metadata={"intervention": intervention, "seeds": list(params.sampling.seeds), OWN: described},
    )
    return EvalLog(status="success", eval=spec, plan=EvalPlan(config=config))


def _samples(
    params: StudyParams, condition: Condition, about: Mapping[str, Mapping[str, Any]], epoch: int
) -> Iterator[Any]:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    roles = {"system": ChatMessageSystem, "user": ChatMessageUser, "assistant": ChatMessageAssistant}
    for row in response_rows(params, condition, about):
        place = f"{row['prompt_id']}-{epoch}"
        turns = [*json.loads(row["turns"] or "[]"), {"role": "user", "content": row["prompt"]}]
        asked = [roles[turn["role"]](content=turn["content"], id=f"{place}-{k}") for k, turn in enumerate(turns)]
        output = _output(row, condition.model, f"{place}-answer")
        yield EvalSample(
            id=row["prompt_id"],
            epoch=epoch,
            uuid=place,
            input=row["prompt"] if len(turns) == 1 else asked,
            target="",
            messages=[*asked, *(choice.message for choice in output.choices)],
            output=output,
            scores=dict(_scores(row)),
            metadata={"category": row["category"], "seed": row["seed"], OWN: told_by(row)},
            error=_error(row["missing_reason"]),
        )


def _output(row: Mapping[str, Any], model: str, place: str) -> Any:
    from inspect_ai.model import ChatCompletionChoice, ChatMessageAssistant, ContentReasoning, ContentText, ModelOutput

    if row["missing_reason"] and not row["thinking"]:
        return ModelOutput(model=model)
    # Parts, not a text: Inspect takes thinking marks out of a text.
    thinking = [ContentReasoning(reasoning=row["thinking"])] if row["thinking"] else []
    message = ChatMessageAssistant(content=[*thinking, ContentText(text=row["response"])], id=place, model=model)
    ending = ending_of(row["finish_reason"])
    stop = STOP_REASONS.get(ending, "unknown") if ending else "unknown"
    return ModelOutput(model=model, choices=[ChatCompletionChoice(message=message, stop_reason=stop)])


def _error(reason: str) -> Any:
    from inspect_ai._util.error import EvalError

    return EvalError(message=reason, traceback="", traceback_ansi="") if reason else None


def _scores(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    from inspect_ai.scorer import Score

    for label in row["labels"]:
        told = {name: label[name] for name in ("judge", "repeat", "missing_reason", "confidence", "basis")}
        name = f"{label['judge']}-{label['repeat'] + 1}" if label["repeat"] else label["judge"]
        value = label["label"] or float("nan")
        yield name, Score(value=value, explanation=label["reasoning"], metadata={OWN: json.dumps(told)})
