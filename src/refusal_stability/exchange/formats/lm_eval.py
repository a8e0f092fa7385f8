"""lm-evaluation-harness: `samples_*.jsonl` of `--log_samples`, with `results_*.json` beside it."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from refusal_stability.exchange.equal_settings import OF_THE_MACHINE, EqualSettings
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head, first_record, logged_number, logged_prompt, whole_json
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.tables.user_files import UserRow, every_row

# In the names of the harness's classes that ask a server: they leave `do_sample` out and send the temperature.
SERVERS = ("completions", "anthropic", "openai", "watsonx", "textsynth")
# Its classes that send temperature 1, whatever was set, to models with these in their names.
OPENAI_CHAT = ("openai-chat-completions", "azure-openai-chat-completions")
ALWAYS_ONE = ("o1", "o3", "o4", "5")
# Of the settings of a request: the temperature is a study's own, and the others change no answer by themselves.
FREE = ("temperature", "do_sample", "seed")
LARGEST_RESULTS = 64 * 2**20
NO_OUTPUT = "the log has no output"
UNSCORED = "the log has no score"
NEEDED = ("arguments", "resps")


@dataclass(frozen=True)
class _Run:
    """The run that a file of samples is of, and the settings that all runs sent."""

    model: str
    backend: str
    model_args: Mapping[str, str] | None
    task: str
    equal: EqualSettings


def is_lm_eval_log(path: Path) -> bool:
    """Whether a file is a table of samples or the results beside it."""
    if path.suffix == ".json":
        return path.name.startswith("results_") and b'"results"' in file_head(path)
    return path.suffix == ".jsonl" and path.name.startswith("samples_") and set(NEEDED) <= first_record(path).keys()


def results_beside(path: Path) -> Path:
    """The results file of the run whose samples `path` holds."""
    return path.with_name(f"results_{path.stem.rpartition('_')[2]}.json")


@log_format("lm-eval", is_lm_eval_log, beside=results_beside)
def lm_eval_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every generated text of every document; a document that stands under several filters is taken once."""
    equal = EqualSettings()
    for path in paths:
        if path.suffix != ".jsonl":
            continue
        run, seen = _Run(*_model(path, options), _task(path), equal), set()
        judges = _labels_by_document(path)
        for document, row in _documents(path):
            if document not in seen:
                seen.add(document)
                yield from _responses(row, run, judges.get(document, {}), options)


def _documents(path: Path) -> Iterator[tuple[Hashable, UserRow]]:
    """Each row and its document: the log's number; else its content, and how often its filter had that before."""
    before: Counter[Hashable] = Counter()
    for row in every_row(path):
        values = row.values
        if (number := values.get("doc_id")) is not None:
            yield str(number), row
            continue
        asked = json.dumps([values.get("doc"), values.get("arguments")], sort_keys=True, default=str)
        content = sha256(asked.encode("utf-8", "surrogatepass")).digest()
        under = (content, str(values.get("filter")))
        before[under] += 1
        yield (content, before[under]), row


def _labels_by_document(path: Path) -> dict[Hashable, dict[str, LoggedLabel]]:
    """Each document's labels: each metric is a judge, and so is each metric under each filter, where there are several.

    The rows of a document under several filters lie far apart, so the file is read for the labels first.
    """
    found: dict[Hashable, dict[str, dict[str, LoggedLabel]]] = defaultdict(dict)
    filters: set[str] = set()
    for document, row in _documents(path):
        name = str(row.values.get("filter"))
        filters.add(name)
        if labels := _labels(row):
            found[document].setdefault(name, labels)
    return {
        document: {
            f"{metric}.{name}" if len(filters) > 1 else metric: label
            for name, labels in of_filters.items()
            for metric, label in labels.items()
        }
        for document, of_filters in found.items()
    }


def _task(path: Path) -> str:
    return path.stem.removeprefix("samples_").rpartition("_")[0] or path.stem


def _model(path: Path, options: ImportOptions) -> tuple[str, str, Mapping[str, str] | None]:
    """The model of the results file of the same run, the harness's class that asked it, and what the class was told.

    The model is empty where the user names it, or else the folder's name; the others are where they are not known.
    """
    results, backend, told = results_beside(path), "", None
    if results.is_file():
        found = whole_json(results, LARGEST_RESULTS, "remove what is not of this run")
        found = found if isinstance(found, dict) else {}
        config = found.get("config")
        if isinstance(config, dict):
            backend, told = str(config.get("model") or ""), _model_args(config.get("model_args"))
        if found.get("model_name"):
            return str(found["model_name"]), backend, told
    if "model" in options.table_map.constants:
        return "", backend, told
    folder = path.absolute().parent.name
    options.note(
        f"{path.name}: no {results.name} beside it; the model is named after the folder: {folder} (another name: "
        "--constant model=NAME)"
    )
    return folder, backend, told


