"""Every Eval Ever: the samples of an evaluation (JSON lines), with the evaluation's own JSON beside them."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from refusal_stability.exchange.equal_settings import EqualSettings
from refusal_stability.exchange.exported_study import study_in
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head, first_record, logged_number, logged_prompt, whole_json
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.exchange.told_by_export import OWN, exported_response, told_in, told_label
from refusal_stability.prompts.conversation import ROLES
from refusal_stability.records import Message, Prompt
from refusal_stability.tables.user_files import UserRow, every_row

NEEDED = {"schema_version", "evaluation_id", "interaction_type", "evaluation_name", "model_id"}
SCHEMA = "0.3.0"
FREE = ("temperature", "seed", "max_attempts")
LARGEST_EVALUATION = 64 * 2**20
UNKNOWN_LEVEL = "the log has no score"


@dataclass(frozen=True)
class _Result:
    """One result of an evaluation: what was sent, and the names of its levels where its scores are levels."""

    temperature: float | None
    levels: Sequence[str] = ()
    sent: Mapping[str, Any] = field(default_factory=dict)


Results = Mapping[tuple[str, str], _Result]


@dataclass
class _Repeats:
    """Counts the samples of each question. One `sample_id` under two results of an evaluation is one response.

    Where several samples share their id, the k-th of one result and the k-th of another are.
    """

    equal: EqualSettings = field(default_factory=EqualSettings)
    seen: Counter[tuple[object, ...]] = field(default_factory=Counter)
    numbers: dict[tuple[object, ...], dict[tuple[object, ...], int]] = field(default_factory=dict)

    def next_of(self, sample: Mapping[str, Any], result: str, prompt: Prompt, temperature: float | None) -> Any:
        """A function from the place of an output among its sample's to the number of the repeat."""
        evaluation, own = str(sample["evaluation_id"]), str(sample.get("sample_id") or "")
        cell = (str(sample["model_id"]), prompt.prompt_id, temperature)
        count = self.seen[(evaluation, *cell, result, own)]
        self.seen[(evaluation, *cell, result, own)] += 1
        numbers = self.numbers.setdefault(cell, {})
        return lambda order: numbers.setdefault((evaluation, own, count, order), len(numbers) + 1)

    def check_joined(self, place: str) -> None:
        """Refuse two results of one evaluation that ask a question, but share no `sample_id` of it."""
        ids: dict[tuple[object, ...], dict[object, set[object]]] = {}
        for *cell, result, own in self.seen:
            ids.setdefault(tuple(cell), {}).setdefault(result, set()).add(own)
        for (evaluation, *_), of_results in ids.items():
            for one, other in itertools.pairwise(of_results):
                if of_results[one].isdisjoint(of_results[other]):
                    raise LogError(
                        f"{place}: the results {one!r} and {other!r} of evaluation {evaluation!r} ask one question, "
                        "but share no sample_id, so nothing tells which samples are one response; give one response "
                        "one sample_id, or import the results as studies of their own"
                    )


def is_every_eval_ever(path: Path) -> bool:
    """Whether a file holds samples of this schema, or the evaluation that they belong to."""
    if path.suffix == ".jsonl":
        return first_record(path).keys() >= NEEDED
    head = file_head(path) if path.suffix == ".json" else b""
    return b'"schema_version"' in head and b'"evaluation_id"' in head


