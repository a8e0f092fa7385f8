"""Inspect's logs (`.eval` and JSON), through Inspect's own reading API: `pip install inspect_ai`."""

from __future__ import annotations

import importlib.util
import json
import math
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refusal_stability.exchange.equal_settings import OF_THE_MACHINE, EqualSettings
from refusal_stability.exchange.exported_study import study_in
from refusal_stability.exchange.inspect_invalidation import without_invalid_answers
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head, logged_prompt
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.exchange.told_by_export import OWN, exported_response, further_labels, told_in
from refusal_stability.params.checks import LARGEST
from refusal_stability.prompts.conversation import ROLES
from refusal_stability.records import Basis, Message, Prompt

CHUNK = 1000
# Samples are read in chunks of at most so many bytes; no part of an archive may unpack to more than a larger number.
CHUNK_BYTES = 64 * 2**20
LARGEST_PART = 256 * 2**20
LARGEST_JSON = 256 * 2**20
# So many compressed bytes at a time: a few of them may unpack to very many.
CHECKED_AT_ONCE = 4096
NOT_NEEDED = {"events", "store"}
BESIDE_EVENTS = {"attachments", "events_data", "messages", "metadata", "scores", "store"}
# Settings that change an answer, as Inspect names them.
ANSWERED_TO = (
    *("top_p", "top_k", "max_tokens", "stop_seqs", "frequency_penalty", "presence_penalty", "logit_bias", "best_of"),
    *("reasoning_effort", "reasoning_tokens", "effort", "verbosity", "response_schema", "extra_body"),
)
NO_MODEL = "none/none"  # of a task whose roles have models
NO_OUTPUT = "the log has no output"
UNSCORED = "the log has no score"


def is_inspect_log(path: Path) -> bool:
    """Whether a file is a log of Inspect: its own archive, or JSON that begins like one."""
    if path.suffix == ".eval":
        return True
    if path.suffix != ".json":
        return False
    head = file_head(path)
    return all(key in head for key in (b'"version"', b'"eval"', b'"task"'))


@log_format("inspect", is_inspect_log)
def inspect_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Each sample's final answer; of logs of one task that was retried, those of the last try."""
    api = _reading_api()
    headers = {path: _header(api, path) for path in paths}
    asked = EqualSettings()
    for path in _last_tries(headers, options):
        header = headers[path]
        if OWN in (header.eval.metadata or {}):
            options.add_study(str(path), study_in(str(path), header.eval.metadata[OWN]))
        if header.status != "success":
            options.note(f"{path.name}: status {header.status}; only the samples that it holds are taken")
        for sample, calls in _samples(api, path):
            place = f"{path}: sample {sample.id!r}, epoch {sample.epoch}"
            told = told_in(place, sample.metadata)
            if told is not None:
                found = _exported(place, header, sample, told)
            else:
                found = _responses(place, header, sample, calls, options, asked)
            yield from without_invalid_answers(sample, found)


def _reading_api() -> Any:
    try:
        from inspect_ai import log

        if importlib.util.find_spec("zipfile_zstd"):
            # Teaches zipfile the compression of Inspect's logs, which newer Pythons know.
            importlib.import_module("zipfile_zstd")
    except ImportError as error:
        raise LogError(
            "Inspect's logs are read by Inspect itself, which is not installed; run: .venv/bin/pip install inspect_ai"
        ) from error
    return log


def _header(api: Any, path: Path) -> Any:
    _check_size(path)
    try:
        return api.read_eval_log(path, header_only=True)
    except Exception as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> LogError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return LogError(f"{path}: not readable as an Inspect log ({reason}); copy it again, or update inspect_ai")


def _check_size(path: Path) -> None:
    """Refuse a torn archive, one whose parts unpack to too much, and JSON that is too large to be read at once."""
    if path.suffix == ".json":
        if path.stat().st_size > LARGEST_JSON:
            raise LogError(
                f"{path}: {path.stat().st_size / 2**20:,.0f} MB of JSON; convert it, so that it can be read in parts: "
                "inspect log convert --to eval"
            )
        return
    try:
        with zipfile.ZipFile(path) as archive:
            for part in archive.infolist():
                _check_part(path, archive, part)
    except (zipfile.BadZipFile, OSError, EOFError, RuntimeError, ValueError, zlib.error) as error:
        raise LogError(f"{path}: not a complete archive ({error}); copy it again") from error


def _check_part(path: Path, archive: zipfile.ZipFile, part: zipfile.ZipInfo) -> None:
    """Refuse a part that leads out of the archive, is too large, or holds more than its entry says."""
    if part.filename.startswith(("/", "\\")) or ".." in Path(part.filename).parts:
        raise LogError(f"{path}: holds the path {part.filename!r}, which leads out of the archive; no log has that")
    if part.file_size > LARGEST_PART:
        raise LogError(
            f"{path}: {part.filename} unpacks to {part.file_size / 2**20:,.0f} MB, more than the "
            f"{LARGEST_PART // 2**20} MB that are read; remove it from the log"
        )
    # No more is unpacked than the entry says, and then the checksum is wrong. Inspect's own reader unpacks it all.
    with archive.open(part) as content:
        while content.read(CHECKED_AT_ONCE):
            pass