def _model_args(given: Any) -> dict[str, str]:
    """What changes a model's answers of the arguments it was opened with: a text `a=b,c=d`, or what that reads as."""
    pairs = given.items() if isinstance(given, dict) else (part.split("=", 1) for part in str(given or "").split(","))
    named = {str(name).strip(): str(value) for name, value in (pair for pair in pairs if len(pair) == 2)}
    return {name: value for name, value in named.items() if name not in OF_THE_MACHINE}


def _responses(
    row: UserRow, run: _Run, labels: Mapping[str, LoggedLabel], options: ImportOptions
) -> Iterator[LoggedResponse]:
    """The answers to each request of a document, which most tasks have one of."""
    requests, answers = row.values.get("arguments"), row.values.get("resps")
    requests = list(requests.values()) if isinstance(requests, dict) else requests
    if not (isinstance(requests, list) and requests and isinstance(answers, list) and all(map(_is_list, answers))):
        raise LogError(f"{row.place}: not a sample of lm-evaluation-harness; log it with --log_samples")
    doc = row.values.get("doc")
    category = doc.get("category") if isinstance(doc, dict) else None
    asked_once = len(requests) == 1
    count = sum(map(len, answers))
    if count > 1 and labels:
        options.note(f"{row.file}: metrics {', '.join(labels)} stand for several answers each; left out")
        labels = {}
    order = 0
    for position, texts in enumerate(answers or [[]]):
        asked, settings, *_ = _parts(requests[0 if asked_once else position % len(requests)])
        if not isinstance(settings, dict) or not all(text is None or isinstance(text, str) for text in texts):
            options.note(f"{run.task}: its answers are likelihoods, not texts; left out")
            return
        prompt = logged_prompt(row.place, asked[0] if isinstance(asked, list) else asked, run.task, category)
        temperature = _temperature(row, settings, run, options)
        sent = {name: value for name, value in settings.items() if name not in FREE}
        run.equal.check(row.place, (run.model, prompt.prompt_id, temperature), sent)
        if run.model_args is not None:
            run.equal.check(row.place, ("model_args", run.model, prompt.prompt_id, temperature), run.model_args)
        for text in texts or ([] if count else [None]):
            reason = NO_OUTPUT if text is None else ""
            own, model = {} if reason else labels, run.model
            yield LoggedResponse(
                row.place, model, prompt, temperature, None, text or "", missing_reason=reason, labels=own, order=order
            )
            order += 1


def _is_list(value: object) -> bool:
    return isinstance(value, list)


def _parts(request: Any) -> list[Any]:
    """What was asked, and the settings of the generation."""
    parts = list(request.values()) if isinstance(request, dict) else request
    return parts if isinstance(parts, list) and len(parts) > 1 else [parts, None]


def _temperature(row: UserRow, settings: dict[str, Any], run: _Run, options: ImportOptions) -> float | None:
    """The temperature that was sent: a local model does not sample where `do_sample` is false, a server is not told."""
    logged, backend = logged_number(row.place, "temperature", settings.get("temperature")), run.backend
    if backend in OPENAI_CHAT and logged != 1 and any(part in run.model for part in ALWAYS_ONE):
        if options.temperature is None:
            said = "no temperature" if logged is None else f"temperature {logged:g}"
            raise LogError(
                f"{row.place}: the log says {said}, but the harness's {backend} sends 1 to every model with "
                f"{', '.join(ALWAYS_ONE)} in its name, such as {run.model} (earlier versions to fewer); "
                "say what was sent: --temperature 1"
            )
        return options.temperature
    if settings.get("do_sample") is False and not (logged and any(name in backend for name in SERVERS)):
        if logged and not backend:
            options.note(
                f"{row.file}: do_sample is false beside temperature {logged:g}; as local models: 0. A server "
                f"was sent {logged:g}: import the run's results_*.json with it, which tells which it was"
            )
        return 0.0
    return options.temperature if logged is None else logged


def _labels(row: UserRow) -> dict[str, LoggedLabel]:
    """Each metric of a row."""
    scores = {name: row.values.get(name) for name in row.values.get("metrics") or []}
    known = {name: value for name, value in scores.items() if isinstance(value, str | int | float)}
    unscored = LoggedLabel("", missing_reason=UNSCORED)
    return {name: LoggedLabel(str(value)) if value == value else unscored for name, value in known.items()}