@log_format("every-eval-ever", is_every_eval_ever)
def evaluation_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every answer of every sample; samples of one question are repeats. The evaluation gives the temperature."""
    results: dict[tuple[str, str], _Result] = {}
    for path in paths:
        if path.suffix == ".json":
            results |= _results(path, options)
    repeats = _Repeats()
    for path in paths:
        if path.suffix == ".jsonl":
            for row in every_row(path):
                yield from _responses(row, results, repeats, options)
    repeats.check_joined(str(paths[0]))


def _results(path: Path, options: ImportOptions) -> Results:
    """(evaluation, result's id or name) -> what the evaluation says about it."""
    evaluation = whole_json(path, LARGEST_EVALUATION, "leave it out and give --temperature")
    if not isinstance(evaluation, dict):
        raise LogError(f"{path}: holds {type(evaluation).__name__}, not one evaluation of Every Eval Ever; split it")
    _check_version(str(path), evaluation, options)
    about = (evaluation.get("model_info") or {}).get("additional_details")
    if isinstance(about, dict) and OWN in about:
        options.add_study(str(path), study_in(str(path), about[OWN]))
    found: dict[tuple[str, str], _Result] = {}
    for result in evaluation.get("evaluation_results") or []:
        settings = (result.get("generation_config") or {}).get("generation_args") or {}
        metric = result.get("metric_config") or {}
        levels = metric.get("level_names") or () if metric.get("score_type") == "levels" else ()
        temperature = settings.get("temperature")
        told = _Result(
            logged_number(f"{path}: {result.get('evaluation_name')}", "temperature", temperature),
            [str(level) for level in levels],
            _sent(result.get("generation_config") or {}),
        )
        for name in (result.get("evaluation_result_id"), result.get("evaluation_name")):
            if name is not None:
                key = (str(evaluation["evaluation_id"]), str(name))
                first = found.setdefault(key, told)
                if first.temperature != told.temperature:
                    # The name alone does not tell the temperature.
                    found[key] = replace(first, temperature=None)
    return found


def _sent(config: Mapping[str, Any]) -> dict[str, Any]:
    """What a model answers to beside prompt and temperature, as far as a result says it."""
    told, beside = config.get("generation_args") or {}, config.get("additional_details") or {}
    sent = {name: value for name, value in told.items() if name not in FREE and value is not None}
    return sent | {name: value for name, value in beside.items() if "system" in name.lower()}


def _check_version(place: str, values: Mapping[str, Any], options: ImportOptions) -> None:
    """Refuse another schema; one that differs a little is read, with a note."""
    version = str(values["schema_version"])
    if version.partition(".")[0] != SCHEMA.partition(".")[0]:
        raise LogError(f"{place}: schema version {version[:20]}; {SCHEMA} of Every Eval Ever is read: convert the file")
    if version.split(".")[:2] != SCHEMA.split(".")[:2]:
        options.note(f"Every Eval Ever: read as schema {SCHEMA}, but it says {version[:20]}: check what was found")


def _responses(row: UserRow, results: Results, repeats: _Repeats, options: ImportOptions) -> Iterator[LoggedResponse]:
    sample = row.values
    if not sample.keys() >= NEEDED:
        raise LogError(
            f"{row.place}: not a sample of Every Eval Ever; it lacks {', '.join(sorted(NEEDED - sample.keys()))}"
        )
    _check_version(row.place, sample, options)
    name = str(sample["evaluation_name"])
    if sample["interaction_type"] == "agentic":
        options.note(f"{name}: agentic samples have no one answer; left out")
        return
    evaluation, key = str(sample["evaluation_id"]), str(sample.get("evaluation_result_id") or name)
    result = results.get((evaluation, key)) or results.get((evaluation, name)) or _Result(None)
    temperature = options.temperature if result.temperature is None else result.temperature
    asked, texts, thinking = _exchange(sample)
    told = told_in(row.place, sample.get("metadata"))
    if told is not None:
        yield _exported(row, told, asked, temperature, (texts or [""])[0], (thinking or [""])[0], result)
        return
    model = str(sample["model_id"])
    prompt = logged_prompt(row.place, asked, name, (sample.get("metadata") or {}).get("category"))
    repeats.equal.check(row.place, (model, prompt.prompt_id, temperature), result.sent)
    number = repeats.next_of(sample, key, prompt, temperature)
    reason = f"error: {' '.join(str(sample['error']).split())[:200]}" if sample.get("error") and not any(texts) else ""
    for order, text in enumerate(texts or [""]):
        yield LoggedResponse(
            row.place,
            model,
            prompt,
            temperature,
            number(order),
            text,
            missing_reason=reason or ("" if texts else "the log has no output"),
            thinking=thinking[order] if order < len(thinking) else "",
            labels={name: found} if len(texts) == 1 and not reason and (found := _label(sample, result)) else {},
            counted=True,
        )


def _exported(
    row: UserRow, told: Mapping[str, Any], asked: Any, temperature: float | None, text: str, thinking: str, one: _Result
) -> LoggedResponse:
    """A sample that this project exported: its judge, repeat and confidence stand beside the score."""
    messages = [Message("user", asked)] if isinstance(asked, str) else [Message(t["role"], t["content"]) for t in asked]
    if temperature is None:
        raise LogError(f"{row.place}: the evaluation's own JSON is not there; import the whole folder of the export")
    labels = {}
    if told.get("judge"):
        found = _label(row.values, one)
        labels[str(told["judge"])] = told_label(row.place, told, found.label if found else "")
    return exported_response(row.place, told, messages, temperature, text, thinking, labels)


def _exchange(sample: Mapping[str, Any]) -> tuple[Any, list[str], list[str]]:
    """What was asked, the answers, and the thinking before each."""
    if sample["interaction_type"] == "single_turn":
        output = sample.get("output") or {}
        return (
            (sample.get("input") or {}).get("raw"),
            [str(text) for text in _listed(output.get("raw"))],
            [str(text or "") for text in _listed(output.get("reasoning_trace"))],
        )
    turns = [turn for turn in sample.get("messages") or [] if turn.get("role") in ROLES]
    last = max((i for i, turn in enumerate(turns) if turn["role"] == "assistant"), default=len(turns))
    asked = [{"role": turn["role"], "content": turn.get("content") or ""} for turn in turns[:last]]
    answer = turns[last : last + 1]
    return asked, [t.get("content") or "" for t in answer], [t.get("reasoning_trace") or "" for t in answer]


def _listed(texts: Any) -> list[Any]:
    """A list of texts; one text alone is a list of one."""
    return [texts] if isinstance(texts, str) else list(texts or [])


def _label(sample: Mapping[str, Any], result: _Result) -> LoggedLabel | None:
    """The sample's score: the level that it names, or else `correct` or `incorrect`."""
    evaluation = sample.get("evaluation") or {}
    if result.levels and isinstance(score := evaluation.get("score"), int | float):
        known = score in range(len(result.levels))
        return LoggedLabel(result.levels[int(score)]) if known else LoggedLabel("", missing_reason=UNKNOWN_LEVEL)
    if not isinstance(evaluation.get("is_correct"), bool):
        return None
    return LoggedLabel("correct" if evaluation["is_correct"] else "incorrect")