def _last_tries(headers: Mapping[Path, Any], options: ImportOptions) -> list[Path]:
    """The logs without those of tasks that were tried again."""
    best: dict[str, Path] = {}
    for path, header in headers.items():
        rank = (header.status == "success", str(header.eval.created), path.suffix == ".eval")
        other = best.get(header.eval.task_id)
        if other is not None:
            theirs = headers[other]
            first = (theirs.status == "success", str(theirs.eval.created), other.suffix == ".eval") >= rank
            options.note(
                f"{(path if first else other).name}: the same task as {(other if first else path).name}; left out"
            )
            if first:
                continue
        best[header.eval.task_id] = path
    return [path for path in headers if path in best.values()]


@dataclass(frozen=True)
class _Call:
    """One call of a model in a sample: the answer's id and text, the settings that were sent, and if it was cached."""

    model: str
    answer: str | None
    text: str
    config: Any
    cached: bool
    tools: str


def _calls(sample: Any) -> list[_Call]:
    found = []
    for event in sample.events:
        if event.event == "model":
            answers = event.output.choices[:1]
            answer = answers[0].message.id if answers else None
            cached, tools = event.cache == "read", ", ".join(sorted(tool.name for tool in event.tools))
            found.append(_Call(event.model, answer, event.output.completion, event.config, cached, tools))
    return found


def _samples(api: Any, path: Path) -> Iterator[tuple[Any, list[_Call]]]:
    """Each sample and its calls of models, of which an archive's are read apart: their texts are not needed."""
    try:
        if path.suffix == ".json":
            for sample in api.read_eval_log(path, resolve_attachments=True).samples or []:
                yield sample, _calls(sample)
            return
        there = [(summary.id, summary.epoch) for summary in api.read_eval_log_sample_summaries(path)]
        for chunk in _chunks(path, there):
            with_events = api.read_eval_log_samples_by_id(path, chunk, exclude_fields=BESIDE_EVENTS)
            calls = {(sample.id, sample.epoch): _calls(sample) for sample in with_events}
            for sample in api.read_eval_log_samples_by_id(
                path, chunk, resolve_attachments=True, exclude_fields=NOT_NEEDED
            ):
                yield sample, calls[sample.id, sample.epoch]
    except LogError:
        raise
    except Exception as error:
        raise _unreadable(path, error) from error


