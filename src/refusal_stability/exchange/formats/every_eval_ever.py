"""Every Eval Ever: the samples of an evaluation (JSON lines), with the evaluation's own JSON beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head, first_record, logged_prompt, whole_json
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.prompts.conversation import ROLES
from refusal_stability.tables.user_files import UserRow, every_row

NEEDED = {"schema_version", "evaluation_id", "interaction_type", "evaluation_name", "model_id"}
LARGEST_EVALUATION = 64 * 2**20
Temperatures = Mapping[tuple[str, str], float]


def is_every_eval_ever(path: Path) -> bool:
    """Whether a file holds samples of this schema, or the evaluation that they belong to."""
    if path.suffix == ".jsonl":
        return first_record(path).keys() >= NEEDED
    head = file_head(path) if path.suffix == ".json" else b""
    return b'"schema_version"' in head and b'"evaluation_id"' in head


@log_format("every-eval-ever", is_every_eval_ever)
def evaluation_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every answer of every sample; samples of one question are repeats. The evaluation gives the temperature."""
    temperatures: dict[tuple[str, str], float] = {}
    for path in paths:
        if path.suffix == ".json":
            temperatures |= _temperatures(path)
    for path in paths:
        if path.suffix == ".jsonl":
            for row in every_row(path):
                yield from _responses(row, temperatures, options)


def _temperatures(path: Path) -> Temperatures:
    """(evaluation, result's name) -> temperature, as far as the evaluation says it."""
    evaluation = whole_json(path, LARGEST_EVALUATION, "leave it out and give --temperature")
    found = {}
    for result in evaluation.get("evaluation_results") or []:
        settings = ((result.get("generation_config") or {}).get("generation_args") or {}).get("temperature")
        if settings is not None:
            found[str(evaluation["evaluation_id"]), str(result.get("evaluation_name"))] = float(settings)
    return found


def _responses(row: UserRow, temperatures: Temperatures, options: ImportOptions) -> Iterator[LoggedResponse]:
    sample = row.values
    if not sample.keys() >= NEEDED:
        raise LogError(
            f"{row.place}: not a sample of Every Eval Ever; it lacks {', '.join(sorted(NEEDED - sample.keys()))}"
        )
    name = str(sample["evaluation_name"])
    if sample["interaction_type"] == "agentic":
        options.note(f"{name}: agentic samples have no one answer; left out")
        return
    asked, texts, thinking = _exchange(sample)
    prompt = logged_prompt(row.place, asked, name, (sample.get("metadata") or {}).get("category"))
    temperature = temperatures.get((str(sample["evaluation_id"]), name), options.temperature)
    reason = f"error: {' '.join(str(sample['error']).split())[:200]}" if sample.get("error") and not any(texts) else ""
    for order, text in enumerate(texts or [""]):
        yield LoggedResponse(
            row.place,
            str(sample["model_id"]),
            prompt,
            temperature,
            None,
            text,
            missing_reason=reason or ("" if texts else "the log has no output"),
            thinking=thinking[order] if order < len(thinking) else "",
            labels=_label(sample, name) if len(texts) == 1 else {},
            order=order,
        )


def _exchange(sample: Mapping[str, Any]) -> tuple[Any, list[str], list[str]]:
    """What was asked, the answers, and the thinking before each."""
    if sample["interaction_type"] == "single_turn":
        output = sample.get("output") or {}
        return (
            (sample.get("input") or {}).get("raw"),
            [str(text) for text in output.get("raw") or []],
            [str(text or "") for text in output.get("reasoning_trace") or []],
        )
    turns = [turn for turn in sample.get("messages") or [] if turn.get("role") in ROLES]
    last = max((i for i, turn in enumerate(turns) if turn["role"] == "assistant"), default=len(turns))
    asked = [{"role": turn["role"], "content": turn.get("content") or ""} for turn in turns[:last]]
    answer = turns[last : last + 1]
    return asked, [t.get("content") or "" for t in answer], [t.get("reasoning_trace") or "" for t in answer]


def _label(sample: Mapping[str, Any], name: str) -> dict[str, LoggedLabel]:
    """The sample's score as a judge of the evaluation's name: `correct` or `incorrect`."""
    evaluation = sample.get("evaluation") or {}
    if not isinstance(evaluation.get("is_correct"), bool):
        return {}
    return {name: LoggedLabel("correct" if evaluation["is_correct"] else "incorrect")}
