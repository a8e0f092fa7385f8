"""promptfoo's output: `promptfoo eval -o results.json` or `-o results.jsonl`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.exchange.json_parts import json_parts
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import answer_text, file_head, first_record, logged_number, logged_prompt
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.tables.user_files import UserRow, every_row

RESULTS = ("results", "results")
NEEDED = {"provider", "prompt", "testIdx"}
TEMPLATE = "{{"
ERROR = 2  # promptfoo's failureReason where nothing was answered


def is_promptfoo_log(path: Path) -> bool:
    """Whether a file is promptfoo's output."""
    if path.suffix == ".jsonl":
        return first_record(path).keys() >= NEEDED
    return path.suffix == ".json" and b'"evalId"' in file_head(path)[:1000]


@log_format("promptfoo", is_promptfoo_log)
def promptfoo_responses(paths: Sequence[Path], options: ImportOptions) -> Iterator[LoggedResponse]:
    """Every result; assertions are judges whose labels are `pass` and `fail`."""
    cached = again = 0
    taken: set[str] = set()
    for path in paths:
        rows, providers, source = _results(path)
        of_this_file = set()
        for row in rows:
            result = row.values
            if not result.keys() >= NEEDED:
                raise LogError(f"{row.place}: not a result of promptfoo; found {', '.join(result)[:200]}")
            if (own := result.get("id")) is not None:
                if str(own) in taken:
                    again += 1
                    continue
                of_this_file.add(str(own))
            cached += bool((result.get("response") or {}).get("cached"))
            yield _response(row, providers, source, options)
        taken |= of_this_file
    if again:
        options.note(f"{again} results stand in two files; each is taken once")
    if cached:
        options.note(f"{cached} responses came from promptfoo's cache: repeats there are no fresh draws (--no-cache)")


def _results(path: Path) -> tuple[Iterator[UserRow], list[Any], str]:
    """The results, the providers of the configuration, and what the evaluation is called.

    A JSON file is read twice, part by part: it may be large, and its configuration follows the results.
    """
    if path.suffix == ".jsonl":
        return every_row(path), [], path.stem
    config: Any = {}
    count = 0
    for place, part in json_parts(path, RESULTS):
        count += place == RESULTS
        if place == ("config",):
            config = part or {}
    if not count:
        raise LogError(
            f"{path}: holds no results as promptfoo 3 or later writes them; update promptfoo and run it again"
        )
    parts = (part for place, part in json_parts(path, RESULTS) if place == RESULTS)
    rows = (UserRow(f"{path}: results", number, result) for number, result in enumerate(parts))
    providers = config.get("providers")
    return rows, providers if isinstance(providers, list) else [providers], str(config.get("description") or path.stem)


def _response(row: UserRow, providers: list[Any], source: str, options: ImportOptions) -> LoggedResponse:
    result = row.values
    response = result.get("response") or {}
    output = response.get("output")
    text = answer_text(output)
    reason = ""
    if result.get("failureReason") == ERROR or output is None:
        reason = "error: " + " ".join(str(response.get("error") or result.get("error") or "no output").split())[:200]
    provider, prompt = result["provider"], result["prompt"]
    provider = provider if isinstance(provider, dict) else {"id": provider}
    model, temperature = _provider(row.place, provider, providers)
    test = result.get("testCase") or {}
    category = (test.get("metadata") or {}).get("category") or (result.get("vars") or {}).get("category")
    return LoggedResponse(
        row.place,
        model,
        logged_prompt(row.place, prompt.get("raw") if isinstance(prompt, dict) else prompt, source, category),
        options.temperature if temperature is None else temperature,
        None,
        "" if reason else text,
        "refusal" if response.get("isRefusal") else str(response.get("finishReason") or ""),
        reason,
        labels={} if reason else _labels(result),
    )


def _provider(place: str, provider: Mapping[str, Any], providers: list[Any]) -> tuple[str, float | None]:
    """The model and its temperature; two providers that differ in more than that go by their labels."""
    known = [one for one in providers if isinstance(one, dict)]
    settings = [(one.get("id"), (one.get("config") or {}).get("temperature")) for one in known]
    label = provider.get("label")
    mine = next((s for one, s in zip(known, settings, strict=True) if label and one.get("label") == label), None)
    if mine is None:
        named = [s for s in settings if s[0] == provider.get("id")]
        temperatures = list(dict.fromkeys(str(temperature) for _, temperature in named))
        if len(temperatures) > 1:
            raise LogError(
                f"{place}: the providers named {provider.get('id')!r} have temperatures {', '.join(temperatures)} and "
                "nothing tells which of them answered; give them a label each and run promptfoo again"
            )
        mine = named[0] if named else (provider.get("id"), None)
    name = label if settings.count(mine) > 1 and label else provider.get("id")
    # A template is filled in when promptfoo runs.
    told = None if TEMPLATE in str(mine[1]) else mine[1]
    return str(name or ""), logged_number(place, "temperature", told)


def _labels(result: Mapping[str, Any]) -> dict[str, LoggedLabel]:
    """Each assertion by its metric or type; equal names are numbered."""
    labels: dict[str, LoggedLabel] = {}
    seen: Counter[str] = Counter()
    for component in (result.get("gradingResult") or {}).get("componentResults") or []:
        assertion = component.get("assertion") or {}
        name = str(assertion.get("metric") or assertion.get("type") or "assertion")
        seen[name] += 1
        judge = name if seen[name] == 1 else f"{name}-{seen[name]}"
        labels[judge] = LoggedLabel("pass" if component.get("pass") else "fail", str(component.get("reason") or ""))
    return labels
