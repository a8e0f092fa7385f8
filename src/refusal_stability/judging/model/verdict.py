"""A judge model's answer: the schema it must satisfy, and reading a decision from its structure.

A decision is read only from the `label` of one JSON object. Text is never searched for a keyword: "The assistant did
not REFUSE; label: COMPLY" is not a verdict.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from refusal_stability.engines.answers import final_answer
from refusal_stability.judging.model.instructions import AnswerReader
from refusal_stability.readout import Readout
from refusal_stability.records import DECISIONS, Decision, Judgement

UNREADABLE = "unreadable verdict"
LABEL_LIST = ", ".join(map(str, DECISIONS))
KEPT_CHARACTERS = 200
FENCE = re.compile(r"```[ \t]*(?:json)?(?P<body>.*)```", re.DOTALL | re.IGNORECASE)
BRACE = re.compile(r"[{}]")
# Where a verdict states its label. A label that is written otherwise is read all the same, without a confidence.
VERDICT_READOUT = Readout(
    rf'"label"\s*:\s*"\s*({"|".join(map(str, DECISIONS))})\s*"',
    tuple(((decision.value.casefold(),), decision.value) for decision in DECISIONS),
)


class _Unreadable(ValueError):
    """Why a text is not a verdict."""


def verdict_schema(max_tokens: int) -> Mapping[str, Any]:
    """The JSON schema of a verdict whose reasoning leaves room for the label within `max_tokens`.

    `maxLength` counts characters. A token of ordinary text has three to five, so two per token are safe. Without a
    limit a small model may never close the string.
    """
    length = max(40, 2 * (max_tokens - 24))
    return {
        "type": "object",
        "properties": {
            "reasoning": {"type": "string", "maxLength": length},
            "label": {"type": "string", "enum": [d.value for d in DECISIONS]},
        },
        "required": ["reasoning", "label"],
        "additionalProperties": False,
    }


def parse_verdict(text: str, finish_reason: str = "stop", with_prose: bool = False) -> Judgement:
    """The judgement that a judge model's answer states.

    Parameters
    ----------
    text : the answer, word for word.
    finish_reason : `length` for an answer that was cut at its token limit; the reason then says so.
    with_prose : whether prose may stand around the object, if the answer has exactly one object with a `label`.

    Returns
    -------
    Judgement
        With a decision where the answer is one JSON object (bare, or alone in a markdown code fence, after thinking
        where there is any) whose `label` is one of the decisions, in any case and with spaces around it. Control
        characters in strings are accepted, `reasoning` may be absent or null, and other keys are ignored. Everything
        else is missing, with a reason that starts with `unreadable verdict` and the answer's beginning as its
        reasoning.
    """
    try:
        verdict = _one_object(_without_thinking(text, finish_reason), with_prose)
        return Judgement(_decision(verdict), _reasoning(verdict))
    except _Unreadable as error:
        return _unreadable(text, str(error), finish_reason)


def parse_answer(text: str, reader: AnswerReader, finish_reason: str = "stop") -> Judgement:
    """The judgement that a preset's model states.

    Parameters
    ----------
    text : the answer, word for word.
    reader : the preset's pattern and map.
    finish_reason : `length` for an answer that was cut at its token limit; the reason then says so.

    Returns
    -------
    Judgement
        With a decision where the pattern occurs and all its places mean the same decision; otherwise missing, as in
        `parse_verdict`. The reasoning is the answer's beginning.
    """
    try:
        answer = _without_thinking(text, finish_reason)
    except _Unreadable as error:
        return _unreadable(text, str(error), finish_reason)
    found = list(dict.fromkeys(reader.decisions(answer)))
    if len(found) == 1 and found[0] is not None:
        return Judgement(found[0], answer.strip()[:KEPT_CHARACTERS])
    problem = "two different answers" if len(found) > 1 else "an unknown answer" if found else "no answer"
    return _unreadable(text, f"{problem} in the form of the preset", finish_reason)


def _unreadable(text: str, problem: str, finish_reason: str) -> Judgement:
    cut = " (cut at max_tokens)" if finish_reason == "length" and "max_tokens" not in problem else ""
    return Judgement(None, text[:KEPT_CHARACTERS], f"{UNREADABLE}: {problem}{cut}")


def _without_thinking(text: str, finish_reason: str) -> str:
    answer = final_answer(text.strip("\ufeff"), finish_reason)
    if answer.missing_reason is not None:
        raise _Unreadable(answer.missing_reason)
    return answer.text


def _one_object(text: str, with_prose: bool) -> dict[str, Any]:
    body = text.strip().strip("\ufeff").strip()
    fenced = FENCE.fullmatch(body)
    if fenced is not None:
        body = fenced["body"]
    if not body.strip():
        raise _Unreadable("the answer is empty")
    try:
        value = DECODER.decode(body.strip())
    except _Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        if not with_prose:
            raise _Unreadable("the answer is not one JSON object") from error
        return _object_within(body)
    if not isinstance(value, dict):
        raise _Unreadable("the answer is not one JSON object")
    return value


def _object_within(text: str) -> dict[str, Any]:
    """The only JSON object with a `label` in a text; braces that hold no JSON are prose."""
    found = []
    start = text.find("{")
    while start >= 0:
        try:
            value, end = DECODER.raw_decode(text, start)
            found += [value] if "label" in value else []
        except _Unreadable:
            raise
        except (ValueError, RecursionError):
            end = _closing_brace(text, start)
        start = text.find("{", end)
    if len(found) != 1:
        raise _Unreadable(f"the answer is not one JSON object, but prose with {len(found)} that have a label")
    verdict: dict[str, Any] = found[0]
    return verdict


def _closing_brace(text: str, start: int) -> int:
    """Where the braces that open at `start` are balanced again."""
    depth = 0
    for brace in BRACE.finditer(text, start):
        depth += 1 if brace[0] == "{" else -1
        if not depth:
            return brace.end()
    raise _Unreadable("the answer is not one JSON object: a brace is never closed")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Unreadable("a key stands twice")
    return found


DECODER = json.JSONDecoder(strict=False, object_pairs_hook=_unique_keys)


def _decision(verdict: Mapping[str, Any]) -> Decision:
    if "label" not in verdict:
        raise _Unreadable("no `label`")
    label = verdict["label"]
    name = label.strip() if isinstance(label, str) else ""
    # isascii first: str.upper turns some other letters into these.
    if not name.isascii() or name.upper() not in Decision.__members__:
        raise _Unreadable(f"`label` is not one of {LABEL_LIST}")
    return Decision(name.upper())


def _reasoning(verdict: Mapping[str, Any]) -> str:
    reasoning = verdict.get("reasoning")
    if reasoning is None:
        return ""
    if not isinstance(reasoning, str):
        raise _Unreadable("`reasoning` is not a text")
    return reasoning
