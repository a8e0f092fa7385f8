"""What this project's exports say beside the fields of a form: the study's own names, seeds and reasons."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from refusal_stability.exchange.logged import LogError, LoggedLabel, LoggedResponse
from refusal_stability.params.checks import LARGEST
from refusal_stability.records import Basis, Message, Outcome, Prompt

# The key of a sample's metadata that holds these, as JSON.
OWN = "refusal_stability"
TOLD = ("model", "intervention", "seed", "prompt_id", "category", "source", "harm", "language", "intent")
TOLD_OF_ANSWER = ("finish_reason", "missing_reason", "outcome")


def told_by(row: Mapping[str, Any], **more: Any) -> str:
    """The JSON text for the metadata of an exported row."""
    return json.dumps({name: row[name] for name in (*TOLD, *TOLD_OF_ANSWER, "unseeded")} | more, ensure_ascii=False)


def told_in(place: str, metadata: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What an export of this project wrote into a sample's metadata; None where another tool wrote the sample."""
    text = (metadata or {}).get(OWN)
    if text is None:
        return None
    try:
        told = json.loads(text)
        Outcome(told["outcome"])
        sound = all(isinstance(told[name], str) for name in (*TOLD, *TOLD_OF_ANSWER) if name != "seed")
        sound = sound and type(told["seed"]) is int and type(told.setdefault("unseeded", False)) is bool
    except (ValueError, RecursionError, TypeError, KeyError) as error:
        raise _spoilt(place) from error
    if not sound:
        raise _spoilt(place)
    return dict(told)


def told_label(place: str, told: Mapping[str, Any], label: str) -> LoggedLabel:
    """A judge's `label` with the reasons, the confidence and the repeat that an export wrote beside it."""
    reasons, confidence, repeat = (told.get("reasoning"), told.get("label_missing")), told.get("confidence"), "repeat"
    sound = isinstance(told.get("judge"), str) and type(told.get(repeat)) is int and 0 <= told[repeat] <= LARGEST
    basis = told.get("basis", Basis.JUDGE.value)
    sound = sound and all(isinstance(text, str) for text in reasons) and basis in [one.value for one in Basis]
    if not sound or not (confidence is None or (type(confidence) in (int, float) and 0 <= confidence <= 1)):
        raise _spoilt(place)
    said = ("" if reasons[1] else label, str(reasons[0]), str(reasons[1]), confidence, told[repeat])
    return LoggedLabel(*said, Basis(basis))


def _spoilt(place: str) -> LogError:
    return LogError(f"{place}: metadata.{OWN} is not as an export of this project writes it; export again")


def exported_response(
    place: str,
    told: Mapping[str, Any],
    messages: Sequence[Message],
    temperature: float,
    text: str,
    thinking: str,
    labels: Mapping[str, LoggedLabel],
) -> LoggedResponse:
    """A response that this project exported."""
    about = [told[name] for name in ("category", "source", "harm", "language", "intent")]
    conversation = tuple(messages) if len(messages) > 1 else ()
    prompt = Prompt(told["prompt_id"], messages[-1].content, about[0], about[1], conversation, *about[2:])
    outcome = Outcome(told["outcome"])
    answer = (text, told["finish_reason"], told["missing_reason"], outcome, thinking)
    return LoggedResponse(
        place,
        told["model"],
        prompt,
        temperature,
        told["seed"],
        *answer,
        labels,
        intervention=told["intervention"],
        unseeded=bool(told.get("unseeded")),
    )


def further_labels(
    response: LoggedResponse, labels: Mapping[int, Mapping[str, LoggedLabel]]
) -> Iterator[LoggedResponse]:
    """The labels of a judge that was asked again, for a response that is there."""
    for repeat in sorted(labels):
        yield replace(response, text=None, labels=labels[repeat])