def _chunks(path: Path, there: Sequence[tuple[Any, int]]) -> Iterator[list[tuple[Any, int]]]:
    """The samples in chunks that fit into memory."""
    with zipfile.ZipFile(path) as archive:
        sizes = {part.filename: part.file_size for part in archive.infolist()}
    chunk: list[tuple[Any, int]] = []
    held = 0
    for sample, epoch in there:
        size = sizes.get(f"samples/{sample}_epoch_{epoch}.json", CHUNK_BYTES // CHUNK)
        if chunk and (len(chunk) == CHUNK or held + size > CHUNK_BYTES):
            yield chunk
            chunk, held = [], 0
        chunk.append((sample, epoch))
        held += size
    if chunk:
        yield chunk


def _exported(place: str, header: Any, sample: Any, told: Mapping[str, Any]) -> Iterator[LoggedResponse]:
    """A sample that this project exported: its judges' repeats and confidences stand beside the scores."""
    asked = [Message("user", sample.input)] if isinstance(sample.input, str) else []
    asked = asked or [Message(str(message.role), message.text) for message in sample.input]
    text, thinking, _ = _answer(sample)
    labels: dict[int, dict[str, LoggedLabel]] = defaultdict(dict)
    for score in (sample.scores or {}).values():
        about = json.loads((score.metadata or {})[OWN])
        label = "" if about["missing_reason"] else str(score.value)
        said = (about["missing_reason"], about["confidence"], about["repeat"])
        found = LoggedLabel(label, score.explanation or "", *said, Basis(about.get("basis", Basis.JUDGE)))
        labels[about["repeat"]][str(about["judge"])] = found
    temperature = float(_setting(header, None, "temperature"))
    response = exported_response(place, told, asked, temperature, text, thinking, labels.pop(0, {}))
    yield response
    yield from further_labels(response, labels)


def _responses(
    place: str, header: Any, sample: Any, calls: Sequence[_Call], options: ImportOptions, asked: EqualSettings
) -> Iterator[LoggedResponse]:
    """Each choice of the final answer: repeats of which the first alone has the sample's scores."""
    choices = range(max(len(sample.output.choices), 1))
    if len(choices) > 1:
        options.note(f"{header.eval.task}: samples of several choices: each is a repeat; scores are of the first alone")
    call = _answering(header, sample, calls)
    model = str(header.eval.model)
    if call is not None and call.model != model:
        options.note(
            f"{header.eval.task}: {call.model} gave the answers, not the task's model {model}; they are its answers"
        )
        model = call.model
    if call is not None and call.cached:
        options.note(f"{header.eval.task}: answers came from Inspect's cache: repeats there are no fresh draws")
    prompt = _prompt(place, sample, header, options, _setting(header, call, "system_message"))
    seeded, found = _setting(header, call, "seed"), _setting(header, call, "temperature")
    asked.check(place, (model, prompt.prompt_id, found, call is None), _settings(header, call))
    numbered = (header.eval.config.epochs or 1) == len(choices) == 1
    for choice in choices:
        text, thinking, refused = _answer(sample, choice)
        reason = "" if text or refused or sample.output.choices else NO_OUTPUT
        if sample.error is not None:
            reason = f"error: {' '.join(sample.error.message.split())[:200]}"
        finish = str(sample.output.choices[choice].stop_reason) if sample.output.choices else ""
        yield LoggedResponse(
            place,
            model,
            prompt,
            options.temperature if found is None else float(found),
            int(seeded) if seeded is not None and 0 <= seeded <= LARGEST and numbered else None,
            "" if reason else text,
            "refusal" if refused else finish,
            reason,
            thinking=thinking,
            labels={} if reason or choice else dict(_labels(sample)),
            order=sample.epoch,
            sent_seed=True,
        )


def _answering(header: Any, sample: Any, calls: Sequence[_Call]) -> _Call | None:
    """The call that gave the sample's final answer; where there is no answer, the last one of the model."""
    if not sample.output.choices:
        model = str(header.eval.model)
        return next((call for call in reversed(calls) if model in (call.model, NO_MODEL)), None)
    answer = sample.output.choices[0].message.id
    same = (call for call in reversed(calls) if call.answer == answer)
    if answer is None:
        same = (call for call in reversed(calls) if call.text == sample.output.completion)
    return next(same, None)


def _setting(header: Any, call: _Call | None, name: str) -> Any:
    """A setting as it was sent: the call says it, or else, in this order, a `generate` step, the task, the model."""
    if call is not None:
        return getattr(call.config, name, None)
    steps = [step.params for step in header.plan.steps if step.solver.rpartition("/")[2] == "generate"]
    configs = [header.plan.config, header.eval.model_generate_config]
    said = [params.get(name) for params in reversed(steps)] + [getattr(config, name, None) for config in configs]
    return next((value for value in said if value is not None), None)


def _settings(header: Any, call: _Call | None) -> dict[str, Any]:
    """What a model answers to beside prompt, temperature and seed."""
    sent = {name: _setting(header, call, name) for name in ANSWERED_TO}
    opened = {f"model_args.{k}": v for k, v in header.eval.model_args.items() if k not in OF_THE_MACHINE}
    return {"base URL of the model": header.eval.model_base_url, "tools": call and call.tools} | opened | sent


def _answer(sample: Any, choice: int = 0) -> tuple[str, str, bool]:
    """An answer's text, the thinking before it, and whether it is a structured refusal."""
    if not sample.output.choices:
        return "", "", False
    message = sample.output.choices[choice].message
    content = message.content
    parts = [] if isinstance(content, str) else [part.model_dump() for part in content]
    thinking = "\n".join(str(part.get("reasoning") or "") for part in parts if part.get("type") == "reasoning")
    refused = any(part.get("refusal") for part in parts)
    return message.text if choice else sample.output.completion, thinking, refused


def _prompt(place: str, sample: Any, header: Any, options: ImportOptions, system: str | None) -> Prompt:
    """The conversation that was sent first: solvers may have put turns before the sample's input, or changed it."""
    given = sample.input if isinstance(sample.input, list) else []
    answers = sum(message.role == "assistant" for message in given)
    turns: list[dict[str, str]] = [{"role": "system", "content": system}] if system else []
    for message in sample.messages or given:
        if message.role not in ROLES:
            options.note(f"{place}: a turn of role {message.role} was left out of the prompt")
            continue
        if message.role == "assistant":
            answers -= 1
            if answers < 0:
                break
        if not (turns and message.role == "system" and message.text == system):
            turns.append({"role": message.role, "content": message.text})
    if (
        sum(message.role == "assistant" for message in sample.messages)
        > sum(t["role"] == "assistant" for t in turns) + 1
    ):
        options.note(f"{header.eval.task}: conversations of several answers; the last answer was taken")
    return logged_prompt(place, turns or sample.input, str(header.eval.task), sample.metadata.get("category"))


def _labels(sample: Any) -> Iterator[tuple[str, LoggedLabel]]:
    """Each scorer's value; a scorer with several values is several judges."""
    for scorer, score in (sample.scores or {}).items():
        values = score.value if isinstance(score.value, dict) else {"": score.value}
        for name, value in values.items():
            judge = f"{scorer}.{name}" if name else scorer
            unscored = value is None or (isinstance(value, float) and math.isnan(value))
            label = "" if unscored else str(value).strip()
            yield judge, LoggedLabel(label, score.explanation or "", "" if label else UNSCORED)
