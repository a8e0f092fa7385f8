"""promptfoo's output: `promptfoo eval -o results.json` or `-o results.jsonl`."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from refusal_stability.exchange.json_parts import json_parts
from refusal_stability.exchange.log_format import ImportOptions, log_format
from refusal_stability.exchange.log_prompt import file_head, first_record, logged_number, logged_prompt
from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.exchange.promptfoo_answers import answer_of
from refusal_stability.exchange.yaml_turns import yaml_turns
from refusal_stability.params.checks import LARGEST
from refusal_stability.tables.user_files import UserRow, every_row

RESULTS = ("results", "results")
NEEDED = {"provider", "prompt", "testIdx"}
TEMPLATE = "{{"
SENT = ("temperature", "seed", "max_tokens")
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
    limits: dict[tuple[str, str, float | None], Any] = {}
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
            response, most_tokens = _response(row, providers, source, options)
            cell = (response.model, response.prompt.prompt_id, response.temperature)
            if limits.setdefault(cell, most_tokens) != most_tokens:
                options.note(f"{response.model}: answers of different max_tokens to one prompt count as its repeats")
            yield response
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


def _response(row: UserRow, providers: list[Any], source: str, options: ImportOptions) -> tuple[LoggedResponse, Any]:
    """The response, and the most tokens that it was allowed."""
    result = row.values
    response = result.get("response") or {}
    answer = answer_of(response)
    reason = "" if answer.is_blocked else answer.missing_reason
    if result.get("failureReason") == ERROR or (response.get("output") is None and not answer.is_blocked):
        reason = "error: " + " ".join(str(response.get("error") or result.get("error") or "no output").split())[:200]
    provider, prompt = result["provider"], result["prompt"]
    provider = provider if isinstance(provider, dict) else {"id": provider}
    test = result.get("testCase") or {}
    model, sent = _sent(row.place, provider, providers, _above_provider(prompt, test))
    temperature = logged_number(row.place, "temperature", sent.get("temperature"))
    seed = logged_number(row.place, "seed", sent.get("seed"))
    seeded = seed is not None and 0 <= seed < LARGEST and seed == int(seed)
    category = (test.get("metadata") or {}).get("category") or (result.get("vars") or {}).get("category")
    asked = prompt.get("raw") if isinstance(prompt, dict) else prompt
    one = LoggedResponse(
        row.place,
        model,
        logged_prompt(row.place, yaml_turns(row.place, asked), source, category),
        options.temperature if temperature is None else temperature,
        int(seed) if seed is not None and seeded else None,
        "" if reason else answer.text,
        answer.finish_reason,
        reason,
        thinking="" if reason else answer.thinking,
        labels={} if reason or answer.is_blocked else _labels(result),
        order=int(seed) if seed is not None and seeded else 0,
        sent_seed=True,
    )
    return one, sent.get("max_tokens")


def _above_provider(prompt: Any, test: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that promptfoo puts above the provider's: a result's prompt holds its own and the test's, merged."""
    own = prompt.get("config") if isinstance(prompt, dict) else None
    above = own if isinstance(own, dict) else test.get("options")
    return above if isinstance(above, dict) else {}


def _sent(
    place: str, provider: Mapping[str, Any], providers: list[Any], above: Mapping[str, Any]
) -> tuple[str, dict[str, Any]]:
    """The model and the settings it was sent; providers that differ in more than these go by their labels."""
    known = [(one, {**(one.get("config") or {})}) for one in map(_by_id, providers) if one]
    label = provider.get("label")
    mine = [pair for pair in known if label and pair[0].get("label") == label][:1]
    mine = mine or [pair for pair in known if pair[0].get("id") == provider.get("id")]
    sent = {}
    for name in SENT:
        values = {str(config.get(name)): config.get(name) for _, config in mine}
        if name == "temperature" and len(values) > 1 and name not in above:
            raise LogError(
                f"{place}: the providers named {provider.get('id')!r} have temperatures {', '.join(values)} and "
                "nothing tells which of them answered; give them a label each and run promptfoo again"
            )
        value = above[name] if name in above else next(iter(values.values())) if len(values) == 1 else None
        # A template is filled in when promptfoo runs.
        sent[name] = None if TEMPLATE in str(value) else value
    same = [pair for pair in known if mine and pair[0].get("id") == mine[0][0].get("id")]
    others = {json.dumps(_other_settings(config), sort_keys=True) for _, config in same}
    if len(others) > 1 and len(mine) > 1:
        raise LogError(
            f"{place}: the providers named {provider.get('id')!r} differ in {_differing(same)} and nothing tells which "
            "of them answered; give them a label each and run promptfoo again"
        )
    equal = [pair for pair in known if mine and _varied(*pair) == _varied(*mine[0])]
    by_label = label and (len(equal) > 1 or len(others) > 1)
    return str((label if by_label else provider.get("id")) or ""), sent


def _other_settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """What makes a provider of the same id another model: all but what may differ between repeats."""
    return {name: value for name, value in config.items() if name not in SENT}


def _differing(known: Sequence[tuple[Any, Mapping[str, Any]]]) -> str:
    found = [_other_settings(config) for _, config in known]
    names = {name for one in found for name in one}
    return ", ".join(sorted(name for name in names if any(one.get(name) != found[0].get(name) for one in found)))


def _by_id(provider: Any) -> dict[str, Any]:
    """A provider of the configuration with its id, which may be the key of a map: `{openai:chat:x: {config: ...}}`."""
    if not isinstance(provider, dict):
        return {}
    name, about = next(iter(provider.items()), ("", None))
    if len(provider) == 1 and isinstance(about, dict):
        return {"id": name, **about}
    return provider


def _varied(provider: Mapping[str, Any], config: Mapping[str, Any]) -> tuple[Any, ...]:
    """What providers of one model may differ in."""
    return (provider.get("id"), config.get("temperature"), config.get("seed"))


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
